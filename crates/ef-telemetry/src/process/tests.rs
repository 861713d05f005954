//! The whole of it against a real receiver.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ef_model::telemetry::{SPAN_TARGET, SPANS};
use ef_testkit::otlp_server::{Mode, OtlpServer, Protocol, SpanKind, Status};
use ef_testkit::{MemoryStore, commit, head, record};
use tracing::dispatcher::with_default;
use tracing::field::Empty;

use super::*;
use crate::LogFormat;

type Lines = Arc<Mutex<Vec<String>>>;

fn logs(format: LogFormat) -> (Logs, Lines) {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    let write = move |line: &str| kept.lock().expect("no panic").push(line.to_owned());
    (Logs { format, color: false, errors: true, write: Arc::new(write) }, lines)
}

/// Telemetry of this environment, and the lines that it writes.
fn set_up(variables: Vec<(String, String)>) -> (Telemetry, Dispatch, Lines) {
    let (logs, lines) = logs(LogFormat::Human);
    let settings = Settings::read(&Environment::new(variables));
    assert_eq!(settings.problems, []);
    let (telemetry, subscriber) = Telemetry::set_up(&settings, logs);
    (telemetry, subscriber, lines)
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A run of one task with one judgment, which passes its span on. Gives what was passed on.
fn a_run(telemetry: &Telemetry) -> Option<ef_model::TraceContext> {
    let run =
        tracing::info_span!(target: SPAN_TARGET, "eval.run", run_id = "r-1", dataset_size = Empty, status = Empty);
    let task = tracing::info_span!(
        target: SPAN_TARGET, parent: &run, "eval.task",
        item_id = "i-1", repeat = 0_i64, status = Empty, "error.type" = Empty, "otel.status_code" = Empty,
    );
    let judge = tracing::info_span!(
        target: SPAN_TARGET, parent: &task, "eval.judge", "otel.name" = "eval.judge.acme.strict", "otel.kind" = "client",
        judge_id = "acme.strict", cost_usd = 0.25, attempt = Empty,
    );
    let passed_on = judge.in_scope(|| telemetry.instruments().propagator.and_then(|propagator| propagator.current()));
    task.in_scope(|| tracing::warn!(target: "ef_runner::retries", attempt = 1, "attempt failed, trying again"));
    tracing::info!(target: SPAN_TARGET, parent: &task, { attempt = 1_i64, "error.kind" = "transient" }, "retry");
    task.record("status", "error");
    task.record("error.type", "http_503");
    task.record("otel.status_code", "ERROR");
    judge.record("attempt", 2_i64);
    run.record("dataset_size", 1_i64);
    tracing::info!(target: "ef_runner::log", "run finished");
    tracing::error!(target: "hyper::proto", "a payload of somebody else");
    passed_on
}

#[test]
fn telemetry_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Telemetry>();
}

