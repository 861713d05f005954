//! What a seed stands for: a spec, a dataset, components, and what goes wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ef_model::{DatasetRow, Digest, EvalItem, ItemId, Payload, RowFault, RowFaultKind, RunHead};
use ef_spec::{EvalSpec, OnFailure};
use ef_testkit::simulation::{Chance, Limits, People, Script};
use ef_testkit::{head, item, judge_identity};
use serde_json::{Value, json};

/// One thing that goes wrong while a run goes on.
///
/// Places are parts in a thousand of what an undisturbed run of the same seed has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// The process is killed and the power fails.
    Kill { at: u64 },
    /// Somebody asks the run to stop.
    Stop { at: u64 },
    /// Somebody asks, and then has no patience.
    StopThenKill { stop: u64, kill: u64 },
    /// A write fails, and perhaps all after it.
    WriteFails { write: u64, is_gone_then: bool },
    /// A write takes an hour, and perhaps the process is killed.
    WriteStalls { write: u64, kill: Option<u64> },
    /// A read fails.
    ReadFails { read: u64 },
    /// The dataset cannot be read on.
    DatasetFails { at: u64 },
    /// There is no quota left.
    QuotaExhausted { at: u64 },
    /// Somebody edited the dataset.
    DatasetChanged { at: u64, is_cut: bool },
    /// No more may be spent than such a part of what an undisturbed run costs, beyond what was spent before.
    Budget { part: u64 },
}

impl Disturbance {
    /// Whether it can happen where nothing but the store is used.
    pub(crate) const fn is_of_the_store(self) -> bool {
        matches!(self, Self::Kill { .. } | Self::WriteFails { .. } | Self::WriteStalls { .. } | Self::ReadFails { .. })
    }
}

/// What a seed stands for.
pub(crate) struct Scenario {
    pub(crate) chance: Chance,
    pub(crate) spec: EvalSpec,
    pub(crate) judges: Vec<String>,
    pub(crate) rows: Arc<[DatasetRow]>,
    /// Rows whose item id another row has too.
    pub(crate) twins: BTreeSet<u64>,
    /// What components do.
    pub(crate) script: Script,
    /// What they do once somebody has repaired them.
    pub(crate) repaired: Script,
    /// Whether they are repaired after the first disturbance, and failed tasks are done again.
    pub(crate) is_repaired: bool,
    /// Whether the failed tasks of the completed run are done again in a new one.
    pub(crate) then_retry: bool,
    /// What goes wrong, each in one life of the process.
    pub(crate) disturbances: Vec<Disturbance>,
    /// What goes wrong in the new run.
    pub(crate) retry_disturbances: Vec<Disturbance>,
    /// Inputs so large that their bytes hold tasks back, and not their number.
    is_large: bool,
}

const LARGE: usize = 600 << 10;

impl Scenario {
    pub(crate) fn of(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let is_large = chance.of("large").below(150) == 0;
        let judges: Vec<String> = (0..=chance.of("judges").below(3)).map(|n| format!("judge-{n}")).collect();
        let spec = spec(chance, &judges, is_large);
        let (rows, twins) = rows(chance, is_large);
        let trouble = if is_large { 0 } else { [0, 5, 15, 40][index(chance.of("trouble"), 4)] };
        // A run that ends at each failure never ends otherwise, if failures are done again and fail again.
        let trouble_left = if spec.runtime.on_failure == OnFailure::Abort { 0 } else { trouble / 2 };
        let people = People {
            chance: chance.of("people"),
            percent: if is_large { 0 } else { [0, 0, 10, 40][index(chance.of("people"), 4)] },
            are_there: false,
        };
        let is_priced = !is_large && chance.of("prices").percent(50);
        let script = |name: &str, trouble| Script {
            chance: chance.of(name),
            trouble,
            waits: if is_large { 0 } else { [0, 10, 50][index(chance.of("waits"), 3)] },
            is_priced,
            people,
        };
        let disturbances = |name: &str, most: u64| {
            let chance = chance.of(name);
            let drawn = (0..chance.of("many").below(most + 1)).map(|n| disturbance(chance.at(n), is_priced));
            // Only while the store stalls do bytes hold tasks back.
            let stall = is_large.then_some(Disturbance::WriteStalls { write: 2, kill: None });
            stall.into_iter().chain(drawn).collect()
        };
        Self {
            chance,
            judges,
            rows: rows.into(),
            script: script("script", trouble),
            repaired: script("repaired", trouble_left),
            is_repaired: chance.of("is repaired").percent(25),
            then_retry: twins.is_empty()
                && spec.runtime.on_failure == OnFailure::Skip
                && chance.of("retry").percent(25),
            twins,
            spec,
            disturbances: disturbances("disturbances", 4),
            retry_disturbances: disturbances("retry disturbances", 2),
            is_large,
        }
    }

