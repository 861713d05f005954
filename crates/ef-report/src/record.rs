//! One record in full.

use std::collections::BTreeMap;

use ef_model::{
    Digest, ErrorRecord, Identity, Judgment, JudgmentResult, RowFault, Score, StoredRecord, Trace, TraceOutcome,
    TraceStatus, Usage,
};

use crate::grid;
use crate::number::{counted, duration, microsecond};
use crate::style::{Style, Tone};
use crate::text::visible;
use crate::traces::shown;

/// The payloads that a caller wants shown, by digest, as they are stored: JSON texts.
type Texts<'t> = Option<&'t BTreeMap<Digest, String>>;

/// One record in full: identities, attempts, times, digests (SHA-256), errors and judgments.
///
/// Without `payloads` no byte of a payload is shown, only its digest. With them, each stands under its heading, a
/// JSON string as the text that it is, escaped as [`visible`] does but for line breaks; one that is missing from the map
/// is said to be missing.
#[must_use]
pub fn record_detail(stored: &StoredRecord, payloads: Option<&BTreeMap<Digest, String>>, style: Style) -> String {
    let record = &stored.record;
    let place = [
        ("item", visible(record.item_id.as_str()).into_owned()),
        ("row", format!("{}, repeat {}, revision {}", record.row, record.repeat, record.revision)),
        ("leaf", stored.leaf.to_string()),
    ];
    let mut text = grid::pairs(place.into(), style);
    text.push('\n');
    text += &trace(&record.trace, payloads, style);
    for judgment in &record.judgments {
        text.push('\n');
        text += &one_judgment(judgment, payloads, style);
    }
    text
}

fn trace(trace: &Trace, texts: Texts<'_>, style: Style) -> String {
    let tone = if trace.status() == TraceStatus::Ok { Tone::Good } else { Tone::Bad };
    let mut facts = code("evaluator", &trace.evaluator).to_vec();
    facts.extend(call(trace.attempts, trace.started_at_us, trace.duration_us));
    let mut payloads =
        vec![("input", trace.input), ("reference", trace.reference_output), ("metadata", trace.item_metadata)];
    match &trace.outcome {
        TraceOutcome::Ok { output, output_metadata } => {
            payloads.push(("output", Some(*output)));
            payloads.push(("output metadata", *output_metadata));
        }
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => {
            facts.extend(failure(error));
            payloads.push(("error detail", error.detail));
        }
        TraceOutcome::Skipped { fault } => facts.extend(skip(fault)),
    }
    let heading = format!("trace: {}", style.paint(trace.status().as_str(), tone));
    section(&heading, facts, &payloads, texts, style)
}

fn one_judgment(judgment: &Judgment, texts: Texts<'_>, style: Style) -> String {
    let judge = &judgment.judge;
    let mut facts = code("judge", &judge.identity).to_vec();
    facts.push(("promise", judge.determinism.as_str().to_owned()));
    facts.push(("config", judge.config_digest.to_string()));
    match &judgment.reused_from {
        Some(run) => facts.push(("reused from", format!("run {run}"))),
        None => facts.extend(call(judgment.attempts, judgment.started_at_us, judgment.duration_us)),
    }
    let (word, tone, payload) = match &judgment.result {
        JudgmentResult::Scored { score, rationale } => {
            facts.push(("score", whole_score(score)));
            ("scored", Tone::Good, ("rationale", *rationale))
        }
        JudgmentResult::Unscored { rationale } => ("unscored", Tone::Uneasy, ("rationale", *rationale)),
        JudgmentResult::Pending => ("pending", Tone::Uneasy, ("rationale", None)),
        JudgmentResult::Error { error } => {
            facts.extend(failure(error));
            ("error", Tone::Bad, ("error detail", error.detail))
        }
    };
    facts.extend(used(judgment.usage));
    let heading = format!("judgment by {}: {}", visible(&judge.name), style.paint(word, tone));
    section(&heading, facts, &[payload], texts, style)
}

/// What a call used, as far as it is known.
fn used(usage: Usage) -> impl Iterator<Item = (&'static str, String)> {
    let tokens = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => None,
        (input, output) => {
            let shown = |tokens: Option<u64>| tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
            Some(format!("{} in, {} out", shown(input), shown(output)))
        }
    };
    let cost = usage.cost_usd.map(|cost| ("cost", format!("{cost} USD")));
    tokens.map(|tokens| ("tokens", tokens)).into_iter().chain(cost)
}

fn code(role: &'static str, identity: &Identity) -> [(&'static str, String); 2] {
    let named = format!("{} {} ({})", identity.id, visible(&identity.version), visible(&identity.source));
    [(role, named), ("digest", identity.digest.to_string())]
}

fn call(attempts: u32, started_at_us: i64, duration_us: u64) -> Vec<(&'static str, String)> {
    let mut facts = vec![("attempts", attempts.to_string())];
    if attempts > 0 {
        facts.push(("started", microsecond(started_at_us)));
        facts.push(("time", duration(duration_us)));
    }
    facts
}

fn failure(error: &ErrorRecord) -> [(&'static str, String); 1] {
    [("error", format!("{} ({}, {})", visible(&error.message), visible(&error.code), error.kind.as_str()))]
}

fn skip(fault: &RowFault) -> [(&'static str, String); 3] {
    [
        ("reason", format!("{}: {}", fault.kind, visible(&fault.message))),
        ("row size", counted(fault.bytes, "byte")),
        ("row digest", fault.sha256.to_string()),
    ]
}

fn whole_score(score: &Score) -> String {
    match score {
        Score::Scalar(scalar) => shown(scalar).into_owned(),
        Score::Object(values) => {
            let values: Vec<_> =
                values.iter().map(|(key, scalar)| format!("{} = {}", visible(key), shown(scalar))).collect();
            values.join(", ")
        }
    }
}

/// A heading, what is known, and the payloads: their digests, and their texts where they are wanted.
fn section(
    heading: &str,
    mut facts: Vec<(&'static str, String)>,
    payloads: &[(&'static str, Option<Digest>)],
    texts: Texts<'_>,
    style: Style,
) -> String {
    let present: Vec<_> = payloads.iter().filter_map(|&(name, payload)| Some((name, payload?))).collect();
    facts.extend(present.iter().map(|&(name, payload)| (name, payload.to_string())));
    let mut text = format!("{heading}\n{}", grid::pairs(facts, style));
    for (name, payload) in &present {
        let Some(texts) = texts else { break };
        let json = texts.get(payload);
        let size = json.map_or_else(|| "not in the store".to_owned(), |json| counted(json.len() as u64, "byte"));
        text += &format!("{}\n", style.paint(&format!("--- {name} ({size})"), Tone::Heading));
        text += &json.map(|json| content(json)).unwrap_or_default();
    }
    text
}

/// A payload's content, each line indented so that none can pass for a line of the report.
fn content(json: &str) -> String {
    let unquoted = serde_json::from_str::<String>(json);
    let text = unquoted.as_deref().unwrap_or(json);
    let mut shown = String::new();
    for line in text.lines() {
        if !line.is_empty() {
            shown += "  ";
        }
        shown += &visible(line);
        shown.push('\n');
    }
    shown
}
