//! Replies that no client should have to see, and every client does.

use super::call::{Api, Call};
use super::reply::Reply;

impl Reply {
    /// JSON that ends in its middle, with a content length that fits.
    #[must_use]
    pub fn invalid_json() -> Self {
        Self::body("application/json", r#"{"id": "x", "choices": [{"message": {"content": "tru"#)
    }

    /// JSON that is no answer of any API.
    #[must_use]
    pub fn wrong_shape() -> Self {
        Self::body("application/json", r#"{"choices": {"message": 7}, "content": "a text", "usage": []}"#)
    }

    /// JSON so many levels deep.
    #[must_use]
    pub fn deep_json(levels: usize) -> Self {
        let body = format!(r#"{{"choices": {}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        Self::body("application/json", body)
    }

    /// An answer of the right shape whose numbers fit nowhere, in its usage and in its text, which is a score of 1e400.
    #[must_use]
    pub fn huge_numbers(call: &Call<'_>) -> Self {
        let number = "123456789012345678901234567890e400";
        let text = r#"{\"score\": 1e400, \"rationale\": \"more than any double\"}"#;
        let body = match call.api() {
            Api::Anthropic => format!(
                r#"{{"id":"msg_huge","type":"message","role":"assistant","model":"huge","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":{number},"output_tokens":{number}}}}}"#
            ),
            _ => format!(
                r#"{{"id":"chatcmpl-huge","object":"chat.completion","created":{number},"model":"huge","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{number},"completion_tokens":{number},"total_tokens":{number}}}}}"#
            ),
        };
        Self::body("application/json", body)
    }

    /// An answer whose text is at least so many bytes, compressed to less than a hundredth.
    #[must_use]
    pub fn gzip_bomb(bytes: u64) -> Self {
        Self::letters(bytes).gzip()
    }

    /// A model that repeats the key that came with the call.
    #[must_use]
    pub fn leaking_key(call: &Call<'_>) -> Self {
        Self::text(format!("Your key is {}, isn't it?", call.key().unwrap_or_default()))
            .header("x-seen-key", call.key().unwrap_or_default().to_owned())
    }

    /// The provider's error of this status, with the key that came with the call in its message, its code and a header.
    #[must_use]
    pub fn error_leaking_key(call: &Call<'_>, status: u16) -> Self {
        let key = call.key().unwrap_or_default().to_owned();
        let message = format!("Incorrect API key provided: {key}. Find yours in your account.");
        let error = serde_json::json!({"message": message, "type": key, "code": key, "param": null});
        let body = serde_json::json!({"type": "error", "error": error}).to_string();
        Self::body("application/json", body).status(status).header("x-seen-key", key)
    }

    /// The same with every letter of the key escaped, as JSON allows.
    #[must_use]
    pub fn error_leaking_escaped_key(call: &Call<'_>, status: u16) -> Self {
        let key: String = call.key().unwrap_or_default().encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let body = format!(
            r#"{{"type":"error","error":{{"message":"bad key {key}","type":"invalid_request_error","code":null}}}}"#
        );
        Self::body("application/json", body).status(status)
    }
}
