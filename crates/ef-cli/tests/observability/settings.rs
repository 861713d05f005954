//! The settings that OpenTelemetry defines for every program, as `ef` takes them.

use std::collections::BTreeSet;

use ef_testkit::otlp_server::{Options, OtlpServer, Protocol, Signal, Tls};

use crate::folder::{Ended, Folder};
use crate::world::{Variables, ef, variables};

const BOTH: [Protocol; 2] = [Protocol::Http, Protocol::Grpc];
const RUN: &str = "run spec.yaml --dataset dataset.jsonl --format json";

/// A run of four items with the variables of a receiver and more of them.
fn run(server: &OtlpServer, protocol: Protocol, more: &[(&str, &str)]) -> Ended {
    let mut all = server.variables(protocol);
    all.extend(variables(more));
    run_with(&all)
}

fn run_with(variables: &Variables) -> Ended {
    let folder = Folder::new();
    let ended = ef(&folder, RUN, variables).exits(0);
    assert_eq!(ended.json()["counts"]["ok"], 4, "{ended}");
    ended
}

/// All three signals have arrived whole.
fn assert_all_there(server: &OtlpServer) {
    let tasks = server.spans().iter().filter(|span| span.name == "eval.task").count();
    assert_eq!(tasks, 4);
    assert!(!server.metrics().is_empty() && !server.logs().is_empty());
    assert_eq!(server.counts().malformed, 0);
}

#[test]
fn headers_are_sent_and_those_of_a_signal_win() {
    for protocol in BOTH {
        let server = OtlpServer::start();
        let headers = "authorization=Bearer%20geheim-4d, x-team=blue";
        let more = [("OTEL_EXPORTER_OTLP_HEADERS", headers), ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-team=red")];
        let ended = run(&server, protocol, &more);
        assert_all_there(&server);
        for request in server.requests() {
            let is_logs = request.message.signal() == Signal::Logs;
            assert_eq!(request.header("x-team"), Some(if is_logs { "red" } else { "blue" }));
            if !is_logs {
                assert_eq!(request.header("authorization"), Some("Bearer geheim-4d"));
            }
        }
        assert!(!ended.to_string().contains("geheim"), "{ended}");
    }
}

#[test]
fn over_tls_it_is_sent_to_whom_the_named_authority_vouches_for_and_to_nobody_else() {
    for protocol in BOTH {
        let server = OtlpServer::start_tls();
        run(&server, protocol, &[]);
        assert_all_there(&server);
        let stranger = OtlpServer::start_tls();
        let other = stranger.other_ca_file().display().to_string();
        let ended = run(&stranger, protocol, &[("OTEL_EXPORTER_OTLP_CERTIFICATE", &other)]);
        assert_eq!(stranger.counts().requests, 0, "{ended}");
        assert!(ended.stderr.contains("cannot be sent"), "{ended}");
    }
}

#[test]
fn a_collector_that_asks_for_a_certificate_gets_it() {
    for protocol in BOTH {
        let options = Options { tls: Tls::ClientCertificate, ..Options::default() };
        let server = OtlpServer::start_with(([127, 0, 0, 1], 0).into(), options).expect("a port");
        let (certificate, key) = server.client_files();
        let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
        let more =
            [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate.as_str()), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key)];
        run(&server, protocol, &more);
        assert_all_there(&server);
    }
}

#[test]
fn what_is_to_be_compressed_is() {
    for protocol in BOTH {
        let server = OtlpServer::start();
        run(&server, protocol, &[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]);
        assert_all_there(&server);
        assert!(server.requests().iter().all(|request| request.compressed), "{protocol:?}");
        let plain = OtlpServer::start();
        run(&plain, protocol, &[]);
        assert!(plain.requests().iter().all(|request| !request.compressed), "{protocol:?}");
    }
}

#[test]
fn everything_says_whose_it_is_and_nothing_of_the_machine() {
    let server = OtlpServer::start();
    run(&server, Protocol::Http, &[]);
    let named = OtlpServer::start();
    let attributes = "team=search,deployment.environment.name=ci,service.name=other";
    run(&named, Protocol::Http, &[("OTEL_RESOURCE_ATTRIBUTES", attributes), ("OTEL_SERVICE_NAME", "nightly")]);
    for (server, name) in [(&server, "eval-fabric"), (&named, "nightly")] {
        let spans = server.spans().into_iter().map(|span| span.resource);
        let points = server.metrics().into_iter().map(|point| point.resource);
        let resources = spans.chain(points).chain(server.logs().into_iter().map(|record| record.resource));
        let resources: Vec<_> = resources.collect();
        for resource in &resources {
            assert_eq!(
                (&resource["service.name"], &resource["service.version"]),
                (&name.into(), &env!("CARGO_PKG_VERSION").into())
            );
            assert_eq!(resource, &resources[0], "all three signals are of one resource");
            let of_machine = |key: &&String| ["host.", "process.", "os."].iter().any(|start| key.starts_with(start));
            assert_eq!(resource.keys().find(of_machine), None);
        }
        assert_eq!(resources[0].contains_key("team"), name == "nightly");
    }
    let resource = &named.spans()[0].resource;
    assert_eq!((&resource["team"], &resource["deployment.environment.name"]), (&"search".into(), &"ci".into()));
    assert_ne!(resource["service.instance.id"], server.spans()[0].resource["service.instance.id"]);
}

