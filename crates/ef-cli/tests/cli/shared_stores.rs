//! Stores that others share: in a Postgres database, and in object storage. What goes wrong with them is told with what to
//! do, ends with exit 4, and loses nothing.

use ef_testkit::postgres_server::{PASSWORD, PostgresOptions, PostgresServer, Stop};
use ef_testkit::s3_server::S3Server;

use crate::folder::{Ended, Folder, assert_seen};

const RUN: &str = "run spec.yaml --dataset dataset.jsonl";

/// `ef` in a folder, with a store elsewhere.
pub(crate) struct Place {
    pub(crate) folder: Folder,
    pub(crate) uri: String,
    pub(crate) environment: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new(folder: Folder, uri: impl Into<String>) -> Self {
        Self { folder, uri: uri.into(), environment: Vec::new() }
    }

    /// Runs `ef` with the store.
    pub(crate) fn ef(&self, line: &str) -> Ended {
        self.bare(&format!("{line} --store {}", self.uri))
    }

    /// Runs `ef` with the variables that the store needs, and nothing else.
    pub(crate) fn bare(&self, line: &str) -> Ended {
        self.folder.ef_with(line.split_whitespace(), "", &self.variables())
    }

    pub(crate) fn variables(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn without(mut self, variable: &str) -> Self {
        self.environment.retain(|(name, _)| name != variable);
        self
    }
}

/// A server that listens on TCP, or none, which was said then.
pub(crate) fn postgres() -> Option<PostgresServer> {
    PostgresServer::start(PostgresOptions { tcp: true, ..PostgresOptions::default() })
}

/// A place with a store in object storage.
pub(crate) fn in_bucket(server: &S3Server, folder: Folder) -> Place {
    let uri = "s3://evals/team?format=parquet&lease_seconds=1";
    Place { environment: server.variables().to_vec(), ..Place::new(folder, uri) }
}

/// What was said, without what differs from server to server.
fn seen(server: &PostgresServer, ended: &Ended) -> String {
    let text = ended.to_string().replace(&server.port().to_string(), "PORT");
    assert!(!text.contains(PASSWORD) && !text.contains("hunter2"), "{text}");
    text.replace(&server.folder().display().to_string(), "FOLDER")
}

#[test]
fn a_team_shares_a_database() {
    let Some(server) = postgres() else { return };
    let database = server.database();
    let place = Place::new(Folder::new(), database);
    assert_seen("postgres_without_init", seen(&server, &place.ef(RUN).exits(4)));
    assert_seen("postgres_init", seen(&server, &place.ef("tracestore init").exits(0)));
    place.ef("tracestore init").exits(0);
    place.ef(&format!("{RUN} --run-id shared")).exits(0);
    place.ef("gate shared --metric accuracy --min 0.7").exits(0);
    place.ef("verify shared").exits(0);
    let info = place.ef("tracestore info --format json").exits(0).json();
    assert_eq!((&info["runs"], &info["records"]), (&1.into(), &4.into()));
    assert!(info["bytes"].as_u64().is_some_and(|bytes| bytes > 8192), "{info}");
    place.ef("tracestore migrate --to 1").exits(0);
    // And back to a laptop, and into an archive.
    for to in ["sqlite://copy.db", "parquet://archive"] {
        place.bare(&format!("tracestore export {} --to {to}", place.uri)).exits(0);
        place.bare(&format!("verify shared --store {to}")).exits(0);
        let [here, there] = [place.uri.as_str(), to].map(|uri| {
            place.bare(&format!("show shared --traces --payloads --format json --store {uri}")).exits(0).stdout
        });
        assert!(here == there && here.lines().count() == 4, "{to}");
    }
    let other = server.database();
    let into = |uri: &str| place.bare(&format!("tracestore export sqlite://copy.db --to {uri}"));
    assert_seen("postgres_export_without_init", seen(&server, &into(&other).exits(4)));
    place.bare(&format!("tracestore init {other}")).exits(0);
    into(&other).exits(0);
}

#[test]
fn what_a_database_server_refuses_is_told_with_what_to_do() {
    let Some(server) = postgres() else { return };
    let place = Place::new(Folder::new(), server.database());
    place.ef("tracestore init").exits(0);
    place.ef(&format!("{RUN} --run-id kept")).exits(0);
    let name = place.uri.trim_start_matches("postgres:///").split('?').next().expect("a database").to_owned();
    let tcp = server.tcp_uri(&name);
    place.bare(&format!("runs --store {tcp}")).exits(0);
    let mut told = String::new();
    for uri in [
        tcp.replace(PASSWORD, "hunter2"),
        tcp.replace(&name, "nowhere"),
        tcp.replace("postgres:geheim", "nobody:geheim"),
        format!("{tcp}?sslmode=hunter2"),
    ] {
        told += &format!("{}\n", seen(&server, &place.bare(&format!("{RUN} --store {uri}")).exits(4)));
    }
    assert_seen("postgres_refused", told);

    server.sql(
        &name,
        "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA eval_fabric TO reader; \
                       GRANT SELECT ON ALL TABLES IN SCHEMA eval_fabric TO reader",
    );
    let reader = place.uri.replace("user=postgres", "user=reader");
    place.bare(&format!("show kept --store {reader}")).exits(0);
    assert_seen("postgres_read_only", seen(&server, &place.bare(&format!("{RUN} --store {reader}")).exits(4)));

    server.sql(&name, "INSERT INTO eval_fabric.schema_versions (version) VALUES (2)");
    assert_seen("postgres_newer", seen(&server, &place.ef("runs").exits(4)));
    let set =
        "DELETE FROM eval_fabric.schema_versions WHERE version <> 1; UPDATE eval_fabric.schema_versions SET version =";
    server.sql(&name, &format!("{set} 0"));
    assert_seen("postgres_older", seen(&server, &place.ef("runs").exits(4)));
    server.sql(&name, "UPDATE eval_fabric.schema_versions SET version = 1");
    assert_eq!(place.ef("runs --format json").exits(0).json()["run_id"], "kept", "nothing was lost");

    server.stop(Stop::Fast);
    let environment = vec![("PGCONNECT_TIMEOUT".to_owned(), "2".to_owned())];
    let down = Place { environment, ..Place::new(Folder::new(), tcp) };
    assert_seen("postgres_down", seen(&server, &down.ef(RUN).exits(4)));
}

#[test]
fn invariant_8_a_password_in_a_uri_is_neither_shown_nor_kept() {
    let Some(server) = postgres() else { return };
    let database = server.database();
    let name = database.trim_start_matches("postgres:///").split('?').next().expect("a database").to_owned();
    let place = Place::new(Folder::new(), server.tcp_uri(&name));
    let spec = crate::folder::SPEC.to_owned() + &format!("runtime: {{trace_store: \"{}\"}}\n", place.uri);
    place.folder.write("spec.yaml", spec);
    let mut said = String::new();
    for line in
        ["tracestore init", "tracestore info", &format!("{RUN} --run-id kept"), "show kept", "resume kept", "runs"]
    {
        said += &place.ef(line).exits(0).to_string();
    }
    said += &place.bare(&format!("{RUN} --run-id by-spec")).exits(0).to_string();
    said += &place.bare(&format!("tracestore export {} --to sqlite://copy.db", place.uri)).exits(0).to_string();
    assert!(said.contains("--store postgres://postgres@127.0.0.1:"), "the next command is told: {said}");
    let kept = server.sql(&name, "SELECT string_agg(head || coalesce(result, ''), '') FROM eval_fabric.runs");
    let artifact = String::from_utf8(place.folder.read("runs/kept.json")).expect("UTF-8");
    let copied = String::from_utf8_lossy(&place.folder.read("copy.db")).into_owned();
    for (what, text) in [("output", said), ("database", kept), ("artifact", artifact), ("copy", copied)] {
        assert!(!text.contains(PASSWORD), "the password is in the {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_object_storage_refuses_is_told_with_what_to_do() {
    let server = S3Server::start(&["evals"]).await;
    let seen = |ended: &Ended| ended.to_string().replace(&server.endpoint(), "ENDPOINT");
    let place = in_bucket(&server, Folder::new());
    assert_seen("s3_without_init", seen(&place.ef(RUN).exits(4)));
    assert_seen("s3_init", seen(&place.ef("tracestore init").exits(0)));
    place.ef(&format!("{RUN} --run-id kept")).exits(0);
    place.ef("verify kept").exits(0);
    let elsewhere = Place { uri: place.uri.replace("evals", "nowhere"), ..in_bucket(&server, Folder::new()) };
    assert_seen("s3_no_bucket", seen(&elsewhere.ef("runs").exits(4)));
    let stranger = in_bucket(&server, Folder::new()).without("AWS_SECRET_ACCESS_KEY").without("AWS_ACCESS_KEY_ID");
    assert_seen("s3_no_credentials", seen(&stranger.ef("runs").exits(4)));
    let mut liar = in_bucket(&server, Folder::new());
    liar.environment.iter_mut().for_each(|(name, value)| {
        if name == "AWS_SECRET_ACCESS_KEY" {
            "hunter2-hunter2".clone_into(value);
        }
    });
    let refused = seen(&liar.ef("runs").exits(4));
    assert!(!refused.contains("hunter2"), "{refused}");
    assert_seen("s3_wrong_secret", refused);
    assert_seen(
        "s3_secret_in_uri",
        seen(&place.bare("runs --store s3://evals/x?format=parquet&secret_access_key=hunter2").exits(4)),
    );
    std::fs::write(server.bucket("evals").join("team/_eval_fabric.json"), "{}").expect("written");
    assert_seen("s3_foreign", seen(&place.ef("runs").exits(4)));
}
