//! Calling chat models: OpenAI-compatible chat completions and Anthropic messages.

mod answer;
mod anthropic;
mod config;
mod envelope;
mod model;
mod openai;
mod price;
mod request;
mod setup;
mod span;

pub use answer::ChatReply;
pub use config::{Api, ModelConfig};
pub use model::ChatModel;
pub use price::Price;
pub use request::{AnswerSchema, ChatRequest, SystemPrompt};
