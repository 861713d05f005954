//! What is sent to chat models and what is read of their answers.

use ef_client::chat::{AnswerSchema, Api, ChatModel, ChatReply, ChatRequest, ModelConfig, Price, SystemPrompt};
use ef_model::{ErrorKind, Pricing, Usage};
use ef_testkit::model_server::{Cut, Finish, Reply, Script, Tokens};
use serde_json::{Value, json};

use super::*;

pub(crate) const APIS: [Api; 2] = [Api::OpenAiChat, Api::AnthropicMessages];

/// A model at the server, with the key.
pub(crate) fn model(api: Api, server: &ModelServer, change: impl FnOnce(&mut ModelConfig)) -> ChatModel {
    let mut config = ModelConfig::new("tiny-1");
    config.base_url = Some(match api {
        Api::OpenAiChat => server.openai_url(),
        Api::AnthropicMessages => server.base_url(),
    });
    config.api_key_env = Some("THE_KEY".to_owned());
    config.max_tokens = Some(100);
    change(&mut config);
    let environment = Environment::new([("THE_KEY".to_owned(), KEY.to_owned())]);
    ChatModel::new(api, &config, &clients(), &environment).expect("a sound config")
}

pub(crate) fn question() -> ChatRequest {
    ChatRequest { system: Some(SystemPrompt::new("You are brief.")), ..ChatRequest::user("What is it?") }
}

async fn ask(api: Api, stream: bool, script: Script) -> Result<ChatReply, CallError> {
    let server = ModelServer::start(script.with_key(KEY));
    model(api, &server, |config| config.stream = stream).complete(question(), &context()).await
}

const PRICE: Price = Price {
    input_usd_per_million_tokens: 2.0,
    output_usd_per_million_tokens: 10.0,
    cached_input_usd_per_million_tokens: Some(0.5),
    cache_write_usd_per_million_tokens: None,
};

#[tokio::test]
async fn a_streamed_answer_is_the_same_as_a_whole_one() {
    for api in APIS {
        let tokens = Tokens { input: 30, output: 7, cached: 10 };
        let reply = || {
            Reply::text("It is a \"test\", line\nby line: ü 😀")
                .and_tool_call("look_up", r#"{"word": "test", "depth": 2}"#)
                .and_tool_call("stop", "{}")
                .using(tokens)
                .by_model("tiny-1-2026")
        };
        let whole = ask(api, false, Script::always(reply())).await.expect("a reply");
        let streamed = ask(api, true, Script::always(reply())).await.expect("a reply");
        assert_eq!(whole.text.as_deref(), Some("It is a \"test\", line\nby line: ü 😀"));
        assert_eq!(whole.usage, Usage { cost_usd: None, input_tokens: Some(30), output_tokens: Some(7) });
        assert_eq!(whole.model.as_deref(), Some("tiny-1-2026"));
        assert_eq!((&streamed.text, &streamed.usage, &streamed.model), (&whole.text, &whole.usage, &whole.model));
        assert_eq!(streamed.finish_reason, whole.finish_reason);
        let without_ids = |message: &Value| {
            let mut message = message.clone();
            for key in ["tool_calls", "content"] {
                for call in message.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                    call.as_object_mut().expect("an object").remove("id");
                }
            }
            message.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            message
        };
        assert_eq!(without_ids(&streamed.message), without_ids(&whole.message));
    }
}

