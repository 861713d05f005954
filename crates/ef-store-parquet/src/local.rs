//! A folder on disk, readable by its owner alone.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::blobs::BlobError;

/// What names of files that are not finished yet start with.
const UNFINISHED: &str = ".unfinished-";

#[derive(Debug)]
pub(crate) struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn path(&self, key: &str) -> PathBuf {
        key.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// Makes the folder where there is none.
    pub(crate) fn prepare(&self) -> Result<(), BlobError> {
        make_folders(&self.root).map_err(|error| BlobError::io("the folder cannot be made", &error))
    }

    /// Writes a file that is not there yet. It appears whole, and survives a power loss.
    pub(crate) fn create(&self, key: &str, content: &[Bytes]) -> Result<(), BlobError> {
        let mut file = self.upload(key)?;
        let refused = |error: &io::Error| BlobError::io("a file cannot be written", error);
        content.iter().try_for_each(|piece| file.write_all(piece)).map_err(|error| refused(&error))?;
        file.place(|unfinished, path| {
            // Fails when there is a file of that name, and puts a whole one there when there is none.
            fs::hard_link(unfinished, path)?;
            fs::remove_file(unfinished)
        })
        .map(|_| ())
    }

    pub(crate) fn replace(&self, key: &str, content: &[u8]) -> Result<(), BlobError> {
        let mut file = self.upload(key)?;
        file.write_all(content).map_err(|error| BlobError::io("a file cannot be written", &error))?;
        file.finish().map(|_| ())
    }

    pub(crate) fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let read = || {
            let mut file = File::open(self.path(key))?;
            file.seek(SeekFrom::Start(range.start))?;
            read_to_end(file, range.end.saturating_sub(range.start))
        };
        read().map_err(|error| BlobError::io("a file cannot be read", &error))
    }

    pub(crate) fn tail(&self, key: &str, most: u64) -> Result<Bytes, BlobError> {
        let read = || {
            let mut file = File::open(self.path(key))?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
            read_to_end(file, most.min(size))
        };
        read().map_err(|error| BlobError::io("a file cannot be read", &error))
    }

    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let mut keys = Vec::new();
        walk(&self.path(prefix.trim_end_matches('/')), prefix, &mut keys)
            .map_err(|error| BlobError::io("a folder cannot be read", &error))?;
        Ok(keys)
    }

    pub(crate) fn folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let names = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(self.path(prefix.trim_end_matches('/')))? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    names.extend(entry.file_name().into_string());
                }
            }
            Ok(names)
        };
        match names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| BlobError::io("a folder cannot be read", &error)),
        }
    }

    /// Whether there is nothing but what killed writers left unfinished.
    pub(crate) fn is_empty(&self) -> Result<bool, BlobError> {
        let is_empty = || -> io::Result<bool> {
            for entry in fs::read_dir(&self.root)? {
                if !is_unfinished(&entry?.file_name()) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        match is_empty() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            is_empty => is_empty.map_err(|error| BlobError::io("the folder cannot be read", &error)),
        }
    }

    pub(crate) fn remove(&self, key: &str) -> Result<(), BlobError> {
        match fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(BlobError::io("a file cannot be removed", &error))
            }
            _ => Ok(()),
        }
    }

    /// Begins a file.
    pub(crate) fn upload(&self, key: &str) -> Result<LocalFile, BlobError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let unfinished = folder.join(format!("{UNFINISHED}{}", uuid::Uuid::now_v7()));
        let open = || match open_new(&unfinished) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_folders(&folder)?;
                open_new(&unfinished)
            }
            opened => opened,
        };
        let file = open().map_err(|error| match BlobError::io("a file cannot be made", &error) {
            // Such as a file where a folder should be.
            BlobError::NotFound | BlobError::Exists => BlobError::Failed("a folder of it cannot be made".to_owned()),
            other => other,
        })?;
        Ok(LocalFile {
            file: BufWriter::with_capacity(1 << 16, file),
            size: 0,
            path,
            folder,
            unfinished,
            placed: false,
        })
    }
}

/// A file in the making, beside the place where it will be.
pub(crate) struct LocalFile {
    file: BufWriter<File>,
    size: u64,
    path: PathBuf,
    folder: PathBuf,
    unfinished: PathBuf,
    placed: bool,
}

impl LocalFile {
    pub(crate) fn finish(self) -> Result<u64, BlobError> {
        self.place(|unfinished, path| fs::rename(unfinished, path))
    }

    fn place(mut self, put: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<u64, BlobError> {
        let place = |file: &mut BufWriter<File>| {
            file.flush()?;
            file.get_ref().sync_all()?;
            put(&self.unfinished, &self.path)?;
            sync_folder(&self.folder)
        };
        let placed = place(&mut self.file);
        placed.map_err(|error| BlobError::io("a file cannot be written", &error))?;
        self.placed = true;
        Ok(self.size)
    }
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if !self.placed {
            // What cannot be removed now is passed over by every reader.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

fn read_to_end(file: File, most: u64) -> io::Result<Bytes> {
    let mut bytes = Vec::with_capacity(usize::try_from(most.min(1 << 26)).unwrap_or(0));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// Whether a file is one that its writer did not finish, or not yet.
fn is_unfinished(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes())
}

fn walk(folder: &Path, prefix: &str, keys: &mut Vec<(String, u64)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // A folder may be gone, or be a file of somebody else's.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{prefix}{name}/"), keys)?;
        } else if !is_unfinished(name.as_ref()) {
            match entry.metadata() {
                Ok(metadata) => keys.push((format!("{prefix}{name}"), metadata.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn open_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder and those above it, each of which survives a power loss.
fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folders(parent)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        made => made.and_then(|()| sync_folder(parent)),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be synced, and need not be.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
