//! Credentials that come back are found and taken out.

use ef_client::chat::{Api, ChatModel, ChatRequest, ModelConfig};
use ef_testkit::model_server::{Reply, Script};

use super::*;

/// The key as JSON with every character escaped.
fn escaped() -> String {
    KEY.chars().map(|c| format!("\\u{:04x}", c as u32)).collect()
}

#[tokio::test]
async fn a_key_that_is_echoed_comes_back_nowhere() {
    let echoing = |reply: Reply| reply.header("x-echo", format!("Bearer {KEY}"));
    let bodies = [format!(r#"{{"key": "{KEY}"}}"#), format!(r#"{{"key": "{}"}}"#, escaped())];
    for body in bodies {
        let server = ModelServer::start(Script::always(echoing(Reply::body("application/json", body.clone()))));
        let response = plain(&clients(), &server).send(request(), &context()).await.expect("an answer");
        assert_eq!(response.body, r#"{"key": "[redacted]"}"#);
        assert_eq!(response.headers["x-echo"], "Bearer [redacted]");
        assert!(!format!("{response:?}").contains(KEY));

        let server = ModelServer::start(Script::always(echoing(Reply::body("application/json", body).status(400))));
        let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("a refusal");
        assert_eq!(error.detail.as_ref().expect("a body").expose(), r#"{"key": "[redacted]"}"#);
        assert!(!format!("{error:?} {error}").contains(KEY));
    }
}

#[tokio::test]
async fn a_key_is_in_no_message_even_where_it_is_sent_back_as_a_code_or_a_host() {
    let body = format!(r#"{{"error": {{"code": "{KEY}"}}}}"#);
    for reply in [
        Reply::body("application/json", body).status(401),
        Reply::redirect(301, format!("https://{KEY}.example/")),
        Reply::redirect(301, format!("https://x.example/?key={KEY}")),
    ] {
        let server = ModelServer::start(Script::always(reply));
        let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("a refusal");
        assert!(!format!("{error:?} {error}").contains(KEY), "{error}");
    }
}

#[tokio::test]
async fn secrets_in_other_headers_are_hidden_too() {
    let server = ModelServer::start(Script::echo());
    let other = Secret::new("another-secret-value".to_owned());
    let endpoint = clients().endpoint(&server.base_url(), None).expect("an address").hiding([&other]);
    let response = endpoint.send(HttpRequest::post("/echo", "another-secret-value"), &context()).await;
    assert_eq!(response.expect("an echo").body, "[redacted]");
}

#[tokio::test]
async fn a_key_that_a_model_says_comes_back_in_no_reply_whole_or_in_pieces() {
    for stream in [false, true] {
        for api in [Api::OpenAiChat, Api::AnthropicMessages] {
            let said = format!("my key is {KEY}, is it not?");
            let arguments = format!(r#"{{"key": "{KEY}"}}"#);
            let server =
                ModelServer::start(Script::always(Reply::text(said).and_tool_call("tell", arguments)).with_key(KEY));
            let model = super::chat::model(api, &server, |config| config.stream = stream);
            let reply = model.complete(super::chat::question(), &context()).await.expect("a reply");
            assert_eq!(reply.text.as_deref(), Some("my key is [redacted], is it not?"));
            assert!(!reply.message.to_string().contains(KEY), "{}", reply.message);
            assert!(!format!("{reply:?} {model:?}").contains(KEY));
        }
    }
}

#[test]
fn nothing_that_holds_a_key_shows_it() {
    let environment = Environment::new([("THE_KEY".to_owned(), KEY.to_owned())]);
    let clients = Clients::new(&environment);
    let mut config = ModelConfig::new("m");
    config.api_key_env = Some("THE_KEY".to_owned());
    let model = ChatModel::new(Api::OpenAiChat, &config, &clients, &environment).expect("a model");
    let shown = format!("{clients:?} {model:?} {:?} {:?}", request(), ChatRequest::user(KEY));
    assert!(!shown.contains(KEY), "{shown}");
}
