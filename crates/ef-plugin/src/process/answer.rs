//! Results as verdicts and outputs. Nothing that does not fit gets in.

use ef_model::{CallError, EvaluatorOutput, Payload, Scalar, Score, Usage, Verdict, check_strict};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;

/// The most bytes of a label or of the name of a value: they are part of the records.
const LONGEST_LABEL: usize = 1024;
/// The most values of one score.
const MOST_VALUES: usize = 256;

#[derive(Deserialize)]
struct Judged<'a> {
    // A null is a score that is declined; nothing at all is a mistake.
    #[serde(borrow, default, deserialize_with = "present")]
    score: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rationale: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Evaluated<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What was used, as the protocol has it: fields that it does not know may be there.
#[derive(Deserialize)]
pub(super) struct Used {
    #[serde(default)]
    cost_usd: Option<f64>,
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
}

impl Used {
    /// The same without what a record cannot hold.
    pub(super) fn into_usage(self) -> Usage {
        let Self { cost_usd, input_tokens, output_tokens } = self;
        Usage { cost_usd, input_tokens, output_tokens }.in_range()
    }
}

/// The verdict that the result of `judge` holds.
pub(super) fn verdict(result: &str, plugin: &str) -> Result<Verdict, CallError> {
    let judged: Judged<'_> = read(result, plugin)?;
    let usage = usage(judged.usage, result, plugin)?;
    let refuse = |fault| Err(invalid(fault, result, plugin).with_usage(usage));
    let Some(raw) = judged.score else { return refuse("has no `score` (null stands for none)") };
    let score = if raw.get() == "null" { None } else { serde_json::from_str::<Score>(raw.get()).ok() };
    match score {
        None if raw.get() != "null" => {
            refuse("has a `score` that is not a number, true, false, a label, a map of those, or null")
        }
        Some(score) if !is_within_bounds(&score) => refuse("has a `score` with too many values, or too long a label"),
        score => {
            let rationale = judged.rationale.map(|text| Payload::from_checked(text.get()));
            Ok(Verdict { score, rationale, usage, ..Verdict::unscored() })
        }
    }
}

fn is_within_bounds(score: &Score) -> bool {
    let is_short = |scalar: &Scalar| !matches!(scalar, Scalar::Label(label) if label.len() > LONGEST_LABEL);
    match score {
        Score::Scalar(scalar) => is_short(scalar),
        Score::Object(values) => {
            (1..=MOST_VALUES).contains(&values.len())
                && values.iter().all(|(name, scalar)| name.len() <= LONGEST_LABEL && is_short(scalar))
        }
    }
}

/// The output that the result of `evaluate` holds.
pub(super) fn output(result: &str, plugin: &str) -> Result<EvaluatorOutput, CallError> {
    let evaluated: Evaluated<'_> = read(result, plugin)?;
    let usage = usage(evaluated.usage, result, plugin)?;
    let refuse = |fault| Err(invalid(fault, result, plugin).with_usage(usage));
    let Some(output) = evaluated.output else { return refuse("has no `output`") };
    if evaluated.metadata.is_some_and(|metadata| !metadata.get().starts_with('{')) {
        return refuse("has a `metadata` that is not a map");
    }
    Ok(EvaluatorOutput {
        output: Payload::from_checked(output.get()),
        metadata: evaluated.metadata.map(|metadata| Payload::from_checked(metadata.get())),
        usage,
    })
}

fn read<'a, T: Deserialize<'a>>(result: &'a str, plugin: &str) -> Result<T, CallError> {
    if check_strict(result).is_err() {
        let fault = "is not strict JSON (a key twice, a number beyond a double's range, half a surrogate, or too deep)";
        return Err(invalid(fault, result, plugin));
    }
    // A derived reader takes a list for a struct as well.
    let is_map = result.starts_with('{');
    let read = serde_json::from_str(result).ok().filter(|_| is_map);
    read.ok_or_else(|| invalid("is not a map", result, plugin))
}