#[test]
fn a_sampler_that_takes_nothing_leaves_metrics_and_logs() {
    let server = OtlpServer::start();
    run(&server, Protocol::Http, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    assert!(server.spans().is_empty());
    assert!(!server.metrics().is_empty() && !server.logs().is_empty());
}

#[test]
fn a_ratio_takes_about_that_many_runs_and_those_whole() {
    let server = OtlpServer::start();
    for _ in 0..48 {
        run(
            &server,
            Protocol::Http,
            &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")],
        );
    }
    let spans = server.spans();
    let runs = spans.iter().filter(|span| span.name == "eval.run").count();
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    // Farther from 24 than this, one time in three hundred thousand.
    assert!((8..=40).contains(&runs), "{runs} of 48 at a ratio of a half");
    assert_eq!(traces.len(), runs);
    assert_eq!(spans.iter().filter(|span| span.name == "eval.task").count(), 4 * runs, "a trace is whole");
}

#[test]
fn each_signal_has_its_own_endpoint_which_is_used_as_it_is() {
    let (traces, metrics) = (OtlpServer::start(), OtlpServer::start());
    let traces_endpoint = format!("{}/v1/traces", traces.endpoint());
    let metrics_endpoint = format!("{}/v1/metrics", metrics.endpoint());
    run_with(&variables(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_METRICS_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &traces_endpoint),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &metrics_endpoint),
    ]));
    assert!(!traces.spans().is_empty() && traces.metrics().is_empty());
    assert!(!metrics.metrics().is_empty() && metrics.spans().is_empty());
    assert!(traces.logs().is_empty() && metrics.logs().is_empty(), "nobody asked for logs");
}

#[test]
fn the_console_shows_spans_and_numbers_to_people_and_leaves_standard_output_to_the_result() {
    let console = variables(&[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_METRICS_EXPORTER", "console")]);
    let ended = run_with(&console);
    for wanted in
        ["eval.run", "eval.task", "eval.judge.eval_fabric.exact_match", "tracestore.put", "eval_fabric.tasks.completed"]
    {
        assert!(ended.stderr.contains(wanted), "{wanted}: {ended}");
    }
    assert!(!ended.stderr.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn a_list_of_exporters_is_all_of_them() {
    let server = OtlpServer::start();
    let ended = run(&server, Protocol::Grpc, &[("OTEL_TRACES_EXPORTER", "otlp,console")]);
    assert_all_there(&server);
    assert!(ended.stderr.contains("eval.task"), "{ended}");
}

#[test]
fn a_wrong_value_is_a_warning_that_names_its_variable_and_the_run_goes_on() {
    let wrong = [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_LOGS_EXPORTER", "otlp,file"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address geheim"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://127.0.0.1/geheim"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "geheim"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=geheim%0d%0ax: y"),
        ("OTEL_RESOURCE_ATTRIBUTES", "geheim"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1e999"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "never"),
        ("OTEL_SDK_DISABLED", "perhaps"),
        ("EVAL_FABRIC_LOG_LEVEL", "loud"),
    ];
    let server = OtlpServer::start();
    for (name, value) in wrong {
        let ended = run(&server, Protocol::Http, &[(name, value)]);
        let warned: Vec<_> = ended.stderr.lines().filter(|line| line.contains("WARN") && line.contains(name)).collect();
        assert_eq!(warned.len(), 1, "{name}={value}: {ended}");
        assert!(!ended.stderr.contains("geheim"), "{name}={value}: {ended}");
    }
    let sampler = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "half")];
    let ended = run(&server, Protocol::Http, &sampler);
    assert!(ended.stderr.contains("OTEL_TRACES_SAMPLER_ARG"), "{ended}");
    let missing = [("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")];
    let ended = run(&OtlpServer::start_tls(), Protocol::Http, &missing);
    assert!(
        ended.stderr.contains("OTEL_EXPORTER_OTLP_CERTIFICATE") || ended.stderr.contains("cannot be sent"),
        "{ended}"
    );
}

#[test]
fn a_password_in_an_endpoint_is_neither_sent_as_part_of_it_nor_told() {
    let server = OtlpServer::start();
    let endpoint = format!("http://user:geheim-8e@{}", server.address());
    let ended = run(&server, Protocol::Http, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    assert!(!ended.to_string().contains("geheim"), "{ended}");
    server.stop();
    let ended = run(&server, Protocol::Http, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    assert!(ended.stderr.contains("cannot be sent") && !ended.to_string().contains("geheim"), "{ended}");
}