#[tokio::test]
async fn requests_have_all_that_the_config_says() {
    let mut sent = Vec::new();
    for (api, stream) in [(APIS[0], false), (APIS[0], true), (APIS[1], false)] {
        let server = ModelServer::start(Script::echo().recording());
        let model = model(api, &server, |config| {
            config.temperature = Some(0.5);
            config.top_p = Some(0.9);
            config.stop = vec!["END".to_owned()];
            config.stream = stream;
            config.headers.insert("X-Team".to_owned(), "evals".to_owned());
            config.headers_env.insert("X-Account".to_owned(), "THE_KEY".to_owned());
            if api == Api::OpenAiChat {
                config.seed = Some(7);
                config.presence_penalty = Some(0.1);
                config.extra.insert("user".to_owned(), "me".into());
            } else {
                config.extra.insert("top_k".to_owned(), 5.into());
            }
        });
        let request = ChatRequest { seed: Some(u64::MAX), ..question() };
        model.complete(request, &context()).await.expect("an echo");
        let seen = server.requests().remove(0);
        let headers: Vec<_> = ["authorization", "x-api-key", "x-team", "x-account", "accept", "anthropic-version"]
            .into_iter()
            .filter_map(|name| Some(format!("{name}: {}", seen.header(name)?)))
            .collect();
        sent.push(format!("{} {}\n{}\n{:#}", seen.method, seen.path, headers.join("\n"), seen.json()));
    }
    insta::assert_snapshot!(sent.join("\n\n"));
}

#[tokio::test]
async fn an_answer_schema_is_asked_for_and_its_answer_is_the_text() {
    let properties = json!({
        "type": "object",
        "properties": {"score": {"type": "number"}, "why": {"type": "string"}},
        "required": ["score", "why"],
        "additionalProperties": false,
    });
    let schema = AnswerSchema::new("verdict", &properties);
    for api in APIS {
        for stream in [false, true] {
            let server =
                ModelServer::start(Script::new(|call| Reply::answer(call, &json!({"score": 0.5, "why": "so"}))));
            let model = model(api, &server, |config| config.stream = stream);
            let request = ChatRequest { answer_schema: Some(schema.clone()), ..question() };
            let reply = model.complete(request, &context()).await.expect("an answer");
            let answer: Value = serde_json::from_str(&reply.text.expect("the answer")).expect("JSON");
            assert_eq!(answer, json!({"score": 0.5, "why": "so"}));
        }
    }
}

#[tokio::test]
async fn what_a_call_costs_follows_from_tokens_and_prices() {
    for api in APIS {
        let server = ModelServer::start(Script::always(Reply::text("x").using(Tokens {
            input: 1_000_000,
            output: 1000,
            cached: 400_000,
        })));
        let model = model(api, &server, |config| config.price = Some(PRICE));
        let reply = model.complete(question(), &context()).await.expect("a reply");
        // 0.6 million at 2, 0.4 million at 0.5, 0.001 million at 10.
        assert!((reply.usage.cost_usd.expect("a price") - 1.41).abs() < 1e-9, "{:?}", reply.usage);
        assert_eq!(model.pricing(), Pricing::Bounded);
    }
}

#[tokio::test]
async fn what_was_refused_cost_nothing_and_what_broke_off_may_have() {
    for api in APIS {
        let cost = async |reply: Reply| {
            let server = ModelServer::start(Script::always(reply));
            let model = model(api, &server, |config| config.price = Some(PRICE));
            model.complete(question(), &context()).await.expect_err("no answer").usage.cost_usd
        };
        assert_eq!(cost(Reply::error(500)).await, Some(0.0));
        assert_eq!(cost(Reply::rate_limited(None)).await, Some(0.0));
        assert_eq!(cost(Reply::text("x").cut(Cut::InBody)).await, None);
    }
}

