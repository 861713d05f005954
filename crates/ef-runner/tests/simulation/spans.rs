//! What a life tells whoever watches: a span for each task and each judgment, and no more.

use std::collections::BTreeMap;

use ef_model::telemetry::SPANS;
use ef_model::{Judgment, TaskRecord};
use ef_runner::RunError;
use ef_testkit::recorder::{RecordedSpan, Recorder};

use crate::invariants::{demand, latest};
use crate::life::{Begin, Ended, Life, Lived};

/// Invariant 6, and that each record is told once to whoever keeps numbers. `new` is what this life wrote, without what it
/// took over from another run.
pub(crate) fn hold(life: &Life<'_>, lived: &Lived, new: &[&TaskRecord]) -> Result<(), String> {
    let Some(recorder) = &lived.recorder else { return Ok(()) };
    let spans = recorder.spans();
    for span in &spans {
        is_in_the_table(span)?;
        demand!(span.is_closed, "invariant 6: the span {} has not ended", span.name);
    }
    let runs: Vec<_> = spans.iter().filter(|span| span.name == "eval.run").collect();
    demand!(runs.len() == 1, "invariant 6: {} spans for one run", runs.len());
    demand!(runs[0].field("run_id") == life.head.run_id.as_str(), "invariant 6: the run's span is another run's");
    demand!(
        runs[0].field("status").is_empty() == lived.ended.is_none(),
        "invariant 6: the run's span has the status {:?}, and it ended as {:?}",
        runs[0].field("status"),
        lived.ended
    );
    // Which of two rows with one id comes first is chance.
    if life.scenario.twins.is_empty() {
        tasks_have_their_spans(life, &spans, new, is_kept(lived))?;
        numbers_are_told_once(life, recorder, new, is_kept(lived))?;
    }
    Ok(())
}

/// Whether all that was done has been kept: neither the process nor the store gave up.
fn is_kept(lived: &Lived) -> bool {
    matches!(&lived.ended, Some(Ended::Ran(Ok(_) | Err(RunError::Unfinished { .. })) | Ended::Answered(Ok(_))))
}

fn is_in_the_table(span: &RecordedSpan) -> Result<(), String> {
    let is_it = |name: &str| match name.split_once('<') {
        Some((beginning, _)) => span.name.starts_with(beginning),
        None => span.name == name,
    };
    let Some(known) = SPANS.iter().find(|known| is_it(known.name)) else {
        return Err(format!("no span is called {}", span.name));
    };
    for (name, value) in &span.fields {
        let is_known = known.attributes.contains(name) || name.starts_with("otel.");
        demand!(is_known, "the span {} has an attribute {name}", span.name);
        demand!(!value.is_empty(), "the attribute {name} of the span {} is empty", span.name);
    }
    for (name, fields) in &span.events {
        let known = known.events.iter().find(|known| known.name == name);
        let is_known = known.is_some_and(|known| fields.keys().all(|field| known.attributes.contains(field)));
        demand!(is_known, "the span {} has an event {name} with {fields:?}", span.name);
    }
    Ok(())
}

/// What tells a task: item, repeat and status; its attempts; and its judgments: name, status, attempts, and where they were
/// reused from.
type Told = ([String; 3], String, Vec<[String; 4]>);

fn tasks_have_their_spans(
    life: &Life<'_>,
    spans: &[RecordedSpan],
    new: &[&TaskRecord],
    is_kept: bool,
) -> Result<(), String> {
    let mut told: BTreeMap<Told, i64> = BTreeMap::new();
    let mut parts: BTreeMap<usize, Vec<&RecordedSpan>> = BTreeMap::new();
    for span in spans {
        parts.entry(span.parent.unwrap_or(usize::MAX)).or_default().push(span);
    }
    for (place, span) in spans.iter().enumerate() {
        let status = span.field("status");
        let parent = span.parent.map_or("", |parent| spans[parent].name.as_str());
        match span.name.as_str() {
            "eval.run" => demand!(parent.is_empty(), "invariant 6: a run is part of {parent}"),
            "eval.task" => demand!(parent == "eval.run", "invariant 6: a task is part of {parent:?}"),
            _ => demand!(parent == "eval.task", "invariant 6: a judgment is part of {parent:?}"),
        }
        if span.name != "eval.task" || matches!(status, "" | "abandoned") {
            continue;
        }
        let judgments = parts.get(&place).into_iter().flatten();
        let fields = ["judge_name", "status", "attempt", "reused_from"];
        let mut judgments: Vec<_> = judgments.map(|span| fields.map(|field| span.field(field).to_owned())).collect();
        judgments.sort();
        let task = ["item_id", "repeat", "status"].map(|field| span.field(field).to_owned());
        *told.entry((task, span.field("attempt").to_owned(), judgments)).or_default() += 1;
    }
    for record in new {
        let known = expected(life, record);
        let left = told.entry(known).or_default();
        *left -= 1;
        demand!(*left >= 0, "invariant 6: no span is as the record of row {}: {record:?}\n{spans:#?}", record.row);
    }
    let without: Vec<_> = told.iter().filter(|(_, left)| **left != 0).collect();
    demand!(!is_kept || without.is_empty(), "invariant 6: spans without a record: {without:?}");
    Ok(())
}

/// What the span of a task has to say. Of a record that was answered only what people said is judged anew.
fn expected(life: &Life<'_>, record: &TaskRecord) -> Told {
    let known = latest(&life.before.records);
    let earlier = match life.begin {
        Begin::Answer { .. } => known.get(&(record.row, record.repeat)),
        _ => None,
    };
    let was_there = |place: usize| earlier.is_some_and(|earlier| earlier.judgments[place] == record.judgments[place]);
    let judgment = |judgment: &Judgment| {
        let reused_from = judgment.reused_from.as_ref().map_or_else(String::new, ToString::to_string);
        let status = judgment.result.status().to_owned();
        [judgment.judge.name.clone(), status, judgment.attempts.to_string(), reused_from]
    };
    let new = record.judgments.iter().enumerate().filter(|(place, _)| !was_there(*place));
    let mut judgments: Vec<_> = new.map(|(_, new)| judgment(new)).collect();
    judgments.sort();
    let attempts = if earlier.is_some() { 0 } else { record.trace.attempts };
    let task = [record.item_id.to_string(), record.repeat.to_string(), record.trace.status().to_string()];
    (task, attempts.to_string(), judgments)
}

fn numbers_are_told_once(
    life: &Life<'_>,
    recorder: &Recorder,
    new: &[&TaskRecord],
    is_kept: bool,
) -> Result<(), String> {
    if let Begin::Answer { .. } = life.begin {
        return Ok(());
    }
    let mut told = recorder.committed();
    told.sort_by_key(TaskRecord::key);
    for pair in told.windows(2) {
        demand!(pair[0].key() != pair[1].key(), "the record of row {} was counted twice", pair[0].row);
    }
    let is_there = |record: &TaskRecord| new.contains(&record);
    demand!(told.iter().all(is_there), "a record was counted that is not durable");
    demand!(!is_kept || told.len() == new.len(), "{} records were counted, and {} are new", told.len(), new.len());
    let idle = recorder.load().is_none_or(|load| load == ef_model::telemetry::Load::default());
    demand!(idle, "a life is over, and something is said to be going on: {:?}", recorder.load());
    Ok(())
}
