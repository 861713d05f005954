//! TLS: what was demanded is what happens.

use ef_model::{StoreError, TraceStore as _};
use ef_testkit::postgres_server::{HOST, PASSWORD, PostgresOptions, PostgresServer};

use crate::place::{append, begun, database, new_store, open};

#[tokio::test]
async fn a_client_that_demands_a_certificate_gets_the_one_that_it_trusts_or_nothing() {
    let options = PostgresOptions { tls: true, ..PostgresOptions::default() };
    let Some(server) = PostgresServer::start(options) else { return };
    let local = new_store(&server).await;
    let named = server.tcp_uri(database(&local)).replace("127.0.0.1", HOST);
    let numbered = server.tcp_uri(database(&local));
    let [root, other] = ["ca.pem", "other.pem"].map(|file| server.folder().join(file).display().to_string());
    let refused = async |uri: String| {
        let error = open(&uri).await.expect_err("refused");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let message = error.to_string();
        assert!(!message.contains(PASSWORD), "{message}");
        message
    };

    let trusted = format!("{named}?sslmode=verify-full&sslrootcert={root}");
    let (store, run) = begun(&trusted, "run").await;
    append(&store, &run, 1..100).await;
    let ways = "SELECT string_agg(DISTINCT ssl::text, ',') FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
                WHERE a.application_name = 'eval-fabric'";
    assert_eq!(server.sql("postgres", ways).trim(), "true", "all connections are encrypted");
    assert!(store.run(&run).await.expect("readable").is_some());

    let message = refused(format!("{named}?sslmode=verify-full&sslrootcert={other}")).await;
    assert!(message.contains("no TLS: invalid peer certificate: "), "another root: {message}");
    let message = refused(format!("{numbered}?sslmode=verify-full&sslrootcert={root}")).await;
    assert!(
        message.contains("no TLS: invalid peer certificate: certificate not valid for name"),
        "another name: {message}"
    );
    let message = refused(format!("{named}?sslmode=verify-full")).await;
    assert!(message.contains("no TLS: invalid peer certificate: "), "the system's roots alone: {message}");
    let message = refused(format!("{named}?sslmode=disable")).await;
    assert!(message.contains("the server refuses the login: no pg_hba.conf entry"), "without TLS: {message}");
    let message = refused(format!("{named}?sslmode=require&sslrootcert={other}")).await;
    assert!(message.contains("invalid peer certificate"), "a root that is named is checked: {message}");

    open(&format!("{numbered}?sslmode=verify-ca&sslrootcert={root}")).await.expect("the name does not matter");
    open(&format!("{numbered}?sslmode=require")).await.expect("nothing is checked");
    open(&numbered).await.expect("TLS is preferred");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let Some(server) = crate::place::server() else { return };
    let uri = new_store(server).await;
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = open(&format!("{}?sslmode={mode}", server.tcp_uri(database(&uri)))).await;
        let message = refused.expect_err("no TLS there").to_string();
        assert!(message.ends_with("no TLS: server does not support TLS"), "{message}");
    }
}
