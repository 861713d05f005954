//! A folder in object storage.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use tokio::runtime::Handle;

use crate::blobs::BlobError;

/// How often a conditional create is tried whose outcome is unknown, beyond what the client tries by itself.
const CREATE_ATTEMPTS: u32 = 5;
/// Parts of a large blob that are under way at the same time, 5 MiB each.
const PARTS: usize = 4;

#[derive(Debug)]
pub(crate) struct RemoteFolder {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// How long the client tries a request again.
    patience: Duration,
}

impl RemoteFolder {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, prefix: Path, patience: Duration) -> Self {
        Self { store, prefix, patience }
    }

    fn path(&self, key: &str) -> Path {
        key.split('/').filter(|part| !part.is_empty()).fold(self.prefix.clone(), Path::join)
    }

    pub(crate) async fn create(&self, key: &str, content: Vec<Bytes>) -> Result<(), BlobError> {
        let path = self.path(key);
        let payload: PutPayload = content.into_iter().collect();
        let (began, mut attempt) = (Instant::now(), 0);
        loop {
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            // Not tried again by the client: it cannot know whether a broken connection came before or after the write.
            match self.store.put_opts(&path, payload.clone(), options).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    attempt += 1;
                    let error = Refusal::of(&error);
                    match error.blob {
                        BlobError::Failed(_)
                            if error.may_pass && attempt < CREATE_ATTEMPTS && began.elapsed() < self.patience =>
                        {
                            tokio::time::sleep(Duration::from_millis(50) * 2_u32.pow(attempt)).await;
                        }
                        // A blob cannot be missing that is being made; what is missing is what should hold it.
                        BlobError::NotFound => return Err(BlobError::Failed(error.reason)),
                        blob => return Err(blob),
                    }
                }
            }
        }
    }

    pub(crate) async fn replace(&self, key: &str, content: Bytes) -> Result<(), BlobError> {
        self.store.put(&self.path(key), content.into()).await.map(|_| ()).map_err(|error| blob_error(&error))
    }

    pub(crate) async fn range(&self, key: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.store.get_range(&self.path(key), range).await.map_err(|error| blob_error(&error))
    }

    pub(crate) async fn ranges(&self, key: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, BlobError> {
        // Nothing cannot be asked for.
        let some: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).cloned().collect();
        let found = self.store.get_ranges(&self.path(key), &some).await.map_err(|error| blob_error(&error))?;
        let mut found = found.into_iter();
        let piece = |range: &Range<u64>| if range.is_empty() { Some(Bytes::new()) } else { found.next() };
        Ok(ranges.iter().filter_map(piece).collect())
    }

    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let listed =
            self.store.list_with_delimiter(Some(&self.path(prefix))).await.map_err(|error| blob_error(&error))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    pub(crate) async fn tail(&self, key: &str, most: u64) -> Result<Bytes, BlobError> {
        // Not every service takes a range that counts from the end.
        let size = self.store.head(&self.path(key)).await.map_err(|error| blob_error(&error))?.size;
        self.range(key, size.saturating_sub(most)..size).await
    }

    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, BlobError> {
        let below = self.path(prefix);
        let skip = self.prefix.as_ref().len() + usize::from(!self.prefix.as_ref().is_empty());
        self.store
            .list(Some(&below))
            .map_ok(|found| (found.location.as_ref().get(skip..).unwrap_or_default().to_owned(), found.size))
            .try_collect()
            .await
            .map_err(|error| blob_error(&error))
    }

    pub(crate) async fn is_empty(&self) -> Result<bool, BlobError> {
        let first = self.store.list(Some(&self.prefix)).try_next().await;
        first.map(|first| first.is_none()).map_err(|error| {
            // Nothing is asked for by name here, so it is the bucket that is not there.
            let error = Refusal::of(&error);
            if let BlobError::NotFound = error.blob { BlobError::Failed(error.reason) } else { error.blob }
        })
    }

    pub(crate) async fn remove(&self, key: &str) -> Result<(), BlobError> {
        match self.store.delete(&self.path(key)).await {
            Err(Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(blob_error(&error)),
        }
    }

    pub(crate) fn upload(folder: &Arc<Self>, key: &str) -> Result<RemoteUpload, BlobError> {
        let runtime = Handle::try_current().map_err(|_| BlobError::Failed("the program is ending".to_owned()))?;
        let path = folder.path(key);
        let upload = runtime.block_on(folder.store.put_multipart(&path)).map_err(|error| blob_error(&error))?;
        Ok(RemoteUpload { parts: Some(WriteMultipart::new(upload)), runtime, size: 0 })
    }
}

