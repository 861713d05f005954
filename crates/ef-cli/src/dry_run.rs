//! A dry run: what a run would do and cost, without sending or storing anything.

use std::fmt::Write as _;

use ef_model::{DatasetRow, EvalItem, EvaluatorOutput, ItemSource, Payload, Pricing};
use ef_report::counted;
use ef_runner::RunJudge;
use serde_json::{Value, json};

use crate::compose::Composed;
use crate::failure::Failure;

/// What stands for an output that nobody has made yet.
const NO_OUTPUT: &str = "(the evaluator's output)";

/// What a run would do and cost.
pub(crate) struct Estimate {
    items: u64,
    faulty: u64,
    evaluator: Line,
    judges: Vec<Line>,
    first: Option<First>,
}

/// The calls of one component.
struct Line {
    name: String,
    id: String,
    version: String,
    /// What one call sends to somebody else.
    requests_each: u32,
    calls: u64,
    pricing: Pricing,
    /// The most that all its calls can cost, each made once, in US dollars.
    most_usd: f64,
}

/// What would be sent for the first item. These are payloads.
struct First {
    item_id: String,
    evaluator: Option<Payload>,
    /// By the judges' names.
    judges: Vec<(String, Payload)>,
}

impl Line {
    const fn new(name: String, id: String, version: String, requests_each: u32, pricing: Pricing) -> Self {
        Self { name, id, version, requests_each, calls: 0, pricing, most_usd: 0.0 }
    }

    fn of_judge(judge: &RunJudge) -> Self {
        let identity = &judge.identity.identity;
        let (id, version) = (identity.id.to_string(), identity.version.clone());
        Self::new(judge.identity.name.clone(), id, version, judge.judge.requests(), judge.judge.pricing())
    }

    fn add(&mut self, repeats: u64, most_usd: f64) {
        self.calls += repeats;
        self.most_usd += most_usd * repeats as f64;
    }

    const fn requests(&self) -> u64 {
        self.calls * self.requests_each as u64
    }

    /// The most that its calls can cost; `None` where that is not known.
    fn most(&self) -> Option<f64> {
        match self.pricing {
            Pricing::Free => Some(0.0),
            Pricing::Bounded => Some(self.most_usd),
            Pricing::Unbounded { .. } => None,
        }
    }

    fn cost(&self) -> String {
        match &self.pricing {
            Pricing::Free => "costs nothing that ef knows of".to_owned(),
            Pricing::Bounded => format!("at most {}", dollars(self.most_usd)),
            Pricing::Unbounded { missing } => format!("cost unknown: {missing}"),
        }
    }

    fn to_json(&self) -> Value {
        let mut value = json!({
            "id": self.id,
            "version": self.version,
            "calls": self.calls,
            "requests": self.requests(),
            "most_usd": self.most(),
        });
        if let Pricing::Unbounded { missing } = &self.pricing {
            value["unknown_because"] = missing.as_str().into();
        }
        value
    }
}

/// Dollars with as many digits as say something.
fn dollars(usd: f64) -> String {
    if usd == 0.0 || usd >= 0.01 { format!("${usd:.2}") } else { format!("${usd:.6}") }
}

/// Reads the dataset through and adds up what the components say of each item.
pub(crate) fn estimate(composed: &Composed, mut dataset: impl ItemSource) -> Result<Estimate, Failure> {
    let Composed { spec, evaluator, judges, .. } = composed;
    let repeats = u64::from(spec.runtime.repeats);
    let identity = evaluator.identity();
    let (id, version) = (identity.id.to_string(), identity.version.clone());
    let mut line = Line::new("evaluator".to_owned(), id, version, evaluator.requests(), evaluator.pricing());
    let mut lines: Vec<_> = judges.iter().map(Line::of_judge).collect();
    let output = EvaluatorOutput::new(Payload::from_text(NO_OUTPUT));
    let (mut items, mut faulty, mut first) = (0, 0, None);
    while let Some(row) = dataset.next_row()? {
        let DatasetRow::Item(item) = row else {
            faulty += 1;
            continue;
        };
        items += 1;
        line.add(repeats, evaluator.most_usd(&item));
        for (line, judge) in lines.iter_mut().zip(judges) {
            line.add(repeats, judge.judge.most_usd(&item, &output));
        }
        if first.is_none() {
            first = Some(First::of(composed, &item, &output));
        }
    }
    Ok(Estimate { items, faulty, evaluator: line, judges: lines, first })
}

