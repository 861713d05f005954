//! The progress line: on a terminal, on standard error.

use std::fmt;
use std::time::Duration;

use ef_model::Counts;
use ef_runner::{Events, RunEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::output;

/// The progress line, which shows nothing unless `visible`. Clones are one line.
pub(crate) fn line(total: Option<u64>, visible: bool) -> ProgressBar {
    if visible { bar(total) } else { ProgressBar::hidden() }
}

/// Reads a run's events until it is over, and shows them on the line.
pub(crate) async fn show(mut events: Events, bar: ProgressBar) {
    let mut retries = 0_u64;
    let mut earlier = String::new();
    while let Some(event) = events.next().await {
        match event {
            RunEvent::Committed { counts, in_flight, .. } => {
                bar.set_position(counts.tasks());
                bar.set_message(message(&counts, in_flight, retries) + &earlier);
            }
            RunEvent::Resumed { done, .. } => {
                // The line counts what is done now, and so does its rate.
                earlier = format!(" · {done} done before");
                if let Some(total) = bar.length() {
                    bar.set_length(total.saturating_sub(done));
                }
            }
            RunEvent::Retrying { .. } => retries += 1,
            RunEvent::Stopping { .. } => bar.set_prefix("stopping"),
            RunEvent::Finishing => bar.set_prefix("computing metrics"),
            _ => {}
        }
    }
    bar.finish_and_clear();
}

fn bar(total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{prefix} {pos}/{len} items at most · {rate} items/s · {elapsed} · {msg}",
        None => "{prefix} {pos} items · {rate} items/s · {elapsed} · {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.with_key("rate", |state: &ProgressState, text: &mut dyn fmt::Write| {
            // A text that cannot be written to is not ours to mend.
            let rate = state.per_sec();
            let _ = write!(text, "{rate:.0$}", usize::from(rate < 100.0));
        }));
    }
    bar.set_prefix("running");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn message(counts: &Counts, in_flight: usize, retries: u64) -> String {
    let mut message = format!("{in_flight} in flight");
    let failures = [
        (counts.error, "failed"),
        (counts.timeout, "timed out"),
        (counts.skipped, "skipped"),
        (counts.judge_error, "judge errors"),
        (retries, "retries"),
    ];
    for (count, what) in failures.into_iter().filter(|(count, _)| *count > 0) {
        message += &format!(" · {count} {what}");
    }
    message
}

/// Whether progress is shown: only to a person at a terminal.
pub(crate) fn is_visible() -> bool {
    output::stderr_style().width.is_some()
}