fn what_a_run_tells_arrives(server: &OtlpServer, variables: Vec<(String, String)>) {
    let (telemetry, subscriber, lines) = set_up(variables);
    telemetry.set_run(&RunId::new("r-1").expect("an id"));
    let passed_on = with_default(&subscriber, || {
        telemetry.instruments().meters.expect("metrics are asked for").committed(&record(1));
        a_run(&telemetry)
    });
    with_default(&subscriber, || telemetry.shut_down());

    let spans = server.spans();
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:?}"));
    let (run, task, judge) = (named("eval.run"), named("eval.task"), named("eval.judge.acme.strict"));
    assert_eq!(spans.len(), 3);
    assert_eq!((&run.parent_id, &task.parent_id), (&None, &Some(run.span_id.clone())));
    assert_eq!(judge.parent_id.as_ref(), Some(&task.span_id));
    assert_eq!((run.kind, judge.kind), (SpanKind::Internal, SpanKind::Client));
    assert_eq!((task.status, run.status), (Status::Error, Status::Unset));
    assert_eq!(task.resource["service.name"], "eval-fabric");
    for (span, attributes) in [
        (run, &["dataset_size", "run_id"][..]),
        (task, &["error.type", "item_id", "repeat", "status"]),
        (judge, &["attempt", "cost_usd", "judge_id"]),
    ] {
        let found: Vec<&str> = span.attributes.keys().map(String::as_str).collect();
        assert_eq!(found, attributes, "{} has what it was given and no more", span.name);
    }
    let [retry] = &task.events[..] else { panic!("{:?}", task.events) };
    let found: Vec<&str> = retry.attributes.keys().map(String::as_str).collect();
    assert_eq!((retry.name.as_str(), &found[..]), ("retry", &["attempt", "error.kind"][..]));

    let expected = format!("00-{}-{}-01", judge.trace_id, judge.span_id);
    assert_eq!(passed_on.expect("a span").traceparent, expected);

    assert!(server.metrics().iter().any(|point| point.metric == "eval_fabric.tasks.completed" && point.value == 1.0));

    let mut records = server.logs();
    records.sort_by_key(|record| record.time);
    let bodies: Vec<_> = records.iter().map(|record| record.body.as_str().unwrap_or_default()).collect();
    assert_eq!(bodies, ["attempt failed, trying again", "run finished"], "our own, and nobody else's");
    assert_eq!(
        (&records[0].trace_id, &records[0].span_id),
        (&Some(task.trace_id.clone()), &Some(task.span_id.clone()))
    );
    assert_eq!(records[1].span_id, None);
    for record in &records {
        assert_eq!(record.attributes["run_id"], "r-1");
        assert_eq!(record.event_name, "");
        assert!(record.scope.starts_with("ef_runner::"), "{}", record.scope);
    }
    let lines = lines.lock().expect("no panic").clone();
    assert_eq!(lines.len(), 2, "no line of the exporters or their libraries: {lines:?}");
    assert!(lines.iter().all(|line| line.ends_with("run_id=r-1")), "{lines:?}");
}

#[test]
fn what_a_run_tells_arrives_by_http() {
    let server = OtlpServer::start();
    what_a_run_tells_arrives(&server, server.variables(Protocol::Http));
}

#[test]
fn what_a_run_tells_arrives_by_grpc() {
    let server = OtlpServer::start();
    what_a_run_tells_arrives(&server, server.variables(Protocol::Grpc));
}

#[test]
fn what_a_run_tells_arrives_by_tls_compressed_with_headers() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let server = OtlpServer::start_tls();
        let mut all = server.variables(protocol);
        all.extend(variables(&[
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ]));
        what_a_run_tells_arrives(&server, all);
        for request in server.requests() {
            assert!(request.compressed, "{request:?}");
            assert_eq!(request.header("x-tenant"), Some("a b"));
        }
    }
}

#[test]
fn a_collector_whose_certificate_is_from_somebody_else_gets_nothing() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let server = OtlpServer::start_tls();
        let other = server.other_ca_file().to_str().expect("a path").to_owned();
        let mut all = server.variables(protocol);
        all.extend([("OTEL_EXPORTER_OTLP_CERTIFICATE".to_owned(), other)]);
        let (telemetry, subscriber, _) = set_up(all);
        with_default(&subscriber, || a_run(&telemetry));
        telemetry.shut_down();
        assert_eq!(server.counts().accepted, 0);
    }
}

