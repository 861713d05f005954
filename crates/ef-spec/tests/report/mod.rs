//! Reports as a terminal without colours shows them.

use ef_spec::SpecErrors;
use miette::{GraphicalReportHandler, GraphicalTheme};

/// The report of the first `most` problems.
pub(crate) fn render(errors: &SpecErrors, most: usize) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    let mut report = format!("{errors}\n");
    for problem in errors.problems().iter().take(most) {
        handler.render_report(&mut report, problem).expect("a text takes everything");
    }
    report
}