impl First {
    fn of(composed: &Composed, item: &EvalItem, output: &EvaluatorOutput) -> Self {
        let preview = |judge: &RunJudge| Some((judge.identity.name.clone(), judge.judge.preview(item, output)?));
        Self {
            item_id: item.item_id.to_string(),
            evaluator: composed.evaluator.preview(item),
            judges: composed.judges.iter().filter_map(preview).collect(),
        }
    }
}

impl Estimate {
    fn lines(&self) -> impl Iterator<Item = &Line> {
        std::iter::once(&self.evaluator).chain(&self.judges)
    }

    /// The most that the run can cost, each call made once; `None` where that is not known of some.
    fn most_usd(&self) -> Option<f64> {
        self.lines().map(Line::most).sum()
    }

    /// For a person. With `payloads` also what would be sent for the first item.
    pub(crate) fn text(&self, composed: &Composed, payloads: bool) -> String {
        let spec = &composed.spec;
        let mut text = format!("dry run of {}@{}: nothing was sent, nothing was stored\n\n", spec.id, spec.version);
        let rows = self.items + self.faulty;
        let faulty = if self.faulty > 0 { format!(", {} of them cannot be used", self.faulty) } else { String::new() };
        // Writing to a string does not fail.
        let _ = writeln!(text, "dataset    {}{faulty}", counted(rows, "row"));
        let tasks = self.items * u64::from(spec.runtime.repeats);
        let _ = writeln!(text, "tasks      {tasks} ({} × {})", counted(self.items, "item"), spec.runtime.repeats);
        for (index, line) in self.lines().enumerate() {
            let role = if index == 0 { "evaluator  ".to_owned() } else { format!("judge      {}: ", line.name) };
            let requests = match line.requests() {
                0 => "no requests".to_owned(),
                requests => counted(requests, "request"),
            };
            let _ = writeln!(text, "{role}{} {} · {requests} · {}", line.id, line.version, line.cost());
        }
        let total = match self.most_usd() {
            Some(0.0) => "nothing that ef knows of".to_owned(),
            Some(usd) => format!(
                "at most {} without retries; what the outputs add to judges' prompts is not in it",
                dollars(usd)
            ),
            None => "unknown".to_owned(),
        };
        let _ = writeln!(text, "cost       {total}");
        if let Some(cap) = spec.runtime.max_cost_usd {
            let _ = writeln!(text, "budget     {}", dollars(cap));
        }
        if payloads {
            self.write_first(&mut text);
        }
        text
    }

    fn write_first(&self, text: &mut String) {
        let Some(first) = &self.first else { return };
        let evaluator = first.evaluator.iter().map(|payload| ("the evaluator".to_owned(), payload));
        let judges = first.judges.iter().map(|(name, payload)| (format!("the judge {name}"), payload));
        for (who, payload) in evaluator.chain(judges) {
            let shown = serde_json::to_string_pretty(&payload.expose_value()).unwrap_or_default();
            let _ = writeln!(text, "\n{who} would send for item {}:", ef_report::visible(&first.item_id));
            for line in shown.lines() {
                let _ = writeln!(text, "  {}", ef_report::visible(line));
            }
        }
    }

    /// For a program.
    pub(crate) fn to_json(&self, composed: &Composed, payloads: bool) -> Value {
        let spec = &composed.spec;
        let judges: Vec<_> = self
            .judges
            .iter()
            .map(|line| {
                let mut value = line.to_json();
                value["name"] = line.name.as_str().into();
                value
            })
            .collect();
        let mut value = json!({
            "spec_id": spec.id,
            "spec_version": spec.version,
            "spec_digest": spec.digest(),
            "items": self.items,
            "faulty_rows": self.faulty,
            "repeats": spec.runtime.repeats,
            "evaluator": self.evaluator.to_json(),
            "judges": judges,
            "most_usd": self.most_usd(),
            "max_cost_usd": spec.runtime.max_cost_usd,
        });
        if let (true, Some(first)) = (payloads, &self.first) {
            let judges: serde_json::Map<_, _> =
                first.judges.iter().map(|(name, payload)| (name.clone(), payload.expose_value())).collect();
            value["first_item"] = json!({
                "item_id": first.item_id,
                "evaluator": first.evaluator.as_ref().map(Payload::expose_value),
                "judges": judges,
            });
        }
        value
    }
}
