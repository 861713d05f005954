//! A run's records, a line each.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use ef_model::{Judgment, JudgmentResult, RunHead, Scalar, Score, StoredRecord, TraceOutcome, TraceStatus};

use crate::number::{NONE, duration, value};
use crate::style::{Style, Tone};
use crate::text::{Align, fit, visible};

/// Records as lines of fixed columns, for as many as there are: each line is made by itself. What is too long for its
/// column ends in `…`; [`crate::record_detail`] shows it whole.
#[derive(Debug, Clone)]
pub struct TraceLines {
    judges: Vec<(String, usize)>,
    widths: Widths,
    style: Style,
}

/// How wide the columns are that every run has.
#[derive(Debug, Clone, Copy)]
struct Widths {
    row: usize,
    item: usize,
    status: usize,
    time: usize,
}

impl Widths {
    const WIDE: Self = Self { row: 8, item: 28, status: 18, time: 10 };
    const NARROW: Self = Self { row: 6, item: 12, status: 14, time: 8 };
    const GAP: usize = 2;

    /// These columns with the gaps between them.
    const fn total(self) -> usize {
        self.row + self.item + self.status + self.time + 3 * Self::GAP
    }
}

impl TraceLines {
    const SCORE: usize = 20;
    const SCORE_LEAST: usize = 12;
    /// The words `true` and `false` are whole.
    const SCORE_NARROW: usize = 5;

    /// The lines of this run's records.
    #[must_use]
    pub fn new(head: &RunHead, style: Style) -> Self {
        let fitted = |most: usize| {
            let least = most.min(Self::SCORE_LEAST);
            let columns = head.judges.iter().map(|judge| {
                let width = visible(&judge.name).width().clamp(least, most);
                (judge.name.clone(), width)
            });
            columns.collect::<Vec<_>>()
        };
        let scores = |judges: &[(String, usize)]| judges.iter().map(|(_, width)| width + Widths::GAP).sum::<usize>();
        let mut judges = fitted(Self::SCORE);
        let mut widths = Widths::WIDE;
        if let Some(width) = style.width.map(usize::from) {
            let spare = |widths: Widths, judges: &[(String, usize)]| {
                width.checked_sub(widths.total() - widths.item + scores(judges))
            };
            let fits = |spare: Option<usize>| spare.filter(|spare| *spare >= Widths::NARROW.item);
            if fits(spare(widths, &judges)).is_none() {
                judges = fitted(Self::SCORE_LEAST);
            }
            if fits(spare(widths, &judges)).is_none() {
                widths = Widths::NARROW;
                let each = width.saturating_sub(widths.total()) / judges.len().max(1);
                judges = fitted(each.saturating_sub(Widths::GAP).clamp(Self::SCORE_NARROW, Self::SCORE_LEAST));
            }
            let spare = spare(widths, &judges).unwrap_or(0);
            widths.item = spare.clamp(Widths::NARROW.item, Widths::WIDE.item);
        }
        Self { judges, widths, style }
    }

    /// The line of headings.
    #[must_use]
    pub fn header(&self) -> String {
        let judges = self.judges.iter().map(|(name, width)| fit(&visible(name), *width, Align::Left));
        let line = self.line_of("row", "item", fit("status", self.widths.status, Align::Left), judges, "time");
        format!("{}\n", self.style.paint(&line, Tone::Heading))
    }

    /// One record's line.
    #[must_use]
    pub fn line(&self, stored: &StoredRecord) -> String {
        let tone = match stored.record.trace.status() {
            TraceStatus::Ok => Tone::Good,
            TraceStatus::Skipped => Tone::Uneasy,
            TraceStatus::Timeout | TraceStatus::Error => Tone::Bad,
        };
        let status = self.style.paint(&fit(&status(stored), self.widths.status, Align::Left), tone);
        let scores = self.judges.iter().map(|(name, width)| fit(&said(stored, name), *width, Align::Left));
        let item_id = visible(stored.record.item_id.as_str());
        let time = duration(stored.record.trace.duration_us);
        self.line_of(&place(stored), &item_id, status, scores, &time) + "\n"
    }

    fn line_of(
        &self,
        row: &str,
        item: &str,
        status: String,
        scores: impl Iterator<Item = String>,
        time: &str,
    ) -> String {
        let Widths { row: row_width, item: item_width, time: time_width, .. } = self.widths;
        // A number that is cut would be another number.
        let mut cells = vec![format!("{row:>row_width$}"), fit(item, item_width, Align::Left), status];
        cells.extend(scores);
        cells.push(fit(time, time_width, Align::Right));
        cells.join(&" ".repeat(Widths::GAP))
    }
}

/// The row, and which repeat of it where it is not the first: `17`, `17 #2`.
fn place(stored: &StoredRecord) -> String {
    let record = &stored.record;
    match record.repeat {
        0 => record.row.to_string(),
        repeat => format!("{} #{}", record.row, u64::from(repeat) + 1),
    }
}

/// The status, with the cause of a failure and the revision where it is not the first: `ok`, `error(http_503)`,
/// `ok, rev 1`.
fn status(stored: &StoredRecord) -> String {
    let trace = &stored.record.trace;
    let mut text = match &trace.outcome {
        TraceOutcome::Ok { .. } => "ok".to_owned(),
        TraceOutcome::Timeout { .. } => "timeout".to_owned(),
        TraceOutcome::Error { error } => format!("error({})", visible(&error.code)),
        TraceOutcome::Skipped { fault } => format!("skipped({})", fault.kind),
    };
    if stored.record.revision > 0 {
        text += &format!(", rev {}", stored.record.revision);
    }
    text
}

/// What a judge said: its score, `unscored`, or `error(code)`.
fn said(stored: &StoredRecord, judge: &str) -> String {
    let judgment = stored.record.judgments.iter().find(|judgment| judgment.judge.name == judge);
    judgment.map_or_else(|| NONE.to_owned(), verdict)
}

fn verdict(judgment: &Judgment) -> String {
    match &judgment.result {
        JudgmentResult::Scored { score: Score::Scalar(scalar), .. } => shown(scalar).into_owned(),
        JudgmentResult::Scored { score: Score::Object(values), .. } => match values.get(Score::DEFAULT_KEY) {
            Some(scalar) => shown(scalar).into_owned(),
            None => values
                .iter()
                .map(|(key, scalar)| format!("{}={}", visible(key), shown(scalar)))
                .collect::<Vec<_>>()
                .join(" "),
        },
        JudgmentResult::Unscored { .. } => "unscored".to_owned(),
        JudgmentResult::Pending => "pending".to_owned(),
        JudgmentResult::Error { error } => format!("error({})", visible(&error.code)),
    }
}

/// A score's value: a number as short as it can be written, but no longer than a metric's.
pub(crate) fn shown(scalar: &Scalar) -> Cow<'_, str> {
    match scalar {
        Scalar::Bool(truth) => Cow::Borrowed(if *truth { "true" } else { "false" }),
        Scalar::Label(label) => visible(label),
        Scalar::Number(number) => {
            let exact = number.get().to_string();
            let rounded = value(number.get());
            Cow::Owned(if exact.len() <= rounded.len() { exact } else { rounded })
        }
    }
}
