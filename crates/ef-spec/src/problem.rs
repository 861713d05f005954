//! What is wrong with a spec, and where.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};

use crate::password;
use crate::source::{SourceText, misleads};
use crate::tree::Span;

/// So many problems are kept of one file; the rest is counted.
const KEPT: usize = 100;

/// One thing wrong with a spec.
#[derive(Debug, Clone)]
pub struct SpecProblem {
    message: String,
    hint: Option<String>,
    labels: Vec<(SourceSpan, Option<String>)>,
    source: Arc<SourceText>,
}

impl SpecProblem {
    pub(crate) fn new(source: &Arc<SourceText>, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, labels: Vec::new(), source: Arc::clone(source) }
    }

    /// Adds a place; the first one is where the problem is.
    pub(crate) fn at(mut self, span: Span, label: impl Into<String>) -> Self {
        self.labels.push((self.source.underlined(span), Some(label.into()).filter(|label| !label.is_empty())));
        self
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_any_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Line and column in the file, both from 1, the column in characters; none where the file as a whole is at fault.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        self.labels.first().map(|(span, _)| self.source.position(span.offset()))
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SpecProblem {}

impl Diagnostic for SpecProblem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.hint.as_ref().map(|hint| Box::new(hint) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let labels = self.labels.iter().enumerate().map(|(index, (span, label))| {
            if index == 0 {
                LabeledSpan::new_primary_with_span(label.clone(), *span)
            } else {
                LabeledSpan::new_with_span(label.clone(), *span)
            }
        });
        (!self.labels.is_empty()).then(|| Box::new(labels) as _)
    }
}

/// Everything that is wrong with a spec. As a [`Diagnostic`] it shows each problem with its line of the file.
#[derive(Debug, Clone)]
pub struct SpecErrors {
    name: String,
    problems: Vec<SpecProblem>,
    total: usize,
}

impl SpecErrors {
    /// The file's name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The problems in the order of the file, at most a hundred.
    #[must_use]
    pub fn problems(&self) -> &[SpecProblem] {
        &self.problems
    }

    /// How many problems there are in all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.total
    }
}

impl fmt::Display for SpecErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, problems, total } = self;
        match *total {
            1 => write!(f, "the spec {name} has a problem"),
            total if total > problems.len() => {
                write!(f, "the spec {name} has {total} problems; these are the first {}", problems.len())
            }
            total => write!(f, "the spec {name} has {total} problems"),
        }
    }
}

impl Error for SpecErrors {}

impl Diagnostic for SpecErrors {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// Collects the problems of one file.
pub(crate) struct Problems {
    source: Arc<SourceText>,
    found: Vec<SpecProblem>,
    total: usize,
}

impl Problems {
    pub(crate) const fn new(source: Arc<SourceText>) -> Self {
        Self { source, found: Vec::new(), total: 0 }
    }

    pub(crate) const fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Whether one more problem would only be counted. Where many can be, ask before making it.
    pub(crate) const fn is_full(&self) -> bool {
        self.found.len() >= KEPT
    }

    pub(crate) const fn count_one_more(&mut self) {
        self.total += 1;
    }

    /// A problem at a place, to be completed and pushed.
    pub(crate) fn at(&self, span: Span, label: impl Into<String>, message: impl Into<String>) -> SpecProblem {
        SpecProblem::new(&self.source, message).at(span, label)
    }

    pub(crate) fn push(&mut self, problem: SpecProblem) {
        self.total += 1;
        if self.found.len() < KEPT {
            self.found.push(problem);
        }
    }

    /// These problems alone, in the order of the file.
    pub(crate) fn into_errors(mut self) -> SpecErrors {
        self.found.sort_by_key(|problem| problem.labels.first().map(|(span, _)| span.offset()));
        SpecErrors { name: self.source.name().to_owned(), problems: self.found, total: self.total }
    }

    /// One problem, whatever else there may be.
    pub(crate) fn only(problem: SpecProblem) -> SpecErrors {
        let mut problems = Self::new(Arc::clone(&problem.source));
        problems.push(problem);
        problems.into_errors()
    }
}

/// A text of the file inside a message: short, and without control characters and passwords.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let text = password::masked(text.to_owned());
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        if misleads(c) { shown.extend(c.escape_unicode()) } else { shown.push(c) }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
