//! All connections of a process, and the limits that its calls share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use ef_model::{Digest, Environment, Secret};
use url::Url;

use crate::limiter::Limiter;
use crate::scrub::Scrubber;
use crate::transport::{self, Transport};
use crate::{Endpoint, Settings};

/// All connections of a process, and the limits that its calls share. Cheap to clone: clones are the same.
///
/// Nothing is opened, and no certificate is read, before the first [`Endpoint`] is made.
#[derive(Clone)]
pub struct Clients {
    inner: Arc<Inner>,
}

struct Inner {
    environment: Environment,
    settings: Arc<Settings>,
    transport: OnceLock<Result<Transport, ClientError>>,
    ceiling: Arc<AtomicU32>,
    limiters: Mutex<BTreeMap<LimitKey, Arc<Limiter>>>,
}

/// What has a limit of its own: an origin, with a credential if there is one.
type LimitKey = (String, Option<Digest>);

/// Why there is no client for an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be used.
    #[error("not an address that can be called: {0}")]
    Address(&'static str),
    /// A proxy variable cannot be used. It may hold a password and is not shown.
    #[error("the environment variable {variable} is not the address of a proxy; it should look like http://host:port")]
    Proxy {
        /// The variable's name.
        variable: &'static str,
    },
    /// The certificates that others are checked with cannot be had.
    #[error(
        "no certificate authorities were found, so that no https address can be trusted; install the system's, or set SSL_CERT_FILE to a file that holds them"
    )]
    NoRoots,
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up")]
    Setup,
}

impl Clients {
    /// Clients with the default [`Settings`]. Proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, and the same in
    /// lower case, which counts first) and certificate authorities (`SSL_CERT_FILE`, `SSL_CERT_DIR`) are read from this
    /// environment, never from the process.
    #[must_use]
    pub fn new(environment: &Environment) -> Self {
        Self::with_settings(environment, Settings::default())
    }

    /// The same with other settings.
    #[must_use]
    pub fn with_settings(environment: &Environment, settings: Settings) -> Self {
        let ceiling = Arc::new(AtomicU32::new(settings.max_concurrent.max(1)));
        Self {
            inner: Arc::new(Inner {
                environment: environment.clone(),
                settings: Arc::new(settings),
                transport: OnceLock::new(),
                ceiling,
                limiters: Mutex::new(BTreeMap::new()),
            }),
        }
    }

    /// The most calls that any endpoint gets at a time from now on: the run's `max_concurrent`. At least 1.
    pub fn limit_to(&self, max_concurrent: u32) {
        self.inner.ceiling.store(max_concurrent.max(1), Ordering::Relaxed);
        for limiter in self.limiters().values() {
            limiter.wake();
        }
    }

    /// An address that calls go to, with the credential that they carry. Whoever asks for the same origin (scheme, host and
    /// port) and the same credential shares the limit and the connections.
    ///
    /// # Errors
    ///
    /// When the address is not an absolute `http` or `https` URL without user, password and fragment, or the environment's
    /// proxies or certificate authorities cannot be used.
    pub fn endpoint(&self, base_url: &str, credential: Option<&Secret>) -> Result<Endpoint, ClientError> {
        let base = parse(base_url)?;
        let transport = self
            .inner
            .transport
            .get_or_init(|| transport::build(&self.inner.environment, &self.inner.settings))
            .as_ref()
            .map_err(Clone::clone)?;
        if base.scheme() == "https" && !transport.has_roots {
            return Err(ClientError::NoRoots);
        }
        let key = (
            base.origin().ascii_serialization(),
            credential.map(|credential| Digest::of(credential.expose().as_bytes())),
        );
        let limiter = Arc::clone(
            self.limiters().entry(key).or_insert_with(|| Arc::new(Limiter::new(Arc::clone(&self.inner.ceiling)))),
        );
        let scrubber = Scrubber::new(credential);
        let authorization = transport.proxy_authorization(&base);
        let client = transport.client.clone();
        Ok(Endpoint::new(base, client, authorization, limiter, scrubber, Arc::clone(&self.inner.settings)))
    }

    /// How the limits stand, for a person: one entry for each origin and credential that was called, by host.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitView> {
        let limiters = self.limiters();
        let used = limiters.iter().filter(|(_, limiter)| limiter.was_used());
        used.map(|((origin, _), limiter)| limiter.view(host_of(origin).to_owned())).collect()
    }

    fn limiters(&self) -> std::sync::MutexGuard<'_, BTreeMap<LimitKey, Arc<Limiter>>> {
        self.inner.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("limits", &self.limits()).finish_non_exhaustive()
    }
}

/// How the limit of one origin and credential stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitView {
    /// The host, with its port where that is not the scheme's.
    pub host: String,
    /// Calls in flight.
    pub in_flight: u32,
    /// How many may be.
    pub limit: u32,
    /// How many more wait for their turn.
    pub waiting: usize,
    /// Until when nothing is sent because the server asked for it.
    pub held_until: Option<Instant>,
}

fn parse(base_url: &str) -> Result<Url, ClientError> {
    let url = Url::parse(base_url)
        .map_err(|_| ClientError::Address("it has to look like https://host/path, with the scheme"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ClientError::Address("its scheme has to be http or https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Address(
            "it may not hold a user or a password; name an environment variable that holds the key instead",
        ));
    }
    if url.fragment().is_some() {
        return Err(ClientError::Address("it may not have a part after `#`"));
    }
    Ok(url)
}

fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}
