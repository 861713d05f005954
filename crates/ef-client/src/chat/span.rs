//! The span of one call of a model, by the OpenTelemetry conventions for generative AI: what is asked for and what it used,
//! and nothing of what is said.

use ef_model::telemetry::{self, SPAN_TARGET};
use ef_model::{CallError, Usage};
use tracing::field::Empty;
use tracing::{Span, info_span, record_all};

use super::openai::LARGEST_SEED;
use super::{Api, ChatReply, ModelConfig};
use crate::Endpoint;

/// The longest name of a model.
const LONGEST_MODEL: usize = 128;

/// The span of a call that has its turn.
pub(super) fn of_call(api: Api, config: &ModelConfig, seed: Option<u64>, endpoint: &Endpoint) -> Span {
    let inner = endpoint.inner();
    let model = || Some(config.model.as_str()).filter(|model| is_model(model) && !inner.scrubber.finds(model));
    let seed = || match api {
        Api::OpenAiChat => seed.map(|seed| seed & LARGEST_SEED).or(config.seed).map(signed),
        Api::AnthropicMessages => None,
    };
    info_span!(
        target: SPAN_TARGET,
        "chat",
        "otel.name" = %Name(model()),
        "otel.kind" = "client",
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = match api {
            Api::OpenAiChat => "openai",
            Api::AnthropicMessages => "anthropic",
        },
        "gen_ai.request.model" = model(),
        "gen_ai.request.temperature" = config.temperature,
        "gen_ai.request.top_p" = config.top_p,
        "gen_ai.request.max_tokens" = config.max_tokens.map(signed),
        "gen_ai.request.seed" = seed(),
        "gen_ai.response.model" = Empty,
        "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "server.address" = inner.base.host_str(),
        "server.port" = inner.base.port_or_known_default().map(i64::from),
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// What came of the call. The server says how its model is called and why it stopped: it is told where it looks like that.
pub(super) fn answered(span: &Span, answered: &Result<ChatReply, CallError>) {
    if span.is_disabled() {
        return;
    }
    let (usage, error) = match answered {
        Ok(reply) => {
            let model = reply.model.as_deref().filter(|model| is_model(model));
            let reason = reply.finish_reason.as_deref().filter(|reason| telemetry::is_code(reason));
            record_all!(span, "gen_ai.response.model" = model, "gen_ai.response.finish_reasons" = reason);
            (reply.usage, None)
        }
        Err(error) => (error.usage, Some(telemetry::code(&error.code))),
    };
    let Usage { input_tokens, output_tokens, .. } = usage;
    record_all!(
        span,
        "gen_ai.usage.input_tokens" = input_tokens.map(signed),
        "gen_ai.usage.output_tokens" = output_tokens.map(signed),
        "error.type" = error,
        "otel.status_code" = error.map(|_| "ERROR")
    );
}

/// The span's name: what is done, and the model.
struct Name<'a>(Option<&'a str>);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("chat")?;
        self.0.map_or(Ok(()), |model| write!(f, " {model}"))
    }
}

/// A number as `tracing` takes it that is to arrive as one.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn is_model(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/+".contains(&byte);
    (1..=LONGEST_MODEL).contains(&name.len()) && name.bytes().all(is_part)
}
