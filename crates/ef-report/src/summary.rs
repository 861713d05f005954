//! A run on one screen.

use unicode_width::UnicodeWidthStr;

use ef_model::{
    Counts, Metric, RunHead, RunPurpose, RunResult, RunSource, RunStatus, RunSummary, RunUsage, TraceStatus, Usage,
};

use crate::grid;
use crate::number::{NONE, count, counted, dollars, duration, optional, rate, second, value};
use crate::style::{Style, Tone};
use crate::text::{Align, visible};

/// What `ef run` ends with: which run, its metrics, its counts by status and the time that it took. Of a run that is not
/// whole it says why there are no metrics.
#[must_use]
pub fn summary(result: &RunResult, style: Style) -> String {
    let mut text = title(&result.head, result.status, style);
    text.push('\n');
    if !result.metrics.is_empty() {
        text += &metrics_table(&result.metrics, style);
        text.push('\n');
    }
    text += &grid::pairs(facts(result), style);
    text
}

/// The same for a run that has no result: it is going on, or it was killed.
#[must_use]
pub fn unfinished(run: &RunSummary, style: Style) -> String {
    let mut text = title(&run.head, run.status, style);
    text.push('\n');
    text += &grid::pairs(
        vec![
            ("started", second(run.head.started_at_us)),
            ("metrics", "none: the run has not ended. It is going on now, or it was killed".to_owned()),
        ],
        style,
    );
    text
}

fn status_word(status: RunStatus, style: Style) -> String {
    let tone = match status {
        RunStatus::Completed => Tone::Good,
        RunStatus::Running | RunStatus::Awaiting => Tone::Uneasy,
        RunStatus::Aborted => Tone::Bad,
    };
    style.paint(status.as_str(), tone)
}

/// Run, spec and status on a line; on two where the terminal is too narrow for one.
fn title(head: &RunHead, status: RunStatus, style: Style) -> String {
    let spec = format!("{}@{}", visible(&head.spec_id), visible(&head.spec_version));
    let line = format!("run {}  {spec}  {status}", head.run_id);
    let word = status_word(status, style);
    if style.width.is_some_and(|width| line.width() > usize::from(width)) {
        format!("run {}  {word}\n{spec}\n", head.run_id)
    } else {
        format!("run {}  {spec}  {word}\n", head.run_id)
    }
}

fn metrics_table(metrics: &[Metric], style: Style) -> String {
    let tested = metrics.iter().any(|metric| metric.p_value.is_some());
    let mut columns = vec![
        ("metric", Align::Left),
        ("value", Align::Right),
        ("95 % interval", Align::Left),
        ("n", Align::Right),
        ("errors", Align::Right),
        ("unscored", Align::Right),
    ];
    if tested {
        columns.push(("p", Align::Right));
    }
    let rows: Vec<_> = metrics
        .iter()
        .map(|metric| {
            let mut row = vec![
                visible(&metric.name).into_owned(),
                metric_value(metric),
                interval(metric),
                count(metric.n),
                count(metric.n_error),
                count(metric.n_unscored),
            ];
            if tested {
                row.push(optional(metric.p_value));
            }
            row
        })
        .collect();
    grid::table(&columns, &rows, style)
}

/// A metric's value; a count is a whole number.
pub(crate) fn metric_value(metric: &Metric) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match metric.value {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number below 2^53")]
        Some(number) if metric.aggregator == "count" && number.fract() == 0.0 && (0.0..EXACT).contains(&number) => {
            count(number as u64)
        }
        number => optional(number),
    }
}

fn interval(metric: &Metric) -> String {
    match (metric.ci_low, metric.ci_high) {
        (Some(low), Some(high)) => format!("{} – {}", value(low), value(high)),
        _ => NONE.to_owned(),
    }
}

fn facts(result: &RunResult) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(reason) = &result.abort_reason {
        facts.push(("reason", visible(reason).into_owned()));
    }
    if result.status != RunStatus::Completed {
        let kept = counted(result.counts.tasks(), "record");
        let whole = match result.status {
            RunStatus::Awaiting => "verdicts by people are still to come",
            _ => "the run ended early and is not whole",
        };
        facts.push((
            "metrics",
            format!("none: {whole}. {kept} {} kept", if result.counts.tasks() == 1 { "is" } else { "are" }),
        ));
    } else if result.metrics.is_empty() {
        facts.push(("metrics", "none in the spec".to_owned()));
    }
    facts.extend(result.head.source.as_ref().map(|source| ("source", made_of(source))));
    facts.push(("traces", by_status(&result.counts)));
    facts.extend(judgments(&result.counts).map(|text| ("judgments", text)));
    if result.counts.reused > 0 {
        let Counts { scored, unscored, pending, judge_error, .. } = result.counts;
        let all = scored + unscored + pending + judge_error;
        facts.push((
            "reused",
            format!("{} of {} judgments, from earlier runs", count(result.counts.reused), count(all)),
        ));
    }
    facts.extend(spent(&result.usage));
    facts.push(("time", time(result)));
    facts
}

