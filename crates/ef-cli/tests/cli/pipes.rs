//! Readers that go away, and places that cannot be written.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::folder::Folder;
use crate::live::row;

fn ef(folder: &Folder, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ef"));
    command.args(line.split_whitespace()).current_dir(folder.path("")).stderr(Stdio::piped());
    command
}

/// A folder with a run whose traces fill more than a pipe.
fn with_long_run() -> Folder {
    let folder = Folder::new();
    folder.write("long.jsonl", (0..3000).map(row).collect::<String>());
    folder.ef("run spec.yaml --dataset long.jsonl").exits(0);
    folder
}

#[test]
fn a_reader_that_has_read_enough_is_no_failure() {
    let folder = with_long_run();
    for line in ["show latest --traces", "show latest --traces --format json", "completions bash", "schema spec", "man"]
    {
        let mut child = ef(&folder, line).stdout(Stdio::piped()).spawn().expect("ef can be started");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut first).expect("a line");
        assert!(!first.is_empty());
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0), "{line}: {output:?}");
        assert_eq!(output.stderr, b"", "{line}");
    }
}

#[test]
fn a_run_whose_output_nobody_reads_is_a_run_all_the_same() {
    let folder = Folder::new();
    let mut child = ef(&folder, "run spec.yaml --dataset dataset.jsonl --run-id one")
        .stdout(Stdio::piped())
        .spawn()
        .expect("ef can be started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(folder.has("runs/one.json"));
}

#[test]
fn an_error_that_nobody_reads_has_its_exit_code_all_the_same() {
    let folder = Folder::new();
    folder.write("wrong.yaml", "id: 1\n");
    for line in ["run wrong.yaml --dataset dataset.jsonl", "show latest", "nonsense"] {
        let mut child = ef(&folder, line).stdin(Stdio::piped()).spawn().expect("ef can be started");
        drop(child.stderr.take());
        let code = child.wait().expect("it ends").code();
        assert!(matches!(code, Some(2 | 4)), "{line}: {code:?}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else {
        eprintln!("SKIPPED: this machine has no /dev/full");
        return;
    };
    let folder = Folder::new();
    let output = ef(&folder, "schema spec").stdout(full).output().expect("ef can be started");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output cannot be written"), "{output:?}");
}
