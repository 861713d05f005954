//! A real receiver of OpenTelemetry's protocol on loopback, which takes traces, metrics and log records as a collector does, or
//! fails as one does.
//!
//! One port speaks both protocols: HTTP with protobuf bodies (`POST /v1/traces`, `/v1/metrics`, `/v1/logs`) and gRPC. What
//! comes is decoded with the official types, and kept to be looked at: as spans, points and log records, and as bytes.
//!
//! ```
//! use ef_testkit::otlp_server::{Mode, OtlpServer, Protocol};
//!
//! let server = OtlpServer::start();
//! let variables = server.variables(Protocol::Grpc);
//! assert!(variables.contains(&("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "grpc".to_owned())));
//! server.set_mode(Mode::Refuse { status: 503, retry_after: Some(1) });
//! assert!(server.spans().is_empty());
//! ```

mod attributes;
mod connection;
mod grpc;
mod http;
mod log;
mod mode;
mod point;
mod received;
mod server;
mod span;
mod tls;

pub use attributes::Attributes;
pub use log::LogRecord;
pub use mode::Mode;
pub use point::{Point, PointKind};
pub use received::{Counts, Message, Protocol, Received, Signal};
pub use server::{Options, OtlpServer};
pub use span::{Event, Span, SpanKind, Status};
pub use tls::Tls;
