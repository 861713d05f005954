//! A trace store that tells of its commits and its failures.

use std::sync::Arc;
use std::time::Instant;

use ef_model::telemetry::SPAN_TARGET;
use ef_model::{
    BoxFuture, BoxStream, Digest, FoundJudgment, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult,
    RunSummary, StoreError, StoredRecord, TaskCommit, TraceStore,
};
use futures_util::TryStreamExt;
use tracing::Instrument;
use tracing::field::Empty;

use crate::meters::StoreMeters;

/// Another store, each of whose commits is a span and each of whose failures is counted.
pub(crate) struct ObservedStore {
    store: Arc<dyn TraceStore>,
    watch: Watch,
}

/// Who is told.
#[derive(Clone)]
struct Watch {
    backend: &'static str,
    meters: Option<StoreMeters>,
}

impl Watch {
    fn failed(&self, op: &'static str) {
        if let Some(meters) = &self.meters {
            meters.failed(self.backend, op);
        }
    }

    fn of<'a, T: 'a>(
        &self,
        op: &'static str,
        work: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let watch = self.clone();
        Box::pin(async move { work.await.inspect_err(|_| watch.failed(op)) })
    }

    fn of_each<'a, T: 'a>(
        &self,
        op: &'static str,
        stream: BoxStream<'a, Result<T, StoreError>>,
    ) -> BoxStream<'a, Result<T, StoreError>> {
        let watch = self.clone();
        Box::pin(stream.inspect_err(move |_| watch.failed(op)))
    }
}

impl ObservedStore {
    /// This store, told of as one of this kind.
    pub(crate) const fn new(store: Arc<dyn TraceStore>, backend: &'static str, meters: Option<StoreMeters>) -> Self {
        Self { store, watch: Watch { backend, meters } }
    }
}

impl TraceStore for ObservedStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        self.watch.of("begin", self.store.begin(head))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.watch.of("resume", self.store.resume(run))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        let count = batch.len();
        let span = tracing::info_span!(
            target: SPAN_TARGET,
            "tracestore.put",
            "otel.status_code" = Empty,
            record_type = "task",
            count = i64::try_from(count).unwrap_or(i64::MAX),
            latency_ms = Empty,
            backend = self.watch.backend,
            "error.type" = Empty,
        );
        let work = self.store.append(run, batch);
        Box::pin(async move {
            let begun = Instant::now();
            let result = work.instrument(span.clone()).await;
            let took = begun.elapsed();
            span.record("latency_ms", took.as_secs_f64() * 1e3);
            match &result {
                Ok(()) => {
                    if let Some(meters) = &self.watch.meters {
                        meters.committed(self.watch.backend, count, took);
                    }
                }
                Err(error) => {
                    span.record("otel.status_code", "ERROR");
                    span.record("error.type", code(error));
                    self.watch.failed("append");
                }
            }
            result
        })
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        self.watch.of("finish", self.store.finish(result))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        self.watch.of("run", self.store.run(run))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        self.watch.of("runs", self.store.runs(prefix, limit))
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        self.watch.of_each("records", self.store.records(run, filter))
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        self.watch.of_each("keys", self.store.keys(run))
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        self.watch.of("payloads", self.store.payloads(digests))
    }

    fn judgments<'a>(&'a self, keys: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<FoundJudgment>>, StoreError>> {
        self.watch.of("judgments", self.store.judgments(keys))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

/// A word for the error, which is all that a span says of it.
const fn code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::SchemaVersion { .. } => "schema_version",
        StoreError::NotAStore { .. } => "not_a_store",
        StoreError::Damaged { .. } => "damaged",
        StoreError::Conflict { .. } => "conflict",
        StoreError::RunExists(_) => "run_exists",
        StoreError::RunNotFound(_) => "run_not_found",
        StoreError::RunBusy(_) => "run_busy",
        StoreError::RunClosed(_) => "run_closed",
    }
}

#[cfg(test)]
mod tests;
