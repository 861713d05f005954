//! Addresses, keys, proxies and configs, checked before anything is sent.

use std::fmt::Write as _;

use ef_client::ClientError;
use ef_client::chat::{Api, ChatModel, ModelConfig, Price};
use ef_testkit::model_server::Script;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;

/// All that is wrong with a config.
fn problems(api: Api, change: impl FnOnce(&mut ModelConfig)) -> String {
    let mut config = ModelConfig::new("m");
    change(&mut config);
    let environment = Environment::new([
        ("ANTHROPIC_API_KEY".to_owned(), "line break\n".to_owned()),
        ("EMPTY_KEY".to_owned(), String::new()),
    ]);
    let problems = ChatModel::new(api, &config, &clients(), &environment).expect_err("something is wrong");
    problems.iter().fold(String::new(), |mut lines, problem| {
        let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        writeln!(lines, "{}: {}{hint}", problem.pointer, problem.message).expect("a string");
        lines
    })
}

#[test]
fn everything_that_is_wrong_is_told_at_once_and_missing_variables_are_named() {
    let openai = problems(Api::OpenAiChat, |config| {
        config.base_url = Some("https://user:secret@host/v1".to_owned());
        config.api_key_env = Some("EMPTY_KEY".to_owned());
        config.model.clear();
        config.headers.insert("a b".to_owned(), "x".to_owned());
        config.headers.insert("Host".to_owned(), "x".to_owned());
        config.headers.insert("X-Fine".to_owned(), "a\nb".to_owned());
        config.headers_env.insert("X-Other".to_owned(), "NOT_SET".to_owned());
        config.extra.insert("messages".to_owned(), json!([]));
        config.price = Some(Price {
            input_usd_per_million_tokens: f64::NAN,
            output_usd_per_million_tokens: -1.0,
            cached_input_usd_per_million_tokens: None,
            cache_write_usd_per_million_tokens: None,
        });
    });
    let anthropic = problems(Api::AnthropicMessages, |config| {
        config.seed = Some(1);
        config.temperature = Some(1.5);
    });
    let missing = problems(Api::OpenAiChat, |_| {});
    assert!(!openai.contains("secret"));
    insta::assert_snapshot!(format!("{openai}\n{anthropic}\n{missing}"));
}

#[test]
fn addresses_that_cannot_be_called_are_refused() {
    for address in ["", "localhost:8000", "ftp://host/", "/v1", "http://", "https://a:b@host", "https://host/#x"] {
        let refused = clients().endpoint(address, None);
        assert!(matches!(refused, Err(ClientError::Address(_))), "{address}");
    }
}

#[test]
fn a_key_is_sent_to_nobody_who_did_not_give_it() {
    let server = ModelServer::start(Script::echo().recording());
    let environment = Environment::new([("OPENAI_API_KEY".to_owned(), KEY.to_owned())]);
    let mut config = ModelConfig::new("m");
    config.base_url = Some(server.openai_url());
    let model = ChatModel::new(Api::OpenAiChat, &config, &clients(), &environment).expect("no key is needed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { model.complete(super::chat::question(), &context()).await }).expect("an echo");
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[test]
fn without_certificate_authorities_https_is_refused_and_http_is_not() {
    let environment = Environment::new([("SSL_CERT_FILE".to_owned(), "/there/is/no/such/file".to_owned())]);
    let clients = Clients::new(&environment);
    assert_eq!(clients.endpoint("https://host/", None).expect_err("nobody to trust"), ClientError::NoRoots);
    clients.endpoint("http://host/", None).expect("no certificates are needed");
}

/// A config as evaluators and judges have it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(flatten)]
    model: ModelConfig,
    #[serde(default)]
    own: Option<String>,
}

#[test]
fn a_config_that_takes_it_in_refuses_what_neither_knows() {
    let read = |value| serde_json::from_value::<Config>(value);
    let config = read(json!({"model": "m", "own": "x", "max_tokens": 5, "temperature": 0, "extra": {"top_k": 3}}));
    let config = config.expect("all keys are known");
    assert_eq!((config.model.max_tokens, config.model.temperature), (Some(5), Some(0.0)));
    assert_eq!(config.own.as_deref(), Some("x"));
    let error = read(json!({"model": "m", "temprature": 1})).expect_err("a slip").to_string();
    assert!(error.contains("temprature"), "{error}");

    let schema = schemars::schema_for!(Config).to_value();
    let is_closed = [&schema["additionalProperties"], &schema["unevaluatedProperties"]].contains(&&json!(false));
    assert!(is_closed, "{schema:#}");
    assert!(schema["properties"]["own"].is_object() && schema["properties"]["temperature"].is_object(), "{schema:#}");
}
