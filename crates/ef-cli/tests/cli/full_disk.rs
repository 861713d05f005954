//! A disk without room: the run ends with its reason, the store stays whole, and once there is room the run goes on.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::folder::{Ended, Folder, assert_seen};
use crate::kills::timeless;

const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id";

/// Inputs that fill a disk soon.
fn folder() -> Folder {
    let folder = Folder::new();
    let text = "x".repeat(2000);
    let row = |n: u32| format!("{{\"item_id\": \"i{n}\", \"input\": \"{n} {text}\", \"reference_output\": \"{n}\"}}\n");
    folder.write("dataset.jsonl", (0..4000).map(row).collect::<String>());
    folder
}

/// What was seen, without the numbers that chance makes.
fn seen(ended: &Ended) -> String {
    let mut last = ' ';
    let digits = |c: char| {
        let shown = if c.is_ascii_digit() { 'N' } else { c };
        let is_repeated = shown == 'N' && last == 'N';
        last = shown;
        (!is_repeated).then_some(shown)
    };
    ended.to_string().chars().filter_map(digits).collect()
}

/// Checks that the run is whole so far, and goes on to what it would have been.
fn goes_on(folder: &Folder, store: &Path) {
    let copies = Folder::empty();
    for suffix in ["", "-wal"] {
        let from = store.with_file_name(format!("runs.db{suffix}"));
        if from.exists() {
            std::fs::copy(from, copies.path(&format!("runs.db{suffix}"))).expect("it can be copied");
        }
    }
    let database = Connection::open(copies.path("runs.db")).expect("SQLite");
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a verdict");
    assert_eq!(verdict, "ok");
    let kept: u32 = database.query_row("SELECT count(*) FROM traces", [], |row| row.get(0)).expect("a number");
    assert!((1..4000).contains(&kept), "{kept} records were kept");
    folder.ef("resume full").exits(0);
    let resumed = timeless(folder, "full");
    folder.ef(&format!("{RUN} undisturbed")).exits(0);
    assert_eq!(resumed, timeless(folder, "undisturbed"));
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_grow_ends_a_run_which_goes_on_once_it_may() {
    let folder = folder();
    let limited = format!("trap '' XFSZ; ulimit -f 6000; exec \"$0\" {RUN} full");
    let output = Command::new("sh")
        .args(["-c", &limited, env!("CARGO_BIN_EXE_ef")])
        .env("EVAL_FABRIC_LOG_LEVEL", "off")
        .current_dir(folder.path(""))
        .output()
        .expect("a shell");
    assert_seen("full_file", seen(&Ended::of(&output).exits(4)));
    goes_on(&folder, &folder.path("runs/runs.db"));
}

/// A small disk in memory, mounted on a folder.
#[cfg(target_os = "linux")]
struct SmallDisk(std::path::PathBuf);

#[cfg(target_os = "linux")]
impl SmallDisk {
    fn mount(folder: &Path, options: &str) -> bool {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|output| output.status.success())
    }
}

#[cfg(target_os = "linux")]
impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_a_run_which_goes_on_once_there_is_room() {
    let folder = folder();
    let runs = folder.path("runs");
    std::fs::create_dir(&runs).expect("a folder");
    if !SmallDisk::mount(&runs, "size=4m,mode=700") {
        eprintln!("SKIPPED: this user may not mount a small disk");
        return;
    }
    let disk = SmallDisk(runs.clone());
    assert_seen("full_disk", seen(&folder.ef(&format!("{RUN} full")).exits(4)));
    // Still without room it says the same.
    let again = folder.ef("resume full").exits(4);
    assert!(again.stderr.contains("the disk is full"), "{again}");
    assert!(SmallDisk::mount(&disk.0, "remount,size=256m"), "the disk grows");
    goes_on(&folder, &disk.0.join("runs.db"));
}
