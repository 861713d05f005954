//! A service that quotes what it is sent, in every place of an answer.

use std::sync::atomic::{AtomicBool, Ordering};

use ef_testkit::model_server::{Cut, ModelServer, Reply, RetryAfter, Script};

use crate::way::Way;
use crate::world::World;

/// What the service says to which item; `said` is a payload of its own, and the rest it was sent.
fn service(said: &str) -> Script {
    let said = said.to_owned();
    // Whoever says when to come back uses up no retry.
    let refused = AtomicBool::new(false);
    Script::new(move |call| {
        let seen = call.user_text().into_owned();
        let key = call.header("authorization").unwrap_or_default().to_owned();
        let echo = format!(
            "{{\"error\": {{\"message\": \"{said} {key}\", \"code\": \"{key} {said}\", \"type\": \"{said} .\"}}}}"
        );
        let reply = |status: u16| {
            Reply::body("application/json", echo.clone())
                .status(status)
                .header("x-seen", format!("{key} {said}"))
                .header("x-request-id", said.clone())
                .header("set-cookie", format!("a={said}"))
        };
        let asks = |what: &str| seen.contains(what);
        match () {
            () if asks("do-400") => reply(400),
            () if asks("do-401") => reply(401),
            () if asks("do-500") => reply(500),
            () if asks("do-429") && !refused.swap(true, Ordering::Relaxed) => {
                reply(429).retry_after(RetryAfter::Millis(1))
            }
            () if asks("do-redirect") => Reply::redirect(302, format!("http://{key}@{said}.example/{said}?{key}")),
            () if asks("do-text") => Reply::body("text/html", format!("<h1>{said} {key}</h1>")),
            () if asks("do-cut") => Reply::body("application/json", echo.clone()).reset(Cut::InBody),
            () if asks("do-reason") => Reply::body("application/json", "[]").status(299).header("x-why", said.clone()),
            () if asks("do-elsewhere") => Reply::body("application/json", format!("{{\"{said}\": \"{key}\"}}")),
            () => {
                Reply::body("application/json", format!("{{\"data\": {{\"answer\": \"{said}\", \"why\": \"{key}\"}}}}"))
            }
        }
    })
}

#[test]
fn invariant_8_what_a_service_says_is_not_told() {
    Way::each(|way| {
        let world = World::new(way);
        let server = ModelServer::start(service(&world.payload("answer of a service")).recording());
        let key = world.secret("key of a service");
        world.set("SERVICE_KEY", &key);
        world.set("PLACE", world.secret("${VAR} in a pointer"));
        world.set("OTHER", world.secret("header from a variable"));
        world.set("INSIDE", world.secret("${VAR} in a template"));
        let url = server.base_url();
        let spec = |pointer: &str, body: &str| {
            format!(
                "schema_version: \"1\"\nid: canary/http\nversion: 1.0.0\n\
                 evaluator: {{id: eval_fabric.http, config: {{url: \"{url}/echo\", api_key_env: SERVICE_KEY, \
                 headers_env: {{x-other: OTHER}}, headers: {{x-plain: \"${{OTHER}}\"}}, expected_status: [200], \
                 query: {{q: \"{{{{ metadata.q }}}}\"}}, output_pointer: \"{pointer}\", metadata_pointer: /data, body: {body}}}}}\n\
                 judges: [{{id: eval_fabric.exact_match}}]\nruntime: {{max_retries: 1}}\n"
            )
        };
        world.write("spec.yaml", spec("/data/answer", "{all: {$field: input}}"));
        let (input, query) = (world.payload("input of a service"), world.payload("query of a service"));
        let row = |does: &str| {
            format!(
                "{{\"item_id\": \"{does}\", \"input\": \"{does} {input}\", \"reference_output\": \"x\", \
                 \"metadata\": {{\"q\": \"{query}\"}}}}\n"
            )
        };
        let does = [
            "good",
            "do-400",
            "do-401",
            "do-500",
            "do-429",
            "do-redirect",
            "do-text",
            "do-cut",
            "do-reason",
            "do-elsewhere",
        ];
        world.write("data.jsonl", does.map(row).concat());
        world.ef("run spec.yaml --dataset data.jsonl --run-id one", 0);
        world.tell_everything();
        world.assert_stored(&["input of a service", "answer of a service"]);
        let failed = world.ef("show one --status error --format json", 0).stdout;
        assert_eq!(failed.lines().count(), does.len() - 2, "{failed}");
        let seen = server.requests();
        assert!(seen.iter().any(|seen| seen.header("authorization").is_some_and(|value| value.contains(&key))));

        // Errors of a call quote the config: the pointer that leads nowhere, the template that an item does not fit.
        world.write("spec.yaml", spec("/data/${PLACE}", "{all: {$field: input}}"));
        world.ef("run spec.yaml --dataset data.jsonl --max-items 1", 0);
        world.ef("show latest --item good", 0);
        world.write("spec.yaml", spec("", "{all: \"{{ metadata['${INSIDE}'] }} {{ input | ${INSIDE} }}\"}"));
        world.ef("run spec.yaml --dataset data.jsonl --max-items 1 --dry-run", 2);
        world.write("spec.yaml", spec("", "{all: \"{{ metadata['${INSIDE}'].x }} {{ input.y.z }}\"}"));
        world.ef("run spec.yaml --dataset data.jsonl --max-items 1", 0);
        let told = world.ef("show latest --item good", 0).stdout;
        assert!(told.contains("template_failed"), "{told}");
        world.assert_silent();
    });
}

#[test]
fn invariant_8_a_password_in_an_address_is_not_told() {
    Way::each(|way| {
        let world = World::new(way);
        let server = ModelServer::start(Script::echo());
        let password = world.secret("password in an address");
        let address = server.address();
        world.write("data.jsonl", "{\"item_id\": \"a\", \"input\": \"1\", \"reference_output\": \"1\"}\n");
        let spec = |url: &str| {
            format!(
                "schema_version: \"1\"\nid: canary/address\nversion: 1.0.0\n\
                 evaluator: {{id: eval_fabric.http, config: {{url: \"{url}\"}}}}\n\
                 judges: [{{id: eval_fabric.exact_match}}]\nruntime: {{max_retries: 0}}\n"
            )
        };
        world.set("ADDRESS", format!("http://user:{password}@{address}/echo"));
        world.set("PASSWORD", &password);
        for (url, code) in [
            ("${ADDRESS}", 2),
            ("http://user:${PASSWORD}@127.0.0.1:1/x", 2),
            ("http://127.0.0.1:1/?key=${PASSWORD}", 0),
        ] {
            world.write("spec.yaml", spec(url));
            let ended = world.ef("run spec.yaml --dataset data.jsonl", code);
            if ended.code == Some(0) {
                world.tell_everything();
            }
        }
        // A proxy that refuses, one that is not there, and one that is no address.
        world.write("spec.yaml", spec("http://service.example/echo"));
        for proxy in [format!("http://user:{password}@{address}"), format!("http://user:{password}@127.0.0.1:1")] {
            world.set("HTTP_PROXY", &proxy);
            world.set("NO_PROXY", "127.0.0.1");
            world.ef("run spec.yaml --dataset data.jsonl", 0);
            world.tell_everything();
        }
        world.set("HTTP_PROXY", format!("http://user:{password}@[::broken"));
        world.ef("run spec.yaml --dataset data.jsonl", 2);
        world.assert_silent();
    });
}
