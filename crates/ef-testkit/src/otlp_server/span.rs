//! Spans as tests look at them.

use std::fmt;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span as Wire;
use opentelemetry_proto::tonic::trace::v1::span::{Event as WireEvent, SpanKind as WireKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::attributes::{self, Attributes};

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// On which side of a call it is.
    pub kind: SpanKind,
    /// The id of its trace: 32 hexadecimal digits.
    pub trace_id: String,
    /// Its own id: 16 hexadecimal digits.
    pub span_id: String,
    /// The id of the span that it is part of; of a root none.
    pub parent_id: Option<String>,
    /// The W3C trace state.
    pub trace_state: String,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended, in nanoseconds since 1970.
    pub end: u64,
    /// Its attributes.
    pub attributes: Attributes,
    /// What happened during it, in the order of the message.
    pub events: Vec<Event>,
    /// How it ended.
    pub status: Status,
    /// What is said about its status.
    pub status_message: String,
    /// So many attributes, events and links were left out of it.
    pub dropped: u32,
    /// Whose it is.
    pub resource: Attributes,
    /// The part of the program that made it.
    pub scope: String,
}

/// A moment of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Its attributes.
    pub attributes: Attributes,
}

/// On which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// Not told.
    Unspecified,
    /// Within a program.
    Internal,
    /// A call is served.
    Server,
    /// A call is made.
    Client,
    /// A message is sent.
    Producer,
    /// A message is handled.
    Consumer,
}

/// How a span ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not told.
    Unset,
    /// Well.
    Ok,
    /// With an error.
    Error,
}

impl Span {
    /// How long it lasted.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }

    /// Its events of this name.
    pub fn events_named(&self, name: &str) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.name == name)
    }
}

/// The spans of a message.
pub(super) fn of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    request.resource_spans.iter().flat_map(|resource_spans| {
        let resource = attributes::of_resource(resource_spans.resource.as_ref());
        resource_spans.scope_spans.iter().flat_map(move |scope_spans| {
            let scope = scope_spans.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
            let resource = resource.clone();
            scope_spans.spans.iter().map(move |span| seen(span, resource.clone(), scope.clone()))
        })
    })
}

fn seen(wire: &Wire, resource: Attributes, scope: String) -> Span {
    let status = wire.status.as_ref();
    Span {
        name: wire.name.clone(),
        kind: match wire.kind() {
            WireKind::Unspecified => SpanKind::Unspecified,
            WireKind::Internal => SpanKind::Internal,
            WireKind::Server => SpanKind::Server,
            WireKind::Client => SpanKind::Client,
            WireKind::Producer => SpanKind::Producer,
            WireKind::Consumer => SpanKind::Consumer,
        },
        trace_id: attributes::hex(&wire.trace_id),
        span_id: attributes::hex(&wire.span_id),
        parent_id: attributes::id(&wire.parent_span_id),
        trace_state: wire.trace_state.clone(),
        start: wire.start_time_unix_nano,
        end: wire.end_time_unix_nano,
        attributes: attributes::map(&wire.attributes),
        events: wire.events.iter().map(event).collect(),
        status: match status.map(opentelemetry_proto::tonic::trace::v1::Status::code) {
            None | Some(StatusCode::Unset) => Status::Unset,
            Some(StatusCode::Ok) => Status::Ok,
            Some(StatusCode::Error) => Status::Error,
        },
        status_message: status.map(|status| status.message.clone()).unwrap_or_default(),
        dropped: wire.dropped_attributes_count + wire.dropped_events_count + wire.dropped_links_count,
        resource,
        scope,
    }
}

fn event(wire: &WireEvent) -> Event {
    Event { name: wire.name.clone(), time: wire.time_unix_nano, attributes: attributes::map(&wire.attributes) }
}

/// A line for the span and one for each event. Spans arrive when they end, so that children stand before their parents.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, length) = (self.name.escape_debug(), self.duration());
        write!(f, "span   {name}  {length:.1?}  trace={} span={}", self.trace_id, self.span_id)?;
        if let Some(parent) = &self.parent_id {
            write!(f, " parent={parent}")?;
        }
        if self.status == Status::Error {
            write!(f, " ERROR {}", self.status_message.escape_debug())?;
        }
        write!(f, "  {}", attributes::line(&self.attributes))?;
        for event in &self.events {
            write!(f, "\n       {}  {}", event.name.escape_debug(), attributes::line(&event.attributes))?;
        }
        Ok(())
    }
}
