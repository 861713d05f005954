//! An evaluator and judges whose every answer is a function of seed, item, repeat and attempt.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, ErrorKind, EvalItem, Evaluator, EvaluatorOutput, Identity, Judge,
    JudgeIdentity, Payload, Pricing, Scalar, Score, Usage, Verdict,
};

use super::{Call, Chance, People, World};

/// What components do.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Where it is drawn from.
    pub chance: Chance,
    /// How many of a hundred calls do not succeed at once.
    pub trouble: u64,
    /// How many of a hundred attempts wait for their turn, with their clock paused and often for longer than they have.
    pub waits: u64,
    /// Whether calls have a price.
    pub is_priced: bool,
    /// Who judges where judges leave it to people.
    pub people: People,
}

/// What one component does for one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    Permanent,
    InvalidOutput,
    Panics,
    /// So many attempts fail before one succeeds.
    Transient(u32),
    /// The same, and each says when to come back.
    Later(u32),
    /// So many attempts give no answer.
    Hangs(u32),
}

impl Script {
    fn of(&self, component: &str, item: &EvalItem, repeat: u32) -> Chance {
        self.chance.of(component).of(item.item_id.as_str()).at(item.row).at(u64::from(repeat))
    }

    fn fate(&self, chance: Chance) -> Fate {
        if !chance.of("trouble").percent(self.trouble) {
            return Fate::Good;
        }
        let often = u32::try_from(1 + chance.of("often").below(4)).unwrap_or(1);
        match chance.of("fate").below(10) {
            0 => Fate::Permanent,
            1 => Fate::InvalidOutput,
            2 => Fate::Panics,
            3 | 4 => Fate::Hangs(often),
            5 | 6 => Fate::Later(often),
            _ => Fate::Transient(often),
        }
    }

    fn pricing(&self) -> Pricing {
        if self.is_priced { Pricing::Bounded } else { Pricing::Free }
    }

    /// What an attempt at this item can cost: up to 20 cents.
    fn most_usd(&self, component: &str, item: &EvalItem) -> f64 {
        if !self.is_priced {
            return 0.0;
        }
        (1 + self.chance.of("price").of(component).at(item.row).below(20)) as f64 / 100.0
    }

    /// What an attempt says that it used.
    fn usage(&self, most_usd: f64, here: Chance, percent: u64) -> Usage {
        let part = here.of("part").below(101) as f64 / 100.0;
        let told = here.of("told").percent(percent);
        let input_tokens = here.of("tokens").percent(percent).then(|| here.of("tokens").at(1).below(5000));
        Usage { cost_usd: (told && self.is_priced).then_some(most_usd * part), input_tokens, output_tokens: None }
    }

    /// Waits, takes its time and fails where the script says so; else what was used.
    async fn attempt(
        &self,
        chance: Chance,
        context: &CallContext,
        most_usd: f64,
        call: &mut Call,
    ) -> Result<Usage, CallError> {
        let attempt = context.attempt;
        let here = chance.of("attempt").at(u64::from(attempt));
        if here.of("waits").percent(self.waits) {
            let _paused = context.pause_clock();
            tokio::time::sleep(Duration::from_millis(here.of("turn").below(8000))).await;
        }
        match here.of("delay").below(10) {
            0 | 1 => {}
            2 | 3 => tokio::task::yield_now().await,
            9 => tokio::time::sleep(Duration::from_millis(here.of("long").below(500))).await,
            _ => tokio::time::sleep(Duration::from_millis(here.of("short").below(20))).await,
        }
        let usage = self.usage(most_usd, here, 50);
        let mut planted = |kind| {
            call.answers(usage.cost_usd);
            CallError::new(kind, "planted", "told to fail").with_usage(usage)
        };
        match self.fate(chance) {
            Fate::Permanent => Err(planted(ErrorKind::Permanent)),
            Fate::InvalidOutput => Err(planted(ErrorKind::InvalidOutput)),
            Fate::Panics => {
                call.falls_silent();
                // Without the panic hook, which would tell it on standard error.
                resume_unwind(Box::new("a panic that this test plants"))
            }
            Fate::Hangs(often) if attempt <= often => {
                call.falls_silent();
                std::future::pending().await
            }
            Fate::Transient(often) if attempt <= often => Err(planted(ErrorKind::Transient)),
            Fate::Later(often) if attempt <= often => {
                let wait = Duration::from_millis(here.of("wait").below(3000));
                let error = planted(ErrorKind::Transient).with_retry_after(wait);
                // Turned away: that costs nothing where nothing is said.
                call.answers(usage.cost_usd.or(Some(0.0)));
                Err(error.with_detail(Payload::from_text("a detail")))
            }
            _ => Ok(self.usage(most_usd, here.of("good"), 90)),
        }
    }
}