    /// The head of a run of it.
    pub(crate) fn head(&self, run_id: &str) -> RunHead {
        RunHead {
            spec: self.spec.to_value(),
            spec_digest: self.spec.digest(),
            judges: self.judges.iter().map(|name| judge_identity(name)).collect(),
            ..head(run_id, 1)
        }
    }

    /// How often a row is evaluated.
    pub(crate) fn repeats(&self, row: &DatasetRow) -> u32 {
        if matches!(row, DatasetRow::Item(_)) { self.spec.runtime.repeats } else { 1 }
    }

    /// What a run of it must keep to, when these tasks are done and so much may be spent.
    pub(crate) fn limits(&self, done: BTreeSet<(u64, u32)>, cost_usd: Option<f64>) -> Limits {
        const RECORDS: usize = 4096;
        const BYTES: usize = 8 << 20;
        let tasks = self.spec.runtime.max_concurrent as usize;
        let limits = self.spec.judges.iter().map(|judge| (judge.name.clone(), judge.max_concurrent));
        let limits = limits.chain([(String::new(), self.spec.evaluator.max_concurrent)]);
        let calls = limits.filter_map(|(name, limit)| Some((name, limit? as usize))).collect::<BTreeMap<_, _>>();
        // Input and output count both. Tasks that a stop has abandoned are never durable.
        let waiting = if self.is_large { BYTES.div_ceil(2 * LARGE) } else { RECORDS };
        Limits { tasks, calls, waiting: (waiting + 2 * tasks) as u64, done, cost_usd }
    }
}

fn index(chance: Chance, length: u64) -> usize {
    usize::try_from(chance.below(length)).unwrap_or(0)
}

fn spec(chance: Chance, judges: &[String], is_large: bool) -> EvalSpec {
    let chance = chance.of("spec");
    let limit = |name: &str| chance.of(name).percent(20).then(|| 1 + chance.of(name).at(1).below(3));
    let judge = |name: &String| {
        let mut judge = json!({"id": "test.judge", "name": name, "weight": chance.of(name).below(4)});
        if let Some(limit) = limit(name) {
            judge["max_concurrent"] = limit.into();
        }
        judge
    };
    let mut evaluator = json!({"id": "test.evaluator"});
    if let Some(limit) = limit("") {
        evaluator["max_concurrent"] = limit.into();
    }
    let spec = json!({
        "schema_version": "1",
        "id": "test/spec",
        "version": "1.0.0",
        "evaluator": evaluator,
        "judges": judges.iter().map(judge).collect::<Value>(),
        "scoring": {"metrics": [
            {"name": "mean", "from": judges[0]},
            {"name": "over_all", "aggregator": "weighted_mean"},
            {"name": "median", "aggregator": "median", "bootstrap": true, "bootstrap_samples": 10},
            {"name": "rate", "aggregator": "rate_above", "threshold": 0.7, "from": judges[judges.len() - 1]},
            {"name": "count", "aggregator": "count"},
            if chance.of("clusters").percent(30) {
                json!({"name": "clustered", "cluster_by": "group"})
            } else {
                json!({"name": "uniform", "aggregator": "ks_test"})
            },
        ]},
        "runtime": {
            "max_concurrent": if is_large { 3 } else { [1, 2, 3, 8, 64][index(chance.of("concurrent"), 5)] },
            "task_timeout_seconds": 1.0 + chance.of("timeout").below(5) as f64,
            "max_retries": chance.of("retries").below(4),
            "repeats": if is_large { 1 } else { [1, 1, 1, 2, 3][index(chance.of("repeats"), 5)] },
            "on_failure": if chance.of("on_failure").percent(15) { "abort" } else { "skip" },
            "seed": chance.of("seed").below(1000),
        },
    });
    serde_json::from_value(spec).expect("a spec")
}

