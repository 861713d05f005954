//! What is wrong with a manifest, and where.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    hint: Option<String>,
    span: Option<Range<usize>>,
    source: Option<Arc<NamedSource<String>>>,
}

impl Problem {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, span: Some(span), source: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All that is wrong with one file.
#[derive(Debug)]
pub(crate) struct Problems {
    name: String,
    source: Arc<NamedSource<String>>,
    problems: Vec<Problem>,
}

impl Problems {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let name = ef_report::visible(&path.to_string_lossy()).into_owned();
        Self { source: Arc::new(NamedSource::new(&name, showable(text))), name, problems: Vec::new() }
    }

    /// What is wrong with a file as a whole.
    pub(crate) fn of_file(path: &Path, message: String) -> Self {
        let mut problems = Self::new(path, "");
        problems.problems.push(Problem { message, hint: None, span: None, source: None });
        problems
    }

    pub(crate) fn push(&mut self, problem: Problem) {
        self.problems.push(Problem { source: Some(Arc::clone(&self.source)), ..problem });
        self.problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
    }

    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The messages alone.
    #[cfg(test)]
    pub(crate) fn to_text(&self) -> String {
        self.problems.iter().map(|problem| format!("{problem}\n")).collect()
    }
}

/// The text, as long as it was, without what moves a terminal's cursor or changes the direction of writing.
fn showable(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '\u{bf}',
        c => c,
    };
    text.chars().map(replaced).collect()
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "{} has a problem", self.name),
            count => write!(f, "{} has {count} problems", self.name),
        }
    }
}

impl Error for Problems {}

impl Diagnostic for Problems {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.as_ref()?;
        self.source.as_deref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_primary_with_span(None, span))))
    }
}
