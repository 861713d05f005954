//! The parser's complaints in this crate's words.

use std::sync::Arc;

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::DEEPEST;
use crate::problem::SpecProblem;
use crate::source::SourceText;
use crate::tree::Span;

/// What is wrong with a text that is not YAML.
pub(super) fn explain(error: &ScanError, text: &str, source: &Arc<SourceText>) -> SpecProblem {
    let span = place(error, text);
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
        let message = format!("the file is nested more than {DEEPEST} levels deep");
        return SpecProblem::new(source, message).at(span, "too deep").with_hint("flatten it");
    }
    if matches!(error.kind(), ErrorKind::UnknownAnchor) {
        let problem = SpecProblem::new(source, "there is no anchor of this name above");
        let hint = "define it with `&name`, or put a text that begins with `*` in quotes";
        return problem.at(span, "unknown anchor").with_hint(hint);
    }
    let info = error.info();
    // The parser says first what it was about: "while parsing a quoted scalar, found ...".
    let info = info.strip_prefix("while ").and_then(|rest| rest.split_once(", ")).map_or(&*info, |(_, what)| what);
    let problem = SpecProblem::new(source, format!("the file is neither YAML nor JSON: {info}"));
    problem.at(span, "here").with_hint(hint(error.kind()))
}

fn hint(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "indent with spaces; YAML does not take tabs there",
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "put a text that holds `: ` in quotes, or mend the brackets or the indentation before this place"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put a text that begins with this character in quotes",
        ErrorKind::UnclosedQuotedScalar => "close the quote",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => "close the bracket",
        ErrorKind::InvalidLowSurrogateHexEscape
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::UnpairedLowSurrogate => {
            "a character beyond U+FFFF takes two \\u escapes, as in \"\\ud83d\\ude00\""
        }
        ErrorKind::UnknownQuotedScalarEscape | ErrorKind::InvalidQuotedScalarHexEscape => {
            "in double quotes a backslash is written `\\\\`; single quotes take it as it is"
        }
        _ => "look for a bracket, a quote or an indentation that does not fit around here",
    }
}

/// The character where the parser stopped.
fn place(error: &ScanError, text: &str) -> Span {
    let marker = error.marker();
    let start = marker
        .byte_offset()
        .unwrap_or_else(|| text.char_indices().nth(marker.index()).map_or(text.len(), |(byte, _)| byte));
    let start = text.floor_char_boundary(start.min(text.len()));
    Span { start, end: start + text[start..].chars().next().map_or(0, char::len_utf8) }
}