fn no_quota() -> CallError {
    CallError::new(ErrorKind::QuotaExhausted, "planted", "told to have no quota")
}

/// An evaluator that gives back the input when its script lets it succeed.
pub struct SimulatedEvaluator {
    world: Arc<World>,
    script: Script,
    identity: Arc<Identity>,
}

impl SimulatedEvaluator {
    /// An evaluator in this world.
    #[must_use]
    pub fn new(world: &Arc<World>, script: Script) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), script, identity: crate::evaluator_identity() })
    }
}

impl Evaluator for SimulatedEvaluator {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn pricing(&self) -> Pricing {
        self.script.pricing()
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        self.script.most_usd("", item)
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move {
            let (row, repeat, most_usd) = (item.row, context.repeat, self.most_usd(item));
            self.world.step("evaluate", row, u64::from(repeat)).await;
            let mut call = self.world.call("", row, repeat, most_usd).ok_or_else(no_quota)?;
            let usage = self.script.attempt(self.script.of("", item, repeat), context, most_usd, &mut call).await?;
            self.world.step("evaluated", row, u64::from(repeat)).await;
            let said = serde_json::json!({"seed": context.seed, "attempt": context.attempt});
            let metadata = Some(Payload::from_value(&said));
            call.answers(usage.cost_usd);
            Ok(EvaluatorOutput { metadata, usage, ..EvaluatorOutput::new(item.input.clone()) })
        })
    }
}

/// A judge that draws its score when its script lets it succeed.
pub struct SimulatedJudge {
    world: Arc<World>,
    script: Script,
    identity: Arc<JudgeIdentity>,
}

impl SimulatedJudge {
    /// A judge of this name in this world.
    #[must_use]
    pub fn new(world: &Arc<World>, script: Script, name: &str) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), script, identity: crate::judge_identity(name) })
    }
}

/// A verdict that is drawn from here.
pub(super) fn verdict(chance: Chance, usage: Usage) -> Verdict {
    let chance = chance.of("verdict");
    let number = chance.of("number").below(101) as f64 / 100.0;
    let score = match chance.of("kind").below(10) {
        0 => None,
        1 => Some(Score::Scalar(Scalar::Label("a label".to_owned()))),
        2 | 3 => Some(Score::from(chance.percent(60))),
        _ => Score::number(number),
    };
    let rationale = chance.of("why").percent(50).then(|| Payload::from_text(&format!("because of {number}")));
    Verdict { score, rationale, usage, is_pending: false }
}

impl Judge for SimulatedJudge {
    fn identity(&self) -> &Identity {
        &self.identity.identity
    }

    fn determinism(&self) -> Determinism {
        self.identity.determinism
    }

    fn pricing(&self) -> Pricing {
        self.script.pricing()
    }

    fn most_usd(&self, item: &EvalItem, _: &EvaluatorOutput) -> f64 {
        self.script.most_usd(&self.identity.name, item)
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let (row, repeat, most_usd) = (item.row, context.repeat, self.most_usd(item, output));
            let name = self.identity.name.as_str();
            self.world.step("judge", row, u64::from(repeat)).await;
            let mut call = self.world.call(name, row, repeat, most_usd).ok_or_else(no_quota)?;
            let chance = self.script.of(name, item, repeat);
            let usage = self.script.attempt(chance, context, most_usd, &mut call).await?;
            self.world.step("judged", row, u64::from(repeat)).await;
            let people = self.script.people;
            if people.are_asked(name, &item.item_id, repeat) {
                // Asking them costs nothing, and it says so.
                call.answers(Some(0.0));
                let said =
                    if people.are_there { people.verdict(name, &item.item_id, repeat) } else { Verdict::pending() };
                return Ok(Verdict { usage: Usage::cost(0.0), ..said });
            }
            call.answers(usage.cost_usd);
            Ok(verdict(chance, usage))
        })
    }
}
