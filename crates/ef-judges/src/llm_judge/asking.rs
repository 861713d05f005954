//! Asking the model for one vote.

use std::sync::atomic::{AtomicBool, Ordering};

use ef_client::chat::{AnswerSchema, ChatModel, ChatReply, ChatRequest, SystemPrompt};
use ef_model::{CallContext, CallError, ErrorKind, Payload, Usage};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Opinion, Reader, Unreadable};
use super::prompt::{Filled, Prompt};

/// Whether the endpoint is asked to see to the form of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Structured {
    /// Yes, until it refuses to.
    #[default]
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

/// A model with what it is asked.
pub(crate) struct Asking {
    pub(crate) model: ChatModel,
    pub(crate) prompt: Prompt,
    /// The prompt's instructions.
    system: SystemPrompt,
    /// What an answer has to be where the endpoint sees to it.
    answer_schema: AnswerSchema,
    structured: Structured,
    /// Whether the endpoint has refused to see to the form of answers.
    is_refused: AtomicBool,
    max_parse_retries: u32,
    /// The config's seed.
    seed: Option<u64>,
}

/// A vote that was asked for, and what that used.
pub(crate) struct Vote {
    pub(crate) result: Result<Opinion, CallError>,
    pub(crate) usage: Usage,
}

impl Asking {
    pub(crate) fn new(
        model: ChatModel,
        prompt: Prompt,
        structured: Structured,
        max_parse_retries: u32,
        seed: Option<u64>,
    ) -> Self {
        let system = SystemPrompt::new(&prompt.system());
        let answer_schema = AnswerSchema::new("verdict", &prompt.answer_schema());
        let is_refused = AtomicBool::new(false);
        Self { model, prompt, system, answer_schema, structured, is_refused, max_parse_retries, seed }
    }

    /// The request of a filled prompt, for an answer that is JSON alone or for one that ends in it.
    pub(crate) fn request(&self, filled: &Filled, structured: bool, seed: Option<u64>) -> ChatRequest {
        let answer_schema = structured.then(|| self.answer_schema.clone());
        let user = self.prompt.user(filled, structured);
        ChatRequest { system: Some(self.system.clone()), answer_schema, seed, ..ChatRequest::user(user) }
    }

    /// Asks for one of `votes` until an answer can be read or the retries are used up. Each try is a sample of its own.
    pub(crate) async fn vote(&self, vote: u32, votes: u32, filled: &Filled, context: &CallContext) -> Vote {
        let Prompt { scale, allow_unscored, .. } = &self.prompt;
        let reader = Reader { key: &filled.key, scale, allow_unscored: *allow_unscored };
        let mut usage = Usage::UNKNOWN;
        let mut retry = 0;
        loop {
            let seed = self.seed.map(|seed| seed.wrapping_add(u64::from(vote) + u64::from(votes) * u64::from(retry)));
            let (reply, used) = self.ask(filled, seed, context).await;
            usage = usage.and(used);
            let reply = match reply {
                Ok(reply) => reply,
                Err(error) => return Vote { result: Err(error), usage },
            };
            let answer = reply.text.as_deref().unwrap_or_default();
            match reader.read(answer) {
                Ok(opinion) => return Vote { result: Ok(opinion), usage },
                Err(unreadable) if retry >= self.max_parse_retries => {
                    return Vote { result: Err(refused(unreadable, &reply, retry + 1)), usage };
                }
                Err(_) => retry += 1,
            }
        }
    }

    /// Asks once. An endpoint that cannot see to the form of answers is asked again without that, and from then on.
    async fn ask(
        &self,
        filled: &Filled,
        seed: Option<u64>,
        context: &CallContext,
    ) -> (Result<ChatReply, CallError>, Usage) {
        let is_structured = self.is_structured();
        let first = self.model.complete(self.request(filled, is_structured, seed), context).await;
        let used = usage_of(&first);
        let is_refusal = |error: &CallError| {
            error.kind == ErrorKind::Permanent && matches!(error.code.as_ref(), "http_400" | "http_422")
        };
        let may_do_without = is_structured && self.structured == Structured::Auto;
        if !may_do_without || !first.as_ref().is_err_and(is_refusal) {
            return (first, used);
        }
        let second = self.model.complete(self.request(filled, false, seed), context).await;
        if second.is_ok() {
            self.is_refused.store(true, Ordering::Relaxed);
        }
        let used = used.and(usage_of(&second));
        (second, used)
    }

    /// Whether the endpoint is asked to see to the form of answers, as far as is known now.
    pub(crate) fn is_structured(&self) -> bool {
        match self.structured {
            Structured::Always => true,
            Structured::Never => false,
            Structured::Auto => !self.is_refused.load(Ordering::Relaxed),
        }
    }

    /// The most that one vote can cost, in US dollars: each of its tries asks in the longer of the two ways. A request that
    /// an endpoint refuses is not paid for.
    pub(crate) fn most_usd(&self, filled: &Filled) -> f64 {
        let most = |structured| self.model.most_usd(&self.request(filled, structured, self.seed));
        let call = match self.structured {
            Structured::Always => most(true),
            Structured::Never => most(false),
            Structured::Auto => most(true).max(most(false)),
        };
        call * f64::from(1 + self.max_parse_retries)
    }
}

fn usage_of(reply: &Result<ChatReply, CallError>) -> Usage {
    match reply {
        Ok(reply) => reply.usage,
        Err(error) => error.usage,
    }
}

/// The error of an answer that could not be read; the answer itself is its detail.
fn refused(unreadable: Unreadable, reply: &ChatReply, tries: u32) -> CallError {
    let (code, reason) = if reply.is_refusal() {
        ("judge_refused", "it declined to answer".to_owned())
    } else if reply.is_cut() {
        ("answer_cut", "its answer was cut off at the limit of tokens: raise `max_tokens`".to_owned())
    } else {
        (unreadable.code(), unreadable.to_string())
    };
    let tries = if tries == 1 { "asked once".to_owned() } else { format!("asked {tries} times") };
    let error =
        CallError::invalid_output(code, format!("the model gave no verdict that can be read ({tries}): {reason}"));
    match reply.text.as_deref() {
        Some(text) => error.with_detail(Payload::from_text(text)),
        None => error.with_detail(Payload::from_value(&reply.message)),
    }
}
