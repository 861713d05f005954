//! Where nothing is asked for, nothing is: no connection, no thread, no span.

use std::collections::BTreeSet;
use std::time::Duration;

use ef_testkit::otlp_server::{OtlpServer, Protocol};

use crate::process::Running;
use crate::slow::Slow;
use crate::world::{Variables, variables};

const RUN: &str = "run spec.yaml --dataset dataset.jsonl";

/// All names of threads of a run, and whether what it calls is told of a span.
fn seen(variables: &[(String, String)]) -> (BTreeSet<String>, bool) {
    let slow = Slow::new(40, Duration::from_millis(50));
    let mut running = Running::start(&slow.folder, RUN, variables);
    let mut threads = BTreeSet::new();
    while running.is_running() {
        threads.extend(running.threads());
        std::thread::sleep(Duration::from_millis(5));
    }
    // Until the program runs, its first thread has the name of the test's; the dataset's is gone in a moment.
    threads.retain(|name| !name.starts_with("off::") && name != "ef-dataset");
    running.ended().0.exits(0);
    let requests = slow.server.requests();
    assert_eq!(requests.len(), 40);
    (threads, requests.iter().any(|request| request.header("traceparent").is_some()))
}

/// The variables of a receiver, with every exporter as none.
fn none(server: &OtlpServer, protocol: Protocol) -> Variables {
    let mut variables = server.variables(protocol);
    for (name, value) in &mut variables {
        if name.ends_with("_EXPORTER") {
            "none".clone_into(value);
        }
    }
    variables
}

#[test]
fn with_no_exporter_there_is_no_connection_no_thread_and_no_span() {
    let (plain, is_told) = seen(&[]);
    assert!(!is_told, "there are no spans");
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let server = OtlpServer::start();
        let (threads, is_told) = seen(&none(&server, protocol));
        assert_eq!((&threads, is_told), (&plain, false));
        assert_eq!(server.counts().connections, 0);
    }
    // So that the above means something.
    let server = OtlpServer::start();
    let (threads, is_told) = seen(&server.variables(Protocol::Http));
    assert!(is_told && threads.len() > plain.len(), "{threads:?}");
    let more: Vec<_> = threads.difference(&plain).collect();
    assert!(more.len() >= 3, "a thread for each signal: {more:?}");
}

#[test]
fn a_disabled_sdk_is_none_of_them_whatever_else_is_said() {
    let server = OtlpServer::start();
    let mut variables = server.variables(Protocol::Http);
    variables.extend(self::variables(&[("OTEL_SDK_DISABLED", "true")]));
    let (threads, is_told) = seen(&variables);
    assert_eq!((threads, is_told), (seen(&[]).0, false));
    assert_eq!(server.counts().connections, 0);
}
