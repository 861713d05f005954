//! What a process has of telemetry, from its start to its end.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use ef_model::telemetry::{Instruments, Meters};
use ef_model::{Environment, Propagator, RunId, TraceStore};
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tracing::Dispatch;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use crate::console::ConsoleSpans;
use crate::gate::{AtGate, Gate};
use crate::levels::{LogFilter, SpanFilter};
use crate::log_lines::LogLines;
use crate::meters::{RunMeters, StoreMeters};
use crate::numbers::Numbers;
use crate::outlet::Outlet;
use crate::patience::Patience;
use crate::propagator::CurrentSpan;
use crate::queue::Queue;
use crate::records::Record;
use crate::sender::Sender;
use crate::settings::{Otlp, Settings, Signal};
use crate::store::ObservedStore;
use crate::{Logs, exporters, records, spans};

/// The run that the process works on, once that is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunCell(Arc<RwLock<Option<RunId>>>);

impl RunCell {
    /// The run.
    pub(crate) fn get(&self) -> Option<RunId> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, run: &RunId) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
    }
}

/// A process's telemetry: everything that its environment asks for, and nothing else.
///
/// Where nothing is exported there are log lines and no more: no thread, no connection, and no span is made.
#[derive(Debug)]
#[must_use = "what was not sent yet is lost without shut_down"]
pub struct Telemetry {
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    started: Instant,
    run: RunCell,
    traces: Option<SdkTracerProvider>,
    spans: Option<Sender<SpanData>>,
    logger: Option<SdkLoggerProvider>,
    records: Option<Sender<Record>>,
    numbers: Option<Numbers>,
    meters: Option<Arc<RunMeters>>,
    store_meters: Option<StoreMeters>,
    propagates: bool,
}

impl Telemetry {
    /// Sets up the process's telemetry and installs its `tracing` subscriber. A value of the environment that cannot be
    /// used is a warning that names the variable, never a failure.
    ///
    /// A process has one subscriber: if it has one already, what this returns is without effect.
    pub fn start(environment: &Environment, logs: Logs) -> Self {
        if tracing::dispatcher::has_been_set() {
            return Self { active: None };
        }
        let settings = Settings::read(environment);
        let (telemetry, subscriber) = Self::set_up(&settings, logs);
        if tracing::dispatcher::set_global_default(subscriber).is_err() {
            return Self { active: None };
        }
        settings.tell();
        telemetry
    }

    /// The same without installing the subscriber.
    pub(crate) fn set_up(settings: &Settings, logs: Logs) -> (Self, Dispatch) {
        let started = Instant::now();
        let run = RunCell::default();
        let dispatch = Arc::new(OnceLock::new());
        let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
        let mut active = Active {
            started,
            run: run.clone(),
            traces: None,
            spans: None,
            logger: None,
            records: None,
            numbers: Numbers::start(settings, &logs, &run),
            meters: None,
            store_meters: None,
            propagates: settings.propagates,
        };
        if let Some(numbers) = &active.numbers {
            let meter = numbers.provider().meter_with_scope(scope());
            active.meters = Some(Arc::new(RunMeters::new(&meter)));
            active.store_meters = Some(StoreMeters::new(&meter));
        }
        if settings.traces.any() {
            let Traces { provider, sender, gate } = traces(settings, started, &logs, &run);
            let layer = tracing_opentelemetry::layer()
                .with_tracer(provider.tracer_with_scope(scope()))
                .with_location(false)
                .with_threads(false)
                .with_level(false)
                .with_target(false)
                .with_tracked_inactivity(false)
                // Attaching a context costs at each poll; whoever needs the current span asks the propagator.
                .with_context_activation(false);
            layers.push(layer.and_then(AtGate(gate)).with_filter(SpanFilter).boxed());
            (active.traces, active.spans) = (Some(provider), sender);
        }
        if let Some(otlp) = &settings.logs.otlp {
            let (provider, sender) = log_records(settings, otlp, started, &run);
            let bridge = records::Bridge::new(&provider, Arc::clone(&dispatch));
            layers.push(bridge.with_filter(LogFilter::exported(settings.levels.clone())).boxed());
            (active.logger, active.records) = (Some(provider), sender);
        }
        layers.push(LogLines::new(logs, run).with_filter(LogFilter::local(settings.levels.clone())).boxed());
        let subscriber = Dispatch::new(Registry::default().with(layers));
        // Nobody else sets it.
        let _ = dispatch.set(subscriber.downgrade());
        (Self { active: Some(active) }, subscriber)
    }

    /// What a run tells of itself to; empty where nothing is exported.
    #[must_use]
    pub fn instruments(&self) -> Instruments {
        let Some(active) = &self.active else { return Instruments::default() };
        Instruments {
            meters: active.meters.clone().map(|meters| meters as Arc<dyn Meters>),
            propagator: (active.traces.is_some() && active.propagates)
                .then(|| Arc::new(CurrentSpan) as Arc<dyn Propagator>),
        }
    }

