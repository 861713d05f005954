//! How long a run waits for a collector: a small part of its own time, and only while waiting helps.

use std::time::Duration;

/// A batch that takes longer than this is taken for one that hangs.
const HANGING: Duration = Duration::from_millis(500);
/// A collector that takes a batch within this time is quick: it is our own work that takes the time, on a busy machine.
const QUICK: Duration = Duration::from_millis(250);
/// The part of a run's time that producers may be held back by a collector that is slow: a fortieth.
const PART_OF_SLOW: u32 = 40;
/// The part that they may be held back by one that is quick: a half. It is no time lost where the machine is busy, because
/// sending goes on in it, and a run that is faster than its spans can be sent keeps them all.
const PART_OF_QUICK: u32 = 2;
/// What is allowed in the beginning, before a part of the time amounts to anything.
const ALLOWANCE: Duration = Duration::from_millis(25);
/// The part of a run's time that its end may wait for an answer: a twentieth.
const PART_OF_END: u32 = 20;
/// The least that it waits, unless the collector has been in trouble before.
const LEAST: Duration = Duration::from_millis(250);
/// The most that the end waits while all goes well.
const MOST: Duration = Duration::from_secs(5);

/// How batches are sent at the moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pace {
    /// How long the last took; absent before the first was sent.
    pub(crate) last: Option<Duration>,
    /// For how long one has been under way.
    pub(crate) current: Option<Duration>,
}

impl Pace {
    /// Whether the collector takes batches in next to no time.
    pub(crate) fn is_quick(self) -> bool {
        self.last.is_some_and(|last| last <= QUICK) && self.current.is_none_or(|current| current <= QUICK)
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
    // Looked at again when the batch stops being a quick one.
    let sensible = if pace.is_quick() { QUICK } else { HANGING.saturating_sub(pace.current.unwrap_or_default()) };
    allowed.min(sensible)
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
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn pace(last: u64, current: Option<u64>) -> Pace {
        Pace { last: Some(millis(last)), current: current.map(millis) }
    }

    #[test]
    fn a_slow_collector_holds_producers_back_for_a_fortieth_of_the_time_at_most() {
        for pace in [Pace::default(), pace(251, None), pace(20, Some(251)), pace(300, Some(1))] {
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
    }

    #[test]
    fn nobody_waits_for_a_batch_that_hangs() {
        assert_eq!(of_a_producer(millis(100_000), Duration::ZERO, pace(1, Some(400))), millis(100));
        assert_eq!(of_a_producer(millis(100_000), Duration::ZERO, pace(1, Some(500))), Duration::ZERO);
    }

    #[test]
    fn the_end_waits_a_quarter_of_a_second_or_a_twentieth_of_the_run() {
        let of = |elapsed, trouble| {
            let Patience { each, in_all } = Patience::at_the_end(elapsed, trouble);
            (each, in_all)
        };
        assert_eq!(of(millis(20), false), (millis(250), MOST));
        assert_eq!(of(millis(20_000), false), (millis(1_000), MOST));
        assert_eq!(of(Duration::from_secs(86_400), false), (MOST, MOST));
        assert_eq!(of(millis(2_000), true), (millis(100), millis(100)));
    }
}
