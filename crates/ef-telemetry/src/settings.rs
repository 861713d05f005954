//! What the environment asks for.

mod otlp;
mod resource;
mod sampler;
mod source;

use std::time::Duration;

use ef_model::Environment;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

pub(crate) use self::otlp::{Certificates, Otlp, Protocol};
pub(crate) use self::source::Problem;
use self::source::Source;
use crate::levels::Levels;

/// What is sent or shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Spans.
    Traces,
    /// Numbers.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// The part of the variables' names.
    const fn variable(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
            Self::Logs => "LOGS",
        }
    }

    /// What it is made of, as people say it.
    pub(crate) const fn things(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metrics",
            Self::Logs => "log records",
        }
    }
}

/// Where a signal goes. Nowhere, unless the environment says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Exporters {
    /// To a collector.
    pub(crate) otlp: Option<Otlp>,
    /// To where log lines go.
    pub(crate) console: bool,
}

impl Exporters {
    /// Whether it goes anywhere.
    pub(crate) const fn any(&self) -> bool {
        self.otlp.is_some() || self.console
    }
}

/// How much of a signal is kept until it is sent, and how often it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Batching {
    /// How many may wait.
    pub(crate) queue: usize,
    /// How many go into a request at most.
    pub(crate) batch: usize,
    /// How long the first waits at most for others.
    pub(crate) delay: Duration,
    /// How long a batch may take, with its retries.
    pub(crate) timeout: Duration,
}

/// Everything that the environment asks for.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) traces: Exporters,
    pub(crate) metrics: Exporters,
    pub(crate) logs: Exporters,
    pub(crate) levels: Levels,
    pub(crate) resource: Resource,
    pub(crate) sampler: Sampler,
    /// Whether the current span is passed on to those who are called.
    pub(crate) propagates: bool,
    pub(crate) spans: Batching,
    pub(crate) records: Batching,
    /// How often metrics are sent.
    pub(crate) interval: Duration,
    /// Whether metrics count from the start of the process or from the last time.
    pub(crate) temporality: Temporality,
    pub(crate) problems: Vec<Problem>,
}

impl Settings {
    /// Reads them. What cannot be used is among the problems.
    pub(crate) fn read(environment: &Environment) -> Self {
        let mut source = Source::new(environment);
        let disabled = source.flag(&["OTEL_SDK_DISABLED"]);
        let [traces, metrics, logs] = [Signal::Traces, Signal::Metrics, Signal::Logs]
            .map(|signal| if disabled { Exporters::default() } else { exporters(signal, environment, &mut source) });
        Self {
            levels: levels(&mut source),
            resource: resource::read(&mut source),
            sampler: sampler::read(&mut source),
            propagates: propagates(&source),
            spans: batching(
                &mut source,
                "BSP",
                Batching { queue: 8192, batch: 1024, delay: Duration::from_secs(5), timeout: Duration::from_secs(30) },
            ),
            records: batching(
                &mut source,
                "BLRP",
                Batching { queue: 2048, batch: 512, delay: Duration::from_secs(1), timeout: Duration::from_secs(30) },
            ),
            interval: source.millis(&["OTEL_METRIC_EXPORT_INTERVAL"], Duration::from_secs(60)),
            temporality: temporality(&mut source),
            traces,
            metrics,
            logs,
            problems: source.into_problems(),
        }
    }
}

fn exporters(signal: Signal, environment: &Environment, source: &mut Source<'_>) -> Exporters {
    let variable = format!("OTEL_{}_EXPORTER", signal.variable());
    let mut exporters = Exporters::default();
    for name in source.text(&variable).unwrap_or("none").split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name {
            "none" => {}
            "console" => exporters.console = true,
            "otlp" => exporters.otlp = otlp::read(signal, environment, source),
            _ => source.complain(&variable, "is no list of none, otlp and console; what is none of them is left out"),
        }
    }
    exporters
}

fn levels(source: &mut Source<'_>) -> Levels {
    const VARIABLE: &str = "EVAL_FABRIC_LOG_LEVEL";
    let Some(text) = source.text(VARIABLE) else { return Levels::default() };
    Levels::parse(text).unwrap_or_else(|| {
        source.complain(
            VARIABLE,
            "is neither off, error, warn, info, debug or trace, nor a list such as warn,ef_runner=debug; info is used",
        );
        Levels::default()
    })
}

fn temporality(source: &mut Source<'_>) -> Temporality {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    match source.text(VARIABLE).map(str::to_ascii_lowercase).as_deref() {
        None | Some("cumulative") => Temporality::Cumulative,
        Some("delta") => Temporality::Delta,
        Some("lowmemory") => Temporality::LowMemory,
        Some(_) => {
            source.complain(VARIABLE, "is neither cumulative, delta nor lowmemory; cumulative is used");
            Temporality::Cumulative
        }
    }
}

/// W3C Trace Context is the only form of passing a span on that there is here.
fn propagates(source: &Source<'_>) -> bool {
    source
        .text("OTEL_PROPAGATORS")
        .is_none_or(|list| list.split(',').any(|name| name.trim().eq_ignore_ascii_case("tracecontext")))
}

fn batching(source: &mut Source<'_>, prefix: &str, default: Batching) -> Batching {
    let variable = |name: &str| format!("OTEL_{prefix}_{name}");
    let queue = source.count(&variable("MAX_QUEUE_SIZE"), default.queue);
    let batch = source.count(&variable("MAX_EXPORT_BATCH_SIZE"), default.batch.min(queue));
    if batch > queue {
        source.complain(&variable("MAX_EXPORT_BATCH_SIZE"), &format!("is more than the queue takes; {queue} is used"));
    }
    Batching {
        queue,
        batch: batch.min(queue),
        delay: source.millis(&[&variable("SCHEDULE_DELAY")], default.delay),
        timeout: source.millis(&[&variable("EXPORT_TIMEOUT")], default.timeout),
    }
}

#[cfg(test)]
mod tests;