    /// The same store, which tells of its commits and failures; the store itself where nothing is exported. `backend` is
    /// what kind of store it is.
    #[must_use]
    pub fn observe(&self, store: Arc<dyn TraceStore>, backend: &'static str) -> Arc<dyn TraceStore> {
        match &self.active {
            Some(active) if active.traces.is_some() || active.store_meters.is_some() => {
                Arc::new(ObservedStore::new(store, backend, active.store_meters.clone()))
            }
            _ => store,
        }
    }

    /// From now on, every log line and log record says that it is of this run.
    pub fn set_run(&self, run: &RunId) {
        if let Some(active) = &self.active {
            active.run.set(run);
        }
    }

    /// Sends what is left, for as long as that goes well and for a small part of the process's time where it does not;
    /// tells in a log line what was lost; and stops all threads.
    ///
    /// It blocks: call it outside of the async runtime, after everything that makes spans has ended.
    pub fn shut_down(self) {
        let Some(active) = self.active else { return };
        let in_trouble = active.spans.as_ref().is_some_and(Sender::is_in_trouble)
            || active.records.as_ref().is_some_and(Sender::is_in_trouble)
            || active.numbers.as_ref().is_some_and(Numbers::is_in_trouble);
        let patience = Patience::at_the_end(active.started.elapsed(), in_trouble);
        let Active { spans, records, numbers, traces, logger, .. } = active;
        let lost = std::thread::scope(|scope| {
            let spans = scope.spawn(|| spans.map_or(0, |sender| sender.finish(patience)));
            let numbers = scope.spawn(|| numbers.map_or(0, |numbers| numbers.finish(patience)));
            let records = records.map_or(0, |sender| sender.finish(patience));
            Lost {
                spans: spans.join().unwrap_or_default(),
                log_records: records,
                metric_exports: numbers.join().unwrap_or_default(),
            }
        });
        lost.tell();
        drop((traces, logger));
    }
}

/// What could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost {
    spans: u64,
    log_records: u64,
    metric_exports: u64,
}

impl Lost {
    fn tell(self) {
        let Self { spans, log_records, metric_exports } = self;
        if spans + log_records + metric_exports > 0 {
            tracing::warn!(spans, log_records, metric_exports, "telemetry was dropped");
        }
    }
}

impl Settings {
    /// Tells of the variables that cannot be used.
    pub(crate) fn tell(&self) {
        for problem in &self.problems {
            tracing::warn!(
                variable = problem.variable,
                problem = problem.problem,
                "environment variable cannot be used"
            );
        }
    }
}

/// Who makes spans and numbers.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("eval_fabric").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// What makes spans, who sends them, and what says whether one more is to be made.
struct Traces {
    provider: SdkTracerProvider,
    sender: Option<Sender<SpanData>>,
    gate: Option<Arc<Gate>>,
}

fn traces(settings: &Settings, started: Instant, logs: &Logs, run: &RunCell) -> Traces {
    let mut builder =
        SdkTracerProvider::builder().with_sampler(settings.sampler.clone()).with_resource(settings.resource.clone());
    if settings.traces.console {
        builder = builder.with_span_processor(ConsoleSpans::new(logs.clone(), run.clone()));
    }
    let Some(otlp) = &settings.traces.otlp else {
        return Traces { provider: builder.build(), sender: None, gate: None };
    };
    let queue = Arc::new(Queue::new(settings.spans, started));
    let outlet = Arc::new(Outlet::new(Signal::Traces, otlp.host.clone()));
    let (otlp, resource, of_exporter) = (otlp.clone(), settings.resource.clone(), Arc::clone(&outlet));
    let sender = Sender::start("ef-spans", Arc::clone(&queue), outlet, move || {
        exporters::of_spans(&otlp, &resource, of_exporter)
    });
    // The console shows all spans, whatever becomes of them elsewhere.
    let gate = (!settings.traces.console).then(|| queue.gate());
    Traces { provider: builder.with_span_processor(spans::Queueing::new(queue)).build(), sender, gate }
}

fn log_records(
    settings: &Settings,
    otlp: &Otlp,
    started: Instant,
    run: &RunCell,
) -> (SdkLoggerProvider, Option<Sender<Record>>) {
    let queue = Arc::new(Queue::new(settings.records, started));
    let outlet = Arc::new(Outlet::new(Signal::Logs, otlp.host.clone()));
    let (otlp, resource, of_exporter) = (otlp.clone(), settings.resource.clone(), Arc::clone(&outlet));
    let sender = Sender::start("ef-logs", Arc::clone(&queue), outlet, move || {
        exporters::of_records(&otlp, &resource, of_exporter)
    });
    let provider = SdkLoggerProvider::builder()
        .with_resource(settings.resource.clone())
        .with_log_processor(records::Queueing::new(queue, run.clone()))
        .build();
    (provider, sender)
}

#[cfg(test)]
mod tests;
