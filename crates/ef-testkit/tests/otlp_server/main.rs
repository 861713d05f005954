//! The receiver of telemetry: what it takes and keeps, what it refuses, and how it misbehaves when it is told to.

mod client;
mod grpc;
mod http;
mod misbehaviour;
mod seen;
