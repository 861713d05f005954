//! The progress line: on a terminal, on standard error.

use std::fmt;
use std::time::{Duration, Instant};

use ef_client::{Clients, LimitView};
use ef_model::Counts;
use ef_runner::{Events, RunEvent};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::{console, output};

/// The progress line, which shows nothing unless `visible`. Clones are one line.
pub(crate) fn line(total: Option<u64>, visible: bool) -> ProgressBar {
    if visible { bar(total) } else { ProgressBar::hidden() }
}

/// How often limits are looked at.
const TICK: Duration = Duration::from_millis(250);

/// Reads a run's events until it is over, and shows them on the line, with how the limits of `clients` stand.
pub(crate) async fn show(mut events: Events, bar: ProgressBar, clients: Clients) {
    let mut seen = Seen::default();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let is_shown = !bar.is_hidden();
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => seen.enter(&event, &bar),
                None => break,
            },
            _ = ticks.tick(), if is_shown => bar.set_message(seen.message(&clients.limits())),
        }
    }
    bar.finish_and_clear();
}

/// What the events have told.
#[derive(Default)]
struct Seen {
    counts: Counts,
    in_flight: usize,
    retries: u64,
    spent_usd: Option<f64>,
    done_before: u64,
}

impl Seen {
    fn enter(&mut self, event: &RunEvent, bar: &ProgressBar) {
        match *event {
            RunEvent::Committed { counts, in_flight, spent_usd, .. } => {
                bar.set_position(counts.tasks());
                (self.counts, self.in_flight, self.spent_usd) = (counts, in_flight, spent_usd);
            }
            RunEvent::Resumed { done, .. } => {
                // The line counts what is done now, and so does its rate.
                self.done_before = done;
                if let Some(total) = bar.length() {
                    bar.set_length(total.saturating_sub(done));
                }
            }
            RunEvent::Retrying { .. } => self.retries += 1,
            RunEvent::Stopping { .. } => bar.set_prefix("stopping"),
            RunEvent::Finishing => bar.set_prefix("computing metrics"),
            _ => {}
        }
    }

    fn message(&self, limits: &[LimitView]) -> String {
        let Self { counts, retries, .. } = self;
        let mut message = format!("{} in flight", self.in_flight);
        let failures = [
            (counts.error, "failed"),
            (counts.timeout, "timed out"),
            (counts.skipped, "skipped"),
            (counts.judge_error, "judge errors"),
            (counts.pending, "pending"),
            (*retries, "retries"),
            (self.done_before, "done before"),
        ];
        for (count, what) in failures.into_iter().filter(|(count, _)| *count > 0) {
            message += &format!(" · {count} {what}");
        }
        if let Some(usd) = self.spent_usd.filter(|usd| *usd > 0.0) {
            message += &format!(" · ${usd:.2}");
        }
        for limit in limits {
            message += &format!(" · {}", limit_text(limit, Instant::now()));
        }
        message
    }
}

/// `api.example.com 12/64`: calls in flight of those that may be, those that wait, and how long the server wants nothing.
fn limit_text(LimitView { host, in_flight, limit, waiting, held_until }: &LimitView, now: Instant) -> String {
    let mut text = format!("{host} {in_flight}/{limit}");
    if *waiting > 0 {
        text += &format!(", {waiting} waiting");
    }
    if let Some(wait) = held_until.and_then(|until| until.checked_duration_since(now)).filter(|wait| !wait.is_zero()) {
        text += &format!(", held back {:.0} s", wait.as_secs_f64().ceil());
    }
    text
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

/// Whether progress is shown: only to a person at a terminal.
pub(crate) fn is_visible() -> bool {
    console::is_for_people() && output::stderr_style().width.is_some()
}
