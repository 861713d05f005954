//! Replies, put together from parts.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::body::Body;
use super::call::{Answer, Api, Call};
use super::fitting::fitting;
use super::judge_prompt::JudgePrompt;
use super::message::{Finish, Message, Text, Tokens, ToolCall};
use super::trouble::Trouble;
use super::wire::{Cut, Ending, Framing, Outgoing, Pieces, Wire};
use super::{anthropic, openai};

/// What is replied to one request. It starts with one of the functions that make one ([`text`](Self::text),
/// [`error`](Self::error), [`hang`](Self::hang) …), and methods change how it is told or how it goes over the connection.
#[derive(Debug, Clone)]
pub struct Reply {
    what: What,
    status: Option<u16>,
    content_type: Option<Cow<'static, str>>,
    headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    retry_after: Option<RetryAfter>,
    wire: Wire,
}

#[derive(Debug, Clone)]
enum What {
    Says(Message),
    Error(Cause),
    Has(Body),
    GivesBack,
    Nothing,
}

#[derive(Debug, Clone)]
enum Cause {
    Status(u16, Option<Cow<'static, str>>),
    Quota,
    BillingLimit,
    Told(Trouble),
}

/// How a reply says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// `Retry-After` with so many seconds.
    Seconds(u64),
    /// `Retry-After` with the date that is so far from now, rounded up to a second, and `Date` with the present one.
    Date(Duration),
    /// `retry-after-ms` with so many milliseconds.
    Millis(u64),
}

impl Reply {
    const fn new(what: What) -> Self {
        let wire = Wire {
            wait: Duration::ZERO,
            wait_after_head: Duration::ZERO,
            pieces: Pieces::Large,
            wait_after_piece: Duration::ZERO,
            framing: Framing::Length,
            ending: Ending::Kept,
            gzip: false,
        };
        Self { what, status: None, content_type: None, headers: Vec::new(), retry_after: None, wire }
    }