#[test]
fn a_commit_is_a_span_within_the_run() {
    let server = OtlpServer::start();
    let (telemetry, subscriber, _) = set_up(server.variables(Protocol::Http));
    let store = telemetry.observe(Arc::new(MemoryStore::new()), "memory");
    let runtime = crate::sender::runtime().expect("a runtime");
    with_default(&subscriber, || {
        let run = tracing::info_span!(target: SPAN_TARGET, "eval.run");
        let head = head("r-1", 1);
        let _inside = run.enter();
        runtime.block_on(store.begin(&head)).expect("a new run");
        runtime.block_on(store.append(&head.run_id, Arc::from([commit(1), commit(2)]))).expect("it is taken");
        runtime.block_on(store.append(&head.run_id, Arc::from([commit(1)]))).expect("it is known");
        runtime.block_on(store.begin(&head)).expect_err("it has begun");
    });
    telemetry.shut_down();
    let spans = server.spans();
    let run = spans.iter().find(|span| span.name == "eval.run").expect("the run");
    let puts: Vec<_> = spans.iter().filter(|span| span.name == "tracestore.put").collect();
    assert_eq!(puts.len(), 2);
    let table = SPANS.iter().find(|span| span.name == "tracestore.put").expect("the table has it");
    for put in puts {
        assert_eq!(put.parent_id.as_ref(), Some(&run.span_id));
        assert_eq!(put.attributes["backend"], "memory");
        assert!(put.attributes["latency_ms"].is_number() && put.attributes["count"].is_number());
        assert!(put.attributes.keys().all(|key| table.attributes.contains(&key.as_str())), "{:?}", put.attributes);
    }
    let errors = server.metrics().into_iter().find(|point| point.metric == "eval_fabric.tracestore.errors");
    let errors = errors.expect("one failed");
    assert_eq!((errors.attributes["op"].as_str(), errors.value), (Some("begin"), 1.0));
}

#[test]
fn a_sampler_takes_whole_traces_or_none_and_what_is_not_taken_is_passed_on_as_such() {
    let server = OtlpServer::start();
    let mut all = server.variables(Protocol::Http);
    all.extend(variables(&[("OTEL_TRACES_SAMPLER", "always_off")]));
    let (telemetry, subscriber, _) = set_up(all);
    let passed_on = with_default(&subscriber, || a_run(&telemetry));
    telemetry.shut_down();
    assert_eq!(server.spans(), []);
    assert!(passed_on.is_some_and(|context| context.traceparent.ends_with("-00")), "it says that nothing is recorded");
}

