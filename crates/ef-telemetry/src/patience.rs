//! How long a run waits for a collector: a small part of its own time, and only while waiting helps.

use std::time::Duration;

/// A batch that takes longer than this is taken for one that hangs.
const HANGING: Duration = Duration::from_millis(500);
/// A collector that takes a batch within this time is quick. A thousand spans take ten milliseconds on the way to one on
/// the same machine, and thirty to fifty where other programs take up all of its cores.
const QUICK: Duration = Duration::from_millis(50);
/// How long the batch that is under way may take before a collector that has been quick is quick no more: on a busy machine,
/// one batch in a hundred takes twice as long as most.
const STILL_QUICK: Duration = Duration::from_millis(100);
/// The part of a run's time that producers may be held back by a collector that is slow: a fortieth.
const PART_OF_SLOW: u32 = 40;
/// The part that they may be held back by one that is quick: a half. It is no time lost where the machine is busy, because
/// sending goes on in it, and a run that is faster than its spans can be sent keeps them all.
const PART_OF_QUICK: u32 = 2;
/// What is allowed in the beginning, before a part of the time amounts to anything.
const ALLOWANCE: Duration = Duration::from_millis(25);
/// The part of a run's time that its end may wait for an answer: a fortieth.
const PART_OF_END: u32 = 40;
/// The least that it waits, unless the collector has been in trouble before.
const LEAST: Duration = Duration::from_millis(250);
/// The most that the end waits while all goes well.
const MOST: Duration = Duration::from_secs(5);

/// How batches are sent at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// How long the quicker of the last two took; absent before the first was sent.
    pub(crate) last: Option<Duration>,
    /// For how long one has been under way.
    pub(crate) current: Option<Duration>,
}

impl Pace {
    /// Whether the collector takes batches in next to no time.
    pub(crate) fn is_quick(self) -> bool {
        self.last.is_some_and(|last| last <= QUICK) && self.current.is_none_or(|current| current < STILL_QUICK)
    }

    /// Whether there is a batch that does not come to an end.
    pub(crate) fn hangs(self) -> bool {
        self.current.is_some_and(|current| current > HANGING)
    }
}

/// How long a producer may now wait for room, after `elapsed` of which producers were held back for `held`.
pub(crate) fn of_a_producer(elapsed: Duration, held: Duration, pace: Pace) -> Duration {
    let part = if pace.is_quick() { PART_OF_QUICK } else { PART_OF_SLOW };
    let allowed = (elapsed / part).max(ALLOWANCE).saturating_sub(held);
    let current = pace.current.unwrap_or_default();
    // Looked at again when the batch stops being a quick one.
    let until = if pace.is_quick() { STILL_QUICK } else { HANGING };
    allowed.min(until.saturating_sub(current))
}

/// How long the end of a process waits for a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a single answer.
    pub(crate) each: Duration,
    /// For all of them.
    pub(crate) in_all: Duration,
}

impl Patience {
    /// After `elapsed`. Whoever has been in trouble before gets no more than a single answer's time.
    pub(crate) fn at_the_end(elapsed: Duration, was_in_trouble: bool) -> Self {
        let each = (elapsed / PART_OF_END).min(MOST);
        if was_in_trouble { Self { each, in_all: each } } else { Self { each: each.max(LEAST), in_all: MOST } }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stderr, reason = "a test that cannot look says so")]

    use super::*;
    use crate::sender::{FIRST_PAUSE, LONGEST_PAUSE};

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace(last: u64, current: Option<u64>) -> Pace {
        Pace { last: Some(millis(last)), current: current.map(millis) }
    }

    #[test]
    fn a_slow_collector_holds_producers_back_for_a_fortieth_of_the_time_at_most() {
        for pace in [Pace::default(), pace(51, None), pace(20, Some(100)), pace(300, Some(1))] {
            assert_eq!(of_a_producer(millis(20_000), millis(500), pace), Duration::ZERO, "{pace:?}");
            assert_eq!(of_a_producer(millis(20_000), millis(900), pace), Duration::ZERO, "{pace:?}");
            assert_eq!(of_a_producer(millis(20_000), millis(499), pace), millis(1), "{pace:?}");
        }
        assert_eq!(of_a_producer(millis(1), Duration::ZERO, Pace::default()), ALLOWANCE);
    }

    #[test]
    fn a_quick_collector_may_hold_them_back_for_half_of_it() {
        assert_eq!(of_a_producer(millis(10_000), millis(4_950), pace(20, Some(5))), millis(50));
        assert_eq!(of_a_producer(millis(10_000), millis(5_000), pace(20, Some(5))), Duration::ZERO);
        assert_eq!(
            of_a_producer(millis(10_000), millis(4_000), pace(50, Some(90))),
            millis(10),
            "until it is quick no more"
        );
    }

    #[test]
    fn nobody_waits_for_a_batch_that_hangs() {
        assert_eq!(of_a_producer(millis(100_000), Duration::ZERO, pace(1, Some(400))), millis(100));
        assert_eq!(of_a_producer(millis(100_000), Duration::ZERO, pace(1, Some(500))), Duration::ZERO);
    }

    #[test]
    fn the_end_waits_a_quarter_of_a_second_or_a_fortieth_of_the_run() {
        let of = |elapsed, trouble| {
            let Patience { each, in_all } = Patience::at_the_end(elapsed, trouble);
            (each, in_all)
        };
        assert_eq!(of(millis(20), false), (millis(250), MOST));
        assert_eq!(of(millis(20_000), false), (millis(500), MOST));
        assert_eq!(of(Duration::from_secs(86_400), false), (MOST, MOST));
        assert_eq!(of(millis(2_000), true), (millis(50), millis(50)));
    }

    fn assert_says(name: &str, page: &str, sentences: &[String]) {
        let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
        for sentence in sentences {
            assert!(page.contains(sentence), "{name} does not say: {sentence}");
        }
    }

    #[test]
    fn the_documents_say_how_long_a_run_may_wait() {
        assert_eq!(
            (PART_OF_QUICK, PART_OF_SLOW, PART_OF_END),
            (2, 40, 40),
            "which the documents call half and a fortieth"
        );
        let mut sentences = vec![
            format!("within {} milliseconds", QUICK.as_millis()),
            format!("under way for {} milliseconds", HANGING.as_millis()),
            format!("{} seconds at most", MOST.as_secs()),
            format!("{} milliseconds", LEAST.as_millis()),
            "a fortieth".to_owned(),
            "half of its time".to_owned(),
        ];
        assert_says("README.md", include_str!("../README.md"), &sentences);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/observability.md");
        let Ok(page) = std::fs::read_to_string(path) else {
            return eprintln!("SKIPPED: {path} is not there");
        };
        sentences.extend([
            format!("the one under way is not {} milliseconds old", STILL_QUICK.as_millis()),
            format!("a fortieth of its time, or {} milliseconds where that is more", ALLOWANCE.as_millis()),
            format!("tried again, with what waits, after {} milliseconds", FIRST_PAUSE.as_millis()),
            format!("pauses that double up to {} seconds", LONGEST_PAUSE.as_secs()),
            format!("given up after {} milliseconds, or a fortieth of the run's time", LEAST.as_millis()),
        ]);
        assert_says("docs/observability.md", &page, &sentences);
    }
}
