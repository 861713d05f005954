//! Whether a database file was cut short, which SQLite itself finds out only when it comes to what is missing.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of an SQLite file before its first page's content.
const HEADER: usize = 100;

/// Whether the file is shorter than its header says. A file with a write-ahead log is not judged: pages may be in the log
/// alone. The header's fields are those of "The Database Header" in SQLite's description of its file format.
///
/// # Errors
///
/// When the file cannot be read.
pub(crate) fn is_cut(path: &Path) -> io::Result<bool> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = || std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    // Another process may copy its log into the file just now: a log that was not there yet is there then.
    Ok(!has_log() && is_short(path)? && !has_log() && is_short(path)?)
}

fn is_short(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut header = Vec::with_capacity(HEADER);
    file.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
    let Ok(header) = <[u8; HEADER]>::try_from(header) else {
        // SQLite takes an empty file for a new database and any other as short as this for none at all.
        return Ok(false);
    };
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 1 << 16,
        bytes => u64::from(bytes),
    };
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (pages, changes, pages_are_as_of) = (word(28), word(24), word(92));
    let is_known = header.starts_with(b"SQLite format 3\0") && changes == pages_are_as_of;
    Ok(is_known && file.metadata()?.len() < page * u64::from(pages))
}
