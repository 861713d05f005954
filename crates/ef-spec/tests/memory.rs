//! Hostile files end in little memory. This is the only test of its program: it measures the whole of it.
#![allow(clippy::print_stderr, reason = "a test says what it measured, or that it was skipped")]

#[path = "hostile/files.rs"]
mod files;
#[path = "report/mod.rs"]
mod report;

#[test]
fn every_hostile_file_ends_within_50_mib() {
    let files = files::all();
    let held: u64 = files.iter().map(|(_, bytes)| bytes.len() as u64 / 1024).sum();
    for (name, bytes) in &files {
        let errors = ef_spec::parse("hostile.yaml", bytes).map(|_| ()).expect_err(name);
        let _ = report::render(&errors, usize::MAX);
        let Some(peak) = peak() else {
            eprintln!("SKIPPED: the peak of memory cannot be read from /proc here");
            return;
        };
        // The whole program is counted, but for the files that the test itself holds.
        let used = peak.saturating_sub(held);
        assert!(used < 50 * 1024, "{name} took up to {used} KiB");
        eprintln!("{used:>6} KiB at the most, after {name}");
    }
}

/// The most memory that this process has had at one time, in KiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?.parse().ok()
}
