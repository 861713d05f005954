//! Log records as tests look at them.

use std::fmt;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use serde_json::Value;

use super::attributes::{self, Attributes};

/// A log record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// How bad it is, in words.
    pub severity: String,
    /// How bad it is: 1 to 4 trace, to 8 debug, to 12 info, to 16 warning, to 20 error.
    pub severity_number: i32,
    /// What it says.
    pub body: Value,
    /// Its attributes.
    pub attributes: Attributes,
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// The span that it belongs to: 16 hexadecimal digits.
    pub span_id: Option<String>,
    /// The name of its sort of events, where it has one.
    pub event_name: String,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Whose it is.
    pub resource: Attributes,
    /// The part of the program that said it.
    pub scope: String,
}

/// The log records of a message.
pub(super) fn of(request: &ExportLogsServiceRequest) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for resource_logs in &request.resource_logs {
        let resource = attributes::of_resource(resource_logs.resource.as_ref());
        for scope_logs in &resource_logs.scope_logs {
            let scope = scope_logs.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
            records.extend(scope_logs.log_records.iter().map(|wire| LogRecord {
                severity: wire.severity_text.clone(),
                severity_number: wire.severity_number,
                body: attributes::value(wire.body.as_ref()),
                attributes: attributes::map(&wire.attributes),
                trace_id: attributes::id(&wire.trace_id),
                span_id: attributes::id(&wire.span_id),
                event_name: wire.event_name.clone(),
                time: if wire.time_unix_nano == 0 { wire.observed_time_unix_nano } else { wire.time_unix_nano },
                resource: resource.clone(),
                scope: scope.clone(),
            }));
        }
    }
    records
}

impl fmt::Display for LogRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log    {} {}  {}", self.severity, self.body, attributes::line(&self.attributes))
    }
}
