//! One call with its timeouts and retries.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ef_model::{BoxFuture, CallContext, CallError, ComponentId, ErrorKind, ItemId, Propagator, Usage};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::budget::{self, Budget};
use crate::clock::Clock;
use crate::event::EventSender;
use crate::retries::{Retries, Retry};
use crate::{RunEvent, Stopper, seed};

/// Longest wait before a retry that nobody asked for: the first is drawn from up to half a second, each further one
/// from twice as much, up to this.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
const FIRST_BACKOFF: Duration = Duration::from_millis(500);

/// Waits that the other side asked for use up no retry, up to this many: a server that says "later" for ever must not
/// hold a task for ever.
const MAX_ASKED_WAITS: u32 = 1000;
const SHORTEST_ASKED_WAIT: Duration = Duration::from_millis(100);

/// Who is called, and within which limits.
pub(crate) struct Caller<'a> {
    pub(crate) item_id: &'a ItemId,
    pub(crate) component: &'a ComponentId,
    /// The judge's name, or `None` for the evaluator.
    pub(crate) judge: Option<&'a str>,
    pub(crate) repeat: u32,
    pub(crate) seed: u64,
    pub(crate) timeout: Duration,
    pub(crate) max_retries: u32,
    /// The component's own `max_concurrent`.
    pub(crate) limit: Option<&'a Semaphore>,
    /// What the run may spend, where that is limited.
    pub(crate) budget: Option<&'a Budget>,
    pub(crate) events: &'a EventSender,
    pub(crate) stopper: &'a Stopper,
    pub(crate) retries: &'a Retries,
    /// Who knows the current span, for whatever is called.
    pub(crate) propagator: Option<&'a Arc<dyn Propagator>>,
}

/// What is called.
pub(crate) trait Callee: Sync {
    /// What the call makes.
    type Made;

    /// What making it used.
    fn usage(made: &Self::Made) -> Usage;

    /// The most that one attempt can cost, in US dollars.
    fn most_usd(&self) -> f64;

    /// Calls once.
    fn call_once<'c>(&'c self, context: &'c CallContext) -> BoxFuture<'c, Result<Self::Made, CallError>>;
}

/// A call that has ended.
pub(crate) struct Called<T> {
    pub(crate) result: Result<T, CallError>,
    /// What the attempts used together.
    pub(crate) usage: Usage,
    pub(crate) attempts: u32,
    pub(crate) started_at_us: i64,
    pub(crate) duration_us: u64,
}

/// The run stops, and there is no next attempt: the call has neither succeeded nor failed, so there is nothing to record.
#[derive(Debug)]
pub(crate) struct Abandoned {
    /// What was used all the same.
    pub(crate) usage: Usage,
}