/// What calls cost and how many tokens they took, in all and by component, as far as that is known.
fn spent(usage: &RunUsage) -> impl Iterator<Item = (&'static str, String)> {
    let judges = usage.judges.iter().map(|(name, usage)| (visible(name).into_owned(), *usage));
    let told: Vec<_> = std::iter::once(("evaluator".to_owned(), usage.evaluator))
        .chain(judges)
        .filter(|(_, usage)| !usage.is_unknown())
        .collect();
    let total = usage.total();
    let cost_usd = match (total.cost_usd, usage.unrecorded_usd) {
        (Some(recorded), Some(unrecorded)) => Some(recorded + unrecorded),
        (recorded, unrecorded) => recorded.or(unrecorded),
    };
    let cost = cost_usd.map(|cost| {
        // Whoever took tokens and has no price cost something too.
        let part = |usage: &Usage| usage.cost_usd.map_or_else(|| "unknown".to_owned(), dollars);
        let parts = told.iter().map(|(name, usage)| (name.as_str(), part(usage)));
        let unrecorded = usage.unrecorded_usd.map(|cost| ("tasks that were cut off", dollars(cost)));
        ("cost", with_parts(&dollars(cost), parts.chain(unrecorded)))
    });
    let tokens = tokens(&total).map(|all| {
        let parts = told.iter().filter_map(|(name, usage)| Some((name.as_str(), tokens(usage)?)));
        ("tokens", with_parts(&all, parts))
    });
    cost.into_iter().chain(tokens)
}

/// A sum and what it is made of; of a single part the name is enough.
fn with_parts<'a>(sum: &str, parts: impl Iterator<Item = (&'a str, String)>) -> String {
    let parts: Vec<_> = parts.collect();
    match parts.as_slice() {
        [(name, _)] => format!("{sum} ({name})"),
        parts => {
            let parts: Vec<_> = parts.iter().map(|(name, part)| format!("{name} {part}")).collect();
            format!("{sum} ({})", parts.join(" · "))
        }
    }
}

/// Tokens that were read and written.
fn tokens(usage: &Usage) -> Option<String> {
    match (usage.input_tokens, usage.output_tokens) {
        (None, None) => None,
        (Some(input), None) => Some(format!("{} in", count(input))),
        (None, Some(output)) => Some(format!("{} out", count(output))),
        (Some(input), Some(output)) => Some(format!("{} in, {} out", count(input), count(output))),
    }
}

fn made_of(source: &RunSource) -> String {
    let what = match source.purpose {
        RunPurpose::Retry => "its failed tasks done again",
        RunPurpose::ReplayJudges => "its outputs judged again",
        RunPurpose::ReplayAll => "its items evaluated and judged again",
    };
    format!("{}, {what}", source.run_id)
}

fn by_status(counts: &Counts) -> String {
    let order = [TraceStatus::Ok, TraceStatus::Error, TraceStatus::Timeout, TraceStatus::Skipped];
    order.map(|status| format!("{status} {}", count(counts.of(status)))).join(" · ")
}

/// The judgments, where there are any: those with a score, and the others where they are not none.
fn judgments(counts: &Counts) -> Option<String> {
    let kinds = [
        ("scored", counts.scored),
        ("unscored", counts.unscored),
        ("pending", counts.pending),
        ("error", counts.judge_error),
    ];
    let shown: Vec<_> =
        kinds.into_iter().filter(|&(_, n)| n > 0).map(|(kind, n)| format!("{kind} {}", count(n))).collect();
    (!shown.is_empty()).then(|| shown.join(" · "))
}

fn time(result: &RunResult) -> String {
    // A clock that was set back makes no negative time.
    let micros = u64::try_from(result.finished_at_us.saturating_sub(result.head.started_at_us)).unwrap_or(0);
    let mut text = duration(micros);
    if let Some(rate) = rate(result.counts.tasks(), micros) {
        text += &format!(" ({rate} items/s)");
    }
    text
}
