//! The schema: made once, checked on open, changed by nobody else.

use ef_model::{Environment, StoreError};
use ef_store_postgres::{PostgresStore, SCHEMA_VERSION};

use crate::place::{append, begun, database, init, new_store, open, rows, secret, server};

async fn migrate(uri: &str, to: i64) -> Result<i64, StoreError> {
    PostgresStore::migrate(&secret(uri), &Environment::default(), to).await
}

fn reason(refused: Result<impl std::fmt::Debug, StoreError>) -> String {
    match refused {
        Err(StoreError::NotAStore { reason, .. }) => reason,
        other => panic!("not refused as no store: {other:?}"),
    }
}

#[tokio::test]
async fn a_database_without_the_schema_is_told_so_and_opening_makes_nothing() {
    let Some(server) = server() else { return };
    let uri = server.database();
    let expected = "the database has no schema \"eval_fabric\": it has not been initialised";
    assert_eq!(reason(open(&uri).await), expected);
    assert_eq!(reason(migrate(&uri, SCHEMA_VERSION).await), expected);
    assert_eq!(
        server.sql(database(&uri), "SELECT count(*) FROM pg_namespace WHERE nspname = 'eval_fabric'").trim(),
        "0"
    );
}

#[tokio::test]
async fn making_a_store_again_changes_nothing() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    let (store, run) = begun(&uri, "run").await;
    append(&store, &run, 1..3).await;
    init(&uri).await.expect("it is there");
    assert_eq!(migrate(&uri, SCHEMA_VERSION).await.expect("nothing to do"), SCHEMA_VERSION);
    assert_eq!(rows(&store, &run).await, [1, 2]);
    let versions = server.sql(database(&uri), "SELECT version FROM eval_fabric.schema_versions");
    assert_eq!(versions.trim(), SCHEMA_VERSION.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_make_the_same_store_at_once_all_get_it() {
    let Some(server) = server() else { return };
    let uri = server.database();
    let make = || {
        let uri = uri.clone();
        tokio::spawn(async move { init(&uri).await })
    };
    let made: Vec<_> = (0..8).map(|_| make()).collect();
    for made in made {
        made.await.expect("no panic").expect("a store");
    }
    open(&uri).await.expect("the store opens");
}

#[tokio::test]
async fn invariant_9_another_schema_version_is_refused_and_untouched() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    server.sql(database(&uri), "UPDATE eval_fabric.schema_versions SET version = 7");
    for refused in [open(&uri).await.map(drop), init(&uri).await, migrate(&uri, 7).await.map(drop)] {
        let Err(StoreError::SchemaVersion { found: 7, supported: SCHEMA_VERSION, .. }) = refused else {
            panic!("a later version was taken: {refused:?}")
        };
    }
    assert_eq!(server.sql(database(&uri), "SELECT version FROM eval_fabric.schema_versions").trim(), "7");
}

#[tokio::test]
async fn a_version_that_is_not_known_is_no_aim() {
    let Some(server) = server() else { return };
    let uri = new_store(server).await;
    for to in [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1] {
        let refused = migrate(&uri, to).await.expect_err("not known").to_string();
        assert!(refused.ends_with(&format!("versions up to {SCHEMA_VERSION}, not to {to}")), "{refused}");
    }
}

#[tokio::test]
async fn a_schema_of_another_program_is_left_alone() {
    let Some(server) = server() else { return };
    let uri = server.database();
    server.sql(database(&uri), "CREATE SCHEMA eval_fabric CREATE TABLE theirs (x int)");
    let expected = "the schema \"eval_fabric\" holds tables of another program";
    assert_eq!(reason(open(&uri).await), expected);
    assert_eq!(reason(init(&uri).await), expected);
    let tables =
        server.sql(database(&uri), "SELECT relname FROM pg_class WHERE relnamespace = 'eval_fabric'::regnamespace");
    assert_eq!(tables.trim(), "theirs");
}

#[tokio::test]
async fn stores_in_two_schemas_of_a_database_know_nothing_of_each_other() {
    let Some(server) = server() else { return };
    let one = new_store(server).await;
    let other = format!("{one}&schema=team_b");
    assert_eq!(reason(open(&other).await), "the database has no schema \"team_b\": it has not been initialised");
    init(&other).await.expect("a second store");
    let (one, run) = begun(&one, "run").await;
    let (other, _) = begun(&other, "run").await;
    append(&one, &run, 1..3).await;
    append(&other, &run, 3..4).await;
    assert_eq!((rows(&one, &run).await, rows(&other, &run).await), (vec![1, 2], vec![3]));
    assert!(other.name().ends_with("&schema=team_b"), "{}", other.name());
    assert!(one.size().await.expect("a size") > 0);
}

#[tokio::test]
async fn a_role_that_may_not_make_schemas_fills_one_that_was_made_for_it() {
    let Some(server) = server() else { return };
    let uri = server.database();
    server.sql(database(&uri), "CREATE ROLE guest LOGIN");
    let guest = uri.replace("user=postgres", "user=guest");
    let refused = init(&guest).await.expect_err("no right").to_string();
    assert!(refused.contains("lacks a right: permission denied for database"), "{refused}");
    server.sql(database(&uri), "CREATE SCHEMA eval_fabric AUTHORIZATION guest");
    assert_eq!(reason(open(&guest).await), "the schema \"eval_fabric\" is empty: it has not been initialised");
    init(&guest).await.expect("filled");
    let (store, run) = begun(&guest, "run").await;
    append(&store, &run, 1..2).await;
    drop(store);
    server.sql(database(&uri), "DROP OWNED BY guest; DROP ROLE guest");
}

#[tokio::test]
async fn a_database_that_cannot_keep_every_text_is_refused() {
    let Some(server) = server() else { return };
    server.sql("postgres", "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    let refused = init(&server.uri("latin")).await.expect_err("not UTF-8").to_string();
    assert!(refused.contains("encoding is LATIN1, and UTF8 is needed"), "{refused}");
}

#[test]
fn no_statement_deletes_or_changes_a_record_or_a_payload() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let texts: Vec<String> = std::fs::read_dir(folder)
        .expect("the sources are there")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a source"))
        .collect();
    let objects_of = |verb: &str| {
        let after = |text: &String| -> Vec<String> {
            let objects = text.split(verb).skip(1);
            objects.map(|rest| rest.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()).collect()
        };
        let mut objects: Vec<String> = texts.iter().flat_map(after).filter(|object| !object.is_empty()).collect();
        objects.sort();
        objects.dedup();
        objects
    };
    assert!(objects_of("INSERT INTO ").contains(&"runs".to_owned()), "the statements are found");
    assert_eq!(objects_of("UPDATE "), ["runs"], "a run's end, its going on, and who writes it");
    for verb in ["DELETE FROM ", "DROP ", "TRUNCATE ", "MERGE INTO ", "DO UPDATE SET "] {
        assert_eq!(objects_of(verb), [""; 0], "{verb}");
    }
}
