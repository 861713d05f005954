//! What goes wrong is told by what went wrong, without a password.

use std::os::unix::fs::PermissionsExt as _;

use ef_model::{Environment, Payload, StoreError, TaskCommit, TraceStore as _};
use ef_store_postgres::PostgresStore;
use ef_testkit::postgres_server::{PASSWORD, PostgresServer};
use ef_testkit::{commit, head, record};

use crate::place::{append, begun, database, new_store, open, rows, secret, server};

async fn refusal(uri: &str) -> String {
    refusal_in(uri, &[]).await
}

async fn refusal_in(uri: &str, variables: &[(&str, &str)]) -> String {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let refused = PostgresStore::open(&secret(uri), &Environment::new(variables)).await;
    let error = refused.expect_err("refused");
    let message = error.to_string();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{message}");
    assert!(!message.contains(PASSWORD) && !message.contains("falsch"), "a password is shown: {message}");
    message
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_so_at_once() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let refused = refusal(&format!("postgres://ada:falsch@{free}/evals")).await;
    let expected = format!(
        "the trace store postgres://ada@{free}/evals is unavailable: no server listens there (connection refused)"
    );
    assert_eq!(refused, expected);
    let refused = refusal("postgres:///evals?host=/nowhere&user=ada&password=falsch").await;
    assert_eq!(
        refused,
        "the trace store postgres://ada@/evals?host=/nowhere&port=5432 is unavailable: no server listens there (the socket \
         does not exist)"
    );
}

#[tokio::test]
async fn something_that_never_answers_is_given_up() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let refused = refusal(&format!("postgres://ada:falsch@{address}/evals?connect_timeout=1")).await;
    assert!(refused.ends_with("no answer within 1 s"), "{refused}");
}

#[tokio::test]
async fn a_refused_login_says_who_was_refused_and_what_is_known_of_the_password() {
    let Some(server) = server() else { return };
    let address = format!("127.0.0.1:{}", server.port());
    let refused = refusal(&format!("postgres://postgres:falsch@{address}/postgres")).await;
    let expected = "the server refuses the login: password authentication failed for user \"postgres\"";
    assert!(refused.ends_with(expected), "{refused}");
    let refused = refusal(&format!("postgres://postgres@{address}/postgres")).await;
    assert!(refused.contains("no password was given: in the URI, in PGPASSWORD, or in a password file"), "{refused}");
    let refused = refusal(&format!("postgres://nobody:falsch@{address}/postgres")).await;
    assert!(refused.contains("\"nobody\""), "{refused}");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_so() {
    let Some(server) = server() else { return };
    let refused = refusal(&server.uri("absent")).await;
    assert!(
        refused.ends_with("the server says: database \"absent\" does not exist; the database has to be created first"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_environment_and_the_password_file_are_used() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (name, port) = (database(&uri), server.port().to_string());
    let place = [("PGHOST", "127.0.0.1"), ("PGPORT", port.as_str()), ("PGUSER", "postgres"), ("PGDATABASE", name)];
    let open = async |more: &[(&str, &str)]| {
        let variables = place.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        PostgresStore::open(&secret("postgres://"), &Environment::new(variables)).await.map(drop)
    };
    open(&[("PGPASSWORD", PASSWORD)]).await.expect("with PGPASSWORD");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".pgpass");
    std::fs::write(&file, format!("127.0.0.1:{port}:*:postgres:{PASSWORD}\n")).expect("written");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("set");
    let path = file.display().to_string();
    let home = folder.path().display().to_string();
    mode(0o600);
    open(&[("PGPASSFILE", &path)]).await.expect("with PGPASSFILE");
    open(&[("HOME", &home)]).await.expect("with ~/.pgpass");
    mode(0o644);
    let refused = open(&[("HOME", &home)]).await.expect_err("others may read it").to_string();
    assert!(refused.contains("was not read, because others than its owner may read it"), "{refused}");
    open(&[]).await.expect_err("without a password");
}

#[tokio::test]
async fn no_password_is_shown_by_a_store() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let store = open(&server.tcp_uri(database(&uri))).await.expect("opened with a password");
    for shown in [format!("{store:?}"), format!("{store:#?}"), store.name().to_owned()] {
        assert!(shown.contains("127.0.0.1") && !shown.contains(PASSWORD), "{shown}");
    }
}

fn reader(server: &PostgresServer, uri: &str, role: &str, rights: &str) -> String {
    let schema = "GRANT USAGE ON SCHEMA eval_fabric TO";
    server.sql(database(uri), &format!("CREATE ROLE {role} LOGIN; {schema} {role}; {rights}"));
    uri.replace("user=postgres", &format!("user={role}"))
}

#[tokio::test]
async fn a_role_that_may_only_read_reads_and_is_told_that_it_may_not_write() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (writer, run) = begun(&uri, "run").await;
    append(&writer, &run, 1..11).await;
    writer.close().await;
    let rights = "GRANT SELECT ON ALL TABLES IN SCHEMA eval_fabric TO only_reads";
    let store = open(&reader(server, &uri, "only_reads", rights)).await.expect("it may read");
    assert_eq!(rows(&store, &run).await.len(), 10);
    assert!(store.payloads(&[ef_testkit::item(1).input.digest()]).await.expect("readable")[0].is_some());
    let other = head("other", 1);
    for refused in [store.begin(&other).await, store.resume(&run).await, store.append(&run, [commit(1)].into()).await] {
        let refused = refused.expect_err("it may not write");
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
        assert!(refused.to_string().ends_with("the role lacks a right: permission denied for table runs"), "{refused}");
    }
}

