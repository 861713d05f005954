//! What is in a store stays in it: its code has no statement that would take it out.

use std::fs;
use std::path::Path;

/// The words behind each occurrence of `verb` in the crate's sources, up to the first that is not part of a name.
fn objects_of(verb: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = fs::read_dir(folder).expect("the sources are there");
    let texts = files.map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a source"));
    let after = |text: String| -> Vec<String> {
        let objects = text.split(verb).skip(1);
        objects.map(|rest| rest.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()).collect()
    };
    let mut objects: Vec<String> = texts.flat_map(after).collect();
    objects.sort();
    objects.dedup();
    objects
}

#[test]
fn no_statement_deletes_or_changes_a_record_or_a_payload() {
    assert!(objects_of("INSERT INTO ").contains(&"runs".to_owned()), "the statements are found");
    assert_eq!(objects_of("DELETE FROM "), [""; 0]);
    // A run's end, and its going on after it was aborted.
    assert_eq!(objects_of("UPDATE "), ["runs"]);
    for verb in ["DROP ", "REPLACE INTO ", "TRUNCATE ", "OR REPLACE "] {
        assert_eq!(objects_of(verb), [""; 0], "{verb}");
    }
}
