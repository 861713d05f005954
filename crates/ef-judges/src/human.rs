//! `eval_fabric.human`: a person judges, at the terminal or later.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, ConfigProblem, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput,
    Identity, Inquiry, Judge, JudgeFactory, Payload, Verdict,
};
use futures_util::lock::Mutex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::prompter::{PromptError, Prompter, Question};
use crate::rule::{problem, read_config};
use crate::scale::{Labels, Range, Scale};

const ID: &str = "eval_fabric.human";
const VERSION: &str = "1.0.0";

/// What a person is asked. Without `labels` and `scale` the answer is pass or fail.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The question that the person answers of each output.
    #[schemars(length(min = 1, max = 10_000))]
    question: String,
    /// How to answer it, shown below the question.
    #[serde(default)]
    #[schemars(length(max = 100_000))]
    instructions: Option<String>,
    /// The labels to choose from: a list, or a map with a number for each, which metrics then take.
    #[serde(default)]
    labels: Option<Labels>,
    /// The numbers to choose from: `min`, `max`, and `integer: true` for whole numbers alone.
    #[serde(default)]
    scale: Option<Range>,
    /// Whether the question goes to a queue file, to be answered later, or is asked at the terminal during the run.
    #[serde(default)]
    ask: Ask,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ask {
    /// Later: the judgment is pending until a verdict is imported.
    #[default]
    Queue,
    /// At the terminal.
    Terminal,
}

/// The factory of the judge that asks people. Without a prompter it makes only judges that ask later. All judges that it
/// makes ask one question at a time.
#[must_use]
pub fn human_factory(prompter: Option<Arc<dyn Prompter>>) -> Arc<dyn JudgeFactory> {
    let identity = Identity::builtin(ID, VERSION, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Arc::new(HumanFactory { identity, prompter: prompter.map(|prompter| Arc::new(Mutex::new(prompter))) })
}

/// Whoever holds it asks.
type Turn = Arc<Mutex<Arc<dyn Prompter>>>;

struct HumanFactory {
    identity: Identity,
    prompter: Option<Turn>,
}

impl JudgeFactory for HumanFactory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "Asks a person, at the terminal or later through a file."
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>> {
        Box::pin(async move {
            let judge = self.judge(read_config(config)?).map_err(CreateError::Config)?;
            Ok(Arc::new(judge) as Arc<dyn Judge>)
        })
    }
}

impl HumanFactory {
    fn judge(&self, config: Config) -> Result<Human, Vec<ConfigProblem>> {
        let Config { question, instructions, labels, scale, ask } = config;
        if question.trim().is_empty() {
            return Err(vec![problem("/question", "there is no question", None)]);
        }
        let asked_now = match (ask, &self.prompter) {
            (Ask::Queue, _) => None,
            (Ask::Terminal, Some(prompter)) => Some(Arc::clone(prompter)),
            (Ask::Terminal, None) => {
                let hint = "run it in a terminal, or use `ask: queue` and answer later";
                return Err(vec![problem("/ask", "there is no terminal to ask at", Some(hint))]);
            }
        };
        let scale = Scale::new(labels, scale)?;
        if asked_now.is_some() && [LATER, NO_SCORE].iter().any(|word| scale.grade_of_line(word).is_some()) {
            let message = "at the terminal `s` and `u` mean something else than a label";
            return Err(vec![problem("/labels", message, Some("give the label a longer name"))]);
        }
        let question = match instructions.filter(|instructions| !instructions.trim().is_empty()) {
            Some(instructions) => format!("{}\n\n{}", question.trim(), instructions.trim()),
            None => question.trim().to_owned(),
        };
        let answers = format!("{}; {LATER} leaves it for later, {NO_SCORE} gives no score", scale.in_words());
        Ok(Human { identity: self.identity.clone(), inquiry: Asked { question, scale }, answers, asked_now })
    }
}

/// What skips a question at the terminal.
const LATER: &str = "s";
/// What answers it without a score.
const NO_SCORE: &str = "u";

struct Human {
    identity: Identity,
    inquiry: Asked,
    answers: String,
    asked_now: Option<Turn>,
}

struct Asked {
    question: String,
    scale: Scale,
}

impl Inquiry for Asked {
    fn question(&self) -> &str {
        &self.question
    }

    fn answer_schema(&self) -> Value {
        self.scale.full_schema()
    }

    fn verdict(&self, score: &Value, rationale: Option<Payload>) -> Result<Verdict, CallError> {
        if score.is_null() {
            return Ok(Verdict { rationale, ..Verdict::unscored() });
        }
        let grade = self.scale.grade(score).ok_or_else(|| {
            let allowed = self.scale.in_words();
            CallError::invalid_output("score_invalid", format!("the score is not {allowed}, and not null"))
        })?;
        Ok(Verdict { rationale, ..Verdict::scored(grade.score()) })
    }
}

impl Judge for Human {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        Determinism::Stochastic
    }

    fn inquiry(&self) -> Option<&dyn Inquiry> {
        Some(&self.inquiry)
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            match &self.asked_now {
                Some(prompter) => self.ask(prompter, item, output, context).await,
                None => Ok(Verdict::pending()),
            }
        })
    }
}

impl Human {
    async fn ask(
        &self,
        prompter: &Turn,
        item: &EvalItem,
        output: &EvaluatorOutput,
        context: &CallContext,
    ) -> Result<Verdict, CallError> {
        let _paused = context.pause_clock();
        let prompter = prompter.lock().await;
        let mut problem = None;
        loop {
            let question = Question {
                text: &self.inquiry.question,
                answers: &self.answers,
                problem,
                item_id: &item.item_id,
                repeat: context.repeat,
                input: &item.input,
                reference_output: item.reference_output.as_ref(),
                output: &output.output,
            };
            let answer = match prompter.ask(question).await {
                Ok(answer) => answer,
                Err(PromptError::Closed) => return Ok(Verdict::pending()),
                Err(error @ PromptError::Failed(_)) => {
                    return Err(CallError::permanent("prompt_failed", error.to_string()));
                }
            };
            let rationale = answer.rationale.as_deref().filter(|text| !text.trim().is_empty()).map(Payload::from_text);
            match answer.score.trim() {
                word if word.eq_ignore_ascii_case(LATER) => return Ok(Verdict::pending()),
                word if word.eq_ignore_ascii_case(NO_SCORE) => return Ok(Verdict { rationale, ..Verdict::unscored() }),
                line => match self.inquiry.scale.grade_of_line(line) {
                    Some(grade) => return Ok(Verdict { rationale, ..Verdict::scored(grade.score()) }),
                    None => problem = Some("that is none of the answers"),
                },
            }
        }
    }
}
