//! A line of a log, for people or for programs.

use std::fmt::Write;

use ef_model::RunId;
use jiff::Timestamp;

use crate::LogFormat;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FieldValue {
    /// A text, as it is.
    Text(String),
    /// A whole number.
    Integer(i128),
    /// A number.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

/// What a line says.
#[derive(Debug, Clone)]
pub(crate) struct Line<'a> {
    /// When.
    pub(crate) time: Timestamp,
    /// A level, or the kind of a line that is no log event: `SPAN`, `METRIC`.
    pub(crate) level: &'a str,
    /// Who says it.
    pub(crate) target: &'a str,
    /// What happened.
    pub(crate) message: &'a str,
    /// The particulars.
    pub(crate) fields: &'a [(&'a str, FieldValue)],
    /// The run that the process works on.
    pub(crate) run: Option<&'a RunId>,
}

impl Line<'_> {
    /// The line's text, without a newline.
    pub(crate) fn render(&self, format: LogFormat, color: bool) -> String {
        match format {
            LogFormat::Human => self.human(color),
            LogFormat::Json => self.json(),
        }
    }

    fn human(&self, color: bool) -> String {
        let mut line = String::with_capacity(128);
        let (dim, level_color, reset) =
            if color { ("\u{1b}[2m", color_of(self.level), "\u{1b}[0m") } else { ("", "", "") };
        // Writing to a string cannot fail.
        let _ = write!(line, "{dim}{:.3}{reset} {level_color}{:>5}{reset} ", self.time, self.level);
        escape_text(self.message, &mut line);
        for (name, value) in self.fields {
            let _ = write!(line, " {dim}{name}={reset}");
            human_value(value, &mut line);
        }
        if let Some(run) = self.run {
            let _ = write!(line, " {dim}run_id={reset}");
            human_text(run.as_str(), &mut line);
        }
        line
    }

    fn json(&self) -> String {
        let mut line = String::with_capacity(192);
        let _ = write!(line, "{{\"timestamp\":\"{:.6}\"", self.time);
        json_member("level", self.level, &mut line);
        json_member("target", self.target, &mut line);
        json_member("message", self.message, &mut line);
        if let Some(run) = self.run {
            json_member("run_id", run.as_str(), &mut line);
        }
        for (name, value) in self.fields {
            // The keys of the line itself are given once, whatever an event calls its fields.
            let taken = matches!(*name, "timestamp" | "level" | "target" | "message" | "run_id");
            let _ = write!(line, ",\"{}{}\":", if taken { "field." } else { "" }, name);
            match value {
                FieldValue::Text(text) => json_text(text, &mut line),
                FieldValue::Integer(number) => {
                    let _ = write!(line, "{number}");
                }
                FieldValue::Float(number) if number.is_finite() => {
                    let _ = write!(line, "{number:?}");
                }
                FieldValue::Float(_) => line.push_str("null"),
                FieldValue::Bool(truth) => {
                    let _ = write!(line, "{truth}");
                }
            }
        }
        line.push('}');
        line
    }
}

fn color_of(level: &str) -> &'static str {
    match level {
        "ERROR" => "\u{1b}[31m",
        "WARN" => "\u{1b}[33m",
        "INFO" => "\u{1b}[32m",
        "SPAN" | "METRIC" => "\u{1b}[35m",
        _ => "\u{1b}[34m",
    }
}

fn human_value(value: &FieldValue, line: &mut String) {
    let _ = match value {
        FieldValue::Text(text) => {
            human_text(text, line);
            Ok(())
        }
        FieldValue::Integer(number) => write!(line, "{number}"),
        FieldValue::Float(number) => write!(line, "{number}"),
        FieldValue::Bool(truth) => write!(line, "{truth}"),
    };
}

/// As it is where it cannot be taken for anything else, and otherwise in quotes.
fn human_text(text: &str, line: &mut String) {
    let plain = |c: char| c.is_alphanumeric() || "-_.:/+@%#[]()<>*,;~!?&^|$".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        line.push_str(text);
    } else {
        line.push('"');
        for c in text.chars() {
            if c == '"' || c == '\\' {
                line.push('\\');
            }
            escape_char(c, line);
        }
        line.push('"');
    }
}

