//! SHA-256 sums of the files of a folder, in the form of `sha256sum`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{SIGNATURE, SUMS, sha256};
use crate::step::{self, Failure};

/// Names of files with their SHA-256, in hexadecimal.
pub(super) type Sums = BTreeMap<String, String>;

/// The text of a file of sums.
pub(super) fn write(sums: &Sums) -> String {
    sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

/// Reads a file of sums. Names are plain: no folders, so that nothing outside the folder is looked at.
pub(super) fn parse(text: &str) -> Result<Sums, Failure> {
    let mut sums = Sums::new();
    for (number, line) in (1..).zip(text.lines()) {
        let entry = line.split_once("  ").filter(|(sum, name)| is_sum(sum) && is_plain(name));
        let Some((sum, name)) = entry else {
            return Err(Failure::new(format!("{SUMS}:{number} is no SHA-256 and name of a file in the same folder")));
        };
        if sums.insert(name.to_owned(), sum.to_owned()).is_some() {
            return Err(Failure::new(format!("{SUMS}:{number} names {name} a second time")));
        }
    }
    if sums.is_empty() { Err(Failure::new(format!("{SUMS} names no file"))) } else { Ok(sums) }
}

fn is_sum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    !name.is_empty() && !name.starts_with('.') && name != SUMS && name != SIGNATURE && name.bytes().all(plain)
}

/// Where a folder and the sums differ: files that are changed, missing, more than there should be, or no plain files.
pub(super) fn differences(folder: &Path, sums: &Sums) -> Result<Vec<String>, Failure> {
    let mut problems = Vec::new();
    for (name, sum) in sums {
        let path = folder.join(name);
        match std::fs::symlink_metadata(&path) {
            Err(_) => problems.push(format!("{name} is missing")),
            Ok(file) if !file.is_file() => problems.push(format!("{name} is not a plain file")),
            Ok(_) if sha256(&step::read(&path)?) != *sum => problems.push(format!("{name} is not what it was")),
            Ok(_) => {}
        }
    }
    let own = BTreeSet::from([SUMS, SIGNATURE]);
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !own.contains(name.as_str()) && !sums.contains_key(&name) {
            problems.push(format!("{name} does not belong to it"));
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_that_are_written_are_read_again() {
        let sums = Sums::from([("a.tar.gz".to_owned(), sha256(b"a")), ("b-1.0_x.json".to_owned(), sha256(b"b"))]);
        assert_eq!(parse(&write(&sums)).expect("they are sums"), sums);
        assert!(
            write(&sums).starts_with("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.tar.gz\n")
        );
    }

    #[test]
    fn sums_that_reach_out_of_the_folder_or_are_unclear_are_refused() {
        let sum = sha256(b"a");
        for text in [
            String::new(),
            "\n".to_owned(),
            format!("{sum} a"),
            format!("{sum}  ../a"),
            format!("{sum}  /etc/passwd"),
            format!("{sum}  .hidden"),
            format!("{sum}  {SUMS}"),
            format!("{sum}  a\n{sum}  a"),
            format!("{}  a", sum.to_uppercase()),
            format!("{}  a", &sum[1..]),
            format!("{sum} *a"),
            format!("{sum}  a\u{202e}b"),
        ] {
            parse(&text).expect_err(&text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_read_names_files_of_the_folder_and_is_written_as_it_was(
            text in "((ca){32}|[0-9a-f]{64}|.{0,9})( |  |\t)([a-b./-]{0,6}|.{0,6})(\n|\r\n)?(.{0,80}\n)?"
        ) {
            if let Ok(sums) = parse(&text) {
                proptest::prop_assert!(sums.keys().all(|name| Path::new(name).components().count() == 1));
                proptest::prop_assert!(sums.keys().all(|name| Path::new("/folder").join(name).starts_with("/folder")));
                let written = write(&sums);
                let lines = written.lines().collect::<BTreeSet<_>>();
                proptest::prop_assert_eq!(lines, text.lines().collect::<BTreeSet<_>>());
            }
        }
    }

    #[test]
    fn each_way_in_which_a_folder_differs_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "b", "c", "d"] {
            step::write(&path(name), name).expect("written");
        }
        let sums: Sums = ["a", "b", "c", "d"].map(|name| (name.to_owned(), sha256(name.as_bytes()))).into();
        assert_eq!(differences(folder.path(), &sums).expect("it is read"), [""; 0]);
        step::write(&path("a"), "A").expect("written");
        std::fs::remove_file(path("b")).expect("removed");
        std::fs::rename(path("c"), path("e")).expect("renamed");
        std::os::unix::fs::symlink(path("e"), path("c")).expect("linked");
        let found = differences(folder.path(), &sums).expect("it is read");
        assert_eq!(found, ["a is not what it was", "b is missing", "c is not a plain file", "e does not belong to it"]);
    }
}
