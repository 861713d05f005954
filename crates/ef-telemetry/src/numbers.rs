//! Metrics on their way from instruments to a collector or the console.

use std::fmt;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::console::ConsoleMetrics;
use crate::outlet::Outlet;
use crate::patience::Patience;
use crate::process::RunCell;
use crate::sender::{reason, runtime};
use crate::settings::{Otlp, Settings, Signal};
use crate::{Logs, exporters};

/// Reads the instruments from time to time and sends what they say.
#[derive(Debug)]
pub(crate) struct Numbers {
    provider: SdkMeterProvider,
    outlet: Option<Arc<Outlet>>,
    cancel: watch::Sender<bool>,
}

impl Numbers {
    /// As the settings ask for it; `None` where they ask for nothing.
    pub(crate) fn start(settings: &Settings, logs: &Logs, run: &RunCell) -> Option<Self> {
        if !settings.metrics.any() {
            return None;
        }
        let (cancel, cancelled) = watch::channel(false);
        let mut builder = SdkMeterProvider::builder().with_resource(settings.resource.clone());
        if settings.metrics.console {
            let exporter = ConsoleMetrics::new(logs.clone(), run.clone());
            builder = builder.with_reader(PeriodicReader::builder(exporter).with_interval(settings.interval).build());
        }
        let mut outlet = None;
        if let Some(otlp) = &settings.metrics.otlp {
            let telling = outlet.insert(Arc::new(Outlet::new(Signal::Metrics, otlp.host.clone())));
            let exporter = Sending::new(otlp.clone(), settings.temporality, Arc::clone(telling), cancelled);
            builder = builder.with_reader(PeriodicReader::builder(exporter).with_interval(settings.interval).build());
        }
        Some(Self { provider: builder.build(), outlet, cancel })
    }

    /// What instruments are made by.
    pub(crate) const fn provider(&self) -> &SdkMeterProvider {
        &self.provider
    }

    /// Whether the last numbers could not be sent.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.outlet.as_ref().is_some_and(|outlet| outlet.is_failing())
    }

    /// Sends the last numbers, if that takes no longer than patience lasts; returns how many times sending failed.
    pub(crate) fn finish(self, patience: Patience) -> u64 {
        let Self { provider, outlet, cancel } = self;
        let (done, wait) = sync_channel(1);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let result = provider.shutdown();
                // Nobody waits for it any more.
                let _ = done.send(result);
            });
            let _ = wait.recv_timeout(patience.each);
            let _ = cancel.send(true);
        });
        outlet.map_or(0, |outlet| outlet.lost())
    }
}

/// Sends metrics by an exporter that needs an async runtime, from the reader's thread, which has none.
struct Sending {
    otlp: Otlp,
    temporality: Temporality,
    /// Made when there is something to send: until then there may be no subscriber to tell of a failure.
    made: OnceLock<Result<(Runtime, MetricExporter), String>>,
    outlet: Arc<Outlet>,
    cancelled: watch::Receiver<bool>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sending")
    }
}

impl Sending {
    const fn new(otlp: Otlp, temporality: Temporality, outlet: Arc<Outlet>, cancelled: watch::Receiver<bool>) -> Self {
        Self { otlp, temporality, made: OnceLock::new(), outlet, cancelled }
    }

    fn make(&self) -> Result<(Runtime, MetricExporter), String> {
        let runtime = runtime().map_err(|error| error.kind().to_string())?;
        let inside = runtime.enter();
        let exporter = exporters::of_metrics(&self.otlp, self.temporality, Arc::clone(&self.outlet))?;
        drop(inside);
        Ok((runtime, exporter))
    }

    /// Sends them; `None` when nobody waits for it any more.
    fn send(&self, metrics: &ResourceMetrics) -> Option<Result<(), String>> {
        let (runtime, exporter) = match self.made.get_or_init(|| self.make()) {
            Ok(made) => made,
            Err(reason) => return Some(Err(reason.clone())),
        };
        let mut cancelled = self.cancelled.clone();
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = cancelled.wait_for(|cancelled| *cancelled) => None,
                result = exporter.export(metrics) => Some(result.map_err(|error| reason(&error))),
            }
        })
    }
}

impl PushMetricExporter for Sending {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        match self.send(metrics) {
            Some(Ok(())) => {
                self.outlet.succeeded(1);
                Ok(())
            }
            Some(Err(reason)) => {
                self.outlet.failed(1, &reason);
                Err(OTelSdkError::InternalFailure(reason))
            }
            None => {
                self.outlet.lose(1);
                Err(OTelSdkError::AlreadyShutdown)
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(Ok((runtime, _))) = self.made.take() {
            // Waiting for it is not allowed where this may happen: inside another runtime.
            runtime.shutdown_background();
        }
    }
}
