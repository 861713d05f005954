//! The part of a config that says which model is called, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Price;

/// Which protocol a model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// OpenAI's chat completions, which many servers speak.
    OpenAiChat,
    /// Anthropic's messages.
    AnthropicMessages,
}

/// The part of a config that says which model is called, and how.
///
/// A config takes it in with `#[serde(flatten)]` and says `#[serde(deny_unknown_fields)]` itself: keys that neither knows
/// are refused, by the reader and by the schema.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
pub struct ModelConfig {
    /// The address that the paths of the API follow, such as `http://localhost:8000/v1` for an OpenAI-compatible server.
    /// Default: that of OpenAI or Anthropic.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The model's name, as the endpoint knows it.
    #[schemars(length(min = 1))]
    pub model: String,
    /// The environment variable that holds the API key. Default: `OPENAI_API_KEY` or `ANTHROPIC_API_KEY` where `base_url`
    /// is left out; no key is sent to any other address that does not name one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub api_key_env: Option<String>,
    /// The sampling temperature.
    #[serde(default)]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// The share of likely tokens that is sampled from.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// The most tokens that an answer may have. Anthropic's API needs it, and so does a budget.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    #[serde(default)]
    pub stop: Vec<String>,
    /// The seed to sample with, where the endpoint takes one. OpenAI-compatible endpoints only.
    #[serde(default)]
    pub seed: Option<u64>,
    /// How much tokens that were there already are avoided. OpenAI-compatible endpoints only.
    #[serde(default)]
    #[schemars(range(min = -2, max = 2))]
    pub presence_penalty: Option<f64>,
    /// How much tokens are avoided the more often they were there. OpenAI-compatible endpoints only.
    #[serde(default)]
    #[schemars(range(min = -2, max = 2))]
    pub frequency_penalty: Option<f64>,
    /// Any other parameter of the endpoint, sent as it is.
    #[serde(default)]
    pub extra: Map<String, Value>,
    /// Whether the answer is streamed. It is the same answer; some endpoints give long ones only so.
    #[serde(default)]
    pub stream: bool,
    /// Further headers, by name. They are no secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Further headers whose values are in environment variables: the variable for each header.
    #[serde(default)]
    pub headers_env: BTreeMap<String, String>,
    /// What tokens cost. Without it costs are not known, and the model cannot be called under a budget.
    #[serde(default)]
    pub price: Option<Price>,
    /// The most tokens that the model reads, which it refuses to exceed. It bounds what a call can cost; without it, the
    /// length of the text does.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_input_tokens: Option<u64>,
}

impl ModelConfig {
    /// A config that names a model and leaves the rest to the defaults.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            base_url: None,
            model: model.into(),
            api_key_env: None,
            temperature: None,
            top_p: None,
            max_tokens: None,
            stop: Vec::new(),
            seed: None,
            presence_penalty: None,
            frequency_penalty: None,
            extra: Map::new(),
            stream: false,
            headers: BTreeMap::new(),
            headers_env: BTreeMap::new(),
            price: None,
            max_input_tokens: None,
        }
    }
}
