//! What a server has seen: numbers that cost nothing, and requests where they are asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

/// Numbers about a server, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that were read to their end.
    pub calls: u64,
    /// Connections that were accepted.
    pub connections: u64,
    /// Requests that are read and neither answered nor given up by the client.
    pub in_flight: u64,
    /// The most of them at one time.
    pub most_in_flight: u64,
    /// Replies of which at least a byte was sent, by status. Requests that never got one are in none.
    pub by_status: BTreeMap<u16, u64>,
}

impl Counts {
    /// Replies of this status.
    #[must_use]
    pub fn of_status(&self, status: u16) -> u64 {
        self.by_status.get(&status).copied().unwrap_or(0)
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct SeenRequest {
    /// How many requests came before it.
    pub number: u64,
    /// How many connections were opened before the one that it came over.
    pub connection: u64,
    /// The time since the server's start.
    pub at: Duration,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl SeenRequest {
    /// The value of the first header of this name, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

const LOWEST_STATUS: u16 = 100;
const STATUSES: usize = 500;

/// The numbers as they grow.
pub(super) struct Tally {
    calls: AtomicU64,
    connections: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    by_status: [AtomicU64; STATUSES],
}

impl Default for Tally {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            calls: zero(),
            connections: zero(),
            in_flight: zero(),
            most_in_flight: zero(),
            by_status: [const { AtomicU64::new(0) }; STATUSES],
        }
    }
}

impl Tally {
    /// The number of a new connection.
    pub(super) fn connected(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// A request is read. It is in flight until what is returned is dropped.
    pub(super) fn called(&self) -> InFlight<'_> {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(in_flight, Ordering::Relaxed);
        InFlight { tally: self, number: self.calls.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn replied(&self, status: u16) {
        let index = usize::from(status.saturating_sub(LOWEST_STATUS)).min(STATUSES - 1);
        self.by_status[index].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> Counts {
        let number = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let by_status = (LOWEST_STATUS..).zip(&self.by_status).map(|(status, counter)| (status, number(counter)));
        Counts {
            calls: number(&self.calls),
            connections: number(&self.connections),
            in_flight: number(&self.in_flight),
            most_in_flight: number(&self.most_in_flight),
            by_status: by_status.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// A request in flight.
pub(super) struct InFlight<'a> {
    tally: &'a Tally,
    /// How many came before it.
    pub(super) number: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.tally.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
