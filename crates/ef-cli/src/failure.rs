//! What went wrong, how the program ends for it, and what to do next: chosen once, here.

use std::{io, panic};

use ef_model::{SourceError, StoreError};
use ef_plugin::RegistryError;
use ef_runner::{RunError, StopCause};
use ef_spec::{MigrateError, SpecErrors};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use serde_json::{Map, Value, json};

use crate::{Exit, console, output, stores};

/// A command that did not do what it was asked to.
pub(crate) struct Failure {
    exit: Exit,
    what: What,
}

enum What {
    Message { message: String, hint: Option<String> },
    Report(Box<dyn Diagnostic + Send + Sync>),
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, what: What::Message { message: message.into(), hint: None } }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let What::Message { hint, .. } = &mut self.what {
            *hint = Some(text.into());
        }
        self
    }

    pub(crate) fn spec(errors: SpecErrors) -> Self {
        Self::report_of(Exit::Usage, errors)
    }

    /// What a report shows, with the lines of a file.
    pub(crate) fn diagnostic(exit: Exit, report: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self { exit, what: What::Report(Box::new(report)) }
    }

    /// What went wrong, without what to do.
    pub(crate) fn message(&self) -> String {
        match &self.what {
            What::Message { message, .. } => message.clone(),
            What::Report(report) => report.to_string(),
        }
    }

    /// What is wrong with a spec, ending in this way.
    pub(crate) fn report_of(exit: Exit, errors: SpecErrors) -> Self {
        Self { exit, what: What::Report(Box::new(errors)) }
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(self) -> Exit {
        if !console::is_for_people() {
            return self.report_json();
        }
        match self.what {
            What::Message { message, hint } => {
                say_error(&ef_report::visible(&message));
                if let Some(hint) = hint {
                    console::say(&output::wrapped("  help: ", &hint));
                }
            }
            What::Report(report) => {
                say_error(&report.to_string());
                for problem in report.related().into_iter().flatten() {
                    let mut text = String::new();
                    match handler().render_report(&mut text, problem) {
                        Ok(()) => console::say(&format!("\n{}", text.trim_end())),
                        Err(_) => console::say(&problem.to_string()),
                    }
                }
            }
        }
        self.exit
    }

    /// The same for a program: one object with everything.
    fn report_json(self) -> Exit {
        let mut details = Map::from_iter([("exit_code".to_owned(), json!(self.exit.code()))]);
        let message = match self.what {
            What::Message { message, hint } => {
                details.extend(hint.map(|hint| ("help".to_owned(), json!(hint))));
                ef_report::visible(&message).into_owned()
            }
            What::Report(report) => {
                let problems: Vec<_> = report.related().into_iter().flatten().map(problem_json).collect();
                details.insert("problems".to_owned(), json!(problems));
                report.to_string()
            }
        };
        console::error(&message, details);
        self.exit
    }
}

/// A problem with its place.
fn problem_json(problem: &dyn Diagnostic) -> Value {
    let mut value = json!({ "message": problem.to_string() });
    if let Some(help) = problem.help() {
        value["help"] = json!(help.to_string());
    }
    let span = problem.labels().and_then(|mut labels| labels.next());
    if let (Some(span), Some(source)) = (span, problem.source_code())
        && let Ok(place) = source.read_span(span.inner(), 0, 0)
    {
        value["file"] = json!(place.name());
        (value["line"], value["column"]) = (json!(place.line() + 1), json!(place.column() + 1));
    }
    value
}

fn say_error(message: &str) {
    let text = output::wrapped("error: ", message);
    if output::stderr_style().color {
        console::say(&text.replacen("error", "\u{1b}[1;31merror\u{1b}[0m", 1));
    } else {
        console::say(&text);
    }
}

fn handler() -> GraphicalReportHandler {
    let style = output::stderr_style();
    let theme = if style.color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    GraphicalReportHandler::new_themed(theme).with_width(style.width.map_or(100, usize::from)).with_links(false)
}

/// What the operating system says, as a clause for a person.
pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::AlreadyExists => "there is something of that name already".to_owned(),
        kind => kind.to_string(),
    }
}

/// A panic is a defect. Its message may hold anything, so only its place is told.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        // Reading a damaged Parquet file may panic; that is caught, and told as an error of the dataset.
        if std::thread::current().name() == Some(ef_runner::DATASET_THREAD) {
            return;
        }
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let what = format!("a defect in ef or in a component{place}; please report it with this line");
        console::error(&if console::is_for_people() { format!("error: {what}") } else { what }, Map::new());
    }));
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match &error {
            StoreError::Conflict { .. }
            | StoreError::RunExists(_)
            | StoreError::RunNotFound(_)
            | StoreError::RunClosed(_) => Exit::Usage,
            _ => Exit::Store,
        };
        let failure = Self::new(exit, error.to_string());
        match stores::hint(&error) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        let failure = Self::usage(error.message);
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::new(Exit::Component, error.to_string())
    }
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Spec(errors) => Self::spec(errors),
            other => Self::usage(other.to_string()),
        }
    }
}

/// How the program ends for a run that ended early.
pub(crate) fn exit_of(cause: &StopCause) -> Exit {
    match cause {
        StopCause::Interrupted => Exit::Interrupted,
        StopCause::Dataset(_) | StopCause::Unpriced { .. } => Exit::Usage,
        StopCause::Source(_) => Exit::Verification,
        StopCause::Store => Exit::Store,
        _ => Exit::Aborted,
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::NotBegun { source_error: Some(error), .. }
            | RunError::Unfinished { source_error: Some(error), .. } => error.into(),
            RunError::NotBegun { cause, .. } => Self::new(exit_of(&cause), format!("the run did not begin: {cause}")),
            RunError::Unfinished { cause, .. } => Self::new(exit_of(&cause), format!("the run ended early: {cause}")),
            RunError::DatasetChanged(changed) => Self::usage(changed.to_string())
                .hint("name the dataset that the run began with by --dataset, or start a new run with `ef run`"),
            RunError::Store { error: error @ StoreError::Unavailable { .. }, counts } if counts.tasks() > 0 => {
                Self::new(Exit::Store, error.to_string())
                    .hint("once the store can be written again, with room on its disk, `ef resume` goes on")
            }
            RunError::Store { error, .. } => error.into(),
        }
    }
}
