//! Memory does not grow with the data. One test alone in its process, because it reads the process's own peak.

use std::io::{self, Cursor, Read};

use ef_dataset::{DatasetOptions, Format, from_reader};
use ef_model::{DatasetRow, ItemSource, RowFaultKind};

const MIB: u64 = 1 << 20;

/// The most memory that this process has held, in bytes.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn oversized(row: Option<DatasetRow>) -> u64 {
    match row {
        Some(DatasetRow::Faulty { fault, .. }) if fault.kind == RowFaultKind::Oversized => fault.bytes,
        row => panic!("the row is oversized, and not {row:?}"),
    }
}

fn bomb(mut encoder: impl io::Write, size: u64) {
    let zeros = vec![b'0'; 1 << 16];
    for _ in 0..size / zeros.len() as u64 {
        encoder.write_all(&zeros).expect("memory");
    }
}

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#[test]
fn rows_without_end_pass_through_little_memory() {
    let Some(before) = peak() else {
        eprintln!("SKIPPED: this system does not say how much memory a process has held");
        return;
    };
    let options =
        |format| DatasetOptions { format: Some(format), max_item_bytes: MIB / 4, ..DatasetOptions::default() };
    let endless = |start: &'static [u8], size: u64, end: &'static [u8]| {
        Box::new(Cursor::new(start).chain(io::repeat(b'x').take(size)).chain(end))
    };

    let line = endless(b"{\"input\":\"", 32 * MIB, b"\"}\n{\"input\":1}\n");
    let mut lines = from_reader("stdin", line, options(Format::Jsonl)).expect("open");
    assert_eq!(oversized(lines.next_row().expect("a row")), 32 * MIB + 12);
    assert!(matches!(lines.next_row(), Ok(Some(DatasetRow::Item(_)))), "the row after it is whole");

    let element = endless(b"[{\"input\":\"", 8 * MIB, b"\"},{\"input\":1}]");
    let mut elements = from_reader("stdin", element, options(Format::Json)).expect("open");
    assert_eq!(oversized(elements.next_row().expect("a row")), 8 * MIB + 12);
    assert!(matches!(elements.next_row(), Ok(Some(DatasetRow::Item(_)))), "the element after it is whole");

    let quote = endless(b"input\n1\n\"", 8 * MIB, b"");
    let mut records = from_reader("stdin", quote, options(Format::Csv)).expect("open");
    assert!(matches!(records.next_row(), Ok(Some(DatasetRow::Item(_)))));
    assert!(records.next_row().is_err(), "the quote is never closed");

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb(&mut gzip, 8 * MIB);
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    bomb(&mut zstd, 8 * MIB);
    for (bytes, size) in [(gzip.finish().expect("memory"), 8 * MIB), (zstd.finish().expect("memory"), 8 * MIB)] {
        let mut bomb = from_reader("stdin", Box::new(Cursor::new(bytes)), options(Format::Jsonl)).expect("open");
        assert_eq!(oversized(bomb.next_row().expect("a row")), size);
    }

    let grown = peak().expect("it was there before") - before;
    assert!(grown < 7 * MIB, "memory grew by {} MiB", grown / MIB);
}
