//! Messages as text: what is written to a plugin, and the envelope of what it answers.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Instant;

use ef_model::{CallContext, ComponentId, EvalItem, EvaluatorOutput, Payload};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ComponentKind;

/// A request as a line. `params` writes a JSON object.
pub(super) fn request(id: u64, method: &str, params: impl FnOnce(&mut String)) -> String {
    let mut line = String::with_capacity(512);
    let _ = write!(line, r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":"#);
    params(&mut line);
    line.push_str("}\n");
    line
}

/// The notification that an answer is not wanted any more, as a line.
pub(super) fn cancel(id: u64) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"cancel\",\"params\":{{\"id\":{id}}}}}\n")
}

/// The params of `create`. The config is JSON.
pub(super) fn create_params(line: &mut String, instance: u64, kind: ComponentKind, id: &ComponentId, config: &str) {
    let _ = write!(line, r#"{{"instance":{instance},"kind":"{kind}","id":"{id}","config":{config}}}"#);
}

/// The params of `evaluate`.
pub(super) fn evaluate_params(line: &mut String, instance: u64, item: &EvalItem, context: &CallContext) {
    let _ = write!(line, r#"{{"instance":{instance},"item":"#);
    push_item(line, item);
    push_context(line, context);
    line.push('}');
}

/// The params of `judge`.
pub(super) fn judge_params(
    line: &mut String,
    instance: u64,
    item: &EvalItem,
    output: &EvaluatorOutput,
    context: &CallContext,
) {
    let _ = write!(line, r#"{{"instance":{instance},"item":"#);
    push_item(line, item);
    line.push_str(r#","output":{"output":"#);
    push_payload(line, &output.output);
    push_optional(line, "metadata", output.metadata.as_ref());
    line.push('}');
    push_context(line, context);
    line.push('}');
}

fn push_item(line: &mut String, item: &EvalItem) {
    let id = Value::from(item.item_id.as_str());
    let _ = write!(line, r#"{{"item_id":{id},"row":{},"input":"#, item.row);
    push_payload(line, &item.input);
    push_optional(line, "reference_output", item.reference_output.as_ref());
    push_optional(line, "metadata", item.metadata.as_ref());
    line.push('}');
}

fn push_context(line: &mut String, context: &CallContext) {
    let left = context.deadline().saturating_duration_since(Instant::now()).as_millis();
    let CallContext { attempt, repeat, seed, .. } = context;
    let _ = write!(
        line,
        r#","context":{{"attempt":{attempt},"repeat":{repeat},"seed":{seed},"timeout_ms":{}"#,
        u64::try_from(left).unwrap_or(u64::MAX)
    );
    if let Some(trace) = context.trace() {
        let _ = write!(line, r#","traceparent":{}"#, Value::from(trace.traceparent.as_str()));
        if let Some(state) = &trace.tracestate {
            let _ = write!(line, r#","tracestate":{}"#, Value::from(state.as_str()));
        }
    }
    line.push('}');
}

fn push_optional(line: &mut String, name: &str, payload: Option<&Payload>) {
    if let Some(payload) = payload {
        let _ = write!(line, r#","{name}":"#);
        push_payload(line, payload);
    }
}

/// A payload byte for byte, but for line breaks: in strict JSON they can only stand between tokens, where a space says the
/// same, and a message is one line.
fn push_payload(line: &mut String, payload: &Payload) {
    let text = payload.expose();
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_some() {
        line.extend(text.chars().map(|char| if matches!(char, '\n' | '\r') { ' ' } else { char }));
    } else {
        line.push_str(text);
    }
}

/// What a line from a plugin is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// An answer: the JSON of its result, or of its error.
    Answer { id: u64, outcome: Result<&'a str, &'a str> },
    /// No answer; of which request one was meant, where that can still be read.
    Malformed { id: Option<u64>, fault: &'static str },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
}

/// A null that is there, told from nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads one line from a plugin.
pub(super) fn read(line: &[u8]) -> Message<'_> {
    let malformed = |fault| Message::Malformed { id: probable_id(line), fault };
    let Ok(text) = std::str::from_utf8(line) else { return malformed("is not UTF-8") };
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
        let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
        return malformed(if is_json { "is not a JSON-RPC 2.0 answer" } else { "is not valid JSON" });
    };
    if envelope.jsonrpc != "2.0" {
        return malformed("is not of JSON-RPC version 2.0");
    }
    if envelope.method.is_some() {
        return Message::Malformed { id: None, fault: "is a request or a notification, which only the host sends" };
    }
    let Some(id) = envelope.id.and_then(|id| id.get().parse().ok()) else {
        return Message::Malformed { id: None, fault: "has no id that is an integer" };
    };
    match (envelope.result, envelope.error) {
        (Some(result), Some(_)) if result.get() != "null" => malformed("has both a result and an error"),
        (_, Some(error)) => Message::Answer { id, outcome: Err(error.get()) },
        (Some(result), None) => Message::Answer { id, outcome: Ok(result.get()) },
        (None, None) => malformed("has neither a result nor an error"),
    }
}

/// The id of an answer that is not valid JSON, if one can be made out: the integer after the key `id` of the outermost
/// object. Strings and nesting are followed as in JSON, everything else may be anything.
pub(super) fn probable_id(line: &[u8]) -> Option<u64> {
    let (mut depth, mut at) = (0_usize, 0);
    while at < line.len() {
        match line[at] {
            b'"' => {
                let end = string_end(line, at)?;
                if depth == 1 && &line[at..end] == b"\"id\"" {
                    let id = integer_after_colon(&line[end..]);
                    if id.is_some() {
                        return id;
                    }
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the string that begins at `from` has ended.
fn string_end(line: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match line.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn integer_after_colon(rest: &[u8]) -> Option<u64> {
    let digits = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Where the line breaks off, more digits may have been to come.
    let is_whole = digits.get(length).is_some_and(|next| matches!(next, b',' | b'}' | b' ' | b'\t' | b'\r'));
    std::str::from_utf8(&digits[..length]).ok().filter(|_| is_whole)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(line: &str) -> (Option<u64>, &'static str) {
        match read(line.as_bytes()) {
            Message::Malformed { id, fault } => (id, fault),
            Message::Answer { .. } => panic!("an answer: {line}"),
        }
    }

    #[test]
    fn an_answer_is_taken_apart_without_touching_its_result() {
        let line = br#"{"jsonrpc":"2.0","id":7,"result":{ "score" : 1.0000000000000000001 }}"#;
        let outcome = Ok(r#"{ "score" : 1.0000000000000000001 }"#);
        assert_eq!(read(line), Message::Answer { id: 7, outcome });
        assert_eq!(read(br#"{"id":7,"jsonrpc":"2.0","result":null}"#), Message::Answer { id: 7, outcome: Ok("null") });
        let error = Message::Answer { id: 1, outcome: Err(r#"{"code":1}"#) };
        assert_eq!(read(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":null,\"error\":{\"code\":1}}\r"), error);
    }

    #[test]
    fn what_is_no_answer_still_says_whose_it_was_to_be() {
        assert_eq!(fault(r#"{"jsonrpc":"2.0","id":7,"result":{"score":NaN}}"#), (Some(7), "is not valid JSON"));
        assert_eq!(fault(r#"{"result":{"id":3,"x":"\"id\":4}"},"id": 12 "#), (Some(12), "is not valid JSON"));
        assert_eq!(fault(r#"{"jsonrpc":"2.0","id":7}"#), (Some(7), "has neither a result nor an error"));
        assert_eq!(
            fault(r#"{"jsonrpc":"2.0","id":7,"result":1,"error":{}}"#),
            (Some(7), "has both a result and an error")
        );
        assert_eq!(fault(r#"{"jsonrpc":"1.0","id":7,"result":1}"#), (Some(7), "is not of JSON-RPC version 2.0"));
        assert_eq!(fault(r#"{"jsonrpc":"2.0","id":7,"id":8,"result":1}"#), (Some(7), "is not a JSON-RPC 2.0 answer"));
        assert_eq!(fault(r#"{"jsonrpc":"2.0","id":"7","result":1}"#), (None, "has no id that is an integer"));
        assert_eq!(fault(r#"{"jsonrpc":"2.0","id":17"#), (None, "is not valid JSON"));
        assert_eq!(fault("loading the model"), (None, "is not valid JSON"));
        assert_eq!(fault(""), (None, "is not valid JSON"));
        let bytes = b"{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":\"\xff\"}";
        assert_eq!(read(bytes), Message::Malformed { id: Some(9), fault: "is not UTF-8" });
    }

    proptest! {
        #[test]
        fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..80), text in "[\\[\\]{}:,\"id0-9\\\\ -]{0,60}") {
            let _ = read(&line);
            let _ = read(text.as_bytes());
        }

        #[test]
        fn a_cut_answer_never_names_another_request(id in any::<u64>(), cut in 0_usize..60) {
            let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"score\":0.25}}}}");
            let found = probable_id(&line.as_bytes()[..cut.min(line.len())]);
            prop_assert!(found.is_none() || found == Some(id));
        }
    }
}
