//! An S3 server on loopback, in the process of the test, whose storage is a temporary folder.
//!
//! It speaks the real protocol, with signatures and conditional writes, and can be told to fail as object storage does.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ef_model::Environment;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};

const ACCESS_KEY: &str = "EFTESTACCESSKEY";
const SECRET_KEY: &str = "ef-test-secret-key";

/// A running server. Dropping it stops it and removes what it stores.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    folder: TempDir,
    faults: Arc<Faults>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Faults {
    /// Of a hundred writes so many are refused.
    refused_percent: AtomicU64,
    /// So many of the next writes end with the connection cut before they are carried out.
    cut_before: AtomicU64,
    /// So many of the next writes are carried out, and then the connection is cut.
    cut_after: AtomicU64,
    /// Writes so far, refused ones included.
    writes: AtomicU64,
    refused: AtomicU64,
    /// The storage checks and writes in two steps, which must not meet.
    writing: Mutex<()>,
}

impl S3Server {
    /// Starts a server with these buckets.
    ///
    /// # Panics
    ///
    /// When the system gives no port or no folder.
    pub async fn start(buckets: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for bucket in buckets {
            std::fs::create_dir(folder.path().join(bucket)).expect("a bucket");
        }
        let storage = FileSystem::new(folder.path()).expect("a storage in the folder");
        let mut service = S3ServiceBuilder::new(storage);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let faults = Arc::new(Faults::default());
        let service = Faulty { storage: service.build(), faults: Arc::clone(&faults) };
        let accepting = tokio::spawn(accept(listener, service)).abort_handle();
        Self { address, folder, faults, accepting }
    }

    /// Its address, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables of a client that may use it.
    #[must_use]
    pub fn variables(&self) -> [(String, String); 4] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
    }

    /// Those variables as an environment.
    #[must_use]
    pub fn environment(&self) -> Environment {
        Environment::new(self.variables())
    }

    /// Where a bucket's objects are on disk.
    #[must_use]
    pub fn bucket(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// From now on, of a hundred writes so many are refused with 503.
    pub fn refuse_writes(&self, percent: u64) {
        self.faults.refused_percent.store(percent, Ordering::SeqCst);
    }

    /// The connections of so many of the next writes are cut before anything is written.
    pub fn cut_before_write(&self, writes: u64) {
        self.faults.cut_before.store(writes, Ordering::SeqCst);
    }

    /// So many of the next writes succeed, and their connections are cut before they are answered.
    pub fn cut_after_write(&self, writes: u64) {
        self.faults.cut_after.store(writes, Ordering::SeqCst);
    }

    /// How many writes were refused so far.
    #[must_use]
    pub fn refused_writes(&self) -> u64 {
        self.faults.refused.load(Ordering::SeqCst)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves until it is aborted, and all connections with it.
async fn accept(listener: TcpListener, service: Faulty) {
    let mut connections = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let service = service.clone();
        connections.spawn(async move {
            // A connection that fails is the client's to notice.
            let _ =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

/// The storage behind the faults.
#[derive(Clone)]
struct Faulty {
    storage: S3Service,
    faults: Arc<Faults>,
}

impl Faults {
    fn take(counter: &AtomicU64) -> bool {
        counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether the next write is refused: evenly spread, and the same in every test.
    fn refuses(&self) -> bool {
        let (number, percent) =
            (self.writes.fetch_add(1, Ordering::SeqCst), self.refused_percent.load(Ordering::SeqCst));
        let refuses = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 & 0xffff < percent * 0xffff / 100;
        if refuses {
            self.refused.fetch_add(1, Ordering::SeqCst);
        }
        refuses
    }
}

impl Service<Request<Incoming>> for Faulty {
    type Response = HttpResponse;
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let Self { storage, faults } = self.clone();
        Box::pin(async move {
            if request.method() != Method::PUT {
                return Service::call(&storage, request).await;
            }
            let cut = || HttpError::new(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
            if faults.refuses() {
                let body = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>told to</Message></Error>";
                let mut response = HttpResponse::new(Body::from(body.to_owned()));
                *response.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
                return Ok(response);
            }
            if Faults::take(&faults.cut_before) {
                return Err(cut());
            }
            let response = {
                let _one_at_a_time = faults.writing.lock().await;
                Service::call(&storage, request).await
            };
            if Faults::take(&faults.cut_after) { Err(cut()) } else { response }
        })
    }
}
