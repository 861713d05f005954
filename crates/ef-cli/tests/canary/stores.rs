//! Stores elsewhere: their passwords and keys, and what they say.

use ef_testkit::postgres_server::{PASSWORD, PostgresOptions, PostgresServer};
use ef_testkit::s3_server::S3Server;

use crate::way::Way;
use crate::world::World;

const SPEC: &str = "schema_version: \"1\"\nid: canary/stores\nversion: 1.0.0\n\
     evaluator: {id: eval_fabric.examples.echo}\njudges: [{id: eval_fabric.exact_match}]\n";

fn world(way: Way) -> World {
    let world = World::new(way);
    world.write("spec.yaml", SPEC);
    let input = world.payload("input for a store");
    world.write(
        "data.jsonl",
        format!("{{\"item_id\": \"a\", \"input\": \"{input}\", \"reference_output\": \"{input}\"}}\n"),
    );
    // So that the collector gets something in every story.
    world.ef("run spec.yaml --dataset data.jsonl --run-id first", 0);
    world
}

const RUN: &str = "run spec.yaml --dataset data.jsonl";

#[test]
fn invariant_8_the_password_of_a_store_that_is_not_there_is_not_told() {
    Way::each(|way| {
        let world = world(way);
        let password = world.secret("password in a store's URI");
        world.set("STORE_PASSWORD", &password);
        world.set("STORE_URI", format!("postgres://user:{password}@127.0.0.1:1/evals"));
        for uri in [
            format!("postgres://user:{password}@127.0.0.1:1/evals?connect_timeout=1"),
            format!("postgres://user:{password}@127.0.0.1:99999/evals"),
            format!("postgres://user:{password}@/evals?nonsense={password}"),
            format!("postgres://user@127.0.0.1:1/evals?password={password}"),
            format!("mysql://user:{password}@h/d"),
            format!("sqlite:///proc/no/x.db?password={password}"),
            format!("s3://{password}@bucket/x?secret_access_key={password}"),
        ] {
            for line in [RUN.to_owned(), "runs".into(), "tracestore info".into(), "tracestore init".into()] {
                let line = format!("{line} --store {uri}");
                let ended = world.ef_anyhow(&line);
                assert!(matches!(ended.code, Some(2 | 4)), "{ended}");
            }
            world.ef_anyhow(&format!("tracestore export sqlite:// --to {uri}"));
        }
        for place in ["${STORE_URI}", "postgres://user:${STORE_PASSWORD}@127.0.0.1:1/evals?connect_timeout=1"] {
            world.write("spec.yaml", format!("{SPEC}runtime: {{trace_store: \"{place}\"}}\n"));
            assert_eq!(world.ef_anyhow(RUN).code, Some(4));
        }
        world.write("spec.yaml", format!("{SPEC}runtime: {{trace_store: \"nonsense://user:{password}@h/d\"}}\n"));
        assert_eq!(world.ef_anyhow(RUN).code, Some(2));
        world.allow("spec.yaml");
        world.assert_silent();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_8_the_keys_of_object_storage_are_not_told() {
    let server = S3Server::start(&["evals"]).await;
    Way::each(|way| {
        let world = world(way);
        let uri = "s3://evals/canary?format=parquet&lease_seconds=1";
        for (name, value) in server.variables() {
            world.set(&name, value);
        }
        world.ef(&format!("tracestore init --store {uri}"), 0);
        world.ef(&format!("{RUN} --store {uri}"), 0);
        world.ef(&format!("show latest --traces --store {uri}"), 0);
        world.set("AWS_SECRET_ACCESS_KEY", world.secret("secret key of object storage"));
        world.set("AWS_SESSION_TOKEN", world.secret("session token of object storage"));
        assert_eq!(world.ef_anyhow(&format!("{RUN} --store {uri}")).code, Some(4));
        world.assert_silent();
    });
}

/// A trigger that quotes what it is given, as somebody's own rule in the database may.
const QUOTING: &str = "SET search_path TO eval_fabric; CREATE FUNCTION quote_it() RETURNS trigger LANGUAGE plpgsql AS $$ \
     BEGIN RAISE EXCEPTION 'refused: %', NEW USING DETAIL = NEW::text, HINT = NEW::text; END $$; \
     CREATE TRIGGER quoting BEFORE INSERT ON payloads FOR EACH ROW EXECUTE FUNCTION quote_it();";

#[test]
fn invariant_8_what_a_postgres_server_says_is_not_told() {
    let options = PostgresOptions { tcp: true, ..PostgresOptions::default() };
    let Some(server) = PostgresServer::start(options) else { return };
    Way::each(|way| {
        let world = world(way);
        let socket = server.database();
        let name = socket.trim_start_matches("postgres:///").split('?').next().expect("a database").to_owned();
        let uri = server.tcp_uri(&name);
        world.ef(&format!("tracestore init {uri}"), 0);
        world.ef(&format!("{RUN} --store {uri} --run-id kept"), 0);
        world.ef(&format!("show latest --traces --format json --store {uri}"), 0);
        world.ef(&format!("tracestore info {uri}"), 0);
        let wrong = world.secret("wrong password of Postgres");
        for refused in
            [uri.replace(PASSWORD, &wrong), format!("{uri}?sslmode={wrong}"), uri.replace("//postgres:", "//nobody:")]
        {
            for line in [format!("{RUN} --store {refused}"), format!("runs --store {refused}")] {
                assert_eq!(world.ef_anyhow(&line).code, Some(4), "{line}");
            }
        }
        world.set("PGPASSWORD", &wrong);
        assert_eq!(
            world.ef_anyhow(&format!("runs --store {}", uri.replace(&format!(":{PASSWORD}"), ""))).code,
            Some(4)
        );
        server.sql(&name, QUOTING);
        let input = world.payload("input that a database refuses");
        world.write("data.jsonl", format!("{{\"item_id\": \"a\", \"input\": \"{input}\"}}\n"));
        let ended = world.ef_anyhow(&format!("{RUN} --store {uri}"));
        assert!(ended.code == Some(4) && ended.stderr.contains("P0001"), "{ended}");
        world.assert_silent();
    });
}