    /// A model that says this, whatever shape it was asked for. On a plain path the body is `{"text": …}`.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(What::Says(Message { text: Some(Text::Of(text.into())), ..Message::default() }))
    }

    /// A model that says at least so many letters. They are sent without ever being in memory.
    #[must_use]
    pub fn letters(letters: u64) -> Self {
        Self::new(What::Says(Message { text: Some(Text::Letters(letters)), ..Message::default() }))
    }

    /// A model that calls a tool, with arguments that should be a JSON object, and says nothing.
    pub fn tool_call(name: impl Into<Cow<'static, str>>, arguments: impl Into<String>) -> Self {
        Self::new(What::Says(Message::default())).and_tool_call(name, arguments)
    }

    /// This value where the request wants its answer: in the text, or as the arguments of the tool that has to be called.
    #[must_use]
    pub fn answer(call: &Call<'_>, answer: &Value) -> Self {
        match call.answer() {
            Some(Answer::Tool { name, .. }) => Self::tool_call(name.clone(), answer.to_string()),
            _ => Self::text(answer.to_string()),
        }
    }

    /// An answer of the shape that the request asks for, which says how good something is: see
    /// [`fitting`](super::fitting). To a prompt of `eval_fabric.llm_judge` it is a verdict with the prompt's key and one of
    /// its scores; without any shape it is `{"score": …, "rationale": …}`.
    #[must_use]
    pub fn judgment(call: &Call<'_>, goodness: f64, rationale: &str) -> Self {
        let said = call.user_text();
        let prompt = JudgePrompt::read(&said);
        let score =
            prompt.as_ref().and_then(|prompt| prompt.scores.as_ref()).map(|scores| fitting(scores, goodness, ""));
        let shape = call.answer().filter(|answer| answer.schema().as_object().is_some_and(|schema| !schema.is_empty()));
        let Some(shape) = shape else {
            let Some(JudgePrompt { key, .. }) = prompt else {
                return Self::answer(call, &json!({"score": goodness, "rationale": rationale}));
            };
            let verdict = json!({"key": key, "score": score.unwrap_or_else(|| goodness.into())});
            return Self::text(format!("{rationale}\n{verdict}"));
        };
        let mut answer = fitting(shape.schema(), goodness, rationale);
        if let Some(prompt) = prompt {
            answer["key"] = prompt.key.into();
        }
        if let Some(score) = score {
            answer["score"] = score;
        }
        Self::answer(call, &answer)
    }

    /// What the user said last; on a plain path the whole body with its content type.
    #[must_use]
    pub fn echo(call: &Call<'_>) -> Self {
        if call.api() == Api::Plain { Self::new(What::GivesBack) } else { Self::text(call.user_text().into_owned()) }
    }

    /// The provider's error with this status.
    #[must_use]
    pub fn error(status: u16) -> Self {
        Self::new(What::Error(Cause::Status(status, None)))
    }

    /// The provider's error with this status and message.
    pub fn error_saying(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(What::Error(Cause::Status(status, Some(message.into()))))
    }

    pub(super) fn trouble(trouble: Trouble) -> Self {
        Self::new(What::Error(Cause::Told(trouble)))
    }

    /// 429: too many requests.
    #[must_use]
    pub fn rate_limited(retry_after: impl Into<Option<RetryAfter>>) -> Self {
        Self { retry_after: retry_after.into(), ..Self::error(429) }
    }

    /// The quota is used up: 429 `insufficient_quota` from OpenAI, 400 about a low credit balance from Anthropic.
    #[must_use]
    pub fn quota_exhausted() -> Self {
        Self::new(What::Error(Cause::Quota))
    }

    /// What may be spent is spent: 400 `billing_hard_limit_reached` from OpenAI, 402 `billing_error` from Anthropic.
    #[must_use]
    pub fn billing_limit_reached() -> Self {
        Self::new(What::Error(Cause::BillingLimit))
    }

    /// A redirect with this status.
    pub fn redirect(status: u16, location: impl Into<Cow<'static, str>>) -> Self {
        Self::body("text/plain", "moved").status(status).header("location", location)
    }

    /// This body, whatever the API wants.
    pub fn body(content_type: impl Into<Cow<'static, str>>, body: impl Into<Vec<u8>>) -> Self {
        Self { content_type: Some(content_type.into()), ..Self::new(What::Has(Body::of(body.into()))) }
    }

    /// No answer, ever: the connection stays open until the client closes it.
    #[must_use]
    pub const fn hang() -> Self {
        Self::new(What::Nothing)
    }

    fn message(mut self, change: impl FnOnce(&mut Message)) -> Self {
        if let What::Says(message) = &mut self.what {
            change(message);
        }
        self
    }

    /// The model calls this tool too.
    #[must_use]
    pub fn and_tool_call(self, name: impl Into<Cow<'static, str>>, arguments: impl Into<String>) -> Self {
        let call = ToolCall { name: name.into(), arguments: arguments.into() };
        self.message(|message| message.tool_calls.push(call))
    }

    /// The model tells that it used these tokens; without it, a quarter of the bytes.
    #[must_use]
    pub fn using(self, tokens: Tokens) -> Self {
        self.message(|message| message.tokens = Some(tokens))
    }

    /// The model tells this name; without it, the one that was asked for.
    #[must_use]
    pub fn by_model(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.message(|message| message.model = Some(name.into()))
    }

    /// The model stops for this reason.
    #[must_use]
    pub fn finishing(self, finish: Finish) -> Self {
        self.message(|message| message.finish = Some(finish))
    }

    /// Where the request wants a stream, it ends with the provider's error instead of its end.
    #[must_use]
    pub fn breaking_off(self) -> Self {
        self.message(|message| message.breaks_off = true)
    }

    /// With this status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// With this content type, whatever the body is.
    #[must_use]
    pub fn content_type(self, content_type: impl Into<Cow<'static, str>>) -> Self {
        Self { content_type: Some(content_type.into()), ..self }
    }

    /// With this header too. Line breaks in it are the script's own fault.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Telling when to come back.
    #[must_use]
    pub fn retry_after(self, retry_after: RetryAfter) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    fn over(mut self, change: impl FnOnce(&mut Wire)) -> Self {
        change(&mut self.wire);
        self
    }

    /// So long after the request, on top of what was said before.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        self.over(|wire| wire.wait += wait)
    }

    /// The head at once, and the body so much later.
    #[must_use]
    pub fn body_after(self, wait: Duration) -> Self {
        self.over(|wire| wire.wait_after_head = wait)
    }

    /// The body in pieces of so many bytes, with a wait after each.
    #[must_use]
    pub fn dripping(self, bytes: usize, wait: Duration) -> Self {
        self.over(|wire| {
            wire.pieces = Pieces::Of(bytes);
            wire.wait_after_piece = wait;
        })
    }

    /// The body in chunks, without a length.
    #[must_use]
    pub fn chunked(self) -> Self {
        self.over(|wire| wire.framing = Framing::Chunked)
    }

    /// The body compressed, whether the client can read that or not.
    #[must_use]
    pub fn gzip(self) -> Self {
        self.over(|wire| wire.gzip = true)
    }

    /// The body under a length that is not its own. The connection is closed after it, as nobody knows where it ends.
    #[must_use]
    pub fn claiming_length(self, length: u64) -> Self {
        self.over(|wire| {
            wire.framing = Framing::FalseLength(length);
            wire.ending = Ending::Closed;
        })
    }

    /// The connection is closed after the whole reply, and nothing has said so.
    #[must_use]
    pub fn closing(self) -> Self {
        self.over(|wire| wire.ending = Ending::Closed)
    }

    /// The connection is closed before the reply's end.
    #[must_use]
    pub fn cut(self, cut: Cut) -> Self {
        self.over(|wire| wire.ending = Ending::Cut(cut))
    }

    /// The connection is reset before the reply's end.
    #[must_use]
    pub fn reset(self, cut: Cut) -> Self {
        self.over(|wire| wire.ending = Ending::Reset(cut))
    }

    /// The reply to this call as it is sent.
    pub(super) fn outgoing(self, call: &Call<'_>) -> Outgoing {
        let mut wire = self.wire;
        let (status, kind, body) = match self.what {
            What::Nothing => return Outgoing { status: None, head: Vec::new(), body: Body::of(Vec::new()), wire },
            What::Says(message) => {
                let (kind, rendered) = rendered(call, &message);
                if call.streams() && call.api() != Api::Plain {
                    wire.framing = if let Framing::Length = wire.framing { Framing::Chunked } else { wire.framing };
                    // Letters are many, and one piece is as good as another.
                    let ordinary = matches!((wire.pieces, &message.text), (Pieces::Large, None | Some(Text::Of(_))));
                    wire.pieces = if ordinary { Pieces::Awkward } else { wire.pieces };
                }
                (200, kind.into(), message.body(rendered))
            }
            What::Error(cause) => {
                let trouble = cause.trouble(call.api());
                (trouble.status, "application/json".into(), Body::of(trouble.body(call.api())))
            }
            What::Has(body) => (200, "application/json".into(), body),
            What::GivesBack => {
                let kind = call.header("content-type").unwrap_or("application/octet-stream");
                (200, Cow::Owned(kind.to_owned()), Body::of(call.body().to_vec()))
            }
        };
        let status = self.status.unwrap_or(status);
        let content_type = self.content_type.unwrap_or(kind);
        let body = if wire.gzip { body.gzip() } else { body };
        let mut head = Vec::with_capacity(512);
        let request_id = if call.api() == Api::Anthropic { "request-id" } else { "x-request-id" };
        let reason = reason(status);
        let number = call.number();
        let _ = write!(
            head,
            "HTTP/1.1 {status} {reason}\r\ncontent-type: {content_type}\r\n{request_id}: req_{number}\r\n"
        );
        if wire.gzip {
            head.extend_from_slice(b"content-encoding: gzip\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if let Some(retry_after) = self.retry_after {
            retry_after.write(&mut head);
        }
        Outgoing { status: Some(status), head, body, wire }
    }
}

