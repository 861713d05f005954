//! A model that is called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ef_model::{CallContext, CallError, ConfigProblem, Environment, Pricing, Usage};
use http::HeaderMap;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::Instrument as _;

use super::answer::Tokens;
use super::envelope::Envelope;
use super::{AnswerSchema, Api, ChatReply, ChatRequest, ModelConfig, anthropic, openai, price, setup, span};
use crate::exchange::Exchange;
use crate::failure;
use crate::limiter::Permit;
use crate::sse::EventReader;
use crate::{Clients, Endpoint, HttpRequest};

/// A model that is called by one of the protocols, as a config says.
#[derive(Clone)]
pub struct ChatModel {
    api: Api,
    config: ModelConfig,
    endpoint: Endpoint,
    headers: HeaderMap,
    path: &'static str,
    /// Whether the endpoint wants `max_completion_tokens` for the limit of tokens.
    says_completion_tokens: bool,
    /// The bytes of the last request: the next one is about as long, and is written without growing.
    last_body: Arc<AtomicUsize>,
}

/// What a protocol makes of an answer.
pub(super) struct Answer {
    pub(super) text: Option<String>,
    pub(super) message: Value,
    pub(super) finish_reason: Option<String>,
}

/// Puts an answer together that comes in events.
pub(super) trait Assembly {
    /// Takes one event.
    fn event(&mut self, event: Value) -> Result<(), Invalid>;

    /// Whether the answer is whole.
    fn is_whole(&self) -> bool;

    /// Whether an event has said that nothing follows.
    fn is_over(&self) -> bool;

    /// The answer, as it would have come had it not been streamed.
    fn answer(self) -> Value;
}

/// Why an answer is not one of the protocol: what is missing or wrong, in words that quote nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Invalid(pub(super) &'static str);

/// Room that is made for a request, in bytes, at least and at most: it grows where that is not enough.
const LEAST_ROOM: usize = 512;
const MOST_ROOM: usize = 64 << 10;

impl ChatModel {
    /// Checks the config, finds the variables that it names and makes an endpoint.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the config, with pointers to the keys of [`ModelConfig`] as keys of the config itself. A
    /// variable that is not set is named.
    pub fn new(
        api: Api,
        config: &ModelConfig,
        clients: &Clients,
        environment: &Environment,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let setup::Ready { endpoint, headers } = setup::prepare(api, config, clients, environment)?;
        let path = match api {
            Api::OpenAiChat => "/chat/completions",
            // Many give the address with the version, as it is with OpenAI.
            Api::AnthropicMessages if endpoint.path().trim_end_matches('/').ends_with("/v1") => "/messages",
            Api::AnthropicMessages => "/v1/messages",
        };
        let says_completion_tokens = api == Api::OpenAiChat && setup::is_openai(endpoint.host());
        let last_body = Arc::default();
        Ok(Self { api, config: config.clone(), endpoint, headers, path, says_completion_tokens, last_body })
    }

