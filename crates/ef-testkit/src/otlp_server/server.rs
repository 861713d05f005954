//! The server, and how a test looks at what it got.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_rustls::TlsAcceptor;

use super::connection;
use super::log::{self, LogRecord};
use super::mode::Mode;
use super::point::{self, Point};
use super::received::{Counts, House, Message, Protocol, Received};
use super::span::{self, Span};
use super::tls::{Certificates, Tls};
use crate::loopback::Listening;

/// What a receiver is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether it keeps what it gets; otherwise it only counts.
    pub keep: bool,
    /// Whether it speaks TLS.
    pub tls: Tls,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: true, tls: Tls::Off }
    }
}

/// A receiver on loopback. It stops when it is dropped.
pub struct OtlpServer {
    address: SocketAddr,
    house: Arc<House>,
    certificates: Option<Certificates>,
    acceptor: Option<TlsAcceptor>,
    listening: Mutex<Option<Listening>>,
}

impl OtlpServer {
    /// Starts a receiver on a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// When there is no port or no thread to be had.
    #[must_use]
    pub fn start() -> Self {
        Self::start_on_loopback(Options::default())
    }

    /// The same that speaks TLS.
    ///
    /// # Panics
    ///
    /// When there is no port, no thread or no temporary folder to be had.
    #[must_use]
    pub fn start_tls() -> Self {
        Self::start_on_loopback(Options { tls: Tls::On, ..Options::default() })
    }

    fn start_on_loopback(options: Options) -> Self {
        let server = Self::start_with(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), options);
        server.expect("there is a free port on loopback")
    }

    /// Starts a receiver on this address. Its certificate is for 127.0.0.1 and localhost.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or there is no thread or no temporary folder to be had.
    pub fn start_with(address: SocketAddr, options: Options) -> io::Result<Self> {
        let certificates = (options.tls != Tls::Off).then(Certificates::make).transpose()?;
        let acceptor = certificates.as_ref().map(|made| made.acceptor(options.tls)).transpose()?;
        let house = Arc::new(House::new(options.keep));
        let listening = listen(address, &house, acceptor.as_ref())?;
        let address = listening.address();
        Ok(Self { address, house, certificates, acceptor, listening: Mutex::new(Some(listening)) })
    }

    /// The address that it listens on, also while it is stopped.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `https`: the endpoint for either protocol.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http{}://{}", if self.certificates.is_some() { "s" } else { "" }, self.address)
    }

    /// The environment variables of a program that sends it traces, metrics and log records, and trusts it.
    #[must_use]
    pub fn variables(&self, protocol: Protocol) -> Vec<(String, String)> {
        let name = match protocol {
            Protocol::Http => "http/protobuf",
            Protocol::Grpc => "grpc",
        };
        let mut variables = vec![
            ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
            ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
            ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.endpoint()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", name.to_owned()),
        ];
        if self.certificates.is_some() {
            variables.push(("OTEL_EXPORTER_OTLP_CERTIFICATE", self.ca_file().display().to_string()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The file with the root that has signed its certificate.
    ///
    /// # Panics
    ///
    /// When it does not speak TLS.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.certificate_file("ca.pem")
    }

    /// The file with a root that has signed nothing of it.
    ///
    /// # Panics
    ///
    /// When it does not speak TLS.
    #[must_use]
    pub fn other_ca_file(&self) -> PathBuf {
        self.certificate_file("other.pem")
    }

    /// The files with a client's certificate and its key.
    ///
    /// # Panics
    ///
    /// When it does not speak TLS.
    #[must_use]
    pub fn client_files(&self) -> (PathBuf, PathBuf) {
        (self.certificate_file("client.pem"), self.certificate_file("client.key"))
    }

    fn certificate_file(&self, name: &str) -> PathBuf {
        self.certificates.as_ref().expect("this server was started without TLS").file(name)
    }

    /// From now on it treats requests like this.
    pub fn set_mode(&self, mode: Mode) {
        self.house.set_mode(mode);
    }

    /// The numbers until now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.house.counts()
    }

    /// The messages until now, in the order in which they came, refused ones included.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.house.received()
    }

    /// Those of them that are answered, which it forgets.
    #[must_use]
    pub fn take(&self) -> Vec<Received> {
        self.house.take()
    }

    /// All bytes that arrived, after decompression, refused messages and headers included.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.requests().iter().flat_map(Received::bytes).collect()
    }

    /// The spans of the messages that it took.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        Received::spans(&self.requests())
    }

    /// The last point of each series, of the messages that it took.
    #[must_use]
    pub fn metrics(&self) -> Vec<Point> {
        Received::metrics(&self.requests())
    }

    /// The log records of the messages that it took.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        Received::logs(&self.requests())
    }

    /// Waits until this holds of its numbers, and says whether it came to hold.
    #[must_use]
    pub fn wait_until(&self, patience: Duration, holds: impl Fn(&Counts) -> bool) -> bool {
        let end = Instant::now() + patience;
        while !holds(&self.counts()) {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Stops it: connections are cut off, and nobody listens any more. What it got stays.
    pub fn stop(&self) {
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Listens again, at the same address.
    ///
    /// # Panics
    ///
    /// When somebody else has the port by now.
    pub fn start_again(&self) {
        self.stop();
        let listening = listen(self.address, &self.house, self.acceptor.as_ref()).expect("the port is still free");
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = Some(listening);
    }
}

impl Received {
    /// The spans of those that were taken.
    #[must_use]
    pub fn spans(received: &[Self]) -> Vec<Span> {
        let taken = received.iter().filter(|received| received.accepted);
        let spans = taken.filter_map(|received| match &received.message {
            Message::Traces(request) => Some(span::of(request)),
            _ => None,
        });
        spans.flatten().collect()
    }

    /// The last point of each series, of those that were taken.
    #[must_use]
    pub fn metrics(received: &[Self]) -> Vec<Point> {
        let taken = received.iter().filter(|received| received.accepted);
        let points = taken.filter_map(|received| match &received.message {
            Message::Metrics(request) => Some(point::of(request)),
            _ => None,
        });
        point::last(points.flatten())
    }

    /// The log records of those that were taken.
    #[must_use]
    pub fn logs(received: &[Self]) -> Vec<LogRecord> {
        let taken = received.iter().filter(|received| received.accepted);
        let records = taken.filter_map(|received| match &received.message {
            Message::Logs(request) => Some(log::of(request)),
            _ => None,
        });
        records.flatten().collect()
    }
}

impl fmt::Debug for OtlpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtlpServer").field("address", &self.address).finish_non_exhaustive()
    }
}

fn listen(address: SocketAddr, house: &Arc<House>, acceptor: Option<&TlsAcceptor>) -> io::Result<Listening> {
    let (house, acceptor) = (Arc::clone(house), acceptor.cloned());
    Listening::start("otlp-server", address, move |stream| {
        connection::serve(stream, acceptor.clone(), Arc::clone(&house))
    })
}
