//! `eval_fabric.openai_chat` and `eval_fabric.anthropic_messages`: a chat model answers each item.

mod answer;
mod conversation;

use ef_client::Clients;
use ef_client::chat::{Api, ChatModel, ModelConfig};
use ef_model::{CallContext, CallError, ConfigProblem, Environment, EvalItem, EvaluatorOutput, Payload, Pricing};
use schemars::JsonSchema;
use serde::Deserialize;

use self::conversation::{Conversation, ConversationConfig};
use crate::factory::{BuiltIn, problem};

/// Which model answers, and what it is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OpenAiConfig {
    #[serde(flatten)]
    model: ModelConfig,
    #[serde(flatten)]
    conversation: ConversationConfig,
    /// Whether each call is sent a seed of its own, which follows from `runtime.seed`, the item and the repeat: repeats then
    /// differ, and the same run can be made again as far as the endpoint keeps to seeds.
    #[serde(default)]
    seed_per_call: bool,
}

/// Which model answers, and what it is asked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnthropicConfig {
    #[serde(flatten)]
    model: ModelConfig,
    #[serde(flatten)]
    conversation: ConversationConfig,
}

/// `eval_fabric.openai_chat`.
pub(crate) struct OpenAiChat(Chat);

/// `eval_fabric.anthropic_messages`.
pub(crate) struct AnthropicMessages(Chat);

impl BuiltIn for OpenAiChat {
    const ID: &'static str = "eval_fabric.openai_chat";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Asks a model behind an endpoint that is compatible with OpenAI's chat completions.";
    type Config = OpenAiConfig;
    type Shared = Clients;

    fn new(config: OpenAiConfig, clients: &Clients, environment: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        let OpenAiConfig { model, conversation, seed_per_call } = config;
        let two_seeds = seed_per_call && model.seed.is_some();
        let mut chat = Chat::new(Api::OpenAiChat, &model, conversation, clients, environment);
        if two_seeds {
            let hint = "`seed` is the same for all calls";
            let wrong = problem("/seed_per_call", "`seed` and `seed_per_call` exclude one another", Some(hint));
            match &mut chat {
                Ok(_) => chat = Err(vec![wrong]),
                Err(problems) => problems.push(wrong),
            }
        }
        chat.map(|chat| Self(Chat { seed_per_call, ..chat }))
    }

    fn pricing(&self) -> Pricing {
        self.0.model.pricing()
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        self.0.most_usd(item)
    }

    fn requests(&self) -> u32 {
        1
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        self.0.preview(item)
    }

    async fn evaluate(&self, item: &EvalItem, context: &CallContext) -> Result<EvaluatorOutput, CallError> {
        self.0.evaluate(item, context).await
    }
}

impl BuiltIn for AnthropicMessages {
    const ID: &'static str = "eval_fabric.anthropic_messages";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Asks a model behind Anthropic's messages API, or one compatible with it.";
    type Config = AnthropicConfig;
    type Shared = Clients;

    fn new(config: AnthropicConfig, clients: &Clients, environment: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        let AnthropicConfig { model, conversation } = config;
        Chat::new(Api::AnthropicMessages, &model, conversation, clients, environment).map(Self)
    }

    fn pricing(&self) -> Pricing {
        self.0.model.pricing()
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        self.0.most_usd(item)
    }

    fn requests(&self) -> u32 {
        1
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        self.0.preview(item)
    }

    async fn evaluate(&self, item: &EvalItem, context: &CallContext) -> Result<EvaluatorOutput, CallError> {
        self.0.evaluate(item, context).await
    }
}

/// A model, and what it is asked.
struct Chat {
    model: ChatModel,
    conversation: Conversation,
    seed_per_call: bool,
}

impl Chat {
    fn new(
        api: Api,
        model: &ModelConfig,
        conversation: ConversationConfig,
        clients: &Clients,
        environment: &Environment,
    ) -> Result<Self, Vec<ConfigProblem>> {
        let model = ChatModel::new(api, model, clients, environment);
        let conversation = Conversation::new(api, conversation);
        match (model, conversation) {
            (Ok(model), Ok(conversation)) => Ok(Self { model, conversation, seed_per_call: false }),
            (model, conversation) => Err([model.err(), conversation.err()].into_iter().flatten().flatten().collect()),
        }
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        // An item that cannot be asked about is not called for either.
        self.conversation.request(item).map_or(0.0, |request| self.model.most_usd(&request))
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        let request = self.conversation.request(item).ok()?;
        let mut shown = serde_json::json!({"messages": request.messages});
        let rest = [
            ("system", request.system.and_then(|system| serde_json::to_value(system.json()).ok())),
            ("tools", request.tools),
        ];
        for (name, value) in rest.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            shown[name] = value;
        }
        Some(Payload::from_value(&shown))
    }

    async fn evaluate(&self, item: &EvalItem, context: &CallContext) -> Result<EvaluatorOutput, CallError> {
        let mut request = self.conversation.request(item)?;
        request.seed = self.seed_per_call.then_some(context.seed);
        let has_schema = request.answer_schema.is_some();
        let reply = self.model.complete(request, context).await?;
        answer::output(reply, has_schema)
    }
}