/// Text that a terminal shows and does nothing else with.
fn escape_text(text: &str, line: &mut String) {
    text.chars().for_each(|c| escape_char(c, line));
}

fn escape_char(c: char, line: &mut String) {
    if drives_terminals(c) {
        line.extend(c.escape_default());
    } else {
        line.push(c);
    }
}

/// Control characters, and those that turn the direction of the text around them.
fn drives_terminals(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn json_member(name: &str, value: &str, line: &mut String) {
    let _ = write!(line, ",\"{name}\":");
    json_text(value, line);
}

fn json_text(text: &str, line: &mut String) {
    line.push_str(&serde_json::Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(message: &'a str, fields: &'a [(&'a str, FieldValue)], run: Option<&'a RunId>) -> Line<'a> {
        let time = Timestamp::from_microsecond(1_795_000_000_123_456).expect("a time");
        Line { time, level: "WARN", target: "ef_runner::log", message, fields, run }
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.to_owned())
    }

    #[test]
    fn a_line_for_people_says_when_how_bad_what_and_which_run() {
        let run = RunId::new("r-1").expect("an id");
        let fields = [
            ("component_id", text("acme.judge")),
            ("attempt", FieldValue::Integer(2)),
            ("wait_ms", FieldValue::Float(12.5)),
            ("last", FieldValue::Bool(false)),
            ("reason", text("no answer in time")),
            ("empty", text("")),
        ];
        insta::assert_snapshot!(
            line("attempt failed, trying again", &fields, Some(&run)).render(LogFormat::Human, false),
            @r#"2026-11-18T11:06:40.123Z  WARN attempt failed, trying again component_id=acme.judge attempt=2 wait_ms=12.5 last=false reason="no answer in time" empty="" run_id=r-1"#
        );
        insta::assert_snapshot!(
            line("attempt failed, trying again", &fields[..1], None).render(LogFormat::Human, true).escape_debug(),
            @r#"\u{1b}[2m2026-11-18T11:06:40.123Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m attempt failed, trying again \u{1b}[2mcomponent_id=\u{1b}[0macme.judge"#
        );
    }

    #[test]
    fn a_line_for_programs_is_one_json_object_whose_own_keys_no_field_replaces() {
        let run = RunId::new("r-1").expect("an id");
        let fields = [
            ("message", text("not mine")),
            ("cost", FieldValue::Float(f64::NAN)),
            ("wait_ms", FieldValue::Float(2.0)),
            ("n", FieldValue::Integer(7)),
            ("error.kind", text("a \"quoted\"\nline")),
        ];
        let json = line("it happened", &fields, Some(&run)).render(LogFormat::Json, true);
        insta::assert_snapshot!(json, @r#"{"timestamp":"2026-11-18T11:06:40.123456Z","level":"WARN","target":"ef_runner::log","message":"it happened","run_id":"r-1","field.message":"not mine","cost":null,"wait_ms":2.0,"n":7,"error.kind":"a \"quoted\"\nline"}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok_and(|value| value.is_object()));
    }

    #[test]
    fn no_text_drives_the_terminal_or_breaks_the_line() {
        let hostile = "a\u{1b}[2Jb\r\nc\u{202e}d\u{7}";
        let fields = [("model", text(hostile))];
        let line = line(hostile, &fields, None).render(LogFormat::Human, false);
        assert!(!line.chars().any(drives_terminals), "{line:?}");
        insta::assert_snapshot!(line, @r#"2026-11-18T11:06:40.123Z  WARN a\u{1b}[2Jb\r\nc\u{202e}d\u{7} model="a\u{1b}[2Jb\r\nc\u{202e}d\u{7}""#);
    }

    proptest::proptest! {
        #[test]
        fn any_text_makes_one_line_of_either_format(message: String, value: String) {
            let fields = [("field", text(&value))];
            let line = line(&message, &fields, None);
            let json: serde_json::Value = serde_json::from_str(&line.render(LogFormat::Json, false)).expect("JSON");
            proptest::prop_assert_eq!(&json["message"], &serde_json::Value::from(message.clone()));
            proptest::prop_assert_eq!(&json["field"], &serde_json::Value::from(value.clone()));
            proptest::prop_assert!(!line.render(LogFormat::Human, false).chars().any(drives_terminals));
        }
    }
}
