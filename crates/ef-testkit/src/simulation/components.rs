//! An evaluator and judges whose every answer is a function of seed, item, repeat and attempt.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, ErrorKind, EvalItem, Evaluator, EvaluatorOutput, Identity, Judge,
    JudgeIdentity, Payload, Scalar, Score, Usage, Verdict,
};

use super::{Chance, World};

/// What components do.
#[derive(Debug, Clone, Copy)]
pub struct Script {
    /// Where it is drawn from.
    pub chance: Chance,
    /// How many of a hundred calls do not succeed at once.
    pub trouble: u64,
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

    /// Takes its time and fails where the script says so.
    async fn attempt(&self, chance: Chance, attempt: u32) -> Result<(), CallError> {
        let here = chance.of("attempt").at(u64::from(attempt));
        match here.of("delay").below(10) {
            0 | 1 => {}
            2 | 3 => tokio::task::yield_now().await,
            9 => tokio::time::sleep(Duration::from_millis(here.of("long").below(500))).await,
            _ => tokio::time::sleep(Duration::from_millis(here.of("short").below(20))).await,
        }
        let planted = |kind| Err(CallError::new(kind, "planted", "told to fail"));
        match self.fate(chance) {
            Fate::Permanent => planted(ErrorKind::Permanent),
            Fate::InvalidOutput => planted(ErrorKind::InvalidOutput),
            // Without the panic hook, which would tell it on standard error.
            Fate::Panics => resume_unwind(Box::new("a panic that this test plants")),
            Fate::Hangs(often) if attempt <= often => std::future::pending().await,
            Fate::Transient(often) if attempt <= often => planted(ErrorKind::Transient),
            Fate::Later(often) if attempt <= often => {
                let wait = Duration::from_millis(here.of("wait").below(3000));
                let error = CallError::new(ErrorKind::Transient, "planted", "told to fail").with_retry_after(wait);
                Err(error.with_detail(Payload::from_text("a detail")))
            }
            _ => Ok(()),
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

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move {
            let (row, repeat, attempt) = (item.row, context.repeat, context.attempt);
            self.world.step("evaluate", row, u64::from(repeat)).await;
            let _call = self.world.call("", row, repeat).ok_or_else(no_quota)?;
            self.script.attempt(self.script.of("", item, repeat), attempt).await?;
            self.world.step("evaluated", row, u64::from(repeat)).await;
            let said = serde_json::json!({"seed": context.seed, "attempt": attempt});
            let metadata = Some(Payload::from_value(&said));
            Ok(EvaluatorOutput { metadata, ..EvaluatorOutput::new(item.input.clone()) })
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

    fn verdict(chance: Chance) -> Verdict {
        let chance = chance.of("verdict");
        let number = chance.of("number").below(101) as f64 / 100.0;
        let score = match chance.of("kind").below(10) {
            0 => None,
            1 => Some(Score::Scalar(Scalar::Label("a label".to_owned()))),
            2 | 3 => Some(Score::from(chance.percent(60))),
            _ => Score::number(number),
        };
        let rationale = chance.of("why").percent(50).then(|| Payload::from_text(&format!("because of {number}")));
        let usage = if chance.of("cost").percent(50) { Usage::cost(number / 100.0) } else { Usage::UNKNOWN };
        Verdict { score, rationale, usage, is_pending: false }
    }
}

impl Judge for SimulatedJudge {
    fn identity(&self) -> &Identity {
        &self.identity.identity
    }

    fn determinism(&self) -> Determinism {
        self.identity.determinism
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let (row, repeat, attempt) = (item.row, context.repeat, context.attempt);
            let name = self.identity.name.as_str();
            self.world.step("judge", row, u64::from(repeat)).await;
            let _call = self.world.call(name, row, repeat).ok_or_else(no_quota)?;
            let chance = self.script.of(name, item, repeat);
            self.script.attempt(chance, attempt).await?;
            self.world.step("judged", row, u64::from(repeat)).await;
            Ok(Self::verdict(chance))
        })
    }
}
