//! One writer a run: a lock that the system takes back when its holder ends, in whatever way.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ef_model::{RunId, StoreError};

use crate::fault;

/// The runs that this store writes.
///
/// A lock is on a file of its own beside the database, `<database>.<run id>.lock`, which is gone when its holder is done
/// and is left behind, empty and unlocked, by a process that was killed.
#[derive(Debug, Default)]
pub(crate) struct RunLocks(Mutex<HashMap<RunId, RunLock>>);

#[derive(Debug)]
struct RunLock {
    path: PathBuf,
    /// Closing it gives the lock back.
    _file: File,
}

impl RunLocks {
    /// Takes the lock of a run, unless this store has it already.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunBusy`] when somebody else has it.
    pub(crate) fn take(&self, database: &Path, run: &RunId) -> Result<(), StoreError> {
        let mut held = self.held();
        if !held.contains_key(run) {
            let lock = RunLock::take(database, run)?;
            held.insert(run.clone(), lock);
        }
        Ok(())
    }

    /// Gives the lock of a run back.
    pub(crate) fn release(&self, run: &RunId) {
        self.held().remove(run);
    }

    /// Gives all of them back.
    pub(crate) fn release_all(&self) {
        self.held().clear();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<RunId, RunLock>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // While the lock is still held: whoever waits for it finds the file gone and makes a new one.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl RunLock {
    fn take(database: &Path, run: &RunId) -> Result<Self, StoreError> {
        let path = path_of(database, run);
        let refused = |error: io::Error| {
            fault::unavailable(database, format!("the lock of the run {run} cannot be taken: {}", error.kind()))
        };
        loop {
            let file = open(&path).map_err(refused)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StoreError::RunBusy(run.clone())),
                Err(TryLockError::Error(error)) => return Err(refused(error)),
            }
            // Between opening and locking, the one who had it may have ended the run and removed the file.
            if is_at(&file, &path).map_err(refused)? {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

fn path_of(database: &Path, run: &RunId) -> PathBuf {
    let mut name = database.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{run}.lock"));
    database.with_file_name(name)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether an open file is still the one of this path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
