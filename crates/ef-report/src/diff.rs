//! A run beside its baseline: what changed, and what became of the scores.

use ef_metrics::diff::{
    Change, Changes, Flip, FlipKind, JudgeCounts, MetricDelta, Outcome, Pairing, PartChanges, Scores, Sides, Subject,
};
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use crate::grid;
use crate::number::{NONE, count, value};
use crate::style::{Style, Tone};
use crate::text::{Align, cut, visible};
use crate::traces::shown;

/// A comparison for a person. What has to be known before a number is read stands before all numbers.
#[must_use]
pub fn diff(changes: &Changes, scores: &Scores, style: Style) -> String {
    let mut text =
        grid::pairs(vec![("run", described(&changes.run)), ("baseline", described(&changes.baseline))], style);
    if !changes.notes.is_empty() {
        let notes = changes.notes.iter().map(|note| ("note", visible(note).into_owned()));
        text += &format!("\n{}", grid::pairs(notes.collect(), style));
    }
    text += &format!("\n{}\n", style.paint("what changed", Tone::Heading));
    text += &grid::pairs(changes.parts.iter().flat_map(part).collect(), style);
    text += &format!("\n{}", grid::pairs(pairs(scores), style));
    text += &format!("\n{}", judges_table(&scores.judges, style));
    let remarks = remarks(&scores.judges);
    if !remarks.is_empty() {
        text += &format!("\n{}", grid::pairs(remarks, style));
    }
    text += &format!("\n{}", metrics_table(&scores.metrics, style));
    if let Some(flips) = &scores.flips {
        text += &format!("\n{}", flips_table(flips, flips_in_all(&scores.judges), style));
    }
    text
}

/// A comparison as indented JSON, with a final newline. What has to be known before a number is read comes first.
///
/// # Panics
///
/// Never: a comparison has only string keys and finite numbers.
#[must_use]
pub fn diff_json(changes: &Changes, scores: &Scores) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        changes: &'a Changes,
        #[serde(flatten)]
        scores: &'a Scores,
    }
    let mut text = serde_json::to_string_pretty(&Whole { changes, scores }).expect("a comparison serialises to JSON");
    text.push('\n');
    text
}

fn described(subject: &Subject) -> String {
    let spec = format!("{}@{}", visible(&subject.spec_id), visible(&subject.spec_version));
    format!("{}  {spec}  {}", subject.run_id, subject.status)
}

/// A part's changes, a line each, the first beside the part's name.
fn part(part: &PartChanges) -> Vec<(&str, String)> {
    const SHOWN: usize = 30;
    let mut lines: Vec<_> = part.fields.iter().take(SHOWN).map(change).collect();
    if part.fields.len() > SHOWN {
        lines.push(format!("and {} more, which the JSON lists", count((part.fields.len() - SHOWN) as u64)));
    }
    if lines.is_empty() {
        lines.push("the same".to_owned());
    }
    let names = std::iter::once(part.part.as_str()).chain(std::iter::repeat(""));
    names.zip(lines).collect()
}

fn change(change: &Change) -> String {
    let field = visible(&change.field);
    match (change.baseline.as_ref().map(told), change.run.as_ref().map(told)) {
        (Some(before), Some(after)) => {
            let (before, after) = from_first_difference(&before, &after);
            format!("{field}  {before} → {after}")
        }
        (Some(before), None) => format!("{field}  {} → {NONE}", short(&before)),
        (None, Some(after)) => format!("{field}  {NONE} → {}", short(&after)),
        (None, None) => field.into_owned(),
    }
}

/// A text as it is, anything else as JSON; of a digest the first digits.
fn told(value: &Value) -> String {
    const DIGITS: usize = 12;
    match value {
        Value::String(text) if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}…", &text[..DIGITS])
        }
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => visible(text).into_owned(),
        other => visible(&other.to_string()).into_owned(),
    }
}

/// How many columns of a value are shown.
const VALUE: usize = 40;

fn short(text: &str) -> String {
    if text.width() > VALUE { cut(text, VALUE) } else { text.to_owned() }
}

/// Two values in a few columns each. Of long ones that begin alike, the beginning is left out, or one would not see what
/// differs.
fn from_first_difference(before: &str, after: &str) -> (String, String) {
    const CONTEXT: usize = 12;
    let alike = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    let is_hidden = alike > VALUE / 2 && before.width().max(after.width()) > VALUE;
    if !is_hidden {
        return (short(before), short(after));
    }
    let tail = |text: &str| short(&format!("…{}", text.chars().skip(alike - CONTEXT).collect::<String>()));
    (tail(before), tail(after))
}

fn pairs(scores: &Scores) -> Vec<(&'static str, String)> {
    let pairs = &scores.pairs;
    let paired_by = match scores.pairing {
        Pairing::Item => "item",
        Pairing::ItemAndRepeat => "item and repeat",
        Pairing::ItemMean => "item, with the mean of its repeats: the runs do not repeat items equally often",
    };
    let mut both = count(pairs.paired);
    if pairs.other_content > 0 {
        both += &format!(", of which {} have another input or reference than before", count(pairs.other_content));
    }
    vec![
        ("paired by", paired_by.to_owned()),
        ("in both", both),
        ("appeared", count(pairs.appeared)),
        ("vanished", count(pairs.vanished)),
    ]
}

fn name(counts: &JudgeCounts) -> String {
    qualified(&counts.judge, counts.key.as_deref())
}

fn qualified(judge: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{}.{}", visible(judge), visible(key)),
        None => visible(judge).into_owned(),
    }
}

