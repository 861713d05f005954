//! The HTTP client: TLS, proxies and the pool of connections.

mod connector;
mod proxy;
mod route;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ef_model::Environment;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use crate::{ClientError, Settings};
pub(crate) use connector::{ConnectTimeout, Unresolved};
use proxy::Proxies;
pub(crate) use route::ProxyFailed;

/// How often a connection that says nothing is asked whether it is still there, and when for the first time: a model may
/// think for minutes, and what lies between forgets connections.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How many of these questions may stay without an answer.
const KEEP_ALIVE_RETRIES: u32 = 3;

/// How long what was sent may stay unacknowledged before the connection counts as broken.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What a request brings along.
pub(crate) type RequestBody = Full<Bytes>;

/// The client with its pool of connections.
pub(crate) type Client = legacy::Client<connector::Connector, RequestBody>;

/// The HTTP client of a process.
pub(crate) struct Transport {
    pub(crate) client: Client,
    proxies: Arc<Proxies>,
    /// Whether there is a certificate authority that https addresses can be checked with.
    pub(crate) has_roots: bool,
}

impl Transport {
    /// What the proxy before this address wants to know, in each request, of who asks.
    pub(crate) fn proxy_authorization(&self, target: &Url) -> Option<HeaderValue> {
        self.proxies.authorization(&Uri::try_from(target.as_str()).ok()?)
    }
}

/// Sets the client up.
pub(crate) fn build(environment: &Environment, settings: &Settings) -> Result<Transport, ClientError> {
    let roots = roots(environment);
    let has_roots = !roots.is_empty();
    let proxies = Arc::new(Proxies::new(environment)?);
    let connector = connector::Connector::new(tls(roots)?, Arc::clone(&proxies), settings.connect_timeout);
    let client = legacy::Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(settings.max_idle_connections)
        .pool_idle_timeout(settings.idle_timeout)
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .build(connector);
    Ok(Transport { client, proxies, has_roots })
}

/// TLS by ring alone, chosen here and not for the whole process.
fn tls(roots: RootCertStore) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| ClientError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// The certificate authorities that the environment names, or the system's. Those that cannot be read are left out.
fn roots(environment: &Environment) -> RootCertStore {
    let path =
        |name| environment.get(name).map(|value| Path::new(value.expose())).filter(|p| !p.as_os_str().is_empty());
    let found = match (path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
        (None, None) => rustls_native_certs::load_native_certs(),
        (file, folder) => rustls_native_certs::load_certs_from_paths(file, folder),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}
