//! Listening for connections on a thread with a runtime of its own, so that a server shares neither a clock nor a task with
//! what it is called by.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

/// Connections that may wait to be accepted: a client opens a thousand at once.
const BACKLOG: u32 = 4096;

/// A thread that accepts connections until this is dropped; then they are cut off, and nobody listens any more.
pub(crate) struct Listening {
    address: SocketAddr,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Listening {
    /// Listens on this address, and gives each connection to `serve`. Returns once it listens.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        name: &str,
        address: SocketAddr,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || run(address, serve, stopped, &tell))?;
        let address = told.recv().unwrap_or_else(|_| Err(io::Error::other("the server's thread ended at once")))?;
        Ok(Self { address, running: Some((stop, thread)) })
    }

    /// The address that it listens on.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // What panicked in it has ended only the connection that it served.
            let _ = thread.join();
        }
    }
}

fn run<F: Future<Output = ()> + Send + 'static>(
    address: SocketAddr,
    serve: impl Fn(TcpStream) -> F,
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
            () = accept(&listener, serve) => (),
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

async fn accept<F: Future<Output = ()> + Send + 'static>(listener: &TcpListener, serve: impl Fn(TcpStream) -> F) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream))),
            // Too many open files, or a client that has gone again: the next may fare better.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}
