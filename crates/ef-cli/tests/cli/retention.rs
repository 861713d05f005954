//! What was recorded stays: there is nothing in the program that takes a run away.

use crate::folder::Folder;

/// The names of all commands and of their long options.
fn names(command: &clap::Command) -> Vec<String> {
    let mut found = vec![command.get_name().to_owned()];
    found.extend(command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned));
    found.extend(command.get_subcommands().flat_map(names));
    found
}

#[test]
fn no_command_and_no_option_deletes_a_run() {
    const WORDS: [&str; 10] =
        ["clean", "clear", "delete", "drop", "expire", "forget", "overwrite", "prune", "purge", "remove"];
    let names = names(&ef_cli::command());
    assert!(names.iter().any(|name| name == "gate") && names.iter().any(|name| name == "payloads"), "{names:?}");
    // `--max-drop` is about a metric.
    let deleting = |name: &&String| *name != "max-drop" && WORDS.iter().any(|word| name.contains(word));
    assert_eq!(names.iter().filter(deleting).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn a_run_is_as_it_was_after_everything_that_can_be_done_with_its_store() {
    let folder = Folder::new();
    let run = "run spec.yaml --dataset dataset.jsonl";
    folder.ef(&format!("{run} --run-id first")).exits(0);
    let before = folder.records("first");
    for line in [
        "runs",
        "show first --traces --payloads --format json",
        "gate first --metric accuracy --min 0",
        "tracestore init",
    ] {
        folder.ef(line).exits(0);
    }
    folder.ef(&format!("{run} --run-id second")).exits(0);
    // The id is taken.
    folder.ef(&format!("{run} --run-id first")).exits(2);
    assert_eq!(folder.records("first"), before);
}
