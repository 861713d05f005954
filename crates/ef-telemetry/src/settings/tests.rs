//! Every variable: what it does, and what becomes of a wrong value.

use opentelemetry::{Key, Value};

use super::*;

fn read(variables: &[(&str, &str)]) -> Settings {
    Settings::read(&Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))))
}

fn otlp(variables: &[(&str, &str)]) -> Otlp {
    let all = [("OTEL_TRACES_EXPORTER", "otlp")].iter().chain(variables).copied().collect::<Vec<_>>();
    let settings = read(&all);
    assert_eq!(settings.problems, [], "{variables:?}");
    settings.traces.otlp.expect("it is asked for")
}

#[test]
fn nothing_is_exported_unless_asked_for() {
    for variables in [
        &[][..],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")],
        &[("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", ""), ("OTEL_LOGS_EXPORTER", "none")],
        &[
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "console"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ],
    ] {
        let settings = read(variables);
        assert!(
            ![&settings.traces, &settings.metrics, &settings.logs].iter().any(|signal| signal.any()),
            "{variables:?}"
        );
        assert_eq!(settings.problems, [], "{variables:?}");
    }
}

#[test]
fn exporters_are_chosen_for_each_signal_and_may_be_several() {
    let settings = read(&[("OTEL_TRACES_EXPORTER", "otlp, console"), ("OTEL_LOGS_EXPORTER", "otlp")]);
    assert!(settings.traces.otlp.is_some() && settings.traces.console);
    assert!(settings.logs.otlp.is_some() && !settings.logs.console);
    assert!(!settings.metrics.any());
}

#[test]
fn endpoints_follow_the_specification() {
    let endpoint = |variables: &[(&str, &str)]| otlp(variables).endpoint.to_string();
    let general = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let own = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    assert_eq!(endpoint(&[]), "http://localhost:4318/v1/traces");
    assert_eq!(endpoint(&[(general, "https://c.example")]), "https://c.example/v1/traces");
    assert_eq!(endpoint(&[(general, "http://c:1/base/")]), "http://c:1/base/v1/traces");
    assert_eq!(endpoint(&[(general, "http://no:1"), (own, "http://c:1/as/it/is")]), "http://c:1/as/it/is");
    assert_eq!(endpoint(&[grpc]), "http://localhost:4317/");
    assert_eq!(endpoint(&[grpc, (general, "https://c:4317")]), "https://c:4317/");
    assert_eq!(endpoint(&[grpc, (general, "c:4317")]), "https://c:4317/");
    assert_eq!(endpoint(&[grpc, (general, "c:4317"), ("OTEL_EXPORTER_OTLP_INSECURE", "true")]), "http://c:4317/");
}

#[test]
fn the_variables_of_a_signal_count_before_those_of_all() {
    let found = otlp(&[
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "Authorization=Bearer%20x,k = v"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
    ]);
    assert_eq!(found.protocol, Protocol::Http);
    assert_eq!(found.timeout, Duration::from_millis(2500));
    assert!(!found.gzip);
    let mut headers: Vec<_> =
        found.headers.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    headers.sort_unstable();
    assert_eq!(headers, [("authorization", "Bearer x"), ("k", "v")]);
}

#[test]
fn a_wrong_value_is_a_problem_that_names_its_variable_and_tells_no_value() {
    let wrong = [
        ("EVAL_FABRIC_LOG_LEVEL", "wr0ng"),
        ("OTEL_TRACES_EXPORTER", "otlp,wr0ng"),
        ("OTEL_METRICS_EXPORTER", "wr0ng"),
        ("OTEL_LOGS_EXPORTER", "prometheus_wr0ng"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/wr0ng"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "wr0ng"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "wr0ng"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "wr0ng"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "wr0ng"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "wr0ng"),
        ("OTEL_RESOURCE_ATTRIBUTES", "wr0ng"),
        ("OTEL_TRACES_SAMPLER", "wr0ng"),
        ("OTEL_SDK_DISABLED", "wr0ng"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "wr0ng"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "wr0ng"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "wr0ng"),
    ];
    let settings = read(&wrong);
    let mut named: Vec<_> = settings.problems.iter().map(|problem| problem.variable.as_str()).collect();
    let mut expected: Vec<_> = wrong.iter().map(|(name, _)| *name).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert!(!format!("{settings:?}").contains("wr0ng"));
    assert!(settings.traces.otlp.is_some(), "what is right in a list is used");
    assert_eq!(settings.spans.queue, 8192);
    let mut problems: Vec<_> =
        settings.problems.iter().map(|known| format!("{}: {}", known.variable, known.problem)).collect();
    problems.sort_unstable();
    insta::assert_snapshot!(problems.join("\n"), @r#"
    EVAL_FABRIC_LOG_LEVEL: is neither off, error, warn, info, debug or trace, nor a list such as warn,ef_runner=debug; info is used
    OTEL_BLRP_EXPORT_TIMEOUT: is no number of milliseconds; 30000 is used
    OTEL_BLRP_SCHEDULE_DELAY: is no number of milliseconds; 1000 is used
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: is no number from 1 to 1000000; 1024 is used
    OTEL_BSP_MAX_QUEUE_SIZE: is no number from 1 to 1000000; 8192 is used
    OTEL_EXPORTER_OTLP_COMPRESSION: is neither gzip nor none; nothing is compressed
    OTEL_EXPORTER_OTLP_HEADERS: is no list of key=value; what is none is left out
    OTEL_EXPORTER_OTLP_INSECURE: is neither true nor false; false is used
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: is neither cumulative, delta nor lowmemory; cumulative is used
    OTEL_EXPORTER_OTLP_PROTOCOL: is neither http/protobuf nor grpc; http/protobuf is used
    OTEL_EXPORTER_OTLP_TRACES_TIMEOUT: is no number of milliseconds; 10000 is used
    OTEL_LOGS_EXPORTER: is no list of none, otlp and console; what is none of them is left out
    OTEL_METRICS_EXPORTER: is no list of none, otlp and console; what is none of them is left out
    OTEL_METRIC_EXPORT_INTERVAL: is no number of milliseconds; 60000 is used
    OTEL_RESOURCE_ATTRIBUTES: is no list of key=value; what is none is left out
    OTEL_SDK_DISABLED: is neither true nor false; false is used
    OTEL_TRACES_EXPORTER: is no list of none, otlp and console; what is none of them is left out
    OTEL_TRACES_SAMPLER: is neither always_on, always_off nor traceidratio, with or without parentbased_ before it; all traces are taken
    "#);
}

#[test]
fn what_would_send_to_a_wrong_place_or_by_a_wrong_key_sends_nowhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let no_pem = folder.path().join("no.pem");
    std::fs::write(&no_pem, "something else").expect("a file");
    let no_pem = no_pem.to_str().expect("a path");
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http:///path"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a b"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/at/all"),
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", no_pem),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/nowhere/at/all"),
    ] {
        let settings = read(&[("OTEL_TRACES_EXPORTER", "otlp"), (name, value)]);
        assert!(settings.traces.otlp.is_none(), "{name}={value}");
        let [problem] = &settings.problems[..] else { panic!("{name}={value}: {:?}", settings.problems) };
        assert_eq!(problem.variable, name);
        assert!(!problem.problem.contains(value), "{}", problem.problem);
    }
}

