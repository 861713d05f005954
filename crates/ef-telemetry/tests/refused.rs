//! A collector that is not there. A test of its own process, because the subscriber is the process's.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ef_model::Environment;
use ef_model::telemetry::SPAN_TARGET;
use ef_telemetry::{LogFormat, Logs, Telemetry};

#[test]
fn invariant_10_a_collector_that_is_not_there_is_told_once_for_each_signal_with_what_was_dropped() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let write = Arc::new(move |line: &str| kept.lock().expect("no panic").push(line.to_owned()));
    // Nobody listens on the port of a listener that is gone.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let environment = Environment::new([
        ("OTEL_TRACES_EXPORTER".to_owned(), "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER".to_owned(), "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), format!("http://user:pa55@{gone}")),
        ("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), "api-key=pa55".to_owned()),
        ("EVAL_FABRIC_LOG_LEVEL".to_owned(), "warn".to_owned()),
    ]);
    let telemetry =
        Telemetry::start(&environment, Logs { format: LogFormat::Human, color: false, errors: true, write });
    let begun = Instant::now();
    // More than the queue takes: nothing may wait for it.
    for _ in 0..20_000 {
        drop(tracing::info_span!(target: SPAN_TARGET, "eval.task"));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let told = |what: &str| lines.lock().expect("no panic").iter().filter(|line| line.contains(what)).count();
    while told("spans cannot be sent") == 0 && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let end = Instant::now();
    telemetry.shut_down();
    assert!(end.elapsed() < Duration::from_secs(2), "{:?}", end.elapsed());

    let lines = lines.lock().expect("no panic").clone();
    let all = lines.join("\n");
    assert_eq!(told("spans cannot be sent, the run goes on without them"), 1, "{all}");
    assert!(told("log records cannot be sent") <= 1, "{all}");
    assert_eq!(told("telemetry was dropped"), 1, "{all}");
    assert!(all.contains("spans=20000"), "every span is counted: {all}");
    assert!(all.contains(&format!("collector={gone} reason=\"connection refused\"")), "{all}");
    assert!(!all.contains("pa55"), "{all}");
    assert!(all.contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{all}");
}
