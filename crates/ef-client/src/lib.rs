#![doc = include_str!("../README.md")]
// A failed call carries all that is known of it, and there are few.
#![allow(clippy::result_large_err)]

pub mod chat;
mod clients;
mod endpoint;
mod exchange;
mod failure;
mod http_message;
mod limiter;
pub mod prompt;
mod retry_after;
mod scrub;
mod settings;
mod sse;
mod transport;

pub use clients::{ClientError, Clients, LimitView};
pub use endpoint::Endpoint;
pub use http_message::{HttpRequest, HttpResponse, SecretHeaderError, secret_header};
pub use settings::Settings;

// What requests are made of, so that callers need not depend on these crates.
pub use bytes::Bytes;
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
