//! What is stored is what was given, and what was changed is not given out.

use ef_model::{
    Digest, JudgmentResult, Payload, RecordFilter, Score, StoreError, StoredRecord, TaskCommit, TaskRecord,
    TraceStore as _, Usage,
};
use ef_testkit::{commit, item, record};
use futures_util::TryStreamExt as _;

use crate::place::{append, begun, database, new_store, server};

#[tokio::test]
async fn the_largest_and_oddest_values_of_a_record_survive_to_the_bit() {
    const MOST: u64 = (1 << 53) - 1;
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    let mut odd = TaskRecord { row: MOST, repeat: u32::MAX, revision: u32::MAX, ..record(1) };
    odd.trace.attempts = u32::MAX;
    odd.trace.duration_us = MOST;
    odd.trace.started_at_us = -5;
    odd.trace.usage = Usage { cost_usd: Some(f64::MIN_POSITIVE), input_tokens: Some(MOST), output_tokens: Some(0) };
    odd.judgments[0].usage = Usage { cost_usd: Some(0.1 + 0.2), input_tokens: None, output_tokens: Some(MOST) };
    odd.judgments[0].duration_us = MOST;
    let score: Score =
        serde_json::from_str(r#"{"score":5e-324,"a\u0000b":"x\u0000\ud83d\ude00","c":true}"#).expect("a score");
    odd.judgments[0].result = JudgmentResult::Scored { score, rationale: Some(Digest::of(b"x")) };
    let mut pending = odd.judgments[0].clone();
    pending.result = JudgmentResult::Pending;
    odd.judgments.push(pending);
    let commit = TaskCommit::new(odd, Vec::new());
    store.append(&run, [commit.clone()].into()).await.expect("appended");
    let stored: Vec<StoredRecord> =
        store.records(&run, &RecordFilter::default()).try_collect().await.expect("readable");
    assert_eq!(stored, [StoredRecord { record: commit.record().clone(), leaf: commit.leaf() }]);
    assert_eq!(stored[0].record.leaf(), commit.leaf());
}

#[tokio::test]
async fn judgments_can_be_queried_with_any_client() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    append(&store, &run, 1..11).await;
    let mut odd = record(11);
    odd.judgments[0].result = JudgmentResult::Scored {
        score: serde_json::from_str("\"a \\u0000 label\"").expect("a score"),
        rationale: None,
    };
    let mut pending = record(12);
    pending.judgments[0].result = JudgmentResult::Pending;
    let batch = [odd, pending].map(|record| TaskCommit::new(record, Vec::new()));
    store.append(&run, batch.into()).await.expect("appended");
    let query = "SELECT count(*), avg(number), sum(cost_usd) > 0, min(judge), string_agg(DISTINCT status, ',')
                 FROM eval_fabric.judgments WHERE run_id = 'run'";
    assert_eq!(server.sql(database(&uri), query).trim(), "12|1.5|t|judge|pending,scored");
    let undescribed = "SELECT relname FROM pg_class WHERE relnamespace = 'eval_fabric'::regnamespace
                       AND relkind IN ('r', 'v') AND obj_description(oid, 'pg_class') IS NULL";
    assert_eq!(server.sql(database(&uri), undescribed).trim(), "", "each table is described");
}

#[tokio::test]
async fn a_payload_whose_content_was_changed_is_not_given_out() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    append(&store, &run, 1..3).await;
    server.sql(database(&uri), "UPDATE eval_fabric.payloads SET content = '\"changed\"'");
    let found = store.payloads(&[item(1).input.digest()]).await;
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_is_damage_and_names_its_column_without_content() {
    let Some(server) = server() else { return };
    for (change, column) in [
        ("judgments = '[{\"judge\": \"geheim\"}]'", "row 2: an unexpected value in column judgments"),
        ("error = 'geheim', status = 'error'", "row 2: an unexpected value in column error"),
        ("output = NULL", "row 2: an unexpected value in column output"),
        ("input = 'geheim'", "row 2: an unexpected value in column input"),
        ("attempts = -1", "row 2: an unexpected value in column attempts"),
        ("evaluator = 77", "a record names an evaluator or judge that is not there"),
    ] {
        let uri = new_store(server).await;
        let (store, run) = begun(&uri, "run").await;
        append(&store, &run, 1..3).await;
        server.sql(database(&uri), &format!("UPDATE eval_fabric.traces SET {change} WHERE row = 2"));
        let read: Result<Vec<_>, _> = store.records(&run, &RecordFilter::default()).try_collect().await;
        let error = read.expect_err("damaged");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let message = error.to_string();
        assert!(message.ends_with(column) && !message.contains("geheim"), "{message}");
    }
}

#[tokio::test]
async fn a_table_that_is_gone_is_damage() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    server.sql(database(&uri), "DROP TABLE eval_fabric.payloads");
    for error in [
        store.append(&run, [commit(1)].into()).await.expect_err("gone"),
        store.payloads(&[Digest::of(b"x")]).await.expect_err("gone"),
    ] {
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("relation \"payloads\" does not exist"), "{error}");
    }
}

#[tokio::test]
async fn a_batch_of_more_than_one_statement_is_one_transaction() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    let batch: Vec<TaskCommit> = (1..6)
        .map(|row| {
            let payload = Payload::from_text(&format!("{row} ").repeat(3 << 20));
            TaskCommit::new(record(row), vec![payload])
        })
        .collect();
    let mut refused = batch.clone();
    let mut changed = record(5);
    changed.trace.attempts += 1;
    refused.push(TaskCommit::new(changed, Vec::new()));
    let error = store.append(&run, refused.into()).await;
    assert!(matches!(error, Err(StoreError::Conflict { row: 5, .. })), "{error:?}");
    assert_eq!(server.sql(database(&uri), "SELECT count(*) FROM eval_fabric.payloads").trim(), "0");
    store.append(&run, batch.into()).await.expect("appended");
    assert_eq!(server.sql(database(&uri), "SELECT count(*) FROM eval_fabric.payloads").trim(), "5");
}
