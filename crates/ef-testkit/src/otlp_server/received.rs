//! What a receiver has got: the requests with all their bytes, and numbers that cost nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::mode::Mode;

/// Over which protocol a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    Http,
    /// `grpc`.
    Grpc,
}

/// What a request tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Points.
    Metrics,
    /// Log records.
    Logs,
}

/// A request, decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Points.
    Metrics(ExportMetricsServiceRequest),
    /// Log records.
    Logs(ExportLogsServiceRequest),
}

impl Message {
    /// What it tells.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        match self {
            Self::Traces(_) => Signal::Traces,
            Self::Metrics(_) => Signal::Metrics,
            Self::Logs(_) => Signal::Logs,
        }
    }

    /// How many spans, metrics or log records it has.
    fn len(&self) -> usize {
        match self {
            Self::Traces(request) => {
                request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|s| s.spans.len()).sum()
            }
            Self::Metrics(request) => {
                let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
                scopes.map(|scope| scope.metrics.len()).sum()
            }
            Self::Logs(request) => {
                let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
                scopes.map(|scope| scope.log_records.len()).sum()
            }
        }
    }
}

/// A request that arrived, whatever became of it.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many requests came before it.
    pub number: u64,
    /// The time since the server was made.
    pub at: Duration,
    /// The protocol that it came over.
    pub protocol: Protocol,
    /// The path that it was sent to.
    pub path: String,
    /// Its headers in their order, names in small letters.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The message's bytes as protobuf, after decompression.
    pub body: Bytes,
    /// Whether it was compressed.
    pub compressed: bool,
    /// Whether it was answered as taken.
    pub accepted: bool,
    /// Whether it is not answered yet.
    pub pending: bool,
    /// What it says.
    pub message: Message,
}

impl Received {
    /// The value of the first header of this name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// Everything of it that came over the wire, as bytes to search in: the path, the headers, the body.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.path.clone().into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("\n{name}: ").as_bytes());
            bytes.extend_from_slice(value);
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes.push(b'\n');
        bytes
    }
}

/// Numbers about a receiver, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Messages that arrived whole.
    pub requests: u64,
    /// Messages that were answered as taken.
    pub accepted: u64,
    /// Requests that no collector takes: another path or type, a body that is not what it should be.
    pub malformed: u64,
    /// Spans in messages that were taken.
    pub spans: u64,
    /// Metrics in messages that were taken.
    pub metrics: u64,
    /// Log records in messages that were taken.
    pub logs: u64,
    /// Bytes of all messages, after decompression.
    pub bytes: u64,
}

/// What all connections share.
pub(super) struct House {
    keep: bool,
    started: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    counts: Counts,
    received: Vec<Received>,
}

/// A message before it is entered.
pub(super) struct Arrival {
    pub(super) protocol: Protocol,
    pub(super) path: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Bytes,
    pub(super) compressed: bool,
}

/// A message that was entered.
pub(super) struct Entry {
    number: u64,
    signal: Signal,
    len: u64,
}

impl House {
    pub(super) fn new(keep: bool) -> Self {
        Self { keep, started: Instant::now(), state: Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn mode(&self) -> Mode {
        self.state().mode
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(super) fn connected(&self) {
        self.state().counts.connections += 1;
    }

    pub(super) fn malformed(&self) {
        self.state().counts.malformed += 1;
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    pub(super) fn take(&self) -> Vec<Received> {
        self.state().received.extract_if(.., |received| !received.pending).collect()
    }

    /// A message has arrived; what becomes of it is told by [`House::decide`].
    pub(super) fn enter(&self, arrival: Arrival, message: Message) -> Entry {
        let Arrival { protocol, path, headers, body, compressed } = arrival;
        let (signal, len) = (message.signal(), message.len() as u64);
        let mut state = self.state();
        let number = state.counts.requests;
        state.counts.requests += 1;
        state.counts.bytes += body.len() as u64;
        if self.keep {
            let at = self.started.elapsed();
            let (accepted, pending) = (false, true);
            let received =
                Received { number, at, protocol, path, headers, body, compressed, accepted, pending, message };
            state.received.push(received);
        }
        Entry { number, signal, len }
    }

    /// The message is answered: it is taken, or it is not.
    pub(super) fn decide(&self, entry: &Entry, taken: bool) {
        let mut state = self.state();
        if let Some(received) = state.received.iter_mut().rev().find(|received| received.number == entry.number) {
            (received.accepted, received.pending) = (taken, false);
        }
        if taken {
            state.counts.accepted += 1;
            *match entry.signal {
                Signal::Traces => &mut state.counts.spans,
                Signal::Metrics => &mut state.counts.metrics,
                Signal::Logs => &mut state.counts.logs,
            } += entry.len;
        }
    }
}