/// The rows, and which of them share an item id.
fn rows(chance: Chance, is_large: bool) -> (Vec<DatasetRow>, BTreeSet<u64>) {
    let chance = chance.of("rows");
    let many = if is_large { 25 } else { [0, 1, 5, 20, 40][index(chance.of("many"), 5)] + chance.of("more").below(6) };
    let mut rows: Vec<_> = (1..=many).map(|row| self::row(chance.at(row), row, is_large)).collect();
    let mut twins = BTreeSet::new();
    if many > 3 && !is_large && chance.of("twins").percent(6) {
        let [one, other] = ["one", "other"].map(|name| index(chance.of(name), many));
        if let (Some(DatasetRow::Item(first)), Some(DatasetRow::Item(second))) = (rows.get(one), rows.get(other))
            && one != other
        {
            twins = BTreeSet::from([first.row, second.row]);
            let twin = EvalItem { item_id: first.item_id.clone(), ..second.clone() };
            rows[other] = DatasetRow::Item(twin);
        }
    }
    (rows, twins)
}

fn row(chance: Chance, row: u64, is_large: bool) -> DatasetRow {
    if !is_large && chance.of("faulty").percent(5) {
        return DatasetRow::Faulty {
            item_id: ItemId::new(format!("data:{row}")).expect("an id"),
            row,
            fault: RowFault {
                kind: RowFaultKind::Malformed,
                message: format!("data.jsonl, row {row}: invalid JSON"),
                bytes: 3,
                sha256: Digest::of(&row.to_le_bytes()),
            },
        };
    }
    let mut item = item(row);
    if is_large {
        item.input = Payload::from_checked(format!("\"{row} {}\"", "x".repeat(LARGE)));
    }
    item.reference_output = chance.of("reference").percent(50).then(|| Payload::from_text(&format!("input {row}")));
    let group = chance.of("group").below(4);
    item.metadata = chance.of("metadata").percent(80).then(|| Payload::from_value(&json!({"group": group})));
    DatasetRow::Item(item)
}

fn disturbance(chance: Chance, is_priced: bool) -> Disturbance {
    if is_priced && chance.of("budget").percent(30) {
        return Disturbance::Budget { part: chance.of("part").below(2000) };
    }
    let at = chance.of("at").below(1000);
    let few = 1 + chance.of("few").below(6);
    match chance.of("kind").below(20) {
        0..=7 => Disturbance::Kill { at },
        8 | 9 => Disturbance::Stop { at },
        10 => Disturbance::StopThenKill { stop: at, kill: at + chance.of("patience").below(100) },
        11..=13 => Disturbance::WriteFails { write: few, is_gone_then: chance.of("gone").percent(50) },
        14 | 15 => Disturbance::WriteStalls { write: few, kill: chance.of("kill").percent(50).then_some(at) },
        16 => Disturbance::ReadFails { read: 1 + chance.of("read").below(80) },
        17 => Disturbance::DatasetFails { at },
        18 => Disturbance::QuotaExhausted { at },
        _ => Disturbance::DatasetChanged { at, is_cut: chance.of("cut").percent(30) },
    }
}
