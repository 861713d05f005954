//! A run has one writer, even while connections are lost; and runs are in nobody's way.

use std::time::Duration;

use ef_model::{ItemId, Payload, RunStatus, StoreError, TaskCommit, TaskRecord, TraceStore as _};
use ef_testkit::{commit, head, record, result};

use crate::place::{append, begun, database, new_store, open, rows, server};

/// Ends all connections that write: those that have a run.
fn end_writers(uri: &str) {
    let server = server().expect("it is there");
    let end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database =
               (SELECT oid FROM pg_database WHERE datname = current_database())";
    server.sql(database(uri), end);
}

#[tokio::test]
async fn a_writer_that_lost_its_run_while_cut_off_writes_no_more() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    for (name, ends) in [("goes on", false), ("has ended", true)] {
        let name = name.replace(' ', "-");
        let (one, run) = begun(&uri, &name).await;
        append(&one, &run, 1..3).await;
        end_writers(&uri);
        let other = open(&uri).await.expect("opens");
        other.resume(&run).await.expect("nobody has it");
        append(&other, &run, 3..4).await;
        if ends {
            other.finish(&result(&head(&name, 1), RunStatus::Aborted)).await.expect("finished");
        }
        for _ in 0..2 {
            let refused = one.append(&run, [commit(4)].into()).await;
            assert!(matches!(&refused, Err(StoreError::RunBusy(id)) if *id == run), "{name}: {refused:?}");
            let refused = one.finish(&result(&head(&name, 1), RunStatus::Completed)).await;
            assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{name}: {refused:?}");
        }
        assert_eq!(rows(&other, &run).await, [1, 2, 3]);
        if ends {
            one.resume(&run).await.expect("free: it may be taken up, if it is asked for");
            append(&one, &run, 4..5).await;
        } else {
            append(&other, &run, 4..5).await;
        }
        assert_eq!(rows(&other, &run).await, [1, 2, 3, 4]);
    }
}

#[tokio::test]
async fn a_writer_that_lost_its_connection_keeps_its_run() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (one, run) = begun(&uri, "run").await;
    end_writers(&uri);
    append(&one, &run, 1..3).await;
    let refused = open(&uri).await.expect("opens").resume(&run).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_that_add_the_same_payloads_in_different_orders_do_not_block_each_other() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let writing = (0..4).map(|number| {
        let uri = uri.clone();
        tokio::spawn(async move {
            let (store, run) = begun(&uri, &format!("run-{number}")).await;
            for batch in 0..5_u64 {
                let mut rows: Vec<u64> = (batch * 60 + 1..batch * 60 + 61).collect();
                // Each in an order of its own.
                rows.rotate_left(number * 17);
                if number % 2 == 0 {
                    rows.reverse();
                }
                store.append(&run, rows.into_iter().map(commit).collect()).await.expect("appended");
            }
        })
    });
    for written in writing.collect::<Vec<_>>() {
        written.await.expect("no panic");
    }
    let counted = server.sql(database(&uri), "SELECT count(*) FROM eval_fabric.payloads; SELECT count(*) FROM eval_fabric.traces; SELECT count(*) FROM eval_fabric.components");
    assert_eq!(counted.split_whitespace().collect::<Vec<_>>(), ["300", "1200", "2"], "each payload and identity once");
    let deadlocks =
        server.sql(database(&uri), "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()");
    assert_eq!(deadlocks.trim(), "0");
}

#[tokio::test]
async fn an_item_from_another_row_is_a_conflict_whatever_the_repeats() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    let twin = |row: u64, repeat: u32, revision: u32| {
        let item_id = ItemId::new("twin").expect("an id");
        TaskCommit::new(TaskRecord { item_id, repeat, revision, ..record(row) }, Vec::new())
    };
    store.append(&run, [twin(5, 0, 0)].into()).await.expect("appended");
    let conflict = async |store: &ef_store_postgres::PostgresStore, batch: Vec<TaskCommit>| {
        let refused = store.append(&run, batch.into()).await;
        assert!(matches!(refused, Err(StoreError::Conflict { row: 6, existing_row: 5, .. })), "{refused:?}");
    };
    conflict(&store, vec![commit(1), twin(6, 1, 0)]).await;
    conflict(&store, vec![twin(6, 0, 1)]).await;
    store.append(&run, [twin(5, 1, 0), twin(5, 0, 1)].into()).await.expect("the same row");
    conflict(&store, vec![twin(6, 2, 0)]).await;
    store.close().await;
    // Who takes the run up does not know what repeats there are.
    let store = open(&uri).await.expect("opens");
    store.resume(&run).await.expect("taken up");
    conflict(&store, vec![twin(6, 0, 7)]).await;
    assert_eq!(rows(&store, &run).await, [5, 5, 5]);
}

#[tokio::test]
async fn an_append_that_nobody_waits_for_any_more_is_whole_and_in_nobodys_way() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    for row in 1..20 {
        let appending = store.append(&run, [commit(row), commit(row + 100)].into());
        let _ = tokio::time::timeout(Duration::from_micros(row * 50), appending).await;
    }
    append(&store, &run, 99..100).await;
    let expected: Vec<u64> = (1..20).chain(99..120).filter(|row| *row != 100).collect();
    assert_eq!(rows(&store, &run).await, expected);
}

#[tokio::test]
async fn a_payload_is_sent_and_stored_once_however_many_runs_and_batches_have_it() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let large = Payload::from_text(&"groß ".repeat(1 << 20));
    let small = Payload::from_text("klein");
    for name in ["first", "second"] {
        let (store, run) = begun(&uri, name).await;
        for row in 1..4 {
            let commit = TaskCommit::new(record(row), vec![small.clone(), large.clone(), small.clone()]);
            store.append(&run, [commit].into()).await.expect("appended");
        }
        assert_eq!(
            store.payloads(&[large.digest(), small.digest()]).await.expect("readable"),
            [Some(large.clone()), Some(small.clone())]
        );
    }
    assert_eq!(server.sql(database(&uri), "SELECT count(*) FROM eval_fabric.payloads").trim(), "2");
}
