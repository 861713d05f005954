//! The span of a call of a model: what it says, and what it does not.

use std::sync::Arc;

use ef_client::chat::{Api, ChatReply, ChatRequest, ModelConfig};
use ef_model::telemetry::SPANS;
use ef_testkit::model_server::{Reply, Script, Tokens};
use ef_testkit::recorder::{RecordedSpan, Recorder};

use super::chat::{APIS, model, question};
use super::*;

/// Asks with the recorder watching, and knowing the current span.
async fn ask(
    api: Api,
    script: Script,
    change: impl FnOnce(&mut ModelConfig),
    request: &ChatRequest,
) -> (Result<ChatReply, CallError>, Vec<RecordedSpan>, ModelServer) {
    let server = ModelServer::start(script.recording());
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.subscriber());
    let context = context().with_propagator(Arc::new(recorder.clone()));
    let answered = model(api, &server, change).complete(request.clone(), &context).await;
    assert!(recorder.lines().iter().all(|line| !line.target.starts_with("ef_")), "{:?}", recorder.lines());
    (answered, recorder.spans(), server)
}

#[tokio::test]
async fn a_call_of_a_model_has_a_span_as_the_conventions_for_generative_ai_have_it() {
    for api in APIS {
        let script = Script::always(
            Reply::text("yes").using(Tokens { input: 30, output: 7, cached: 10 }).by_model("tiny-1-2026"),
        );
        let change = |config: &mut ModelConfig| (config.temperature, config.top_p) = (Some(0.5), Some(0.25));
        let request = ChatRequest { seed: Some((1 << 40) + 5), ..question() };
        let (answered, spans, server) = ask(api, script, change, &request).await;
        answered.expect("a reply");
        let [span] = &spans[..] else { panic!("one span: {spans:#?}") };
        assert_eq!((span.name.as_str(), span.is_closed), ("chat tiny-1", true));
        let (provider, seed, reason) = match api {
            Api::OpenAiChat => ("openai", "5", "stop"),
            Api::AnthropicMessages => ("anthropic", "", "end_turn"),
        };
        let port = server.address().port().to_string();
        let expected = [
            ("otel.kind", "client"),
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", provider),
            ("gen_ai.request.model", "tiny-1"),
            ("gen_ai.request.temperature", "0.5"),
            ("gen_ai.request.top_p", "0.25"),
            ("gen_ai.request.max_tokens", "100"),
            ("gen_ai.request.seed", seed),
            ("gen_ai.response.model", "tiny-1-2026"),
            ("gen_ai.response.finish_reasons", reason),
            ("gen_ai.usage.input_tokens", "30"),
            ("gen_ai.usage.output_tokens", "7"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
        ];
        for (name, value) in expected {
            assert_eq!(span.field(name), value, "{name}");
        }
        let known = SPANS.iter().find(|known| known.name == "chat <model>").expect("it is in the table").attributes;
        assert!(span.fields.keys().all(|name| known.contains(name) || name.starts_with("otel.")), "{span:#?}");
        // What the model's server is told is this span.
        let requests = server.requests();
        let told = requests[0].header("traceparent").and_then(Recorder::place_of);
        assert_eq!(told, Some(0));
    }
}

#[tokio::test]
async fn a_call_that_fails_says_with_which_code_and_what_it_used() {
    for api in APIS {
        let (answered, spans, _) = ask(api, Script::always(Reply::error(503)), |_| {}, &question()).await;
        answered.expect_err("refused");
        let told = ["error.type", "otel.status_code"].map(|name| spans[0].field(name));
        assert_eq!(told, ["http_503", "ERROR"]);
    }
}

#[tokio::test]
async fn invariant_8_what_a_server_says_of_its_model_is_told_only_where_it_looks_like_a_name() {
    for api in APIS {
        let hostile = ["You asked for Alice's address", "alice@example.org", "{\"a\":1}", "", &"x".repeat(200)];
        for name in hostile {
            let script = Script::always(Reply::text("Alice's address is secret").by_model(name.to_owned()));
            let (answered, spans, _) = ask(api, script, |_| {}, &question()).await;
            answered.expect("a reply");
            assert_eq!(spans[0].fields.get("gen_ai.response.model"), None, "{name:?}");
            assert!(!format!("{spans:?}").contains("lice"), "{spans:#?}");
        }
        let secret = |config: &mut ModelConfig| config.model = format!("model-{KEY}");
        let (_, spans, _) = ask(api, Script::always(Reply::text("yes").by_model(KEY)), secret, &question()).await;
        assert_eq!(spans[0].name, "chat");
        assert!(!format!("{spans:?}").contains(KEY), "a key that strayed into the model's name: {spans:#?}");
    }
}