#[test]
fn without_a_span_nothing_is_passed_on() {
    let (telemetry, subscriber, _) = set_up(variables(&[("OTEL_TRACES_EXPORTER", "console")]));
    let propagator = telemetry.instruments().propagator.expect("traces are asked for");
    assert_eq!(with_default(&subscriber, || propagator.current()), None);
    assert_eq!(propagator.current(), None, "nor without a subscriber");
    let (telemetry, ..) =
        set_up(variables(&[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_PROPAGATORS", "baggage,none")]));
    assert!(telemetry.instruments().propagator.is_none(), "nor where that is not wanted");
}

#[test]
fn where_nothing_is_exported_the_store_is_itself_and_nobody_is_told() {
    let (telemetry, _, _) = set_up(Vec::new());
    let store: Arc<dyn TraceStore> = Arc::new(MemoryStore::new());
    assert!(Arc::ptr_eq(&store, &telemetry.observe(Arc::clone(&store), "memory")));
    let Instruments { meters, propagator } = telemetry.instruments();
    assert!(meters.is_none() && propagator.is_none());
}

#[test]
fn the_console_shows_spans_events_and_metrics_without_a_collector() {
    let (telemetry, subscriber, lines) =
        set_up(variables(&[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_METRICS_EXPORTER", "console")]));
    with_default(&subscriber, || {
        a_run(&telemetry);
        telemetry.instruments().meters.expect("metrics are asked for").committed(&record(1));
    });
    telemetry.shut_down();
    let hexadecimal = |c: char| c.is_ascii_hexdigit();
    let shown: Vec<String> = lines
        .lock()
        .expect("no panic")
        .iter()
        .map(|line| {
            let words =
                line.split(' ').skip(1).filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
                    Some((key @ ("trace_id" | "span_id" | "parent_id"), id)) if id.chars().all(hexadecimal) => {
                        format!("{key}=…")
                    }
                    Some(("duration_ms", _)) => "duration_ms=…".to_owned(),
                    _ => word.to_owned(),
                });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    WARN attempt failed, trying again attempt=1
    INFO run finished
    SPAN eval.judge.acme.strict duration_ms=… trace_id=… span_id=… parent_id=… kind=client judge_id=acme.strict cost_usd=0.25 attempt=2
    EVENT retry span_id=… attempt=1 error.kind=transient
    SPAN eval.task duration_ms=… trace_id=… span_id=… parent_id=… otel.status_code=ERROR item_id=i-1 repeat=0 status=error error.type=http_503
    SPAN eval.run duration_ms=… trace_id=… span_id=… run_id=r-1 dataset_size=1
    METRIC eval_fabric.tasks.completed value=1 evaluator_id=test.evaluator status=ok
    METRIC eval_fabric.tasks.duration count=1 sum=1.234 min=1.234 max=1.234 evaluator_id=test.evaluator
    METRIC eval_fabric.judges.duration count=1 sum=0.005 min=0.005 max=0.005 determinism=deterministic judge_id=test.judge judge_name=judge
    METRIC eval_fabric.judges.cost value=0.30000000000000004 judge_id=test.judge judge_name=judge
    "#);
}

#[test]
fn wrong_values_are_told_by_the_names_of_their_variables() {
    let (logs, lines) = logs(LogFormat::Human);
    let settings = Settings::read(&Environment::new(variables(&[("OTEL_TRACES_EXPORTER", "zipkin")])));
    let (telemetry, subscriber) = Telemetry::set_up(&settings, logs);
    with_default(&subscriber, || settings.tell());
    telemetry.shut_down();
    let lines = lines.lock().expect("no panic").clone();
    assert_eq!(lines.len(), 1, "{lines:?}");
    insta::assert_snapshot!(lines[0].split_once(' ').expect("a time first").1.trim_start(), @r#"WARN environment variable cannot be used variable=OTEL_TRACES_EXPORTER problem="is no list of none, otlp and console; what is none of them is left out""#);
}

#[test]
fn a_collector_that_hangs_or_is_gone_holds_the_end_up_for_a_quarter_of_a_second() {
    for mode in [Mode::Hang, Mode::Deaf, Mode::Close, Mode::Refuse { status: 503, retry_after: Some(3600) }] {
        for protocol in [Protocol::Http, Protocol::Grpc] {
            let server = OtlpServer::start();
            server.set_mode(mode);
            let (telemetry, subscriber, lines) = set_up(server.variables(protocol));
            with_default(&subscriber, || a_run(&telemetry));
            let begun = Instant::now();
            with_default(&subscriber, || telemetry.shut_down());
            assert!(begun.elapsed() < Duration::from_millis(2000), "{mode:?} {protocol:?}: {:?}", begun.elapsed());
            let lines = lines.lock().expect("no panic").clone();
            let told: Vec<_> = lines.iter().filter(|line| line.contains("telemetry was dropped")).collect();
            assert_eq!(told.len(), 1, "{mode:?} {protocol:?}: {lines:?}");
            assert!(told[0].contains("spans=3 log_records=2"), "{told:?}");
        }
    }
}

/// A queue for a few spans.
fn narrow(server: &OtlpServer) -> Vec<(String, String)> {
    let mut all = server.variables(Protocol::Http);
    all.extend(variables(&[("OTEL_BSP_MAX_QUEUE_SIZE", "8"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")]));
    all
}

/// Asks for spans of tasks until one is made, or none; gives it with how many were asked for.
fn task_that(is_made: bool, run: &tracing::Span) -> (tracing::Span, u64) {
    let begun = Instant::now();
    for asked in 1.. {
        let task = tracing::info_span!(target: SPAN_TARGET, parent: run, "eval.task", status = Empty);
        if task.is_disabled() != is_made {
            return (task, asked);
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{asked} spans were asked for");
        std::thread::sleep(Duration::from_micros(100));
    }
    unreachable!("it returns or fails")
}

#[test]
fn no_span_is_made_that_would_be_dropped_until_the_collector_takes_them_again() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Refuse { status: 400, retry_after: None });
    let (telemetry, subscriber, lines) = set_up(narrow(&server));
    let asked = with_default(&subscriber, || {
        let run = tracing::info_span!(target: SPAN_TARGET, "eval.run", run_id = "r-1");
        let (unmade, one) = task_that(false, &run);
        unmade.record("status", "ok");
        tracing::info!(target: SPAN_TARGET, parent: &unmade, "retry");
        tracing::info!(target: "ef_runner::log", "run finishing");
        server.set_mode(Mode::Serve);
        let (made, other) = task_that(true, &run);
        made.record("status", "ok");
        assert!(!run.is_disabled());
        1 + one + other
    });
    with_default(&subscriber, || telemetry.shut_down());
    let spans = server.spans();
    let run = spans.iter().find(|span| span.name == "eval.run").expect("the last one arrives");
    let tasks: Vec<_> = spans.iter().filter(|span| span.name == "eval.task").collect();
    assert!(tasks.iter().any(|task| task.attributes.contains_key("status")), "the one that was made again arrives");
    for task in &tasks {
        assert_eq!(task.parent_id.as_ref(), Some(&run.span_id));
        assert!(task.events.is_empty());
    }
    let lines = lines.lock().expect("no panic").clone();
    let told = lines.iter().find(|line| line.contains("telemetry was dropped")).expect("it is told");
    let dropped = asked - spans.len() as u64;
    assert!(told.contains(&format!("spans={dropped} ")), "{dropped} did not arrive, of {asked}: {told}");
}

#[test]
fn the_console_shows_all_spans_whatever_becomes_of_them_elsewhere() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Refuse { status: 400, retry_after: None });
    let mut all = narrow(&server);
    all.extend(variables(&[("OTEL_TRACES_EXPORTER", "otlp,console")]));
    let (telemetry, subscriber, lines) = set_up(all);
    with_default(&subscriber, || {
        for _ in 0..100 {
            drop(tracing::info_span!(target: SPAN_TARGET, "eval.task"));
        }
    });
    telemetry.shut_down();
    let shown = lines.lock().expect("no panic").iter().filter(|line| line.contains("eval.task")).count();
    assert_eq!(shown, 100);
}

/// A collector that answers each request by HTTP with this body, on a connection of its own.
fn answering(body: &'static [u8]) -> std::net::SocketAddr {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut length = 0;
            for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            reader.read_exact(&mut vec![0; length]).expect("the request's body");
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\nconnection: close\r\ncontent-length";
            write!(stream, "{head}: {}\r\n\r\n", body.len()).expect("the client listens");
            stream.write_all(body).expect("the client listens");
        }
    });
    address
}

#[test]
fn what_a_collector_says_it_has_not_taken_is_told_as_dropped_and_never_more_than_was_sent() {
    // A partial success with so many rejected spans: two, and 2^63 - 1.
    const TWO: &[u8] = &[0x0a, 2, 0x08, 2];
    const ENDLESS: &[u8] = &[0x0a, 10, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for (answer, expected) in [(TWO, "spans=2 "), (ENDLESS, "spans=3 ")] {
        let endpoint = format!("http://{}", answering(answer));
        let (telemetry, subscriber, lines) =
            set_up(variables(&[("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]));
        with_default(&subscriber, || a_run(&telemetry));
        with_default(&subscriber, || telemetry.shut_down());
        let lines = lines.lock().expect("no panic").clone();
        let told = lines.iter().find(|line| line.contains("telemetry was dropped"));
        assert!(told.is_some_and(|line| line.contains(expected)), "{expected}: {lines:?}");
    }
}