    /// The model's name, as the config has it.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.config.model
    }

    /// What is known of the cost of a call before it is made: bounded, with a price and a limit of tokens.
    #[must_use]
    pub fn pricing(&self) -> Pricing {
        let missing = match (self.config.price.is_some(), self.most_output().is_some()) {
            (true, true) => return Pricing::Bounded,
            (false, true) => "`price`",
            (true, false) => "`max_tokens`",
            (false, false) => "`price` and `max_tokens`",
        };
        Pricing::Unbounded { missing: format!("{missing} of the model {}", self.config.model) }
    }

    /// The most that one call can cost, in US dollars.
    ///
    /// A token is at least one byte of text, so that the bytes of what is sent bound the tokens that are read, with an
    /// allowance for what an endpoint adds: 256 tokens, 16 for each message, and 1024 where there are tools or an answer
    /// schema. `max_input_tokens` bounds them as well. Images, sounds and files cost more than their addresses tell: with
    /// those and without `max_input_tokens`, and without a price or a limit of tokens, it is infinite.
    #[must_use]
    pub fn most_usd(&self, request: &ChatRequest) -> f64 {
        let (Some(price), Some(output)) = (&self.config.price, self.most_output()) else { return f64::INFINITY };
        let bound = if price::is_text(&request.messages) { self.most_input(request) } else { f64::INFINITY };
        let input = self.config.max_input_tokens.map_or(bound, |most| bound.min(most as f64));
        price.most(input, output as f64)
    }

    /// Asks the model.
    ///
    /// # Errors
    ///
    /// As of [`Endpoint::send`]. An answer that is no JSON, or ends early, is transient: it was never the model's. One that
    /// is JSON but not of the protocol is invalid output, with what the call used as far as it is known.
    pub async fn complete(&self, request: ChatRequest, context: &CallContext) -> Result<ChatReply, CallError> {
        let Written { body, answer_schema, seed } = self.write(request)?;
        let turn = self.endpoint.turn(context).await;
        // It spans what the endpoint takes, and not the wait for a turn.
        let span = span::of_call(self.api, &self.config, seed, &self.endpoint);
        let replied = self.ask(turn, body, answer_schema.as_ref(), context).instrument(span.clone()).await;
        span::answered(&span, &replied);
        replied
    }

    async fn ask(
        &self,
        turn: Permit,
        body: Bytes,
        schema: Option<&AnswerSchema>,
        context: &CallContext,
    ) -> Result<ChatReply, CallError> {
        let http = HttpRequest::post(self.path, body).with_headers(self.headers.clone());
        let exchange = self.endpoint.open(turn, http, context).await.map_err(|error| self.with_known_cost(error))?;
        if self.config.stream && exchange.is_of_type("text/event-stream") {
            // Apart, so that calls that are not streamed have no room for it.
            match self.api {
                Api::OpenAiChat => Box::pin(self.stream(exchange, openai::Stream::default(), schema)).await,
                Api::AnthropicMessages => Box::pin(self.stream(exchange, anthropic::Stream::default(), schema)).await,
            }
        } else {
            self.whole(exchange, schema).await
        }
    }

    /// Reads an answer that comes as one JSON object.
    async fn whole(&self, mut exchange: Exchange<'_>, schema: Option<&AnswerSchema>) -> Result<ChatReply, CallError> {
        let body = exchange.body().await?;
        let answer = self.envelope(&body)?;
        if answer.is_error() {
            return Err(exchange.failed(&String::from_utf8_lossy(&body)));
        }
        let latency = exchange.finish(Bytes::new()).latency;
        self.reply(&answer, schema, latency)
    }

    /// Reads an answer that comes in events.
    async fn stream<A: Assembly>(
        &self,
        mut exchange: Exchange<'_>,
        mut assembly: A,
        schema: Option<&AnswerSchema>,
    ) -> Result<ChatReply, CallError> {
        let mut events = EventReader::default();
        let mut is_over = false;
        while !is_over {
            let Some(chunk) = exchange.chunk().await? else { break };
            events.push(&chunk);
            while let Some(data) = events.next_event() {
                let data = self.endpoint.scrub(data);
                if data.as_ref() == b"[DONE]" {
                    is_over = true;
                    continue;
                }
                let event: Value = serde_json::from_slice(&data).map_err(|error| self.not_json(&data, &error))?;
                if event.get("error").is_some_and(Value::is_object) {
                    return Err(exchange.failed(&event.to_string()));
                }
                assembly.event(event).map_err(|invalid| self.invalid(invalid, Usage::UNKNOWN))?;
                is_over |= assembly.is_over();
            }
        }
        if !assembly.is_whole() {
            return Err(crate::failure::truncated(self.endpoint.host()));
        }
        exchange.drain().await;
        let latency = exchange.finish(Bytes::new()).latency;
        let mut answer = assembly.answer();
        // A secret may have come in pieces, one in each event.
        self.scrub(&mut answer);
        let answer = answer.to_string();
        self.reply(&self.envelope(answer.as_bytes())?, schema, latency)
    }

    fn envelope<'a>(&self, body: &'a [u8]) -> Result<Envelope<'a>, CallError> {
        let read: Result<Envelope<'a>, _> = match body.trim_ascii_start().first() {
            Some(b'{') | None => serde_json::from_slice(body),
            // An array could be taken for the fields in their order.
            Some(_) => match serde_json::from_slice::<IgnoredAny>(body) {
                Ok(_) => return Err(self.invalid(Invalid("JSON object"), Usage::UNKNOWN)),
                Err(error) => Err(error),
            },
        };
        read.map_err(|error| self.not_json(body, &error))
    }

    fn reply(
        &self,
        answer: &Envelope<'_>,
        schema: Option<&AnswerSchema>,
        latency: Duration,
    ) -> Result<ChatReply, CallError> {
        let raw_usage = answer.usage();
        let usage = price::usage(&self.tokens(raw_usage), self.config.price.as_ref());
        let read = match self.api {
            Api::OpenAiChat => openai::read(answer),
            Api::AnthropicMessages => anthropic::read(answer, schema),
        };
        let Answer { text, message, finish_reason } = read.map_err(|invalid| self.invalid(invalid, usage))?;
        let (model, raw_usage) = (answer.model(), raw_usage.map(ToOwned::to_owned));
        Ok(ChatReply { text, message, finish_reason, model, usage, raw_usage, latency })
    }

    fn tokens(&self, usage: Option<&RawValue>) -> Tokens {
        match (self.api, usage) {
            (_, None) => Tokens::default(),
            (Api::OpenAiChat, Some(usage)) => openai::tokens(usage),
            (Api::AnthropicMessages, Some(usage)) => anthropic::tokens(usage),
        }
    }

    fn write(&self, request: ChatRequest) -> Result<Written, CallError> {
        let body = self.body(&request)?;
        Ok(Written { body, answer_schema: request.answer_schema, seed: request.seed })
    }

    fn body(&self, request: &ChatRequest) -> Result<Bytes, CallError> {
        let room = self.last_body.load(Ordering::Relaxed).clamp(LEAST_ROOM, MOST_ROOM);
        let mut body = Vec::with_capacity(room + room / 8);
        let (config, completion_tokens) = (&self.config, self.says_completion_tokens);
        let written = match self.api {
            Api::OpenAiChat => serde_json::to_writer(&mut body, &openai::Body { config, request, completion_tokens }),
            Api::AnthropicMessages => serde_json::to_writer(&mut body, &anthropic::Body { config, request }),
        };
        self.last_body.store(body.len(), Ordering::Relaxed);
        written
            .map(|()| body.into())
            .map_err(|_| CallError::permanent("request_invalid", "the request cannot be written as JSON"))
    }

    /// The most tokens that the model may write.
    fn most_output(&self) -> Option<u64> {
        let other = self.config.extra.get("max_completion_tokens").and_then(Value::as_u64);
        self.config.max_tokens.into_iter().chain(other).max()
    }

    /// The most tokens that the model may read, if all that it reads is text.
    fn most_input(&self, request: &ChatRequest) -> f64 {
        const ADDED: usize = 256;
        const ADDED_TO_MESSAGE: usize = 16;
        const ADDED_FOR_TOOLS: usize = 1024;
        let bytes = self.body(request).map_or(usize::MAX, |body| body.len());
        let messages = request.messages.len().saturating_mul(ADDED_TO_MESSAGE);
        let has_tools = request.tools.is_some() || request.answer_schema.is_some();
        let tools = if has_tools { ADDED_FOR_TOOLS } else { 0 };
        bytes.saturating_add(messages).saturating_add(ADDED + tools) as f64
    }

    /// What comes of a body that is no JSON.
    fn not_json(&self, body: &[u8], error: &serde_json::Error) -> CallError {
        let host = self.endpoint.host();
        if error.is_eof() && !body.trim_ascii().is_empty() {
            return crate::failure::truncated(host);
        }
        if body.trim_ascii_start().first() == Some(&b'{') {
            return self.invalid(Invalid("JSON that can be read"), Usage::UNKNOWN);
        }
        let message = format!("what {host} answered is not JSON; if it stays so, check the address");
        CallError::new(ef_model::ErrorKind::Transient, "response_not_json", message)
    }

    /// What was refused, or never reached the model, cost nothing; what broke off may have.
    fn with_known_cost(&self, error: CallError) -> CallError {
        if self.config.price.is_some() && failure::is_unbilled(&error.code) {
            return error.with_usage(Usage::cost(0.0));
        }
        error
    }

    fn invalid(&self, invalid: Invalid, usage: Usage) -> CallError {
        let message = format!("the answer of {} has no {}", self.endpoint.host(), invalid.0);
        CallError::invalid_output("response_invalid", message).with_usage(usage)
    }

    fn scrub(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.endpoint.inner().scrubber.text(text),
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.scrub(element)),
            Value::Object(entries) => entries.values_mut().for_each(|entry| self.scrub(entry)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A request in the form that is sent, and what of it is needed besides: its prompt does not wait for the answer in two forms.
struct Written {
    body: Bytes,
    answer_schema: Option<AnswerSchema>,
    seed: Option<u64>,
}

impl std::fmt::Debug for ChatModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatModel")
            .field("api", &self.api)
            .field("model", &self.config.model)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