#[tokio::test]
async fn a_role_needs_no_more_rights_than_the_readme_says() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let rights = "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA eval_fabric TO writes;
                  GRANT UPDATE (status, result, writer) ON eval_fabric.runs TO writes";
    let (store, run) = begun(&reader(server, &uri, "writes", rights), "run").await;
    append(&store, &run, 1..4).await;
    store.finish(&ef_testkit::result(&head("run", 1), ef_model::RunStatus::Aborted)).await.expect("finished");
    store.resume(&run).await.expect("taken up");
    append(&store, &run, 3..6).await;
    assert_eq!(rows(&store, &run).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_role_without_rights_is_told_which_it_lacks() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    server.sql(database(&uri), "CREATE ROLE stranger LOGIN");
    let refused = refusal(&uri.replace("user=postgres", "user=stranger")).await;
    assert!(refused.ends_with("the role \"stranger\" may not use the schema \"eval_fabric\" (GRANT USAGE ON SCHEMA)"));
    let refused = refusal(&reader(server, &uri, "sees_nothing", "")).await;
    assert!(refused.ends_with("the role lacks a right: permission denied for table schema_versions"), "{refused}");
}

#[tokio::test]
async fn a_server_that_can_only_be_read_is_told_so() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    server.sql(database(&uri), &format!("ALTER DATABASE {} SET default_transaction_read_only = on", database(&uri)));
    let store = open(&uri).await.expect("it can be read");
    let refused = store.begin(&head("run", 1)).await.expect_err("it cannot be written").to_string();
    assert!(refused.contains("it can only be read: the server is a standby, or the role may only read"), "{refused}");
}

#[tokio::test]
async fn a_statement_that_is_held_up_too_long_fails_and_leaves_nothing() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&format!("{uri}&options=-c%20statement_timeout%3D200ms"), "run").await;
    append(&store, &run, 1..3).await;
    let name = database(&uri).to_owned();
    // Somebody rebuilds a table meanwhile.
    let lock = "BEGIN; LOCK TABLE eval_fabric.traces; SELECT pg_sleep(1); COMMIT";
    let held = std::thread::spawn(move || server.sql(&name, lock));
    let is_held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation =
                   'eval_fabric.traces'::regclass";
    while server.sql(database(&uri), is_held).trim() == "0" {}
    let refused = store.append(&run, [commit(9)].into()).await.expect_err("held up").to_string();
    assert!(refused.ends_with("a statement took longer than its time limit (statement_timeout)"), "{refused}");
    held.join().expect("no panic");
    append(&store, &run, 3..5).await;
    assert_eq!(rows(&store, &run).await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_postgres_cannot_hold_is_refused_without_being_quoted() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    // Not JSON: a payload with a raw NUL cannot come from outside.
    let payload = Payload::from_checked("\"vertraulich \0\"");
    let refused = store.append(&run, [TaskCommit::new(record(1), vec![payload])].into()).await;
    let refused = refused.expect_err("a NUL").to_string();
    assert!(refused.ends_with("the server refuses a value (SQLSTATE 22021)"), "{refused}");
    // An escaped one is a text like any other.
    let escaped = Payload::parse("\"vertraulich \\u0000\"").expect("strict JSON");
    let commit = TaskCommit::new(record(1), vec![escaped.clone()]);
    store.append(&run, [commit].into()).await.expect("appended");
    assert_eq!(store.payloads(&[escaped.digest()]).await.expect("readable"), [Some(escaped)]);
}
