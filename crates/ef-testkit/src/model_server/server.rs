//! The server: a thread with a runtime of its own, so that it shares neither a clock nor a task with what it is called by.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;

use super::connection;
use super::counts::{Counts, SeenRequest, Tally};
use super::script::Script;

/// Connections that may wait to be accepted: a client opens a thousand at once.
const BACKLOG: u32 = 4096;

/// A server on loopback that replies as its script says. It stops when it is dropped.
pub struct ModelServer {
    address: SocketAddr,
    house: Arc<House>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
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
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let for_thread = Arc::clone(&house);
        let thread = std::thread::Builder::new().name("model-server".to_owned());
        let thread = thread.spawn(move || run(address, &for_thread, stopped, &tell))?;
        let address = told.recv().unwrap_or_else(|_| Err(io::Error::other("the server's thread ended at once")))?;
        Ok(Self { address, house, running: Some((stop, thread)) })
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
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // A script that panicked has ended only the connection that it was asked for.
            let _ = thread.join();
        }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The server's thread: listens, tells the address, and accepts until it is stopped.
fn run(
    address: SocketAddr,
    house: &Arc<House>,
    stopped: oneshot::Receiver<()>,
    tell: &mpsc::Sender<io::Result<SocketAddr>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(tell.send(Err(error))),
    };
    runtime.block_on(async {
        let listener = match listen(address) {
            Ok(listener) => listener,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let _ = tell.send(listener.local_addr());
        tokio::select! {
            () = accept(&listener, house) => (),
            // An end of the sender is a stop, too.
            _ = stopped => (),
        }
    });
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: &TcpListener, house: &Arc<House>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection::serve(stream, Arc::clone(house)))),
            // Too many open files, or a client that has gone again: the next may fare better.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
}
