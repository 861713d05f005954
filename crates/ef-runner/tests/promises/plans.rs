//! Plans to test with.

use std::sync::Arc;

use ef_model::{
    DatasetRow, Evaluator, EvaluatorOutput, ItemId, Judge, RecordFilter, RowFault, RowFaultKind, RunHead, RunId,
    StoredRecord, TraceStore,
};
use ef_runner::{Plan, RunError, RunJudge, Runner};
use ef_spec::EvalSpec;
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, head, item, judge_identity};
use futures_util::TryStreamExt;

/// A spec with this `runtime`, one judge and one metric.
fn spec(runtime: &serde_json::Value) -> EvalSpec {
    serde_json::from_value(serde_json::json!({
        "schema_version": "1",
        "id": "test/spec",
        "version": "1.0.0",
        "evaluator": {"id": "test.evaluator"},
        "judges": [{"id": "test.judge", "name": "judge"}],
        "scoring": {"metrics": [{"name": "accuracy", "from": "judge"}]},
        "runtime": runtime,
    }))
    .expect("a spec")
}

/// What a test changes of a plan that approves everything.
pub(crate) struct Setup {
    pub(crate) runtime: serde_json::Value,
    pub(crate) evaluator: Arc<dyn Evaluator>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) store: Arc<dyn TraceStore>,
}

impl Setup {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        Self {
            runtime: serde_json::json!({}),
            evaluator: ScriptedEvaluator::echo(),
            judge: ScriptedJudge::approving(),
            store: Arc::new(store.clone()),
        }
    }

    pub(crate) fn plan(self) -> Plan {
        let spec = spec(&self.runtime);
        Plan {
            head: RunHead { spec: spec.to_value(), spec_digest: spec.digest(), ..head("run", 1) },
            spec,
            evaluator: self.evaluator,
            judges: vec![RunJudge { identity: judge_identity("judge"), judge: self.judge }],
            store: self.store,
        }
    }

    /// Runs it over these rows and drops the events.
    pub(crate) async fn run(self, source: ListSource) -> Result<ef_model::RunResult, RunError> {
        let (runner, _) = Runner::new(self.plan());
        runner.run(Box::new(source)).await
    }
}

pub(crate) fn run_id() -> RunId {
    RunId::new("run").expect("an id")
}

pub(crate) async fn records(store: &MemoryStore) -> Vec<StoredRecord> {
    store.records(&run_id(), &RecordFilter::default()).try_collect().await.expect("readable")
}

pub(crate) async fn rows(store: &MemoryStore) -> Vec<u64> {
    records(store).await.iter().map(|stored| stored.record.row).collect()
}

pub(crate) fn echo(item: ef_model::EvalItem) -> EvaluatorOutput {
    EvaluatorOutput::new(item.input)
}

/// A row that cannot be evaluated.
pub(crate) fn faulty(row: u64) -> DatasetRow {
    DatasetRow::Faulty {
        item_id: ItemId::new(format!("data:{row}")).expect("an id"),
        row,
        fault: RowFault {
            kind: RowFaultKind::Malformed,
            message: format!("data.jsonl, row {row}: invalid JSON"),
            bytes: 3,
            sha256: ef_model::Digest::of(b"row"),
        },
    }
}

pub(crate) fn good(row: u64) -> DatasetRow {
    DatasetRow::Item(item(row))
}
