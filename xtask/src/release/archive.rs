//! Archives whose bytes depend on nothing but what is in them: files in the order of their names, with one time, without
//! owners.

use std::io::{Cursor, Read as _};

use flate2::{Compression, GzBuilder};

use crate::step::Failure;

/// The most that is read of one file of an archive, in bytes.
const LIMIT: u64 = 1 << 30;

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Its path within the archive's folder, with `/`.
    pub(super) path: String,
    pub(super) executable: bool,
    pub(super) content: Vec<u8>,
}

impl File {
    pub(super) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), executable: false, content: content.into() }
    }
}

/// Packs files into one folder of a gzipped tar archive; each has the time `seconds`, since 1970.
pub(super) fn pack(folder: &str, files: &[File], seconds: u64) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("the archive could not be packed: {error}"));
    let mut files: Vec<&File> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let mut tar = tar::Builder::new(gzip);
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_mode(if file.executable { 0o755 } else { 0o644 });
        header.set_mtime(seconds);
        header.set_size(file.content.len() as u64);
        tar.append_data(&mut header, format!("{folder}/{}", file.path), file.content.as_slice()).map_err(failed)?;
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(failed)
}

/// One file of an archive, by its path within the archive's folder.
///
/// # Errors
///
/// When there is no such file, or this is no such archive.
pub(super) fn file(archive: &[u8], folder: &str, path: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::new(format!("the archive could not be unpacked: {error}"));
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(Cursor::new(archive)));
    let wanted = format!("{folder}/{path}");
    for entry in tar.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path_bytes().as_ref() == wanted.as_bytes() {
            let mut content = Vec::new();
            entry.take(LIMIT).read_to_end(&mut content).map_err(failed)?;
            return Ok(content);
        }
    }
    Err(Failure::new(format!("the archive has no file {wanted}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_in_any_order_give_the_same_bytes() {
        let (a, b) = (File::new("a", "1"), File { executable: true, ..File::new("sub/b", "2") });
        let one = pack("f", &[a.clone(), b.clone()], 981_169_506).expect("packed");
        assert_eq!(pack("f", &[b.clone(), a.clone()], 981_169_506).expect("packed"), one);
        assert_ne!(pack("f", &[a, b], 981_169_507).expect("packed"), one, "the time counts");
        assert_eq!(file(&one, "f", "sub/b").expect("it is there"), b"2");
    }

    #[test]
    fn a_stock_tar_unpacks_it_with_modes_and_times() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ef = File { executable: true, ..File::new("ef", "#!/bin/sh\n") };
        let packed = pack("ef-1.0.0", &[File::new("README.md", "read me"), ef], 981_169_506).expect("packed");
        crate::step::write(&folder.path().join("a.tar.gz"), packed).expect("written");
        let mut tar = std::process::Command::new("tar");
        let listed = crate::step::text(tar.args(["-tvzf", "a.tar.gz"]).env("TZ", "UTC").current_dir(folder.path()));
        let listed = listed.expect("tar reads it");
        let lines: Vec<&str> = listed.lines().collect();
        assert!(lines[0].starts_with("-rw-r--r--") && lines[0].ends_with("ef-1.0.0/README.md"), "{listed}");
        assert!(lines[1].starts_with("-rwxr-xr-x") && lines[1].contains("2001"), "{listed}");
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for bytes in [&b""[..], b"\x1f\x8b", b"text"] {
            file(bytes, "f", "a").expect_err("it is no archive");
        }
        let packed = pack("f", &[File::new("a", "1")], 0).expect("packed");
        file(&packed[..packed.len() - 9], "f", "b").expect_err("it is cut off");
        let failure = file(&packed, "f", "b").expect_err("there is no b");
        assert_eq!(failure.message, "the archive has no file f/b");
    }
}