fn judges_table(judges: &[JudgeCounts], style: Style) -> String {
    if judges.is_empty() {
        return "no judge is in both runs\n".to_owned();
    }
    let labels = judges.iter().any(|counts| counts.changed > 0);
    let mut columns = vec![("judge", Align::Left), ("improved", Align::Right), ("worsened", Align::Right)];
    if labels {
        columns.push(("changed", Align::Right));
    }
    columns.extend([("unchanged", Align::Right), ("error", Align::Right), ("unscored", Align::Right)]);
    let row = |counts: &JudgeCounts| {
        let mut row = vec![name(counts), count(counts.improved), count(counts.worsened)];
        if labels {
            row.push(count(counts.changed));
        }
        row.extend([counts.unchanged, counts.error.any(), counts.unscored.any()].map(count));
        row
    };
    grid::table(&columns, &judges.iter().map(row).collect::<Vec<_>>(), style)
}

/// What the table has no room for.
fn remarks(judges: &[JudgeCounts]) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    for counts in judges {
        for (what, sides) in [("error", counts.error), ("unscored", counts.unscored)] {
            if sides.any() > 0 {
                remarks.push((what, format!("{}: {}", name(counts), told_by_side(sides))));
            }
        }
    }
    for counts in judges.iter().filter(|counts| counts.moved_with_same_output > 0) {
        let (same, moved) = (count(counts.moved_with_same_output), count(counts.moved()));
        let why = "there it is not the evaluator that moved the score";
        remarks.push(("same output", format!("{}: {same} of the {moved} that moved; {why}", name(counts))));
    }
    remarks
}

fn told_by_side(sides: Sides) -> String {
    let named = [(sides.run, "only in the run"), (sides.baseline, "only in the baseline"), (sides.both, "in both")];
    let told: Vec<_> =
        named.into_iter().filter(|&(n, _)| n > 0).map(|(n, side)| format!("{} {side}", count(n))).collect();
    told.join(", ")
}

fn metrics_table(metrics: &[MetricDelta], style: Style) -> String {
    let tested = metrics.iter().any(|metric| metric.p_value.is_some());
    let mut columns = vec![
        ("metric", Align::Left),
        ("baseline", Align::Right),
        ("run", Align::Right),
        ("delta", Align::Right),
        ("95 % interval", Align::Left),
    ];
    if tested {
        columns.push(("McNemar p", Align::Right));
    }
    columns.push(("pairs", Align::Right));
    let row = |metric: &MetricDelta| {
        let number = |number: Option<f64>| number.map_or_else(|| NONE.to_owned(), |number| shown_value(metric, number));
        let mut row = vec![
            visible(&metric.name).into_owned(),
            number(metric.baseline),
            number(metric.run),
            metric.delta.map_or_else(|| NONE.to_owned(), |delta| signed(delta, shown_value(metric, delta))),
            interval(metric),
        ];
        if tested {
            row.push(metric.p_value.map_or_else(|| NONE.to_owned(), probability));
        }
        row.push(metric.n.map_or_else(|| NONE.to_owned(), count));
        row
    };
    grid::table(&columns, &metrics.iter().map(row).collect::<Vec<_>>(), style)
}

/// A p-value. One that is too small for a double is not nothing.
fn probability(p_value: f64) -> String {
    if p_value == 0.0 { "< 1e-300".to_owned() } else { value(p_value) }
}

/// A metric's value or its delta; a count is a whole number.
fn shown_value(metric: &MetricDelta, number: f64) -> String {
    if metric.aggregator != "count" {
        return value(number);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are below 2^53")]
    let size = count(number.abs() as u64);
    if number < 0.0 { format!("-{size}") } else { size }
}

fn signed(number: f64, shown: String) -> String {
    if number > 0.0 { format!("+{shown}") } else { shown }
}

fn interval(metric: &MetricDelta) -> String {
    match metric.ci_low.zip(metric.ci_high) {
        Some((low, high)) => format!("{} to {}", signed(low, value(low)), signed(high, value(high))),
        None => NONE.to_owned(),
    }
}

/// How many flips there are, listed or not.
fn flips_in_all(judges: &[JudgeCounts]) -> u64 {
    let one_sided = |sides: Sides| sides.run + sides.baseline;
    judges.iter().map(|counts| counts.moved() + one_sided(counts.error) + one_sided(counts.unscored)).sum()
}

fn flips_table(flips: &[Flip], in_all: u64, style: Style) -> String {
    if in_all == 0 {
        return "no flips\n".to_owned();
    }
    let columns = [
        ("item", Align::Left),
        ("row", Align::Right),
        ("judge", Align::Left),
        ("flip", Align::Left),
        ("score", Align::Left),
        ("output", Align::Left),
    ];
    let rows: Vec<_> = flips.iter().map(flip).collect();
    let mut text = grid::table(&columns, &rows, style);
    let listed = flips.len() as u64;
    if listed < in_all {
        text += &format!("{} of {} flips\n", count(listed), count(in_all));
    }
    text
}

fn flip(flip: &Flip) -> Vec<String> {
    let kind = match flip.kind {
        FlipKind::Worsened => "worsened",
        FlipKind::NotComparable => "not comparable",
        FlipKind::Changed => "changed",
        FlipKind::Improved => "improved",
    };
    let row = match flip.repeat {
        0 => flip.row.to_string(),
        repeat => format!("{} #{}", flip.row, u64::from(repeat) + 1),
    };
    let output = match flip.same_output {
        Some(true) => "the same",
        Some(false) => "another",
        None => NONE,
    };
    vec![
        visible(flip.item_id.as_str()).into_owned(),
        row,
        qualified(&flip.judge, flip.key.as_deref()),
        kind.to_owned(),
        format!("{} → {}", outcome(&flip.baseline), outcome(&flip.run)),
        output.to_owned(),
    ]
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Scored { score } => short(&shown(score)),
        Outcome::Unscored => "unscored".to_owned(),
        Outcome::Error => "error".to_owned(),
    }
}