#[tokio::test]
async fn the_most_that_a_call_can_cost_is_known_before_it_is_made_or_infinite() {
    let server = ModelServer::start(Script::echo());
    let bounded = model(Api::OpenAiChat, &server, |config| config.price = Some(PRICE));
    let few = ChatRequest::user("a".repeat(1000));
    let most = bounded.most_usd(&few);
    assert!((0.003..0.006).contains(&most), "{most}");
    assert!(bounded.most_usd(&ChatRequest::user("ü".repeat(1000))) > most);

    let image = ChatRequest {
        messages: vec![json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]})],
        ..ChatRequest::default()
    };
    assert!(bounded.most_usd(&image).is_infinite());
    let limited = model(Api::OpenAiChat, &server, |config| {
        config.price = Some(PRICE);
        config.max_input_tokens = Some(1_000_000);
    });
    assert!((limited.most_usd(&image) - 2.001).abs() < 1e-9);

    let unlimited = model(Api::OpenAiChat, &server, |config| config.max_tokens = None);
    assert_eq!(
        unlimited.pricing(),
        Pricing::Unbounded { missing: "`price` and `max_tokens` of the model tiny-1".to_owned() }
    );
    assert!(unlimited.most_usd(&few).is_infinite());
}

#[tokio::test]
async fn refusals_and_cuts_are_told_and_are_no_errors() {
    for api in APIS {
        for stream in [false, true] {
            let reply =
                ask(api, stream, Script::always(Reply::text("no").finishing(Finish::Declined))).await.expect("a reply");
            assert!(reply.is_refusal() && !reply.is_cut(), "{:?}", reply.finish_reason);
            let reply =
                ask(api, stream, Script::always(Reply::text("cut").finishing(Finish::Length))).await.expect("a reply");
            assert!(reply.is_cut() && !reply.is_refusal(), "{:?}", reply.finish_reason);
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_transient_and_one_of_another_shape_is_invalid() {
    use ErrorKind::{InvalidOutput, Transient};
    let json = |body: &'static str| Reply::body("application/json", body);
    for (reply, kind, code) in [
        (Reply::invalid_json(), Transient, "response_truncated"),
        (Reply::body("text/html", "<html>try again</html>"), Transient, "response_not_json"),
        (json(""), Transient, "response_not_json"),
        (Reply::wrong_shape(), InvalidOutput, "response_invalid"),
        (Reply::deep_json(100_000), InvalidOutput, "response_invalid"),
        (json("{}"), InvalidOutput, "response_invalid"),
        (json("[]"), InvalidOutput, "response_invalid"),
        (json("null"), InvalidOutput, "response_invalid"),
        (json(r#"{"choices": [], "content": 1}"#), InvalidOutput, "response_invalid"),
        (json(r#"{"choices": [{"message": {"content": 1}}]}"#), InvalidOutput, "response_invalid"),
        (json(r#"{"choices": [{"message": "\ud800"}]}"#), InvalidOutput, "response_invalid"),
        (json(r#"{"choices": NaN}"#), InvalidOutput, "response_invalid"),
        (json(r#"{"error": {"code": 503, "message": "busy"}}"#), Transient, "http_503"),
        (json(r#"{"error": {"type": "overloaded_error", "message": "busy"}}"#), Transient, "http_529"),
        (json(r#"{"error": {"message": "what?"}}"#), Transient, "http_500"),
        (json(r#"{"error": {"type": "insufficient_quota"}}"#), ErrorKind::QuotaExhausted, "http_500"),
        (json(r#"{"error": {"code": "invalid_request_error"}}"#), ErrorKind::Permanent, "http_400"),
    ] {
        for api in APIS {
            let error = ask(api, false, Script::always(reply.clone())).await.expect_err("no answer");
            assert_eq!((error.kind, error.code.as_ref()), (kind, code), "{error}");
            assert!(!error.message.contains("try again") && !error.message.contains("busy"), "{error}");
        }
    }
}

#[tokio::test]
async fn absurd_numbers_are_as_good_as_unknown() {
    for api in APIS {
        let server = ModelServer::start(Script::new(Reply::huge_numbers));
        let model = model(api, &server, |config| config.price = Some(PRICE));
        match model.complete(question(), &context()).await {
            Ok(reply) => assert!(reply.usage.is_unknown(), "{:?}", reply.usage),
            Err(error) => assert_eq!(error.kind, ErrorKind::InvalidOutput),
        }
    }
    let usage = json!({"prompt_tokens": 1e30, "completion_tokens": -1, "input_tokens": "7", "output_tokens": null});
    let body = json!({"choices": [{"message": {"content": "x"}}], "content": [], "usage": usage}).to_string();
    for api in APIS {
        let reply = ask(api, false, Script::always(Reply::body("application/json", body.clone()))).await;
        assert!(reply.expect("a reply").usage.is_unknown());
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_ends_with_an_error_is_no_answer() {
    for api in APIS {
        let error = ask(api, true, Script::always(Reply::text("half").breaking_off())).await.expect_err("an error");
        assert_eq!(error.kind, ErrorKind::Transient, "{error}");
        assert!(!error.message.contains("half"));
        let stream = |body: &'static str| Script::always(Reply::body("text/event-stream", body));
        for body in ["", "data: {\"choices\": [{\"delta\": {\"content\": \"half\"}}]}\n\n", "data: {\"choi\n\n"] {
            let error = ask(api, true, stream(body)).await.expect_err("it is not whole");
            assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Transient, "response_truncated"));
        }
        let error =
            ask(api, true, stream("data: []\n\ndata: {\"type\": \"message_start\"}\n\n")).await.expect_err("no chunk");
        assert!(matches!(error.kind, ErrorKind::InvalidOutput | ErrorKind::Transient), "{error}");
    }
}

#[tokio::test]
async fn a_stream_stays_within_the_limit_of_bytes_and_an_endpoint_that_does_not_stream_is_understood() {
    for api in APIS {
        let error = ask(api, true, Script::always(Reply::letters(20 << 20))).await.expect_err("too much");
        assert_eq!(error.code, "response_too_large");
        let whole = json!({
            "choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}],
            "content": [{"type": "text", "text": "whole"}],
        });
        let script = Script::always(Reply::body("application/json", whole.to_string()));
        assert_eq!(ask(api, true, script).await.expect("a reply").text.as_deref(), Some("whole"));
    }
}

#[tokio::test]
async fn a_used_up_quota_is_recognised_in_both_protocols() {
    for api in APIS {
        for reply in [Reply::quota_exhausted(), Reply::billing_limit_reached()] {
            let error = ask(api, false, Script::always(reply)).await.expect_err("no quota");
            assert_eq!(error.kind, ErrorKind::QuotaExhausted, "{error}");
        }
        let error = ask(api, false, Script::always(Reply::error(401))).await.expect_err("a bad key");
        assert_eq!(error.kind, ErrorKind::Permanent, "{error}");
    }
}

#[tokio::test]
async fn anthropics_address_may_be_given_with_its_version() {
    let server = ModelServer::start(Script::echo());
    let model = model(Api::AnthropicMessages, &server, |config| config.base_url = Some(server.openai_url()));
    assert_eq!(model.complete(question(), &context()).await.expect("an echo").text.as_deref(), Some("What is it?"));
}

#[tokio::test]
async fn streams_share_a_connection_and_one_that_stays_open_after_its_end_is_over_all_the_same() {
    for api in APIS {
        let server = ModelServer::start(Script::echo());
        let streaming = model(api, &server, |config| config.stream = true);
        for _ in 0..5 {
            streaming.complete(question(), &context()).await.expect("an echo");
        }
        assert_eq!(server.counts().connections, 1);
    }
    let events =
        "data: {\"choices\": [{\"delta\": {\"content\": \"x\"}, \"finish_reason\": \"stop\"}]}\n\ndata: [DONE]\n\n";
    // It promises a byte more than it sends.
    let open =
        Reply::body("text/event-stream", events.to_owned() + ":").dripping(events.len(), Duration::from_secs(60));
    let begin = Instant::now();
    let reply = ask(Api::OpenAiChat, true, Script::always(open)).await.expect("a reply");
    assert_eq!(reply.text.as_deref(), Some("x"));
    assert!(begin.elapsed() < Duration::from_secs(5));
}
