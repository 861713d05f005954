//! Another engine reads a completed run by the documented queries, and finds what the store says.
//!
//! The engine is DuckDB, from the Python package index, in an environment below the target folder. Without Python or the
//! index the test says that it is skipped; with `EF_REQUIRE_PYTHON=1` it fails.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use ef_model::{
    Counts, Environment, JudgmentResult, RecordFilter, RunStatus, Score, StoredRecord, TaskCommit, TraceOutcome,
    TraceStore, Usage,
};
use ef_store_parquet::{Location, ParquetStore};
use ef_testkit::{commit, head, item, judge_identity, record, result};
use futures_util::TryStreamExt;

/// The README's queries, in the order in which the script answers them.
const SCRIPT: &str = r#"
import json, sys, duckdb
root = sys.argv[1]
def table(name):
    return f"read_parquet('{root}/{name}/*/*.parquet', hive_partitioning = true, hive_types = {{'run_id': VARCHAR}})"
means = duckdb.sql(f"""
    SELECT judge, avg(score), count(*) FROM {table('judgments')}
    WHERE run_id = '2026' AND latest AND status = 'scored' AND score IS NOT NULL GROUP BY judge ORDER BY judge
""").fetchall()
counts = duckdb.sql(f"""
    SELECT 'trace ' || status, count(*) FROM {table('traces')} WHERE run_id = '2026' AND latest GROUP BY status
    UNION ALL
    SELECT 'judgment ' || status, count(*) FROM {table('judgments')} WHERE run_id = '2026' AND latest GROUP BY status
""").fetchall()
payload = duckdb.sql(f"""
    SELECT p.content FROM {table('traces')} t JOIN {table('payloads')} p
    ON p.run_id = t.run_id AND p.sha256 = t.input_sha256 WHERE t.run_id = '2026' AND t.item_id = 'item-7' AND t.latest
""").fetchall()
leaf = duckdb.sql(f"SELECT lower(hex(leaf_sha256)) FROM {table('traces')} WHERE run_id = '2026' ORDER BY row, repeat, revision").fetchall()
spent = duckdb.sql(f"SELECT sum(cost_usd), sum(input_tokens) FROM {table('judgments')} WHERE run_id = '2026'").fetchall()[0]
runs = duckdb.sql(f"SELECT DISTINCT run_id FROM {table('traces')}").fetchall()
started = duckdb.sql(f"SELECT min(epoch_us(started_at)) FROM {table('traces')} WHERE run_id = '2026'").fetchall()[0]
print(json.dumps({
    "means": {judge: [mean, n] for judge, mean, n in means}, "counts": dict(counts), "payload": [p for p, in payload],
    "leaves": [l for l, in leaf], "cost": spent[0], "tokens": int(spent[1]), "runs": [r for r, in runs], "started": started[0],
}))
"#;

#[derive(serde::Deserialize)]
struct Answer {
    means: BTreeMap<String, (f64, u64)>,
    counts: BTreeMap<String, u64>,
    payload: Vec<String>,
    leaves: Vec<String>,
    cost: f64,
    tokens: u64,
    runs: Vec<String>,
    started: i64,
}

