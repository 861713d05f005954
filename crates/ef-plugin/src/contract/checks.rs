//! The checks.

use std::time::{Duration, Instant};

use ef_model::{CallContext, CallError, Determinism, ErrorKind, EvalItem, EvaluatorOutput, Identity};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

use super::Outcome;
use super::subject::Made;

/// How often each sample is called at the same time.
const AT_A_TIME: usize = 8;
/// The shortest text of a payload that is looked for in messages; shorter ones occur by chance.
const SHORTEST: usize = 8;

/// What is made has the identity of what makes it. One that is only declared may not know its version yet.
pub(super) fn identity(factory: &Identity, made: &Made) -> Outcome {
    let made = made.identity();
    let pairs = [
        ("id", factory.id.as_str(), made.id.as_str()),
        ("version", &factory.version, &made.version),
        ("source", &factory.source, &made.source),
    ];
    let differs = |(what, factory, made): &(&str, &str, &str)| factory != made && (*what, *factory) != ("version", "?");
    match pairs.iter().find(|pair| differs(pair)) {
        Some((what, factory, made)) => {
            Outcome::Failed(format!("its {what} is `{made}`, and that of its factory `{factory}`"))
        }
        None if factory.digest != made.digest => Outcome::Failed("its digest is not that of its factory".to_owned()),
        None => Outcome::Passed,
    }
}

type Answer = Result<String, CallError>;

/// Two components of the same config, and what they have answered so far.
pub(super) struct Trial<'m> {
    first: &'m Made,
    second: &'m Made,
    samples: Vec<(EvalItem, EvaluatorOutput)>,
    limit: Duration,
    /// To each sample; `None` where no answer came in time.
    answers: Vec<Option<Answer>>,
    /// All errors of all checks.
    errors: Vec<CallError>,
}

impl<'m> Trial<'m> {
    pub(super) const fn new(
        first: &'m Made,
        second: &'m Made,
        samples: Vec<(EvalItem, EvaluatorOutput)>,
        limit: Duration,
    ) -> Self {
        Self { first, second, samples, limit, answers: Vec::new(), errors: Vec::new() }
    }

    /// Calls a component with a sample. The seed is the sample's, as in a run.
    async fn call(&self, made: &Made, index: usize) -> Option<Answer> {
        let (item, output) = &self.samples[index];
        let context = CallContext::new(Instant::now() + self.limit, 1, 0, item.row);
        timeout(self.limit, made.call(item, output, &context)).await.ok()
    }

