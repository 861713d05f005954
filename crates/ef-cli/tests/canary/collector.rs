//! Settings of telemetry that hold secrets, right ones and wrong ones.

use ef_testkit::otlp_server::{Mode, OtlpServer};

use crate::way::Way;
use crate::world::World;

const SPEC: &str = "schema_version: \"1\"\nid: canary/telemetry\nversion: 1.0.0\n\
     evaluator: {id: eval_fabric.examples.echo}\njudges: [{id: eval_fabric.exact_match}]\n";

#[test]
fn invariant_8_what_leads_to_the_collector_is_not_told_whatever_is_wrong_with_it() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        let input = world.payload("input of a traced run");
        world.write(
            "data.jsonl",
            format!("{{\"item_id\": \"a\", \"input\": \"{input}\", \"reference_output\": \"1\"}}\n"),
        );
        let run = "run spec.yaml --dataset data.jsonl";
        world.ef(run, 0);
        world.assert_stored(&["input of a traced run"]);

        // All that is exported, on the screen.
        for signal in ["TRACES", "METRICS", "LOGS"] {
            world.set(&format!("OTEL_{signal}_EXPORTER"), "otlp,console");
        }
        let shown = world.ef(run, 0).stderr;
        assert!(shown.contains("eval.task") && shown.contains("eval_fabric.tasks.completed"), "{shown}");
        for signal in ["TRACES", "METRICS", "LOGS"] {
            world.set(&format!("OTEL_{signal}_EXPORTER"), "otlp");
        }

        let secret = world.secret("setting of a collector");
        let refusing = OtlpServer::start();
        refusing.set_mode(Mode::Refuse { status: 403, retry_after: None });
        let port = refusing.address().port();
        for endpoint in [
            format!("http://user:{secret}@127.0.0.1:{port}"),
            format!("http://user:{secret}@127.0.0.1:1"),
            format!("http://127.0.0.1:1/{secret}?token={secret}"),
            format!("http://127.0.0.1:99999/{secret}"),
            format!("{secret}: no address"),
        ] {
            world.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            world.ef(run, 0);
        }
        world.set("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.endpoint());
        for (variable, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", secret.clone()),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", format!("a={secret}\u{7},b")),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", format!("x y={secret}")),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", secret.clone()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", secret.clone()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", secret.clone()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", format!("/no/{secret}")),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", format!("/no/{secret}")),
            ("OTEL_TRACES_SAMPLER", secret.clone()),
            ("OTEL_TRACES_SAMPLER_ARG", secret.clone()),
            ("OTEL_LOGS_EXPORTER", secret.clone()),
            ("OTEL_BSP_SCHEDULE_DELAY", secret.clone()),
            ("OTEL_METRIC_EXPORT_INTERVAL", secret.clone()),
            ("OTEL_SDK_DISABLED", secret.clone()),
            ("OTEL_RESOURCE_ATTRIBUTES", secret.clone()),
            ("EVAL_FABRIC_LOG_LEVEL", secret.clone()),
            ("NO_COLOR", secret.clone()),
        ] {
            world.set(variable, value);
            world.ef(run, 0);
        }
        world.assert_silent();
    });
}
