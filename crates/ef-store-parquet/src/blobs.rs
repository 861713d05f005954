//! The few things that the store asks of a folder, be it on disk or in object storage.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use ef_model::StoreError;

use crate::local::{LocalFile, LocalFolder};
use crate::remote::{RemoteFolder, RemoteUpload};

/// Why a blob could not be read or written. No text holds content or a secret.
#[derive(Debug, Clone)]
pub(crate) enum BlobError {
    /// There is none of that name.
    NotFound,
    /// There is one of that name already.
    Exists,
    /// Anything else, for a person.
    Failed(String),
}

impl BlobError {
    /// An error of the operating system, without the path.
    pub(crate) fn io(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Failed("the disk is full".to_owned()),
            io::ErrorKind::PermissionDenied => Self::Failed(format!("{what}: the system refuses access")),
            kind => Self::Failed(format!("{what}: {kind}")),
        }
    }
}

/// A folder of blobs, named by `/`-separated keys.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    /// The store's URI, without anything secret.
    name: Arc<str>,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Local(Arc<LocalFolder>),
    Remote(Arc<RemoteFolder>),
}

impl Blobs {
    pub(crate) fn local(name: &str, folder: LocalFolder) -> Self {
        Self { name: name.into(), place: Place::Local(Arc::new(folder)) }
    }

    pub(crate) fn remote(name: &str, folder: RemoteFolder) -> Self {
        Self { name: name.into(), place: Place::Remote(Arc::new(folder)) }
    }

    /// Makes the folder where there is none; object storage has no folders.
    pub(crate) async fn prepare(&self) -> Result<(), BlobError> {
        match &self.place {
            Place::Local(folder) => blocking(folder, LocalFolder::prepare).await,
            Place::Remote(_) => Ok(()),
        }
    }

    /// Writes a blob that is not there yet, durably: of several that try, one succeeds.
    ///
    /// Where the connection breaks it is tried again, so that [`BlobError::Exists`] may mean the caller's own blob.
    pub(crate) async fn create(&self, key: &str, content: Vec<Bytes>) -> Result<(), BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                blocking(folder, move |folder| folder.create(&key, &content)).await
            }
            Place::Remote(folder) => folder.create(key, content).await,
        }
    }

    /// Writes a blob, in place of the one that may be there.
    pub(crate) async fn replace(&self, key: &str, content: Bytes) -> Result<(), BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                blocking(folder, move |folder| folder.replace(&key, &content)).await
            }
            Place::Remote(folder) => folder.replace(key, content).await,
        }
    }

    /// As [`Blobs::replace`], by someone who cannot wait: at once on disk, in the background elsewhere.
    pub(crate) fn replace_soon(&self, key: &str, content: Bytes) {
        match &self.place {
            // Nobody is left to be told: what is not released expires.
            Place::Local(folder) => drop(folder.replace(key, &content)),
            Place::Remote(folder) => {
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    let (folder, key) = (Arc::clone(folder), key.to_owned());
                    runtime.spawn(async move { folder.replace(&key, content).await });
                }
            }
        }
    }

    /// Some bytes of a blob.
    pub(crate) async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                blocking(folder, move |folder| folder.range(&key, range)).await
            }
            Place::Remote(folder) => folder.range(key, range).await,
        }
    }

    /// Several pieces of a blob.
    pub(crate) async fn ranges(&self, key: &str, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>, BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                let all =
                    move |folder: &LocalFolder| ranges.into_iter().map(|range| folder.range(&key, range)).collect();
                blocking(folder, all).await
            }
            Place::Remote(folder) => folder.ranges(key, &ranges).await,
        }
    }

    /// The last bytes of a blob, all where it has no more.
    pub(crate) async fn tail(&self, key: &str, most: u64) -> Result<Bytes, BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                blocking(folder, move |folder| folder.tail(&key, most)).await
            }
            Place::Remote(folder) => folder.tail(key, most).await,
        }
    }

    /// The keys that start with a prefix, which ends in `/`, each with its size in bytes.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let prefix = prefix.to_owned();
                blocking(folder, move |folder| folder.list(&prefix)).await
            }
            Place::Remote(folder) => folder.list(prefix).await,
        }
    }

    /// The names of the folders right below a prefix, which ends in `/`.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let prefix = prefix.to_owned();
                blocking(folder, move |folder| folder.folders(&prefix)).await
            }
            Place::Remote(folder) => folder.folders(prefix).await,
        }
    }

    /// Whether there is anything at all.
    pub(crate) async fn is_empty(&self) -> Result<bool, BlobError> {
        match &self.place {
            Place::Local(folder) => blocking(folder, LocalFolder::is_empty).await,
            Place::Remote(folder) => folder.is_empty().await,
        }
    }

    /// Removes a blob, if it is there.
    pub(crate) async fn remove(&self, key: &str) -> Result<(), BlobError> {
        match &self.place {
            Place::Local(folder) => {
                let key = key.to_owned();
                blocking(folder, move |folder| folder.remove(&key)).await
            }
            Place::Remote(folder) => folder.remove(key).await,
        }
    }

    /// Begins a large blob, which appears as a whole once it is finished. To be used where one may block.
    pub(crate) fn upload(&self, key: &str) -> Result<Upload, BlobError> {
        Ok(match &self.place {
            Place::Local(folder) => Upload::Local(folder.upload(key)?),
            Place::Remote(folder) => Upload::Remote(RemoteFolder::upload(folder, key)?),
        })
    }

    /// The error in the words of the store contract.
    pub(crate) fn failed(&self, error: &BlobError) -> StoreError {
        self.unavailable(match error {
            BlobError::NotFound => "a file of it is gone".to_owned(),
            BlobError::Exists => "a file is there already that should not be".to_owned(),
            BlobError::Failed(reason) => reason.clone(),
        })
    }

    pub(crate) fn unavailable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Unavailable { store: self.name.to_string(), reason: reason.into() }
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged { store: self.name.to_string(), reason: reason.into() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

async fn blocking<T: Send + 'static>(
    folder: &Arc<LocalFolder>,
    work: impl FnOnce(&LocalFolder) -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let folder = Arc::clone(folder);
    match tokio::task::spawn_blocking(move || work(&folder)).await {
        Ok(done) => done,
        Err(_) => Err(BlobError::Failed("the program is ending".to_owned())),
    }
}

/// A large blob in the making. Dropped before it is finished, it leaves nothing that a reader takes for data.
pub(crate) enum Upload {
    Local(LocalFile),
    Remote(RemoteUpload),
}

impl Upload {
    /// Makes the blob appear, durably, in place of the one that may be there. Returns its size in bytes.
    pub(crate) fn finish(self) -> Result<u64, BlobError> {
        match self {
            Self::Local(file) => file.finish(),
            Self::Remote(upload) => upload.finish(),
        }
    }
}

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.write(bytes),
            Self::Remote(upload) => upload.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