fn usage(usage: Option<&RawValue>, result: &str, plugin: &str) -> Result<Usage, CallError> {
    let Some(usage) = usage else { return Ok(Usage::UNKNOWN) };
    let used = serde_json::from_str::<Used>(usage.get()).ok().filter(|_| usage.get().starts_with('{'));
    used.map(Used::into_usage).ok_or_else(|| invalid("has a `usage` that does not fit the protocol", result, plugin))
}

fn invalid(fault: &'static str, result: &str, plugin: &str) -> CallError {
    Failure::malformed(fault, result.as_bytes()).into_call_error(plugin)
}

#[cfg(test)]
mod tests {
    use ef_model::ErrorKind;

    use super::*;

    #[test]
    fn every_kind_of_score_gets_in() {
        for (text, score) in [
            ("0.5", Some(Score::number(0.5).expect("finite"))),
            ("1", Some(Score::number(1.0).expect("finite"))),
            ("true", Some(true.into())),
            ("\"kind\"", Some(Score::Scalar(Scalar::Label("kind".to_owned())))),
            ("null", None),
        ] {
            let verdict = verdict(&format!(r#"{{"score":{text},"later":1}}"#), "p").expect("a verdict");
            assert_eq!(verdict.score, score, "{text}");
        }
        let text =
            r#"{"score":{"score":1,"tone":"kind","ok":true},"rationale":{ "why": 1.10 },"usage":{"input_tokens":3}}"#;
        let verdict = verdict(text, "p").expect("a verdict");
        assert_eq!(verdict.score.and_then(|score| score.as_number(None)), Some(1.0));
        assert_eq!(verdict.rationale.expect("kept").expose(), r#"{ "why": 1.10 }"#);
        assert_eq!(verdict.usage.input_tokens, Some(3));
    }

    #[test]
    fn what_is_no_score_is_invalid_output_and_is_not_quoted() {
        let long = format!(r#"{{"score":"{}"}}"#, "x".repeat(2000));
        for text in [
            "{}",
            "1",
            "null",
            r#"[1,"Alice"]"#,
            r#"{"score":1e400}"#,
            r#"{"score":[1]}"#,
            r#"{"score":{}}"#,
            r#"{"score":{"a":null}}"#,
            r#"{"score":{"a":{"b":1}}}"#,
            r#"{"score":1,"score":2}"#,
            r#"{"score":1,"rationale":{"a":1,"a":2}}"#,
            r#"{"score":1,"rationale":"\ud800"}"#,
            r#"{"score":1,"usage":{"input_tokens":"Alice"}}"#,
            r#"{"score":1,"usage":7}"#,
            &long,
        ] {
            let error = verdict(text, "p").expect_err(text);
            assert_eq!(error.kind, ErrorKind::InvalidOutput, "{text}");
            assert!(!error.message.contains("Alice"), "{}", error.message);
            assert!(error.detail.is_some());
        }
    }

    #[test]
    fn money_spent_on_an_invalid_answer_is_still_counted() {
        let error = verdict(r#"{"usage":{"cost_usd":0.25}}"#, "p").expect_err("no score");
        assert_eq!(error.usage, Usage::cost(0.25));
    }

    #[test]
    fn an_output_is_kept_to_the_byte() {
        let text = r#"{"output":[ 1.000000000000000000001 , 2 ],"metadata":{ "a":1}}"#;
        let output = output(text, "p").expect("an output");
        assert_eq!(output.output.expose(), "[ 1.000000000000000000001 , 2 ]");
        assert_eq!(output.metadata.expect("kept").expose(), r#"{ "a":1}"#);
    }

    #[test]
    fn what_is_no_output_is_invalid_output() {
        for text in ["{}", "7", r#"{"metadata":{}}"#, r#"{"output":1,"metadata":[]}"#, r#"{"output":-1e999}"#] {
            assert_eq!(output(text, "p").expect_err(text).kind, ErrorKind::InvalidOutput, "{text}");
        }
        assert_eq!(output(r#"{"output":null}"#, "p").expect("null is an output").output.expose(), "null");
    }
}