    fn keep_errors<'a>(&mut self, answers: impl IntoIterator<Item = &'a Option<Answer>>) {
        self.errors.extend(answers.into_iter().flatten().filter_map(|answer| answer.as_ref().err().cloned()));
    }

    /// The id of a sample, for a message.
    fn name(&self, index: usize) -> &str {
        self.samples[index].0.item_id.as_str()
    }

    /// Every sample gets an answer, and not only errors.
    pub(super) async fn answers(&mut self) -> Outcome {
        for index in 0..self.samples.len() {
            let answer = self.call(self.first, index).await;
            self.keep_errors([&answer]);
            self.answers.push(answer);
        }
        if let Some(index) = self.answers.iter().position(Option::is_none) {
            return Outcome::Failed(format!("no answer to `{}` within {:?}", self.name(index), self.limit));
        }
        if let Some(error) = self.errors.iter().find(|error| error.kind == ErrorKind::InvalidOutput) {
            return Outcome::Failed(format!("invalid output: {error}"));
        }
        match (self.answers.iter().flatten().any(Result::is_ok), self.errors.first()) {
            (false, Some(error)) => Outcome::Failed(format!(
                "an error to every sample, such as: {error}; give it items that it can work with"
            )),
            _ => Outcome::Passed,
        }
    }

    /// Again, and by another component of the same config.
    pub(super) async fn determinism(&mut self) -> Outcome {
        match self.first.determinism() {
            None => return Outcome::Skipped("evaluators promise nothing".to_owned()),
            Some(Determinism::Stochastic) => return Outcome::Skipped("it declares that it is stochastic".to_owned()),
            Some(Determinism::Deterministic | Determinism::SamplingDeterministic) => {}
        }
        for index in 0..self.samples.len() {
            for (who, made) in [("", self.first), (" by another one of the same config", self.second)] {
                let again = self.call(made, index).await;
                self.keep_errors([&again]);
                if !is_same(self.answers[index].as_ref(), again.as_ref()) {
                    return Outcome::Failed(format!("judging `{}` again{who} gave another verdict", self.name(index)));
                }
            }
        }
        Outcome::Passed
    }

    /// All samples many times at once.
    pub(super) async fn concurrency(&mut self) -> Outcome {
        let indices: Vec<_> = (0..AT_A_TIME).flat_map(|_| 0..self.samples.len()).collect();
        let answers = join_all(indices.iter().map(|index| self.call(self.first, *index))).await;
        self.keep_errors(&answers);
        let has_to_be_same =
            matches!(self.first.determinism(), Some(Determinism::Deterministic | Determinism::SamplingDeterministic));
        for (index, answer) in indices.into_iter().zip(&answers) {
            let (before, now) = (self.answers[index].as_ref(), answer.as_ref());
            let at_a_time = answers.len();
            if now.is_none() {
                return Outcome::Failed(format!(
                    "no answer to `{}` among {at_a_time} calls at a time",
                    self.name(index)
                ));
            }
            if before.is_some_and(Result::is_ok) && now.is_some_and(Result::is_err) {
                return Outcome::Failed(format!(
                    "an error to `{}` among {at_a_time} calls at a time",
                    self.name(index)
                ));
            }
            if has_to_be_same && !is_same(before, now) {
                return Outcome::Failed(format!(
                    "another verdict of `{}` among {at_a_time} calls at a time",
                    self.name(index)
                ));
            }
        }
        Outcome::Passed
    }

    /// Calls that are given up, and then one that is not.
    pub(super) async fn cancellation(&mut self) -> Outcome {
        for _ in 0..AT_A_TIME {
            for index in 0..self.samples.len() {
                // Some are under way by then, and some are not.
                let patience = Duration::from_micros(50 * index as u64);
                drop(timeout(patience, self.call(self.first, index)).await);
            }
        }
        let Some(index) = self.answers.iter().position(|answer| matches!(answer, Some(Ok(_)))) else {
            return Outcome::Skipped("no sample has an answer".to_owned());
        };
        let answer = self.call(self.first, index).await;
        self.keep_errors([&answer]);
        match answer {
            None => {
                Outcome::Failed(format!("after calls that were given up there is no answer to `{}`", self.name(index)))
            }
            Some(Err(error)) => Outcome::Failed(format!(
                "after calls that were given up there is an error to `{}`: {error}",
                self.name(index)
            )),
            Some(Ok(_)) => Outcome::Passed,
        }
    }

    /// What the messages of all errors so far hold.
    pub(super) fn errors(&self) -> Outcome {
        if self.errors.is_empty() {
            return Outcome::Skipped("no sample made it fail".to_owned());
        }
        let mut texts = Vec::new();
        for (item, output) in &self.samples {
            for payload in item.payloads().chain([&output.output]) {
                collect_texts(&payload.expose_value(), &mut texts);
            }
        }
        let quotes = |error: &&CallError| texts.iter().any(|text| error.message.contains(text.as_str()));
        match self.errors.iter().find(quotes) {
            Some(error) => {
                Outcome::Failed(format!("the message of an error with the code `{}` quotes a payload", error.code))
            }
            None => Outcome::Passed,
        }
    }
}

/// The same verdict, or the same kind of error.
fn is_same(one: Option<&Answer>, other: Option<&Answer>) -> bool {
    match (one, other) {
        (Some(Ok(one)), Some(Ok(other))) => one == other,
        (Some(Err(one)), Some(Err(other))) => (one.kind, &one.code) == (other.kind, &other.code),
        _ => false,
    }
}

fn collect_texts(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if text.len() >= SHORTEST => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| collect_texts(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}
