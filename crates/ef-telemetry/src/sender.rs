//! The thread that sends what waits in a queue.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::outlet::Outlet;
use crate::patience::Patience;
use crate::queue::Queue;

/// How long the first thing waits for others: so short that a collector that is not there shows early.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// How long the first pause after a failure is; each further one is twice as long.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a failure.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Sends a queue's things in batches.
pub(crate) trait Export<T>: 'static {
    /// Sends a batch.
    fn export(&self, batch: Vec<T>) -> impl Future<Output = OTelSdkResult>;
}

/// The thread that sends what waits in a queue.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    queue: Arc<Queue<T>>,
    outlet: Arc<Outlet>,
    cancel: watch::Sender<bool>,
    /// A message after each batch, and the end of messages at the thread's end.
    progress: Mutex<Receiver<()>>,
    thread: JoinHandle<()>,
}

impl<T: Send + 'static> Sender<T> {
    /// Starts the thread, which makes its exporter in a runtime of its own. `None`, and told, when that cannot be.
    pub(crate) fn start<E: Export<T>>(
        name: &str,
        queue: Arc<Queue<T>>,
        outlet: Arc<Outlet>,
        make: impl FnOnce() -> Result<E, String> + Send + 'static,
    ) -> Option<Self> {
        let Ok(runtime) = runtime() else { return Self::impossible(&queue, &outlet) };
        let (cancel, cancelled) = watch::channel(false);
        let (report, progress) = sync_channel(1);
        let work = Work { queue: Arc::clone(&queue), outlet: Arc::clone(&outlet), cancelled, report };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(work.run(make));
            // A name that is being looked up would hold the runtime's end back.
            runtime.shutdown_background();
        });
        match thread {
            Ok(thread) => Some(Self { queue, outlet, cancel, progress: Mutex::new(progress), thread }),
            Err(_) => Self::impossible(&queue, &outlet),
        }
    }

    fn impossible(queue: &Queue<T>, outlet: &Outlet) -> Option<Self> {
        queue.give_up();
        outlet.failed(0, "no thread can be started");
        None
    }

    /// Whether sending does not go well.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.queue.is_in_trouble()
    }

    /// Sends what is left, as long as that goes well and patience lasts; returns how many were dropped in all.
    pub(crate) fn finish(self, patience: Patience) -> u64 {
        let begun = Instant::now();
        let progress = self.progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.queue.close();
        while !self.queue.is_failing() {
            let rest = patience.in_all.saturating_sub(begun.elapsed());
            match progress.recv_timeout(patience.each.min(rest)) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        // The thread is gone where it has sent everything.
        let _ = self.cancel.send(true);
        let _ = self.thread.join();
        self.queue.give_up() + self.outlet.lost()
    }
}

/// A runtime for the one thread that builds it.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

struct Work<T> {
    queue: Arc<Queue<T>>,
    outlet: Arc<Outlet>,
    cancelled: watch::Receiver<bool>,
    report: SyncSender<()>,
}

impl<T> Work<T> {
    async fn run<E: Export<T>>(mut self, make: impl FnOnce() -> Result<E, String>) {
        let longest = self.queue.batching().delay;
        let mut delay = FIRST_DELAY.min(longest);
        let mut pause = Duration::ZERO;
        // Made when there is something to send: until then there may be no subscriber to tell of a failure.
        let mut exporter = None;
        let mut make = Some(make);
        while let Some(batch) = self.queue.next(delay).await {
            if let Some(Err(reason)) = make.take().map(|make| make().map(|made| exporter = Some(made))) {
                self.queue.sent(false);
                self.queue.give_up();
                return self.outlet.failed(batch.len() as u64, &reason);
            }
            let Some(exporter) = &exporter else { return };
            delay = (delay * 4).min(longest);
            let count = batch.len() as u64;
            let Some(result) = self.export(exporter, batch).await else {
                return self.outlet.lose(count);
            };
            self.queue.sent(result.is_ok());
            // Full means that a message is there already.
            let _ = self.report.try_send(());
            match result {
                Ok(()) => {
                    pause = Duration::ZERO;
                    self.outlet.succeeded(count);
                }
                Err(error) => {
                    self.outlet.failed(count, &reason(&error));
                    pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                    let _ = tokio::time::timeout(pause, self.queue.closed()).await;
                }
            }
        }
    }

    /// Sends a batch; `None` when nobody waits for it any more.
    async fn export<E: Export<T>>(&mut self, exporter: &E, batch: Vec<T>) -> Option<OTelSdkResult> {
        let limit = self.queue.batching().timeout;
        tokio::select! {
            biased;
            result = tokio::time::timeout(limit, exporter.export(batch)) => {
                Some(result.unwrap_or(Err(OTelSdkError::Timeout(limit))))
            }
            _ = self.cancelled.wait_for(|cancelled| *cancelled) => None,
        }
    }
}

/// A short reason that holds nothing of what the collector said.
pub(crate) fn reason(error: &OTelSdkError) -> String {
    match error {
        OTelSdkError::AlreadyShutdown => "it is shut down".to_owned(),
        OTelSdkError::Timeout(_) => "no answer in time".to_owned(),
        OTelSdkError::InternalFailure(text) => {
            // The one word of a text from the transport that is from a closed list.
            let code = text.split_once("gRPC code: ").map(|(_, rest)| rest.split(':').next().unwrap_or(rest).trim());
            match code {
                Some("DeadlineExceeded" | "Cancelled") => "no answer in time".to_owned(),
                Some(_) if text.contains("Connection refused") => "connection refused".to_owned(),
                Some(code) if code.chars().all(|c| c.is_ascii_alphabetic()) => format!("it answered {code}"),
                _ => "the request failed".to_owned(),
            }
        }
    }
}

#[cfg(test)]
mod tests;
