//! A run that names nothing on the network uses none.

use std::process::Command;

use crate::folder::Folder;

const RUN: [&str; 4] = ["run", "spec.yaml", "--dataset", "dataset.jsonl"];

/// Runs `ef` under another program, in that folder.
fn under(folder: &Folder, wrapper: &[&str]) -> Option<std::process::Output> {
    let mut command = Command::new(wrapper[0]);
    command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_ef")).args(RUN).current_dir(folder.path(""));
    command.output().ok()
}

#[test]
fn a_run_opens_no_network_socket() {
    let folder = Folder::new();
    let strace = ["strace", "-f", "-qqq", "-e", "trace=network,execve", "-o", "calls.txt"];
    if let Some(output) = under(&folder, &strace)
        && output.status.success()
    {
        let calls = String::from_utf8_lossy(&folder.read("calls.txt")).into_owned();
        assert!(calls.contains("execve("), "strace saw nothing: {calls}");
        // Signals come to the program through a pair of local sockets, which no address leads to.
        let opened: Vec<_> = calls
            .lines()
            .filter(|call| ["socket(", "connect(", "bind("].iter().any(|name| call.contains(name)))
            .collect();
        assert_eq!(opened, [""; 0]);
        return;
    }
    // In a network namespace of its own there is nothing that could be reached.
    match under(&folder, &["unshare", "--user", "--map-root-user", "--net"]) {
        Some(output) if output.status.success() => {}
        Some(output) if !String::from_utf8_lossy(&output.stderr).contains("unshare") => {
            panic!("without a network: {}", String::from_utf8_lossy(&output.stderr));
        }
        _ => eprintln!("SKIPPED: this machine has neither strace nor network namespaces"),
    }
}