/// A large blob that is sent in parts, from a thread that may block.
pub(crate) struct RemoteUpload {
    parts: Option<WriteMultipart>,
    runtime: Handle,
    size: u64,
}

impl RemoteUpload {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _runtime = self.runtime.enter();
        let Some(parts) = &mut self.parts else { return Err(io::ErrorKind::BrokenPipe.into()) };
        self.runtime.block_on(parts.wait_for_capacity(PARTS)).map_err(|error| io::Error::other(blob_text(&error)))?;
        parts.write(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    pub(crate) fn finish(mut self) -> Result<u64, BlobError> {
        if let Some(parts) = self.parts.take() {
            self.runtime.block_on(parts.finish()).map_err(|error| blob_error(&error))?;
        }
        Ok(self.size)
    }
}

impl Drop for RemoteUpload {
    fn drop(&mut self) {
        if let Some(parts) = self.parts.take() {
            // Parts that stay behind are no object; a lifecycle rule of the bucket removes them.
            self.runtime.spawn(parts.abort());
        }
    }
}

fn blob_error(error: &Error) -> BlobError {
    Refusal::of(error).blob
}

fn blob_text(error: &Error) -> String {
    Refusal::of(error).reason
}

/// What the object storage said.
struct Refusal {
    blob: BlobError,
    reason: String,
    /// Whether trying again may help.
    may_pass: bool,
}

impl Refusal {
    fn of(error: &Error) -> Self {
        // The whole text may hold addresses, request ids and parts of signatures: only what is known is told.
        let text = chain(error);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
        let code = code.filter(|code| code.len() < 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let reason = match code {
            Some("NoSuchBucket") => "there is no such bucket".to_owned(),
            Some(code @ ("AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken")) => {
                format!(
                    "the object storage refuses access ({code}): check the credentials and the rights on the bucket"
                )
            }
            Some(code) => format!("the object storage answers {code}"),
            None => match error {
                Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                    "the object storage refuses access: check the credentials and the rights on the bucket".to_owned()
                }
                Error::NotFound { .. } => "there is no such object".to_owned(),
                Error::NotImplemented { .. } | Error::NotSupported { .. } => {
                    "the object storage cannot create an object on condition that there is none".to_owned()
                }
                _ => transport(&text),
            },
        };
        let blob = match (error, code) {
            (Error::NotFound { .. }, None | Some("NoSuchKey")) => BlobError::NotFound,
            (Error::AlreadyExists { .. }, _) => BlobError::Exists,
            _ => BlobError::Failed(reason.clone()),
        };
        let permanent = matches!(
            error,
            Error::PermissionDenied { .. }
                | Error::Unauthenticated { .. }
                | Error::NotImplemented { .. }
                | Error::NotSupported { .. }
                | Error::InvalidPath { .. }
                | Error::NotFound { .. }
                | Error::UnknownConfigurationKey { .. }
        );
        Self { blob, reason, may_pass: !permanent }
    }
}

/// An error and its causes.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push('\n');
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What went wrong on the way, in words of our own.
fn transport(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let known = [
        ("connection refused", "nobody answers at its address (connection refused)"),
        ("dns", "the name of its host cannot be found"),
        ("certificate", "the certificate of the object storage is not trusted"),
        ("timed out", "the object storage does not answer in time"),
        ("timeout", "the object storage does not answer in time"),
        ("reset by peer", "the object storage cut the connection"),
        ("connection closed", "the object storage cut the connection"),
        ("incomplete", "the object storage cut the connection"),
        ("sending request", "the object storage cannot be reached, or cut the connection"),
    ];
    if let Some((_, told)) = known.iter().find(|(sign, _)| text.contains(sign)) {
        return (*told).to_owned();
    }
    let status = text.split("status ").nth(1).and_then(|rest| rest.get(..3)).filter(|code| code.parse::<u16>().is_ok());
    match status.or_else(|| text.split("status: ").nth(1).and_then(|rest| rest.get(..3))) {
        Some(status) if status.parse::<u16>().is_ok() => format!("the object storage answers with status {status}"),
        _ => "the object storage did not do what it was asked for".to_owned(),
    }
}
