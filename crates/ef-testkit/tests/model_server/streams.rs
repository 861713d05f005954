//! Streamed answers: the same answers in pieces.

use ef_testkit::model_server::{Finish, ModelServer, Reply, Script};
use serde_json::{Value, json};

use crate::raw::{self, complete, message};

const TEXT: &str = "Wörter, 日本語 and \"quotes\"\nover lines 🙂🙂";

/// The data of each event of a stream, and the names of those that have one.
fn events(reply: &raw::Reply) -> (Vec<String>, Vec<String>) {
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let text = std::str::from_utf8(&reply.body).expect("a stream is text");
    let named = |field: &str| text.lines().filter_map(|line| line.strip_prefix(field)).map(str::to_owned).collect();
    (named("data: "), named("event: "))
}

fn values(data: &[String]) -> Vec<Value> {
    data.iter().map(|data| serde_json::from_str(data).expect("data is JSON")).collect()
}

#[test]
fn a_streamed_completion_comes_to_the_whole_text() {
    let server = ModelServer::start(Script::always(Reply::text(TEXT)));
    let reply = complete(&server, &json!({"stream": true}));
    let (data, names) = events(&reply);
    assert_eq!(names, [""; 0]);
    assert_eq!(data.last().map(String::as_str), Some("[DONE]"));
    let chunks = values(&data[..data.len() - 1]);
    let deltas: Vec<&str> =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(deltas.concat(), TEXT);
    assert!(deltas.len() > 5, "{deltas:?}");
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk.get("usage").is_none()));
    assert_eq!(chunks.last().expect("a chunk")["choices"][0]["finish_reason"], "stop");
}

#[test]
fn usage_comes_in_the_last_chunk_when_it_is_asked_for() {
    let server = ModelServer::start(Script::always(Reply::text(TEXT)));
    let reply = complete(&server, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (data, _) = events(&reply);
    let chunks = values(&data[..data.len() - 1]);
    let (last, others) = chunks.split_last().expect("chunks");
    assert_eq!(last["choices"], json!([]));
    assert!(last["usage"]["total_tokens"].as_u64() > Some(0));
    assert!(others.iter().all(|chunk| chunk["usage"].is_null()));
}

#[test]
fn pieces_end_in_the_middle_of_everything() {
    let server = ModelServer::start(Script::always(Reply::text("日本語".repeat(100))));
    let reply = complete(&server, &json!({"stream": true}));
    assert!(reply.chunks.len() > 20, "{}", reply.chunks.len());
    assert!(reply.chunks.iter().any(|chunk| std::str::from_utf8(chunk).is_err()), "no character was split");
    assert!(
        reply.chunks.iter().any(|chunk| chunk.ends_with(b"\n") && !chunk.ends_with(b"\n\n")),
        "no end of an event was"
    );
}

#[test]
fn a_streamed_message_has_anthropics_events_in_their_order() {
    let script = Script::always(Reply::text("Hi you").and_tool_call("weather", r#"{"city":"Köln","days":3}"#));
    let server = ModelServer::start(script);
    let (data, names) = events(&message(&server, &json!({"stream": true})));
    let mut short = names.clone();
    short.dedup();
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(short, expected);
    let data = values(&data);
    assert!(data.iter().zip(&names).all(|(data, name)| data["type"] == name.as_str()));
    let joined = |field: &str| data.iter().filter_map(|data| data["delta"][field].as_str()).collect::<String>();
    assert_eq!(joined("text"), "Hi you");
    assert_eq!(joined("partial_json"), r#"{"city":"Köln","days":3}"#);
    let delta = &data[data.len() - 2];
    assert_eq!(delta["delta"]["stop_reason"], "tool_use");
    assert!(delta["usage"]["output_tokens"].as_u64() > Some(0));
}

#[test]
fn a_streamed_tool_call_comes_to_the_whole_arguments() {
    let server = ModelServer::start(Script::always(Reply::tool_call("weather", r#"{"city":"Köln"}"#)));
    let (data, _) = events(&complete(&server, &json!({"stream": true})));
    let chunks = values(&data[..data.len() - 1]);
    let calls: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]).collect();
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, r#"{"city":"Köln"}"#);
    let names: Vec<&str> = calls.iter().filter_map(|call| call["function"]["name"].as_str()).collect();
    assert_eq!(names, ["weather"]);
    assert_eq!(chunks.last().expect("a chunk")["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_stream_may_break_off_with_an_error() {
    let server = ModelServer::start(Script::always(Reply::text("Half of it").breaking_off()));
    let (data, _) = events(&complete(&server, &json!({"stream": true})));
    assert!(data.last().is_some_and(|last| last.contains("server_error")), "{data:?}");
    let (data, names) = events(&message(&server, &json!({"stream": true})));
    assert_eq!(names.last().map(String::as_str), Some("error"));
    assert!(data.last().is_some_and(|last| last.contains("overloaded_error")));
}

#[test]
fn a_model_may_decline_in_a_stream() {
    let server = ModelServer::start(Script::always(Reply::text("No.").finishing(Finish::Declined)));
    let (data, _) = events(&complete(&server, &json!({"stream": true})));
    let chunks = values(&data[..data.len() - 1]);
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["delta"]["refusal"] == "No."));
    assert_eq!(chunks.last().expect("a chunk")["choices"][0]["finish_reason"], "content_filter");
}
