//! The current span, as W3C Trace Context passes it on.

use std::fmt::Write;

use ef_model::{Propagator, TraceContext};
use opentelemetry::trace::TraceContextExt;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// How long a `traceparent` is: a version, a trace, a span and flags.
const TRACEPARENT: usize = 2 + 1 + 32 + 1 + 16 + 1 + 2;

/// Knows the span that is current in the process's subscriber.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CurrentSpan;

impl Propagator for CurrentSpan {
    fn current(&self) -> Option<TraceContext> {
        let context = tracing::Span::current().context();
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() {
            return None;
        }
        let flags = span.trace_flags().to_u8();
        let tracestate = span.trace_state().header();
        let mut traceparent = String::with_capacity(TRACEPARENT);
        write!(traceparent, "00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
            .expect("a string takes what is written to it");
        Some(TraceContext { traceparent, tracestate: (!tracestate.is_empty()).then_some(tracestate) })
    }
}