#[test]
fn credentials_in_an_address_are_neither_used_nor_shown() {
    let settings = read(&[
        ("OTEL_TRACES_EXPORTER", "otlp"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:pa55@collector:4318/base"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=pa55"),
    ]);
    assert!(!format!("{settings:?}").contains("pa55"), "{settings:?}");
    let otlp = settings.traces.otlp.expect("it is sent without them");
    assert_eq!(
        (otlp.endpoint.to_string().as_str(), otlp.host.as_str()),
        ("http://collector:4318/base/v1/traces", "collector:4318")
    );
    assert_eq!(settings.problems[0].variable, "OTEL_EXPORTER_OTLP_ENDPOINT");
}

#[test]
fn the_resource_says_what_the_process_is_and_nothing_of_the_machine() {
    let settings = read(&[]);
    let keys: Vec<String> = settings.resource.iter().map(|(key, _)| key.to_string()).collect();
    let expected = [
        "service.name",
        "service.version",
        "service.instance.id",
        "telemetry.sdk.name",
        "telemetry.sdk.language",
        "telemetry.sdk.version",
    ];
    assert_eq!(keys.len(), expected.len(), "{keys:?}");
    assert!(expected.iter().all(|key| keys.iter().any(|found| found == key)), "{keys:?}");
    assert_eq!(settings.resource.get(&Key::new("service.name")), Some(Value::from("eval-fabric")));
    let other = read(&[]);
    let instance = Key::new("service.instance.id");
    assert_ne!(settings.resource.get(&instance), other.resource.get(&instance));
}

#[test]
fn resource_attributes_are_added_and_replace_ours() {
    let attributes = "deployment.environment.name=ci%2Cnight,service.name=one,service.instance.id=mine";
    let settings = read(&[("OTEL_RESOURCE_ATTRIBUTES", attributes)]);
    let get = |key: &'static str| settings.resource.get(&Key::new(key)).map(|value| value.to_string());
    assert_eq!(get("deployment.environment.name").as_deref(), Some("ci,night"));
    assert_eq!(get("service.name").as_deref(), Some("one"));
    assert_eq!(get("service.instance.id").as_deref(), Some("mine"));
    let settings = read(&[("OTEL_RESOURCE_ATTRIBUTES", attributes), ("OTEL_SERVICE_NAME", "two")]);
    assert_eq!(settings.resource.get(&Key::new("service.name")), Some(Value::from("two")));
}

#[test]
fn samplers_are_those_of_the_specification() {
    let of = |name: &str, argument: &str| {
        let settings = read(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        (format!("{:?}", settings.sampler), settings.problems.len())
    };
    assert_eq!(of("", ""), ("ParentBased(AlwaysOn)".to_owned(), 0));
    assert_eq!(of("always_off", ""), ("AlwaysOff".to_owned(), 0));
    assert_eq!(of("always_on", "ignored"), ("AlwaysOn".to_owned(), 0));
    assert_eq!(of("parentbased_always_off", ""), ("ParentBased(AlwaysOff)".to_owned(), 0));
    assert_eq!(of("traceidratio", "0.25"), ("TraceIdRatioBased(0.25)".to_owned(), 0));
    assert_eq!(of("parentbased_traceidratio", "NaN"), ("ParentBased(TraceIdRatioBased(1.0))".to_owned(), 1));
    assert_eq!(of("jaeger_remote", ""), ("ParentBased(AlwaysOn)".to_owned(), 1));
}

#[test]
fn a_batch_is_no_larger_than_the_queue() {
    let settings = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100"), ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "4096")]);
    assert_eq!((settings.spans.queue, settings.spans.batch), (100, 100));
    assert_eq!((settings.records.queue, settings.records.batch), (2048, 2048));
    assert_eq!(settings.problems.len(), 1);
    assert_eq!(settings.problems[0].variable, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE");
}
