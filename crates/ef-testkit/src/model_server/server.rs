//! The server, and what is known of it.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::connection;
use super::counts::{Counts, SeenRequest, Tally};
use super::script::Script;
use crate::loopback::Listening;

/// A server on loopback that replies as its script says. It stops when it is dropped.
pub struct ModelServer {
    address: SocketAddr,
    house: Arc<House>,
    listening: Option<Listening>,
}

/// What all connections share.
pub(super) struct House {
    pub(super) script: Script,
    pub(super) tally: Tally,
    pub(super) started: Instant,
    seen: Mutex<Vec<SeenRequest>>,
}

impl House {
    pub(super) fn record(&self, request: SeenRequest) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
}

impl ModelServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When there is no port or no thread to be had.
    #[must_use]
    pub fn start(script: Script) -> Self {
        let server = Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), script);
        server.expect("there is a free port on loopback")
    }

    /// Starts a server on this address.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or there is no thread to be had.
    pub fn start_on(address: SocketAddr, script: Script) -> io::Result<Self> {
        let (tally, seen) = (Tally::default(), Mutex::default());
        let house = Arc::new(House { script, tally, started: Instant::now(), seen });
        let for_connections = Arc::clone(&house);
        let serve = move |stream| connection::serve(stream, Arc::clone(&for_connections));
        let listening = Listening::start("model-server", address, serve)?;
        Ok(Self { address: listening.address(), house, listening: Some(listening) })
    }

    /// The address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`: what Anthropic's clients take as their base, and what `/echo` is under.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `http://127.0.0.1:PORT/v1`: what OpenAI's clients take as their base.
    #[must_use]
    pub fn openai_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The numbers until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.house.tally.counts()
    }

    /// The requests until now, in the order in which they came, refused ones included.
    ///
    /// # Panics
    ///
    /// When the script is not [`recording`](Script::recording): no test should take that for an absence of requests.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        assert!(self.house.script.records, "this server keeps no requests: start it with `script.recording()`");
        self.house.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops it: connections are cut off, and nobody listens any more. What it has seen stays.
    pub fn stop(&mut self) {
        self.listening = None;
    }
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer").field("address", &self.address).finish_non_exhaustive()
    }
}