impl Cause {
    fn trouble(self, api: Api) -> Trouble {
        match self {
            Self::Status(status, None) => Trouble::of_status(api, status),
            Self::Status(status, Some(message)) => Trouble::of_status(api, status).saying(message),
            Self::Quota => Trouble::quota(api),
            Self::BillingLimit => Trouble::billing_limit(api),
            Self::Told(trouble) => trouble,
        }
    }
}

impl RetryAfter {
    fn write(self, head: &mut Vec<u8>) {
        let _ = match self {
            Self::Seconds(seconds) => write!(head, "retry-after: {seconds}\r\n"),
            Self::Millis(millis) => write!(head, "retry-after-ms: {millis}\r\n"),
            Self::Date(wait) => {
                let now = SystemTime::now();
                let then = httpdate::fmt_http_date(now + wait + Duration::from_millis(999));
                write!(head, "date: {}\r\nretry-after: {then}\r\n", httpdate::fmt_http_date(now))
            }
        };
    }
}

/// The message in the protocol that was asked for.
fn rendered(call: &Call<'_>, message: &Message) -> (&'static str, Vec<u8>) {
    match (call.api(), call.streams()) {
        (Api::OpenAi, false) => ("application/json", openai::whole(call, message)),
        (Api::OpenAi, true) => ("text/event-stream", openai::stream(call, message)),
        (Api::Anthropic, false) => ("application/json", anthropic::whole(call, message)),
        (Api::Anthropic, true) => ("text/event-stream", anthropic::stream(call, message)),
        (Api::Plain, _) => {
            let body = json!({"text": message.text()});
            ("application/json", body.to_string().into_bytes())
        }
    }
}

pub(super) const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        529 => "Overloaded",
        _ => "As Scripted",
    }
}
