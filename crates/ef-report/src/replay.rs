//! A replay beside its source, and the trial of a judge.

use ef_metrics::replay::{
    ContractVerdict, DriftedItem, JudgeDrift, JudgeVariance, NotCompared, ReplayDrift, Said, TrialReport, UNLIKELY,
};
use ef_model::{RunHead, RunPurpose, Score};
use serde_json::json;
use unicode_width::UnicodeWidthStr;

use crate::grid;
use crate::number::{NONE, count, counted, optional, value};
use crate::style::{Style, Tone};
use crate::text::{Align, cut, visible};
use crate::traces::shown;

/// What came of replaying a run. `notes` have to be known before any number is read, and stand before all of them.
/// Judgments that drifted are listed where there are such in `drift`. Shows scores, and no payload.
#[must_use]
pub fn replay(source: &RunHead, replay: &RunHead, notes: &[String], drift: &ReplayDrift, style: Style) -> String {
    let spec = format!("{}@{}", visible(&source.spec_id), visible(&source.spec_version));
    let mode = match is_everything(replay) {
        true => "everything: the evaluator and the judges again",
        false => "judges only: the recorded outputs judged again",
    };
    let mut text = grid::pairs(
        vec![("replay", format!("{}  {mode}", replay.run_id)), ("source", format!("{}  {spec}", source.run_id))],
        style,
    );
    for note in notes {
        text += &format!("\n{}", grid::pairs(vec![(&style.paint("note", Tone::Uneasy), visible(note).into())], style));
    }
    text += &format!("\n{}", judges_table(&drift.judges, style));
    let remarks = remarks(drift, is_everything(replay));
    if !remarks.is_empty() {
        text += &format!("\n{}", grid::pairs(remarks, style));
    }
    if !drift.items.is_empty() {
        text += &format!("\n{}", items_table(&drift.items, &drift.judges, style));
    }
    text + &conclusion(drift, style)
}

/// The same as indented JSON, with a final newline.
#[must_use]
pub fn replay_json(source: &RunHead, replay: &RunHead, notes: &[String], drift: &ReplayDrift) -> String {
    let value = json!({
        "run_id": replay.run_id,
        "source": replay.source,
        "spec_id": source.spec_id,
        "spec_version": source.spec_version,
        "notes": notes,
        "broken": drift.is_broken(),
        "outputs": drift.outputs,
        "judges": drift.judges,
        "items": drift.items,
    });
    format!("{value:#}\n")
}

fn is_everything(replay: &RunHead) -> bool {
    replay.source.as_ref().is_some_and(|source| source.purpose == RunPurpose::ReplayAll)
}

fn judges_table(judges: &[JudgeDrift], style: Style) -> String {
    let has_contract = |judge: &JudgeDrift| judge.tolerance.is_some();
    let mut columns = vec![("judge", Align::Left), ("declares", Align::Left), ("compared", Align::Right)];
    if judges.iter().any(has_contract) {
        columns.extend([("drifted", Align::Right), ("rate", Align::Right), ("tolerance", Align::Right)]);
    }
    if !judges.iter().all(has_contract) {
        columns.extend([("KS D", Align::Right), ("p", Align::Right)]);
    }
    columns.push(("contract", Align::Left));
    let row = |judge: &JudgeDrift| {
        let mut row = vec![visible(&judge.judge).into_owned(), judge.determinism.as_str().to_owned()];
        row.push(count(judge.compared));
        if judges.iter().any(has_contract) {
            let drifted = if has_contract(judge) { count(judge.drifted) } else { NONE.to_owned() };
            row.extend([drifted, optional(judge.rate.filter(|_| has_contract(judge))), optional(judge.tolerance)]);
        }
        if !judges.iter().all(has_contract) {
            row.extend([optional(judge.ks_statistic), optional(judge.ks_p_value)]);
        }
        row.push(verdict(judge.verdict, style));
        row
    };
    grid::table(&columns, &judges.iter().map(row).collect::<Vec<_>>(), style)
}

fn verdict(verdict: ContractVerdict, style: Style) -> String {
    let tone = match verdict {
        ContractVerdict::Kept => Tone::Good,
        ContractVerdict::Broken => Tone::Bad,
        ContractVerdict::NoContract => return verdict.as_str().to_owned(),
        ContractVerdict::NothingCompared => Tone::Uneasy,
    };
    style.paint(verdict.as_str(), tone)
}

/// What the table has no room for.
fn remarks(drift: &ReplayDrift, is_everything: bool) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    let outputs = drift.outputs;
    if is_everything {
        let named = [
            (outputs.same, "the same"),
            (outputs.other, "others"),
            (outputs.only_source, "only in the source"),
            (outputs.only_replay, "only in the replay"),
            (outputs.neither, "in neither"),
        ];
        remarks.push(("outputs", told(&named)));
    }
    for judge in &drift.judges {
        let NotCompared { error_in_source, error_in_replay, error_in_both, other_output } = judge.not_compared;
        let errors = [
            (error_in_source, "only in the source"),
            (error_in_replay, "only in the replay"),
            (error_in_both, "in both"),
        ];
        if errors.iter().any(|&(n, _)| n > 0) {
            remarks.push(("error", format!("{}: {}, not compared", visible(&judge.judge), told(&errors))));
        }
        if other_output > 0 {
            let judgments = counted(other_output, "judgment");
            remarks
                .push(("outputs", format!("{}: {judgments} of another output, not compared", visible(&judge.judge))));
        }
    }
    for judge in &drift.judges {
        if judge.ks_p_value.is_some_and(|p| p < UNLIKELY) {
            let why = "the scores are unlikely to come from one distribution: something other than chance has changed";
            remarks.push(("p < 0.01", format!("{}: {why}", visible(&judge.judge))));
        }
    }
    remarks
}

