//! What tokens cost.

use ef_model::Usage;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::answer::Tokens;

/// What a million tokens cost, in US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens that the model reads.
    #[schemars(range(min = 0))]
    pub input_usd_per_million_tokens: f64,
    /// Tokens that it writes.
    #[schemars(range(min = 0))]
    pub output_usd_per_million_tokens: f64,
    /// Tokens that it reads from a cache. Default: as other tokens that it reads.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub cached_input_usd_per_million_tokens: Option<f64>,
    /// Tokens that it reads and keeps in a cache. Default: as other tokens that it reads.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub cache_write_usd_per_million_tokens: Option<f64>,
}

impl Price {
    const MILLION: f64 = 1e6;

    /// Whether every price is a number from 0.
    pub(super) fn is_sound(&self) -> bool {
        let optional = [self.cached_input_usd_per_million_tokens, self.cache_write_usd_per_million_tokens];
        [self.input_usd_per_million_tokens, self.output_usd_per_million_tokens]
            .into_iter()
            .chain(optional.into_iter().flatten())
            .all(|price| price.is_finite() && price >= 0.0)
    }

    /// What these tokens cost; nothing where it is not known how many were read or written.
    pub(super) fn cost(&self, tokens: &Tokens) -> Option<f64> {
        let (input, output) = (tokens.input?, tokens.output?);
        let cached = tokens.cached_input.min(input);
        let kept = tokens.cache_write.min(input - cached);
        let plain = self.input_usd_per_million_tokens;
        let of = |tokens: u64, price: f64| tokens as f64 * price;
        let sum = of(input - cached - kept, plain)
            + of(cached, self.cached_input_usd_per_million_tokens.unwrap_or(plain))
            + of(kept, self.cache_write_usd_per_million_tokens.unwrap_or(plain))
            + of(output, self.output_usd_per_million_tokens);
        Some(sum / Self::MILLION)
    }

    /// The most that so many tokens can cost, wherever they are read from.
    pub(super) fn most(&self, input: f64, output: f64) -> f64 {
        let dearest = [self.cached_input_usd_per_million_tokens, self.cache_write_usd_per_million_tokens]
            .into_iter()
            .flatten()
            .fold(self.input_usd_per_million_tokens, f64::max);
        (input * dearest + output * self.output_usd_per_million_tokens) / Self::MILLION
    }
}

/// Tokens with what they cost, if a price is known.
pub(super) fn usage(tokens: &Tokens, price: Option<&Price>) -> Usage {
    let cost_usd = price.and_then(|price| price.cost(tokens));
    Usage { cost_usd, input_tokens: tokens.input, output_tokens: tokens.output }.in_range()
}

/// Whether all content is text, so that its bytes bound its tokens.
pub(super) fn is_text(messages: &[Value]) -> bool {
    messages.iter().filter_map(|message| message.get("content")).all(is_text_content)
}

fn is_text_content(content: &Value) -> bool {
    match content {
        Value::Array(parts) => parts.iter().all(|part| match part.get("type").and_then(Value::as_str) {
            Some("tool_result") => part.get("content").is_none_or(is_text_content),
            Some("text" | "tool_use" | "refusal" | "thinking" | "redacted_thinking") => true,
            _ => part.is_string(),
        }),
        _ => true,
    }
}
