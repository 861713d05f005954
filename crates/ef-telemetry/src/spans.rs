//! Spans on their way from the SDK to a collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;
use opentelemetry::{Array, Context, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use crate::queue::Queue;
use crate::sender::Export;

/// Puts finished spans into a queue.
#[derive(Debug)]
pub(crate) struct Queueing {
    queue: Arc<Queue<SpanData>>,
}

impl Queueing {
    /// Into this queue.
    pub(crate) const fn new(queue: Arc<Queue<SpanData>>) -> Self {
        Self { queue }
    }
}

impl SpanProcessor for Queueing {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.queue.push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export<SpanData> for opentelemetry_otlp::SpanExporter {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(tidy);
        SpanExporter::export(self, batch).await
    }
}

/// The one attribute that is a list; `tracing` has no lists.
const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";

/// Takes out what tracing-opentelemetry adds to every event of a span, and cannot be told not to, and makes a list of what
/// the GenAI conventions want as one.
pub(crate) fn tidy(span: &mut SpanData) {
    if span.span_kind == SpanKind::Client
        && let Some(reasons) = span.attributes.iter_mut().find(|attribute| attribute.key.as_str() == FINISH_REASONS)
        && let Value::String(reason) = &reasons.value
    {
        reasons.value = Value::Array(Array::String(vec![reason.clone()]));
    }
    for event in &mut span.events.events {
        event.attributes.retain(|attribute| !matches!(attribute.key.as_str(), "level" | "target"));
    }
}