impl Caller<'_> {
    /// Calls until it succeeds, fails for good, or has used up its retries.
    pub(crate) async fn call<C: Callee>(&self, callee: &C) -> Result<Called<C::Made>, Abandoned> {
        let started_at_us = now_us();
        let began = Instant::now();
        let (mut attempts, mut retries, mut asked_waits) = (0, 0, 0);
        let mut usage = Usage::UNKNOWN;
        // It may take a while to find out, and is the same for each attempt.
        let most_usd = self.budget.map_or(0.0, |_| most_usd(callee));
        let result = loop {
            attempts += 1;
            let Some(attempted) = self.attempt(attempts, callee, most_usd).await else {
                return Err(Abandoned { usage });
            };
            let error = match attempted {
                Ok(made) => {
                    usage = usage.and(C::usage(&made));
                    break Ok(made);
                }
                Err(error) => error,
            };
            usage = usage.and(error.usage);
            let asked = error.retry_after.filter(|_| asked_waits < MAX_ASKED_WAITS);
            if !error.kind.is_retryable() || (asked.is_none() && retries >= self.max_retries) {
                break Err(error);
            }
            let wait = match asked {
                Some(asked) => {
                    asked_waits += 1;
                    asked.max(SHORTEST_ASKED_WAIT)
                }
                None => {
                    retries += 1;
                    backoff(self.seed, retries)
                }
            };
            if !self.wait(attempts, &error, wait).await {
                return Err(Abandoned { usage });
            }
        };
        let duration_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(Called { result, usage, attempts, started_at_us, duration_us })
    }

    /// One attempt, as soon as limit and budget have room for it. `None` where the budget never will.
    async fn attempt<C: Callee>(&self, attempt: u32, callee: &C, most_usd: f64) -> Option<Result<C::Made, CallError>> {
        let _permit = match self.limit {
            Some(limit) => Some(limit.acquire().await.expect("the limit is never closed")),
            None => None,
        };
        let Some(budget) = self.budget else { return Some(self.attempt_now(attempt, callee).await) };
        let reserved = match budget.reserve(most_usd).await {
            Ok(reserved) => reserved,
            Err(cause) => {
                self.stopper.stop_for(cause);
                return None;
            }
        };
        let attempted = self.attempt_now(attempt, callee).await;
        reserved.settle(match &attempted {
            Ok(made) => C::usage(made).in_range().cost_usd,
            Err(error) => budget::cost_of_failure(error),
        });
        if let Some(cause) = budget.overspent() {
            self.stopper.stop_for(cause);
        }
        Some(attempted)
    }

    async fn attempt_now<C: Callee>(&self, attempt: u32, callee: &C) -> Result<C::Made, CallError> {
        let deadline = Instant::now() + self.timeout;
        let clock = Arc::new(Clock::new(deadline));
        let mut context = CallContext::new(deadline.into_std(), attempt, self.repeat, self.seed)
            .with_clock(Arc::<Clock>::clone(&clock));
        if let Some(propagator) = self.propagator {
            context = context.with_propagator(Arc::clone(propagator));
        }
        let guarded = AssertUnwindSafe(async { callee.call_once(&context).await }).catch_unwind();
        match clock.limited(guarded).await {
            Some(Ok(result)) => result,
            Some(Err(_panic)) => Err(CallError::permanent("panic", "the component panicked: a defect in it")),
            None => {
                let seconds = self.timeout.as_secs_f64();
                Err(CallError::new(ErrorKind::Timeout, "timeout", format!("no answer within {seconds} s")))
            }
        }
    }

    /// Waits before the next attempt; false where there is none, as the run stops.
    async fn wait(&self, attempt: u32, error: &CallError, wait: Duration) -> bool {
        let (component, judge, item_id) = (self.component, self.judge, self.item_id);
        self.retries.tell(&Retry { component, judge, item_id, attempt, error, wait });
        let event = RunEvent::Retrying {
            item_id: self.item_id.clone(),
            judge: self.judge.map(str::to_owned),
            attempt,
            kind: error.kind,
            code: error.code.clone().into_owned(),
            wait,
        };
        self.events.send(event).await;
        tokio::select! {
            biased;
            () = self.stopper.stopped() => false,
            () = tokio::time::sleep(wait) => true,
        }
    }
}

/// What an attempt can cost at most. A component that panics when it is asked may cost anything.
fn most_usd<C: Callee>(callee: &C) -> f64 {
    std::panic::catch_unwind(AssertUnwindSafe(|| callee.most_usd())).unwrap_or(f64::INFINITY)
}

/// Exponential backoff with full jitter: drawn evenly from nothing to twice as much each time.
fn backoff(call_seed: u64, retry: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << (retry - 1).min(10)).min(LONGEST_BACKOFF);
    longest.mul_f64(seed::jitter(call_seed, retry))
}

/// Now, in µs since 1970-01-01 UTC.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_drawn_from_a_doubling_range_with_an_end() {
        for (retry, longest) in [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (20, 30.0)] {
            let drawn: Vec<_> = (0..1000).map(|seed| backoff(seed, retry).as_secs_f64()).collect();
            let mean = drawn.iter().sum::<f64>() / 1000.0;
            assert!(drawn.iter().all(|&wait| wait <= longest), "retry {retry}");
            assert!((mean / longest - 0.5).abs() < 0.05, "retry {retry}: full jitter has half the longest as its mean");
        }
    }
}
