//! The limits of every call.

use std::time::Duration;

/// The limits of every call. [`Settings::default`] suits calls of models.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long a connection may take to be made, TLS included. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long the first byte of an answer may take from the moment the request is made, connecting included. Default:
    /// 10 min, as a model that does not stream says nothing until it has written everything; the attempt's own time limit
    /// mostly ends earlier.
    pub first_byte_timeout: Duration,
    /// The most bytes that an answer's body may have, after decompression. Default: 8 MiB.
    pub max_response_bytes: usize,
    /// The most bytes of an error's body that are read and kept; the rest is left out. Default: 64 KiB.
    pub max_error_bytes: usize,
    /// How many connections to one host may wait for further use. Default: 1024.
    pub max_idle_connections: usize,
    /// How long a connection may wait for further use. Default: 30 s.
    pub idle_timeout: Duration,
    /// The longest wait that a server may ask for. One that asks for more has no quota for this run. Default: 15 min.
    pub longest_wait: Duration,
    /// The ceiling of adaptive limits until [`crate::Clients::limit_to`] is called. Default: 64.
    pub max_concurrent: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            first_byte_timeout: Duration::from_secs(600),
            max_response_bytes: 8 << 20,
            max_error_bytes: 64 << 10,
            max_idle_connections: 1024,
            idle_timeout: Duration::from_secs(30),
            longest_wait: Duration::from_secs(900),
            max_concurrent: 64,
        }
    }
}
