//! What the store does when object storage is not there, refuses or fails.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{Environment, RecordFilter, RunStatus, StoreError, TaskCommit, TraceStore};
use ef_store_parquet::{Location, ParquetStore};
use ef_testkit::s3_server::S3Server;
use ef_testkit::{commit, head, item, result};
use futures_util::TryStreamExt;

fn location(uri: &str) -> Location {
    Location::parse(uri).expect("valid").expect("of this kind").with_lease(Duration::from_secs(3))
}

async fn store(server: &S3Server) -> ParquetStore {
    let location = location("s3://evals/runs?format=parquet");
    ParquetStore::open_or_create(&location, &server.environment()).await.expect("a store")
}

/// The server's variables, one of them with another value.
fn with(server: &S3Server, name: &str, value: &str) -> Environment {
    Environment::new(server.variables().into_iter().map(|(known, kept)| {
        let value = if known == name { value.to_owned() } else { kept };
        (known, value)
    }))
}

async fn refused(location: &Location, environment: &Environment) -> String {
    match ParquetStore::open_or_create(location, environment).await {
        Err(error @ StoreError::Unavailable { .. }) => error.to_string(),
        other => panic!("not unavailable: {other:?}"),
    }
}

#[tokio::test]
async fn what_keeps_the_store_from_opening_is_told_without_secrets() {
    let server = S3Server::start(&["evals"]).await;
    let there = location("s3://evals/runs?format=parquet");
    let told = [
        refused(&location("s3://absent/runs?format=parquet"), &server.environment()).await,
        refused(&there, &Environment::default()).await,
        refused(&there, &with(&server, "AWS_SECRET_ACCESS_KEY", "hunter2")).await,
        refused(&there, &with(&server, "AWS_ACCESS_KEY_ID", "hunter2")).await,
        refused(&there, &with(&server, "AWS_SECRET_ACCESS_KEY", "")).await,
    ];
    assert!(told.iter().all(|told| !told.contains("hunter2")), "{told:#?}");
    let rights = "the object storage refuses access: check the credentials and the rights on the bucket";
    let missing = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
    let [absent, there] =
        ["absent", "evals"].map(|bucket| format!("the trace store s3://{bucket}/runs is unavailable"));
    let expected = [
        format!("{absent}: there is no such bucket"),
        format!("{there}: {missing}"),
        format!("{there}: {rights}"),
        format!("{there}: {rights}"),
        format!("{there}: {missing}"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_server_that_is_down_is_told_when_it_stays_down() {
    let server = S3Server::start(&["evals"]).await;
    let environment = server.environment();
    let there = location("s3://evals/runs?format=parquet&retry_seconds=1");
    let store = ParquetStore::open_or_create(&there, &environment).await.expect("a store");
    let head = head("down", 1);
    store.begin(&head).await.expect("begun");
    store.append(&head.run_id, [commit(1)].into()).await.expect("appended");
    drop(server);
    let told = store.append(&head.run_id, [commit(2)].into()).await.expect_err("nobody is there").to_string();
    assert_eq!(
        told,
        "the trace store s3://evals/runs is unavailable: nobody answers at its address (connection refused)"
    );
    refused(&there, &environment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_refuses_half_of_the_writes_gets_all_of_the_run() {
    let server = S3Server::start(&["evals"]).await;
    let store = store(&server).await;
    server.refuse_writes(50);
    let head = head("half", 1);
    store.begin(&head).await.expect("begun");
    for batch in 0..20 {
        let commits: Arc<[TaskCommit]> = (batch * 10 + 1..=batch * 10 + 10).map(commit).collect();
        store.append(&head.run_id, commits).await.expect("appended");
    }
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    assert!(server.refused_writes() > 10, "only {} writes were refused", server.refused_writes());
    let records: Vec<_> = store.records(&head.run_id, &RecordFilter::default()).try_collect().await.expect("readable");
    assert_eq!(records.iter().map(|stored| stored.record.row).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
    let digests: Vec<_> = (1..=200).map(|row| item(row).input.digest()).collect();
    let found = store.payloads(&digests).await.expect("readable");
    assert!(found.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_in_the_middle_of_a_write_neither_loses_nor_doubles_anything() {
    let server = S3Server::start(&["evals"]).await;
    let store = store(&server).await;
    let head = head("cut", 1);
    store.begin(&head).await.expect("begun");
    for row in 1..=12 {
        if row % 2 == 0 {
            server.cut_before_write(1);
        } else {
            server.cut_after_write(1);
        }
        store.append(&head.run_id, [commit(row)].into()).await.expect("tried again");
    }
    server.cut_after_write(1);
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    let records: Vec<_> = store.records(&head.run_id, &RecordFilter::default()).try_collect().await.expect("readable");
    assert_eq!(records.iter().map(|stored| stored.record.row).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_segments_become_few() {
    let server = S3Server::start(&["evals"]).await;
    let store = store(&server).await;
    let head = head("many", 1);
    store.begin(&head).await.expect("begun");
    for row in 1..=150 {
        store.append(&head.run_id, [commit(row)].into()).await.expect("appended");
    }
    let records: Vec<_> = store.records(&head.run_id, &RecordFilter::default()).try_collect().await.expect("readable");
    assert_eq!(records.len(), 150);
    let left = std::fs::read_dir(server.bucket("evals").join("runs/_runs/many/journal")).expect("a folder").count();
    assert!(left < 100, "small segments are merged while the run goes on, and there are {left}");
}
