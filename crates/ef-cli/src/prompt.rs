//! Asking the person at the terminal for a verdict. What is judged is shown: whoever runs a spec with a person as a judge
//! wants to see it.

use std::io::{self, BufRead, IsTerminal};
use std::sync::Arc;

use ef_judges::{Answer, PromptError, Prompter, Question};
use ef_model::{BoxFuture, Payload};
use tokio::sync::{Mutex, mpsc};

use crate::console;

/// The terminal, where a person can be asked: standard input and standard error are one, and lines are for people.
pub(crate) fn terminal() -> Option<Arc<Terminal>> {
    (console::is_for_people() && io::stdin().is_terminal() && io::stderr().is_terminal()).then(Arc::default)
}

/// A person at a terminal.
#[derive(Default)]
pub(crate) struct Terminal {
    lines: Mutex<Option<mpsc::UnboundedReceiver<String>>>,
}

/// Reads lines until the input ends. A thread of its own, as nothing can interrupt it.
fn read_lines() -> io::Result<mpsc::UnboundedReceiver<String>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("terminal".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                break;
            }
        }
    })?;
    Ok(receiver)
}

impl Prompter for Terminal {
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, PromptError>> {
        Box::pin(async move {
            let mut lines = self.lines.lock().await;
            if lines.is_none() {
                let failed = |error: io::Error| PromptError::Failed(format!("no thread to read: {}", error.kind()));
                *lines = Some(read_lines().map_err(failed)?);
            }
            let lines = lines.as_mut().expect("it was just made");
            // What was typed before the question was seen is no answer to it.
            while lines.try_recv().is_ok() {}
            let _held = console::hold();
            console::say(&asked(&question));
            let score = lines.recv().await.ok_or(PromptError::Closed)?.trim().to_owned();
            if score == "s" {
                return Ok(Answer::new(score));
            }
            console::say("why? (a line, may be empty)");
            let rationale = lines.recv().await.ok_or(PromptError::Closed)?.trim().to_owned();
            Ok(Answer { rationale: (!rationale.is_empty()).then_some(rationale), ..Answer::new(score) })
        })
    }
}

/// A question as it is shown.
fn asked(question: &Question<'_>) -> String {
    if let Some(problem) = question.problem {
        return format!("{}\n{}", ef_report::visible(problem), question.answers);
    }
    let mut text = format!("\nitem {}", ef_report::visible(question.item_id.as_str()));
    if question.repeat > 0 {
        text += &format!(", repeat {}", question.repeat);
    }
    let parts =
        [("input", Some(question.input)), ("reference", question.reference_output), ("output", Some(question.output))];
    for (name, payload) in parts {
        if let Some(payload) = payload {
            text += &format!("\n── {name}\n{}", shown(payload));
        }
    }
    text += &format!("\n── question\n{}\n{}", lines_of(question.text), question.answers);
    text
}

/// A payload for a person: a text as it is, anything else as JSON.
fn shown(payload: &Payload) -> String {
    match payload.expose_value() {
        serde_json::Value::String(text) => lines_of(&text),
        value => lines_of(&serde_json::to_string_pretty(&value).unwrap_or_default()),
    }
}

/// Lines of which none can move the cursor.
fn lines_of(text: &str) -> String {
    text.lines().map(ef_report::visible).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_judged_is_shown_line_by_line_and_cannot_move_the_cursor() {
        let text = Payload::from_text("one\ntwo \u{1b}[2J");
        assert_eq!(shown(&text).lines().count(), 2);
        assert!(!shown(&text).contains('\u{1b}'));
        let object = Payload::from_value(&serde_json::json!({"a": [1]}));
        assert!(shown(&object).contains("\"a\""));
    }
}