/// The counts that are not zero; all that there is where all are.
fn told(counts: &[(u64, &str)]) -> String {
    let told: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", count(*n))).collect();
    if told.is_empty() { NONE.to_owned() } else { told.join(" · ") }
}

fn items_table(items: &[DriftedItem], judges: &[JudgeDrift], style: Style) -> String {
    let columns = [
        ("drifted item", Align::Left),
        ("row", Align::Right),
        ("judge", Align::Left),
        ("score", Align::Left),
        ("rationale", Align::Left),
    ];
    let row = |item: &DriftedItem| {
        let row = match item.repeat {
            0 => item.row.to_string(),
            repeat => format!("{} #{}", item.row, u64::from(repeat) + 1),
        };
        vec![
            visible(item.item_id.as_str()).into_owned(),
            row,
            visible(&item.judge).into_owned(),
            format!("{} → {}", said(&item.source), said(&item.replay)),
            if item.same_rationale { "the same" } else { "another" }.to_owned(),
        ]
    };
    let mut text = grid::table(&columns, &items.iter().map(row).collect::<Vec<_>>(), style);
    let in_all: u64 = judges.iter().filter(|judge| judge.tolerance.is_some()).map(|judge| judge.drifted).sum();
    if (items.len() as u64) < in_all {
        text += &format!("{} of {}\n", count(items.len() as u64), count(in_all));
    }
    text
}

fn said(said: &Said) -> String {
    const WIDTH: usize = 40;
    let text = match said {
        Said::Unscored => return "unscored".to_owned(),
        Said::Scored { score: Score::Scalar(scalar) } => shown(scalar).into_owned(),
        Said::Scored { score } => visible(&json!(score).to_string()).into_owned(),
    };
    if text.width() > WIDTH { cut(&text, WIDTH) } else { text }
}

fn conclusion(drift: &ReplayDrift, style: Style) -> String {
    let broken: Vec<_> = drift
        .judges
        .iter()
        .filter(|judge| judge.verdict == ContractVerdict::Broken)
        .map(|judge| visible(&judge.judge).into_owned())
        .collect();
    let none = drift.judges.iter().all(|judge| judge.verdict == ContractVerdict::NothingCompared);
    let text = if !broken.is_empty() {
        format!("{}: {} drifted beyond what it declares", style.paint("drift", Tone::Bad), broken.join(", "))
    } else if none {
        format!("{}: there was nothing to compare", style.paint("no conclusion", Tone::Uneasy))
    } else {
        format!("{}: no judge drifted beyond what it declares", style.paint("replayed", Tone::Good))
    };
    format!("\n{text}\n")
}

/// What came of a trial of a judge. Shows ids of items, and no payload.
#[must_use]
pub fn judge_trial(trial: &TrialReport, style: Style) -> String {
    let TrialReport { judge, times, rows, skipped, without_output, variance, varied_items } = trial;
    let mut text = format!("judge {}  declares to be {}\n\n", visible(judge), variance.determinism.as_str());
    let mut facts =
        vec![("items", told(&[(*rows, "rows"), (*skipped, "unusable"), (*without_output, "without an output")]))];
    facts.push((
        "judged",
        format!("{times} times each: {}", told(&[(variance.calls, "calls"), (variance.errors, "failed")])),
    ));
    facts.push(("compared", counted(variance.compared, "item")));
    let rate = variance.rate.map_or_else(String::new, |rate| format!(", a rate of {}", value(rate)));
    let tolerance = match variance.tolerance {
        None => String::new(),
        Some(0.0) => "; it may vary on none".to_owned(),
        Some(most) => format!("; it may vary on a rate of {}", value(most)),
    };
    facts.push(("varied", format!("{}{rate}{tolerance}", counted(variance.varied, "item"))));
    if let Some(sd) = variance.within_item_sd {
        facts.push((
            "within items",
            format!("standard deviation {}, over {}", value(sd), counted(variance.with_numbers, "item")),
        ));
    }
    facts.extend(varied_items.iter().map(|item| ("varies", visible(item.as_str()).into_owned())));
    text += &grid::pairs(facts, style);
    text + &format!("\n{}\n", trial_conclusion(variance, style))
}

/// The same as indented JSON, with a final newline.
#[must_use]
pub fn judge_trial_json(trial: &TrialReport) -> String {
    format!("{:#}\n", json!(trial))
}

fn trial_conclusion(variance: &JudgeVariance, style: Style) -> String {
    let declared = variance.determinism.as_str();
    match variance.verdict {
        ContractVerdict::Kept => format!("{}: it is {declared}, as it declares", style.paint("kept", Tone::Good)),
        ContractVerdict::Broken => {
            format!("{}: it declares to be {declared}, and it is not", style.paint("BROKEN", Tone::Bad))
        }
        ContractVerdict::NothingCompared => {
            let what = style.paint("no conclusion", Tone::Uneasy);
            format!("{what}: no output has two judgments that are not errors")
        }
        ContractVerdict::NoContract if variance.varied == 0 => {
            format!("no contract: it declares to be {declared}, and never varied: perhaps it could declare more")
        }
        ContractVerdict::NoContract => format!("no contract: it declares to be {declared}, and it varies"),
    }
}
