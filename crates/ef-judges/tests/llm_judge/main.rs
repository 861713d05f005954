//! What the judge that asks a model promises, against a server that speaks the APIs of models.

mod configs;
mod errors;
mod injection;
mod usage;
mod votes;

use std::sync::Arc;

use ef_client::Clients;
use ef_model::{CallError, Environment, EvalItem, EvaluatorOutput, ItemId, Judge, Payload, Score, Verdict};
use ef_plugin::{LookupError, Registry};
use ef_testkit::context;
use ef_testkit::model_server::{Call, ModelServer, Reply, Script};
use serde_json::{Value, json};

const ID: &str = "eval_fabric.llm_judge";

/// Makes a judge from a config as a spec holds it.
async fn create(config: &Value, environment: &Environment) -> Result<Arc<dyn Judge>, LookupError> {
    let mut registry = Registry::new();
    for factory in ef_judges::model_factories(&Clients::new(environment)) {
        registry.register_judge(factory).expect("a built-in's schema is valid");
    }
    let Value::Object(config) = config else { panic!("not a map: {config}") };
    registry.create_judge(&ID.parse().expect("an id"), config, environment).await
}

/// A judge with the server that its model is on.
struct Court {
    server: ModelServer,
    judge: Arc<dyn Judge>,
}

impl Court {
    /// A judge of an OpenAI-compatible server, with these further settings.
    async fn new(script: Script, more: Value) -> Self {
        Self::of("openai", script, more).await
    }

    async fn of(provider: &str, script: Script, more: Value) -> Self {
        let server = ModelServer::start(script.recording());
        let base_url = if provider == "openai" { server.openai_url() } else { server.base_url() };
        let mut config = json!({
            "provider": provider, "base_url": base_url, "model": "judge-1", "max_tokens": 500,
            "criterion": "It answers the question.",
        });
        let (Value::Object(all), Value::Object(more)) = (&mut config, more) else { panic!("not maps") };
        all.extend(more);
        let judge = create(&config, &Environment::default()).await;
        let judge = judge.unwrap_or_else(|error| panic!("{config}: {error:?}"));
        Self { server, judge }
    }

    async fn judge(&self, output: &str) -> Result<Verdict, CallError> {
        self.judge.judge(&item(), &EvaluatorOutput::new(Payload::from_text(output)), &context()).await
    }

    async fn score(&self, output: &str) -> Option<Score> {
        let verdict = self.judge(output).await;
        verdict.unwrap_or_else(|error| panic!("{error} {:?}", error.detail.as_ref().map(Payload::expose))).score
    }

    async fn error(&self, output: &str) -> CallError {
        self.judge(output).await.expect_err("an error")
    }
}

fn item() -> EvalItem {
    EvalItem {
        item_id: ItemId::new("dev:1").expect("an id"),
        row: 1,
        input: Payload::from_text("What is the capital of France?"),
        reference_output: Some(Payload::from_text("Paris")),
        metadata: None,
    }
}

/// The key that a request asks for.
fn key(call: &Call<'_>) -> String {
    let text = call.user_text();
    let key = text.lines().next().and_then(|line| line.strip_prefix("Key: "));
    key.unwrap_or_else(|| panic!("no key in {text}")).to_owned()
}

/// What the request has between the lines of the block of this name.
fn block(call: &Call<'_>, name: &str) -> String {
    let (text, key) = (call.user_text(), key(call));
    let (_, rest) = text.split_once(&format!("[BEGIN {name} {key}]\n")).expect("a block");
    rest.split_once(&format!("\n[END {name} {key}]\n")).expect("its end").0.to_owned()
}

/// A verdict where the request wants it.
fn verdict(call: &Call<'_>, score: impl Into<Value>) -> Reply {
    Reply::answer(call, &json!({"key": key(call), "reasoning": "so it is", "score": score.into()}))
}

/// A model that gives this score, however it is asked.
fn giving(score: impl Into<Value>) -> Script {
    let score = score.into();
    Script::new(move |call| verdict(call, score.clone()))
}

