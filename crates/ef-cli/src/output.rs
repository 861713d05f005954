//! Where text goes and how it is dressed.

use std::io::{self, ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use ef_report::Style;

use crate::Exit;
use crate::failure::Failure;

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How text on standard output is dressed.
pub(crate) fn stdout_style() -> Style {
    style(io::stdout().is_terminal())
}

/// How text on standard error is dressed.
pub(crate) fn stderr_style() -> Style {
    style(io::stderr().is_terminal())
}

fn style(terminal: bool) -> Style {
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Style { color: terminal && !colourless, width: terminal.then(terminal_width) }
}

/// The terminal's width; a terminal that does not say has the classic one.
fn terminal_width() -> u16 {
    terminal_size::terminal_size().map_or(80, |(terminal_size::Width(columns), _)| columns)
}

/// Writes a result to standard output. A reader that has gone away is no failure: it has read enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_part(text).map(|_| ())
}

/// Writes a part of a result to standard output, and tells whether somebody still reads it.
pub(crate) fn print_part(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Usage, format!("standard output cannot be written: {}", error.kind()))),
    }
}

/// A label and a text; on a terminal in lines as wide as it is, those after the first indented by the label's length.
pub(crate) fn wrapped(label: &str, text: &str) -> String {
    let width = stderr_style().width.map_or(usize::MAX, usize::from);
    wrap(label, text, width)
}

/// Breaks lines between words. A word that is wider than a line stays whole.
fn wrap(label: &str, text: &str, width: usize) -> String {
    let indent = label.chars().count();
    let mut wrapped = label.to_owned();
    let mut column = indent;
    for (index, word) in text.split(' ').enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if index > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped += word;
        column += length;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn a_message_breaks_between_words_and_stays_as_it_is_without_a_terminal() {
        let text = "the spec is  wrong/in/a/long/path here";
        assert_eq!(wrap("error: ", text, usize::MAX), format!("error: {text}"));
        assert_eq!(wrap("error: ", text, 20), "error: the spec is \n       wrong/in/a/long/path\n       here");
        assert_eq!(wrap("help: ", "", 3), "help: ");
    }
}