/// A run with every kind of status, two judges, and an item that was tried again.
fn commits() -> Vec<TaskCommit> {
    let mut commits: Vec<TaskCommit> = (1..=3000).map(commit).collect();
    for (place, commit) in commits.iter_mut().enumerate() {
        let mut task = commit.record().clone();
        let mut second = task.judgments[0].clone();
        second.judge = judge_identity("strict");
        second.usage = Usage { cost_usd: Some(0.25), input_tokens: Some(place as u64), output_tokens: None };
        second.result = match place % 5 {
            0 => JudgmentResult::Unscored { rationale: None },
            1 => JudgmentResult::Pending,
            2 => JudgmentResult::Scored { score: (place % 2 == 0).into(), rationale: None },
            _ => {
                let score = serde_json::from_str::<Score>(r#"{"score":0.1,"tone":"kind"}"#).expect("a score");
                JudgmentResult::Scored { score, rationale: None }
            }
        };
        task.judgments.push(second);
        if place % 7 == 0 {
            let error = ef_model::ErrorRecord::from(&ef_model::CallError::permanent("down", "it is down"));
            task.trace.outcome = TraceOutcome::Error { error };
            task.judgments.clear();
        }
        *commit = TaskCommit::new(task, commit.payloads().to_vec());
    }
    let again = ef_model::TaskRecord { revision: 1, ..record(1) };
    commits.push(TaskCommit::new(again, Vec::new()));
    commits
}

/// The records that count: the latest revision of each.
fn latest(records: &[StoredRecord]) -> Vec<&StoredRecord> {
    let superseded = |place: usize| {
        let task = |stored: &StoredRecord| (stored.record.row, stored.record.repeat);
        records.get(place + 1).is_some_and(|next| task(next) == task(&records[place]))
    };
    records.iter().enumerate().filter(|(place, _)| !superseded(*place)).map(|(_, stored)| stored).collect()
}

#[tokio::test]
async fn duckdb_finds_the_same_metrics() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = ParquetStore::open_or_create(&Location::folder(folder.path()), &Environment::default()).await;
    let store = store.expect("a store");
    // An id that an engine may take for a number.
    let head = head("2026", 1);
    store.begin(&head).await.expect("begun");
    let commits = commits();
    for batch in commits.chunks(700) {
        store.append(&head.run_id, batch.into()).await.expect("appended");
    }
    let other = ef_testkit::head("unfinished", 2);
    store.begin(&other).await.expect("begun");
    store.append(&other.run_id, [commit(1)].into()).await.expect("appended");
    let mut ended = result(&head, RunStatus::Completed);
    let records: Vec<_> = store.records(&head.run_id, &RecordFilter::default()).try_collect().await.expect("readable");
    ended.counts = Counts::default();
    let latest = latest(&records);
    latest.iter().for_each(|stored| ended.counts.add(&stored.record));
    store.finish(&ended).await.expect("finished");

    let environments = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(python) = ef_testkit::python_with(environments, "duckdb", &["duckdb==2.0.0"]) else { return };
    let answer = Command::new(python).args(["-c", SCRIPT]).arg(folder.path()).output().expect("Python runs");
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let answer: Answer = serde_json::from_slice(&answer.stdout).expect("an answer");

    let mut scores: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for judgment in latest.iter().flat_map(|stored| &stored.record.judgments) {
        if let JudgmentResult::Scored { score, .. } = &judgment.result {
            scores.entry(&judgment.judge.name).or_default().extend(score.as_number(None));
        }
    }
    assert_eq!(answer.means.len(), scores.len());
    for (judge, scores) in scores {
        let (mean, n) = answer.means[judge];
        assert_eq!(n, scores.len() as u64, "{judge}");
        assert!((mean - scores.iter().sum::<f64>() / scores.len() as f64).abs() < 1e-9, "{judge}: {mean}");
    }
    let counts = ended.counts;
    let expected = [
        ("trace ok", counts.ok),
        ("trace error", counts.error),
        ("judgment scored", counts.scored),
        ("judgment unscored", counts.unscored),
        ("judgment pending", counts.pending),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(answer.counts, expected);
    assert_eq!(answer.payload, [item(7).input.expose()]);
    let leaves: Vec<_> = records.iter().map(|stored| stored.leaf.to_string()).collect();
    assert!(answer.leaves == leaves, "the leaves differ");
    let all = || records.iter().flat_map(|stored| &stored.record.judgments).map(|judgment| judgment.usage);
    assert_eq!(answer.tokens, all().filter_map(|usage| usage.input_tokens).sum::<u64>());
    assert!((answer.cost - all().filter_map(|usage| usage.cost_usd).sum::<f64>()).abs() < 1e-6);
    assert_eq!(answer.runs, ["2026"], "only completed runs are seen");
    assert_eq!(answer.started, records[0].record.trace.started_at_us);
}