#[tokio::test]
async fn either_api_gives_a_score_with_its_reason_structured_or_not() {
    for provider in ["openai", "anthropic"] {
        for structured in ["auto", "always", "never"] {
            for stream in [false, true] {
                let more = json!({"structured": structured, "stream": stream, "scale": {"min": 1, "max": 5}});
                let script = Script::new(|call| match call.answer() {
                    Some(_) => verdict(call, 4),
                    None => Reply::text(format!("so it is\n{{\"key\": \"{}\", \"score\": 4}}", key(call))),
                });
                let court = Court::of(provider, script, more).await;
                let verdict = court.judge("Paris").await.expect("a verdict");
                assert_eq!(verdict.score, Score::number(4.0), "{provider} {structured} {stream}");
                assert_eq!(verdict.rationale, Some(Payload::from_text("so it is")));
                assert!(verdict.usage.input_tokens > Some(0) && verdict.usage.output_tokens > Some(0));
                let request = court.server.requests()[0].json();
                let is_structured = request.get("response_format").or(request.get("tool_choice")).is_some();
                assert_eq!(is_structured, structured != "never", "{request}");
            }
        }
    }
}

#[tokio::test]
async fn each_kind_of_score_is_recorded_as_what_it_is() {
    for (more, given, recorded) in [
        (json!({}), json!("pass"), json!(true)),
        (json!({}), json!("fail"), json!(false)),
        (json!({"labels": ["safe", "unsafe"]}), json!("unsafe"), json!("unsafe")),
        (json!({"labels": {"bad": 0, "good": 1}}), json!("good"), json!({"label": "good", "score": 1.0})),
        (json!({"scale": {"min": 0, "max": 1}}), json!(0.25), json!(0.25)),
        (json!({"scale": {"min": 1, "max": 5, "integer": true}}), json!(5.0), json!(5.0)),
        (json!({"allow_unscored": true}), json!(null), json!(null)),
    ] {
        let court = Court::new(giving(given), more.clone()).await;
        let score = court.score("Paris").await;
        assert_eq!(serde_json::to_value(score).expect("JSON"), recorded, "{more}");
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_to_see_to_the_form_is_asked_without_that_from_then_on() {
    for status in [400, 422] {
        let script = giving("pass").when(|call| call.answer().is_some(), Reply::error(status));
        let court = Court::new(script, json!({})).await;
        for _ in 0..3 {
            assert_eq!(court.score("Paris").await, Some(true.into()));
        }
        let counts = court.server.counts();
        assert_eq!((counts.of_status(status), counts.of_status(200)), (1, 3));
    }
    let script = giving("pass").when(|call| call.answer().is_some(), Reply::error(400));
    let error = Court::new(script, json!({"structured": "always"})).await.error("Paris").await;
    assert_eq!(error.code, "http_400");
    // Another fault of the request stays an error, and nothing is learnt from it.
    let court = Court::new(Script::always(Reply::error(400)), json!({})).await;
    for _ in 0..2 {
        assert_eq!(court.error("Paris").await.code, "http_400");
    }
    assert_eq!(court.server.counts().calls, 4);
}

#[tokio::test]
async fn the_reference_is_shown_where_it_may_be_and_missed_where_it_must_be() {
    let sees = |reference: &'static str| async move {
        let court = Court::new(giving("pass"), json!({"reference": reference})).await;
        court.score("Lyon").await;
        court.server.requests()[0].json()["messages"].to_string().contains("Paris")
    };
    assert!(sees("auto").await && sees("required").await && !sees("none").await);

    let court = Court::new(giving("pass"), json!({"reference": "required"})).await;
    let item = EvalItem { reference_output: None, ..item() };
    let output = EvaluatorOutput::new(Payload::from_text("Paris"));
    let error = court.judge.judge(&item, &output, &context()).await.expect_err("an error");
    assert_eq!((error.code.as_ref(), court.server.counts().calls), ("reference_missing", 0));
}

#[tokio::test]
async fn the_same_seed_and_data_are_asked_in_the_same_words() {
    let court = Court::new(giving("pass"), json!({"seed": 7, "temperature": 0})).await;
    for output in ["Paris", "Paris", "Lyon"] {
        court.score(output).await;
    }
    let requests: Vec<_> = court.server.requests().iter().map(ef_testkit::model_server::SeenRequest::json).collect();
    assert_eq!(requests[0], requests[1]);
    assert_ne!(requests[0]["messages"], requests[2]["messages"]);
    assert_eq!((&requests[0]["seed"], &requests[0]["temperature"]), (&json!(7), &json!(0.0)));
    // What does not change between items comes first, where endpoints keep it ready.
    assert_eq!(requests[0]["messages"][0], requests[2]["messages"][0]);
    assert_eq!(requests[0]["response_format"], requests[2]["response_format"]);
}
