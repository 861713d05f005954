//! What a script sees of a request.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use httparse::Header;
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::{Fields, text};
use super::request::header;

/// Which protocol a request speaks, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// `POST /v1/chat/completions`: OpenAI's chat completions.
    OpenAi,
    /// `POST /v1/messages`: Anthropic's messages.
    Anthropic,
    /// `/echo` and all below it, with any method: whatever a test wants to send.
    Plain,
}

/// One request that passed the checks, and what is known of it.
pub struct Call<'a> {
    pub(super) number: u64,
    pub(super) connection: u64,
    pub(super) at: Duration,
    pub(super) api: Api,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a [Header<'a>],
    pub(super) body: &'a [u8],
    pub(super) fields: Fields<'a>,
    pub(super) turns: Vec<Turn<'a>>,
    pub(super) answer: Option<Answer>,
}

/// One message of a conversation.
#[derive(serde::Deserialize)]
pub(super) struct Turn<'a> {
    #[serde(borrow)]
    pub(super) role: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
}

/// Where a request wants its answer to be, when it says what shape it must have.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// As JSON in the text, of this JSON Schema (`{}` where any object will do).
    Text(Value),
    /// As the arguments of a tool that has to be called.
    Tool {
        /// The tool's name.
        name: String,
        /// The JSON Schema of its arguments.
        schema: Value,
    },
}

impl Answer {
    /// The shape that the answer must have.
    #[must_use]
    pub const fn schema(&self) -> &Value {
        match self {
            Self::Text(schema) | Self::Tool { schema, .. } => schema,
        }
    }
}

impl<'a> Call<'a> {
    /// How many requests came before it, refused ones included.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// How many connections were opened before the one that it came over.
    #[must_use]
    pub const fn connection(&self) -> u64 {
        self.connection
    }

    /// The time since the server's start.
    #[must_use]
    pub const fn at(&self) -> Duration {
        self.at
    }

    /// The protocol that it speaks.
    #[must_use]
    pub const fn api(&self) -> Api {
        self.api
    }

    /// The method, such as `POST`.
    #[must_use]
    pub const fn method(&self) -> &'a str {
        self.method
    }

    /// The path with its query.
    #[must_use]
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.headers, name)
    }

    /// The body.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The key that came with it, of either API.
    #[must_use]
    pub fn key(&self) -> Option<&'a str> {
        let bearer = self.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        bearer.or_else(|| self.header("x-api-key"))
    }

    /// The model that is asked for; nothing on a plain path.
    #[must_use]
    pub fn model(&self) -> Cow<'a, str> {
        self.fields.text("model").unwrap_or_default()
    }

    /// A parameter of the request's body.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Value> {
        self.fields.value(name)
    }

    /// Whether the answer is to be streamed.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.fields.is_true("stream")
    }

    /// Whether a stream of chat completions is to end with what was used.
    pub(super) fn wants_usage(&self) -> bool {
        self.fields.value("stream_options").is_some_and(|options| options["include_usage"] == true)
    }

    /// What the user said last; the body as text on a plain path.
    #[must_use]
    pub fn user_text(&self) -> Cow<'a, str> {
        if self.api == Api::Plain {
            return String::from_utf8_lossy(self.body);
        }
        let last = self.turns.iter().rev().find(|turn| turn.role == "user");
        last.and_then(|turn| turn.content).map(|content| content_text(content.get())).unwrap_or_default()
    }

    /// What the model was told before the conversation: Anthropic's `system`, or the messages of the roles `system` and
    /// `developer`.
    #[must_use]
    pub fn system_text(&self) -> String {
        let mut text = self.fields.get("system").map(content_text).unwrap_or_default().into_owned();
        for turn in self.turns.iter().filter(|turn| ["system", "developer"].contains(&turn.role.as_ref())) {
            text.push_str(&turn.content.map(|content| content_text(content.get())).unwrap_or_default());
        }
        text
    }

    /// Whether these words are in what the model was told or in any message.
    #[must_use]
    pub fn mentions(&self, words: &str) -> bool {
        let mut contents = self.turns.iter().filter_map(|turn| turn.content);
        self.system_text().contains(words)
            || contents.any(|content| content_text(content.get()).contains(words))
            || (self.api == Api::Plain && self.user_text().contains(words))
    }

    /// The shape that the answer must have, where the request says it: by OpenAI's `response_format`, by Anthropic's
    /// `output_config.format` (or `output_format`, its name before), or by a tool that has to be called.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, connection, at, api, method, path, .. } = self;
        f.debug_struct("Call")
            .field("number", number)
            .field("connection", connection)
            .field("at", at)
            .field("api", api)
            .field("method", method)
            .field("path", path)
            .finish_non_exhaustive()
    }
}

/// The text of a message's content, which is a text or a list of parts.
fn content_text(raw: &str) -> Cow<'_, str> {
    if let Some(text) = text(raw) {
        return text;
    }
    let Ok(Value::Array(parts)) = serde_json::from_str(raw) else { return Cow::Borrowed("") };
    let texts = parts.iter().filter_map(|part| part["text"].as_str());
    Cow::Owned(texts.collect::<Vec<_>>().join("\n"))
}
