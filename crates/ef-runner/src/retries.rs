//! Telling of attempts that are made again: to whoever keeps numbers, to the span, and to the log, which they must not flood.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ef_model::telemetry::{Meters, OTHER, code};
use ef_model::{CallError, ComponentId, ItemId};
use tokio::time::Instant;
use tracing::{Level, enabled, warn};

use crate::spans;

/// How often a component's failures with one code are told, at most.
const SELDOM: Duration = Duration::from_secs(10);
/// Of how many components and codes is known when they were told. What comes beyond counts as one: whoever makes errors
/// chooses their codes, and must not fill memory.
const MOST_KEPT: usize = 256;

/// An attempt that failed and is made again.
pub(crate) struct Retry<'a> {
    pub(crate) component: &'a ComponentId,
    /// The judge's name, or `None` for the evaluator.
    pub(crate) judge: Option<&'a str>,
    pub(crate) item_id: &'a ItemId,
    /// The attempt that failed, from 1.
    pub(crate) attempt: u32,
    pub(crate) error: &'a CallError,
    /// How long the run waits before the next.
    pub(crate) wait: Duration,
}

/// Who tells of attempts that are made again.
pub(crate) struct Retries {
    meters: Option<Arc<dyn Meters>>,
    throttle: Mutex<Throttle>,
}

impl Retries {
    pub(crate) fn new(meters: Option<Arc<dyn Meters>>) -> Self {
        Self { meters, throttle: Mutex::default() }
    }

    /// Tells of one, within the span of its task or judgment.
    pub(crate) fn tell(&self, retry: &Retry<'_>) {
        let Retry { component, judge, item_id, attempt, error, wait } = *retry;
        if let Some(meters) = &self.meters {
            meters.retried(component, error.kind);
        }
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        spans::retried(judge.is_some(), attempt, error, wait_ms);
        if !enabled!(Level::WARN) {
            return;
        }
        let code = code(&error.code);
        let others = self.throttle.lock().unwrap_or_else(PoisonError::into_inner).due(component, code, Instant::now());
        if let Some(others) = others {
            warn!(
                component_id = component.as_str(),
                judge_name = judge,
                item_id = item_id.as_str(),
                attempt,
                kind = error.kind.as_str(),
                code,
                wait_ms,
                others,
                "attempt failed, trying again"
            );
        }
    }

    /// Tells how many there were of which nothing was said yet.
    pub(crate) fn tell_rest(&self) {
        let rest = self.throttle.lock().unwrap_or_else(PoisonError::into_inner).rest();
        for ((component_id, code), others) in rest {
            warn!(component_id, code, others, "more attempts failed and were made again");
        }
    }
}

/// When which failures were last told, by component and code.
#[derive(Debug, Default)]
struct Throttle(BTreeMap<(String, String), Told>);

#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    /// How many there were since.
    others: u64,
}

impl Throttle {
    /// Whether one more is to be told now: then with how many others there were since the last that was.
    fn due(&mut self, component: &ComponentId, code: &str, now: Instant) -> Option<u64> {
        let mut key = (component.as_str().to_owned(), code.to_owned());
        if self.0.len() >= MOST_KEPT && !self.0.contains_key(&key) {
            key = (OTHER.to_owned(), OTHER.to_owned());
        }
        let Some(told) = self.0.get_mut(&key) else {
            self.0.insert(key, Told { at: now, others: 0 });
            return Some(0);
        };
        if now - told.at < SELDOM {
            told.others += 1;
            return None;
        }
        let others = told.others;
        *told = Told { at: now, others: 0 };
        Some(others)
    }

    /// What has not been told, and is forgotten now.
    fn rest(&mut self) -> Vec<((String, String), u64)> {
        let untold = std::mem::take(&mut self.0).into_iter().map(|(key, told)| (key, told.others));
        untold.filter(|(_, others)| *others > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::{advance, sleep};

    use super::*;

    fn component(id: &str) -> ComponentId {
        ComponentId::new(id).expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_told_at_once_and_then_one_line_in_ten_seconds_with_the_others_counted() {
        let (mut throttle, judge) = (Throttle::default(), component("test.judge"));
        assert_eq!(throttle.due(&judge, "http_503", Instant::now()), Some(0));
        for _ in 0..1000 {
            advance(Duration::from_millis(9)).await;
            assert_eq!(throttle.due(&judge, "http_503", Instant::now()), None);
        }
        assert_eq!(throttle.due(&judge, "http_429", Instant::now()), Some(0), "another code is told at once");
        let other = component("test.evaluator");
        assert_eq!(throttle.due(&other, "http_503", Instant::now()), Some(0), "and so is another component");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(throttle.due(&judge, "http_503", Instant::now()), Some(1000));
        assert_eq!(throttle.due(&judge, "http_503", Instant::now()), None);
        assert_eq!(throttle.rest(), [(("test.judge".to_owned(), "http_503".to_owned()), 1)], "the last is not lost");
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_that_makes_up_codes_fills_neither_the_log_nor_memory() {
        let (mut throttle, judge) = (Throttle::default(), component("test.judge"));
        let told = (0..10_000).filter_map(|code| throttle.due(&judge, &format!("code_{code}"), Instant::now())).count();
        assert_eq!((told, throttle.0.len()), (MOST_KEPT + 1, MOST_KEPT + 1));
        let rest: u64 = throttle.rest().iter().map(|(_, others)| others).sum();
        assert_eq!(told as u64 + rest, 10_000, "each is counted");
    }

    proptest! {
        #[test]
        fn every_failure_is_told_or_counted_once(failures in prop::collection::vec((0..3_usize, 0..8000_u64), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let (mut throttle, judge) = (Throttle::default(), component("test.judge"));
                let (mut last, mut counted) = ([None::<Instant>; 3], 0);
                for (code, pause) in &failures {
                    advance(Duration::from_millis(*pause)).await;
                    let Some(others) = throttle.due(&judge, ["a", "b", "c"][*code], Instant::now()) else { continue };
                    let before = last[*code].replace(Instant::now());
                    assert!(before.is_none_or(|before| before.elapsed() >= SELDOM), "told too often");
                    counted += 1 + others;
                }
                let rest: u64 = throttle.rest().iter().map(|(_, others)| others).sum();
                assert_eq!(counted + rest, failures.len() as u64);
            });
        }
    }
}
