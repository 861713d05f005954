//! Log records as a collector gets them.

use std::collections::BTreeSet;

use ef_testkit::otlp_server::Protocol;

use crate::world::World;

fn assert_told(world: &World) {
    let records = world.otlp.logs();
    let bodies: BTreeSet<_> = records.iter().filter_map(|record| record.body.as_str()).collect();
    for wanted in ["run started", "run finished", "attempt failed, trying again"] {
        assert!(bodies.contains(wanted), "{wanted} was not sent: {bodies:?}");
    }
    for record in &records {
        assert!((9..=24).contains(&record.severity_number), "at INFO nothing less is sent: {record}");
        assert!(
            ["ef_", "eval_fabric"].iter().any(|own| record.scope.starts_with(own)),
            "{record} is of {}",
            record.scope
        );
    }
    let spans = world.otlp.spans();
    let run = spans.iter().find(|span| span.name == "eval.run").expect("there is a run");
    for wanted in ["run started", "run finished"] {
        let record = records.iter().find(|record| record.body == wanted).expect("it was sent");
        assert_eq!(record.attributes["run_id"], "observed", "{record}");
        assert_eq!(
            (record.trace_id.as_ref(), record.span_id.as_ref()),
            (Some(&run.trace_id), Some(&run.span_id)),
            "{record}"
        );
    }
    let retry = records.iter().find(|record| record.body == "attempt failed, trying again").expect("it was sent");
    assert_eq!((retry.severity_number, &retry.attributes["run_id"]), (13, &"observed".into()), "{retry}");
    let task = spans.iter().find(|span| Some(&span.span_id) == retry.span_id.as_ref());
    assert_eq!(task.map(|span| &span.attributes["item_id"]), Some(&"i7".into()), "it belongs to the task: {retry}");
}

#[test]
fn over_http_log_records_arrive_with_their_run_and_their_span() {
    assert_told(&World::of(Protocol::Http));
}

#[test]
fn over_grpc_log_records_arrive_with_their_run_and_their_span() {
    assert_told(&World::of(Protocol::Grpc));
}

#[test]
fn the_log_of_libraries_is_never_sent_not_even_where_it_is_shown() {
    let world = World::with(
        ef_testkit::otlp_server::OtlpServer::start(),
        Protocol::Http,
        &[(
            "EVAL_FABRIC_LOG_LEVEL",
            "debug,hyper_util=trace,reqwest=trace,sqlx=trace,opentelemetry_sdk=debug,opentelemetry-otlp=debug,h2=trace",
        )],
    );
    assert!(world.ended.stderr.contains("connecting to 127.0.0.1"), "nothing of a library is shown: {}", world.ended);
    let records = world.otlp.logs();
    let foreign: BTreeSet<_> = records
        .iter()
        .map(|record| &record.scope)
        .filter(|scope| !scope.starts_with("ef_") && !scope.starts_with("eval_fabric"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    assert!(records.iter().any(|record| record.severity_number < 9), "at DEBUG our own lines are sent");
}
