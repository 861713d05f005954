//! From a config to a judge.

use ef_client::Clients;
use ef_client::chat::{Api, ChatModel, ModelConfig};
use ef_model::{ConfigProblem, Determinism, Environment};
use schemars::JsonSchema;
use serde::Deserialize;

use super::asking::{Asking, Structured};
use super::judge::LlmJudge;
use super::prompt::{Prompt, Reference};
use super::template::Template;
use super::votes::Aggregate;
use super::{VERSION, identity};
use crate::rule::problem;
use crate::scale::{Labels, Range, Scale};

/// What a model is asked about each output. Without `labels` and `scale` its answer is pass or fail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Whose API is spoken: `openai` for chat completions, which many servers speak, or `anthropic` for messages.
    provider: Provider,
    /// What a good output does, in plain words. It is required unless there is a `template`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100_000))]
    criterion: Option<String>,
    /// What the model is shown and asked, in place of input, reference and output one after the other: a Jinja template over
    /// `input`, `output`, `reference_output`, `metadata`, `output_metadata` and `item_id`. Values are put in as data.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100_000))]
    template: Option<String>,
    /// The labels to choose from: a list, or a map with a number for each, which metrics then take.
    #[serde(default)]
    labels: Option<Labels>,
    /// The numbers to choose from: `min`, `max`, and `integer: true` for whole numbers alone.
    #[serde(default)]
    scale: Option<Range>,
    /// Whether the model sees the item's reference output.
    #[serde(default)]
    reference: Reference,
    /// Whether the model may say that it cannot judge, which is no score and no error.
    #[serde(default)]
    allow_unscored: bool,
    /// How often the model is asked about each output.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 64))]
    votes: u32,
    /// How votes become a score: the score that most of them give, or their mean. Default: the mean on a numeric scale,
    /// otherwise the majority.
    #[serde(default)]
    aggregate: Option<Aggregate>,
    /// How many votes have to give a score for the output to get one. Default: all of them.
    #[serde(default)]
    #[schemars(range(min = 1, max = 64))]
    min_votes: Option<u32>,
    /// How often a vote is asked for again when its answer cannot be read.
    #[serde(default = "two")]
    #[schemars(range(min = 0, max = 10))]
    max_parse_retries: u32,
    /// Whether the endpoint is asked to see to it that answers are JSON of the right form.
    #[serde(default)]
    structured: Structured,
    #[serde(flatten)]
    model: ModelConfig,
}

const fn one() -> u32 {
    1
}

const fn two() -> u32 {
    2
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Provider {
    /// OpenAI's chat completions, which many servers speak.
    Openai,
    /// Anthropic's messages.
    Anthropic,
}

impl Config {
    /// The judge, or everything that is wrong with the config.
    pub(crate) fn judge(self, clients: &Clients, environment: &Environment) -> Result<LlmJudge, Vec<ConfigProblem>> {
        let mut problems = self.problems();
        let api = match self.provider {
            Provider::Openai => Api::OpenAiChat,
            Provider::Anthropic => Api::AnthropicMessages,
        };
        let determinism = determinism(api, &self.model);
        let aggregate = self.aggregate.unwrap_or(match self.scale {
            Some(_) => Aggregate::Mean,
            None => Aggregate::Majority,
        });
        let scale = kept(Scale::new(self.labels, self.scale), &mut problems);
        if scale.as_ref().is_some_and(|scale| aggregate == Aggregate::Mean && !scale.has_numbers()) {
            let hint = "give each label a number, as in `labels: {bad: 0, good: 1}`, or use `majority`";
            problems.push(problem("/aggregate", "labels without numbers have no mean", Some(hint)));
        }
        let has_reference = self.reference != Reference::None;
        let template = self.template.as_deref().map(|source| Template::compile(source, has_reference)).transpose();
        let template = kept(template, &mut problems);
        let model = kept(ChatModel::new(api, &self.model, clients, environment), &mut problems);
        let (Some(scale), Some(template), Some(model)) = (scale, template, model) else { return Err(problems) };
        if !problems.is_empty() {
            return Err(problems);
        }
        let Self { criterion, allow_unscored, reference, votes, .. } = self;
        let prompt = Prompt { criterion, template, scale, allow_unscored, reference };
        let version = format!("{VERSION}+prompt.{:.12}", prompt.digest());
        Ok(LlmJudge {
            identity: identity(&version),
            determinism,
            votes,
            min_votes: self.min_votes.unwrap_or(votes),
            aggregate,
            asking: Asking::new(model, prompt, self.structured, self.max_parse_retries, self.model.seed),
        })
    }

    /// What fields demand of one another.
    fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        if is_blank(&self.criterion) {
            problems.push(problem("/criterion", "there is no criterion in it", None));
        } else if self.criterion.is_none() && self.template.is_none() {
            let hint = "such as `criterion: The answer is correct and answers the whole question.`";
            problems.push(problem("", "there is neither a `criterion` nor a `template`", Some(hint)));
        }
        let ranges = [("/votes", self.votes, 1..=64), ("/max_parse_retries", self.max_parse_retries, 0..=10)];
        for (pointer, number, range) in ranges {
            if !range.contains(&number) {
                let hint = format!("from {} to {}", range.start(), range.end());
                problems.push(problem(pointer, "out of range", Some(&hint)));
            }
        }
        if self.min_votes.is_some_and(|min| !(1..=self.votes).contains(&min)) {
            problems.push(problem("/min_votes", "not from 1 to the number of `votes`", None));
        }
        problems
    }
}

/// What a model promises of asking it the same again: nothing unless it takes the likeliest token each time, and the chance
/// that is left comes from a seed. Even then nobody vouches for every bit.
fn determinism(api: Api, model: &ModelConfig) -> Determinism {
    let is_seeded = api == Api::OpenAiChat && model.seed.is_some();
    if is_seeded && model.temperature == Some(0.0) {
        Determinism::SamplingDeterministic
    } else {
        Determinism::Stochastic
    }
}

/// What was made, or nothing and its problems beside the others.
fn kept<T>(made: Result<T, Vec<ConfigProblem>>, problems: &mut Vec<ConfigProblem>) -> Option<T> {
    made.map_err(|more| problems.extend(more)).ok()
}
