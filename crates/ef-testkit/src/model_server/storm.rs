//! Weather: a server that refuses in bursts, fails now and then, and sometimes says nothing.

use std::sync::OnceLock;
use std::time::Duration;

use super::reply::{Reply, RetryAfter};
use super::script::Script;
use crate::simulation::Chance;

/// Bursts of 429 with `Retry-After`, and between them a share of 500 and of requests that are never answered. What happens
/// to a request follows from the seed, from its number, and for bursts from the time since the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// What is drawn follows from it.
    pub seed: u64,
    /// From the beginning of one burst to that of the next. The first begins after half of what is between two.
    pub every: Duration,
    /// How long a burst lasts.
    pub burst: Duration,
    /// How many in a hundred get a 500, outside bursts.
    pub errors_percent: u64,
    /// How many in a hundred get no answer, outside bursts.
    pub hangs_percent: u64,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is answered.
    Answer,
    /// 500.
    Error,
    /// No answer.
    Hang,
    /// 429, and the time until the burst is over.
    Refusal(Duration),
}

impl Storm {
    /// Bursts of one second every four seconds, 5 % errors, 1 % without an answer.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, every: Duration::from_secs(4), burst: Duration::from_secs(1), errors_percent: 5, hangs_percent: 1 }
    }

    /// What happens to the request of this number, so long after the first.
    #[must_use]
    pub fn fate(&self, number: u64, at: Duration) -> Fate {
        let calm_first = self.every.saturating_sub(self.burst) / 2;
        let period = self.every.as_nanos().max(1);
        let within = (at + self.every).saturating_sub(calm_first).as_nanos() % period;
        if within < self.burst.as_nanos() {
            let left = self.burst.as_nanos() - within;
            return Fate::Refusal(Duration::from_nanos(u64::try_from(left).unwrap_or(u64::MAX)));
        }
        let drawn = Chance::new(self.seed).of("storm").at(number).below(100);
        if drawn < self.errors_percent {
            Fate::Error
        } else if drawn < self.errors_percent + self.hangs_percent {
            Fate::Hang
        } else {
            Fate::Answer
        }
    }

    /// The script in this storm. Every other refusal says when to come back in seconds, the others by a date; both are
    /// rounded up.
    #[must_use]
    pub fn over(self, script: Script) -> Script {
        let begin = OnceLock::new();
        script.around(move |call, calm| {
            let since = call.at().saturating_sub(*begin.get_or_init(|| call.at()));
            match self.fate(call.number(), since) {
                Fate::Answer => calm(call),
                Fate::Error => Reply::error(500),
                Fate::Hang => Reply::hang(),
                Fate::Refusal(left) if call.number().is_multiple_of(2) => {
                    Reply::rate_limited(RetryAfter::Seconds(left.as_millis().div_ceil(1000).try_into().unwrap_or(1)))
                }
                Fate::Refusal(left) => Reply::rate_limited(RetryAfter::Date(left)),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_come_every_four_seconds_and_last_one() {
        let storm = Storm::new(1);
        let refused = |millis| matches!(storm.fate(0, Duration::from_millis(millis)), Fate::Refusal(_));
        let second_by_second: Vec<bool> = (0..12).map(|half| refused(half * 1000 + 600)).collect();
        let burst = [false, true, false, false];
        assert_eq!(second_by_second, [burst, burst, burst].concat());
        assert_eq!(storm.fate(9, Duration::from_millis(1_750)), Fate::Refusal(Duration::from_millis(750)));
    }

    #[test]
    fn shares_are_as_told_and_the_same_for_the_same_seed() {
        let fates = |seed| (0..10_000).map(|number| Storm::new(seed).fate(number, Duration::ZERO)).collect::<Vec<_>>();
        let count = |fate| fates(3).into_iter().filter(|other| *other == fate).count();
        assert!((400..600).contains(&count(Fate::Error)), "{} errors", count(Fate::Error));
        assert!((60..140).contains(&count(Fate::Hang)), "{} hangs", count(Fate::Hang));
        assert_eq!(fates(3), fates(3));
        assert_ne!(fates(3), fates(4));
    }
}
