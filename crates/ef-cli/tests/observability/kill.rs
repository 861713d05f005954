//! A run that is killed and goes on: two processes, two traces, each task in one of them or, where it had no record yet, in both.

use std::collections::BTreeSet;
use std::time::Duration;

use ef_testkit::otlp_server::{OtlpServer, Protocol, Span};

use crate::process::Running;
use crate::slow::Slow;
use crate::world::{ef, variables};

fn items(spans: &[Span]) -> Vec<String> {
    let tasks = spans.iter().filter(|span| span.name == "eval.task");
    tasks.map(|span| span.attributes["item_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn invariant_6_after_a_kill_the_rest_alone_has_spans_below_a_run_of_the_same_id() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let slow = Slow::new(60, Duration::from_millis(40));
        let (before, after) = (OtlpServer::start(), OtlpServer::start());
        let mut often = before.variables(protocol);
        often.extend(variables(&[("OTEL_BSP_SCHEDULE_DELAY", "50")]));
        let run = "run spec.yaml --dataset dataset.jsonl --run-id killed";
        let mut running = Running::start(&slow.folder, run, &often);
        running.wait_for_records(&slow.folder, "killed", 12);
        running.kill();
        let done = slow.folder.records("killed").len();
        assert!((12..60).contains(&done), "{done} are done");
        ef(&slow.folder, "resume killed", &after.variables(protocol)).exits(0);

        let (first, second) = (before.spans(), after.spans());
        assert!(!items(&first).is_empty(), "spans are sent while a run goes on");
        assert!(first.iter().all(|span| span.name != "eval.run"), "a span is sent when it has ended");
        let runs: Vec<_> = second.iter().filter(|span| span.name == "eval.run").collect();
        assert_eq!((runs.len(), &runs[0].attributes["run_id"]), (1, &"killed".into()));
        let rest = items(&second);
        assert_eq!((rest.len(), rest.iter().collect::<BTreeSet<_>>().len()), (60 - done, 60 - done));
        assert!(second.iter().all(|span| span.trace_id != first[0].trace_id), "another process, another trace");
        let resumed: Vec<_> = after.logs().into_iter().filter(|record| record.body == "run resumed").collect();
        assert_eq!(resumed.len(), 1);
        assert_eq!(resumed[0].attributes["done"], done);
    }
}
