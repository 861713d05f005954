//! Log records on their way from log events to a collector.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::LogRecord;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::dispatcher::WeakDispatch;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::process::RunCell;
use crate::queue::Queue;
use crate::sender::Export;

/// A log record with the code that it is from.
pub(crate) type Record = (SdkLogRecord, InstrumentationScope);

/// Puts log records into a queue, each with the run's id.
#[derive(Debug)]
pub(crate) struct Queueing {
    queue: Arc<Queue<Record>>,
    run: RunCell,
}

impl Queueing {
    /// Into this queue.
    pub(crate) const fn new(queue: Arc<Queue<Record>>, run: RunCell) -> Self {
        Self { queue, run }
    }
}

impl LogProcessor for Queueing {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if let Some(run) = self.run.get() {
            record.add_attribute("run_id", run.as_str().to_owned());
        }
        record.set_timestamp(SystemTime::now());
        // tracing calls an event by the line of its source.
        record.set_event_name("");
        self.queue.push((record.clone(), scope.clone()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Export<Record> for opentelemetry_otlp::LogExporter {
    async fn export(&self, batch: Vec<Record>) -> OTelSdkResult {
        let borrowed: Vec<_> = batch.iter().map(|(record, scope)| (record, scope)).collect();
        LogExporter::export(self, LogBatch::new(&borrowed)).await
    }
}

/// Makes log records of log events, as part of the span that they happen in.
pub(crate) struct Bridge {
    inner: OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>,
    /// What the layer is part of: it alone knows which span is whose in OpenTelemetry.
    subscriber: Arc<OnceLock<WeakDispatch>>,
}

impl Bridge {
    /// To the loggers of this provider. The subscriber is told once there is one; a layer with a filter is not told it by
    /// tracing.
    pub(crate) fn new(provider: &SdkLoggerProvider, subscriber: Arc<OnceLock<WeakDispatch>>) -> Self {
        Self { inner: OpenTelemetryTracingBridge::new(provider), subscriber }
    }

    /// The OpenTelemetry context of the span that an event happens in. Spans do not attach theirs by themselves, because
    /// that costs at each poll, and log events are few.
    fn context<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Option<opentelemetry::Context>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let current = context.current_span();
        let span = event.parent().or_else(|| event.is_contextual().then(|| current.id()).flatten())?;
        tracing_opentelemetry::get_otel_context(span, &self.subscriber.get()?.upgrade()?)
    }
}

impl<S> Layer<S> for Bridge
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let _guard = self.context(event, &context).map(opentelemetry::Context::attach);
        self.inner.on_event(event, context);
    }
}
