//! Standard error: what is said to the person, or to the program in a person's place, while a command works.
//!
//! There is one standard error for the whole process, and panics, log lines of any thread and the command itself write to
//! it. So what has to be known to do that without garbling one another stands here, once for the process.

use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use clap::ValueEnum;
use ef_model::RunId;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::output;

/// The form of lines on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// A JSON object a line, errors and notes included.
    Json,
}

/// How many log lines are kept back while a person is asked; what comes then is shown all the same.
const HELD_LINES: usize = 256;

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

static STATE: Mutex<State> = Mutex::new(State { progress: None, run: None, held: None });

struct State {
    /// The line that makes room for others.
    progress: Option<ProgressBar>,
    /// The run that lines are about.
    run: Option<RunId>,
    /// Log lines that wait until the person has answered.
    held: Option<Vec<String>>,
}

/// What panicked while it wrote a line has left nothing half done.
fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says how lines look from now on; the first to say so counts.
pub(crate) fn set_format(format: LogFormat) {
    let _ = FORMAT.set(format);
}

/// How lines look.
pub(crate) fn format() -> LogFormat {
    FORMAT.get().copied().unwrap_or_default()
}

/// Whether lines are for people.
pub(crate) fn is_for_people() -> bool {
    format() == LogFormat::Human
}

/// From now on, JSON lines say that they are about this run.
pub(crate) fn set_run(run: &RunId) {
    state().run = Some(run.clone());
}

/// Says which line has to make room for others.
pub(crate) fn give_way(progress: &ProgressBar) {
    state().progress = (!progress.is_hidden()).then(|| progress.clone());
}

/// Writes a line of the log, as it is.
pub(crate) fn log(line: &str) {
    let mut state = state();
    match &mut state.held {
        Some(held) if held.len() < HELD_LINES => held.push(line.to_owned()),
        _ => write(&state, line),
    }
}

/// Says something to the person at the terminal.
pub(crate) fn say(text: &str) {
    tell("INFO", text, Map::new());
}

/// Says what a person may do next. A program has been told all that it needs by the log.
pub(crate) fn advise(text: &str) {
    if is_for_people() {
        say(text);
    }
}

/// Says what went wrong. `details` are for programs; people have been told them in words.
pub(crate) fn error(text: &str, details: Map<String, Value>) {
    tell("ERROR", text, details);
}

fn tell(level: &str, text: &str, details: Map<String, Value>) {
    let state = state();
    match format() {
        LogFormat::Human => write(&state, text),
        LogFormat::Json => write(&state, &json_line(level, text, state.run.as_ref(), details)),
    }
}

/// A line in the form of the log's own.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<&'a RunId>,
    #[serde(flatten)]
    details: Map<String, Value>,
}

fn json_line(level: &str, text: &str, run_id: Option<&RunId>, details: Map<String, Value>) -> String {
    let timestamp = format!("{:.6}", jiff::Timestamp::now());
    let line = Line { timestamp, level, target: env!("CARGO_CRATE_NAME"), message: text.trim(), run_id, details };
    serde_json::to_string(&line).expect("a line has a JSON form: its keys are texts")
}

fn write(state: &State, text: &str) {
    // Nothing depends on it, so nothing fails for it: not even where standard error is closed.
    let put = || drop(writeln!(io::stderr().lock(), "{text}"));
    match &state.progress {
        Some(progress) => progress.suspend(put),
        None => put(),
    }
}

/// Keeps the progress line and the log off the screen until what is returned is dropped, so that what a person types stays
/// to be seen. What is said is shown all the same.
pub(crate) fn hold() -> Held {
    let mut state = state();
    if let Some(progress) = &state.progress {
        progress.set_draw_target(ProgressDrawTarget::hidden());
        // A line that is not drawn any more stays on the screen.
        let _ = write!(io::stderr().lock(), "\r\u{1b}[2K");
    }
    state.held.get_or_insert_default();
    Held
}

/// As long as this is kept, nothing but what is said is shown.
#[must_use = "the log goes on when this is dropped"]
pub(crate) struct Held;

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = state();
        for line in state.held.take().unwrap_or_default() {
            write(&state, &line);
        }
        if let Some(progress) = &state.progress {
            progress.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Where log lines go, and how they are dressed.
pub(crate) fn logs() -> ef_telemetry::Logs {
    ef_telemetry::Logs {
        format: match format() {
            LogFormat::Human => ef_telemetry::LogFormat::Human,
            LogFormat::Json => ef_telemetry::LogFormat::Json,
        },
        color: output::stderr_style().color,
        // A person is told by the command itself, with what to do.
        errors: !is_for_people(),
        write: std::sync::Arc::new(log),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_line_is_an_object_with_its_run() {
        let run: RunId = "r1".parse().expect("an id");
        let details = Map::from_iter([("exit_code".to_owned(), json!(2))]);
        let line = json_line("ERROR", "\"quoted\"\nin two lines\n", Some(&run), details);
        assert!(!line.contains('\n'), "{line}");
        let value: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["message"], "\"quoted\"\nin two lines");
        assert_eq!(
            (&value["level"], &value["run_id"], &value["exit_code"]),
            (&json!("ERROR"), &json!("r1"), &json!(2))
        );
        assert!(value["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
    }

    #[test]
    fn log_lines_wait_while_a_person_is_asked() {
        let held = hold();
        log("one");
        assert_eq!(state().held.as_deref(), Some(&["one".to_owned()][..]));
        drop(held);
        assert!(state().held.is_none());
    }
}
