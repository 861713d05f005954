//! The clock of one attempt: it stands still while the call waits for its turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ef_model::AttemptClock;
use tokio::sync::Notify;
use tokio::time::Instant;

/// An attempt's time limit, which moves on while the clock is paused.
///
/// Nothing is told when a clock is paused: whoever waits for the limit looks again when it is reached.
#[derive(Debug)]
pub(crate) struct Clock {
    state: Mutex<State>,
    resumed: Notify,
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    /// How many have paused it, and since when anyone has.
    paused: u32,
    since: Instant,
}

impl Clock {
    pub(crate) fn new(deadline: Instant) -> Self {
        let state = State { deadline, paused: 0, since: deadline };
        Self { state: Mutex::new(state), resumed: Notify::new() }
    }

    /// When the time is over if the clock goes on from now; `None` while it is paused.
    fn limit(&self) -> Option<Instant> {
        let state = self.state();
        (state.paused == 0).then_some(state.deadline)
    }

    /// Waits until the clock goes on, and returns when the time is over then. One caller at a time.
    async fn running(&self) -> Instant {
        loop {
            // Made before the look, so that nothing between the two is missed.
            let resumed = self.resumed.notified();
            if let Some(limit) = self.limit() {
                return limit;
            }
            resumed.await;
        }
    }

    /// Drives a call until it ends or its time is over; `None` where it is.
    pub(crate) async fn limited<F: Future>(&self, call: F) -> Option<F::Output> {
        let mut call = std::pin::pin!(call);
        let mut limit = self.state().deadline;
        loop {
            if let Ok(ended) = tokio::time::timeout_at(limit, call.as_mut()).await {
                return Some(ended);
            }
            let reached = limit;
            limit = tokio::select! {
                biased;
                limit = self.running() => limit,
                ended = &mut call => return Some(ended),
            };
            if limit <= reached {
                return None;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptClock for Clock {
    fn deadline(&self) -> std::time::Instant {
        let state = self.state();
        let paused = if state.paused == 0 { std::time::Duration::ZERO } else { state.since.elapsed() };
        (state.deadline + paused).into_std()
    }

    fn pause(&self) {
        let mut state = self.state();
        if state.paused == 0 {
            state.since = Instant::now();
        }
        state.paused += 1;
    }

    fn resume(&self) {
        let mut state = self.state();
        state.paused = state.paused.saturating_sub(1);
        if state.paused == 0 {
            let paused = state.since.elapsed();
            state.deadline += paused;
            drop(state);
            self.resumed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ef_model::CallContext;
    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn started() -> (Arc<Clock>, CallContext) {
        let deadline = Instant::now() + LIMIT;
        let clock = Arc::new(Clock::new(deadline));
        let context = CallContext::new(deadline.into_std(), 1, 0, 0).with_clock(Arc::<Clock>::clone(&clock));
        (clock, context)
    }

    /// Seconds of work in pieces, each after a wait with the clock paused, and whether that is in time.
    fn worked(pieces: Vec<(u64, u64)>) -> bool {
        let run = async {
            let (clock, context) = started();
            let call = async {
                for (wait, work) in pieces {
                    let paused = context.pause_clock();
                    sleep(Duration::from_secs(wait)).await;
                    drop(paused);
                    sleep(Duration::from_secs(work)).await;
                }
            };
            clock.limited(call).await.is_some()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(run)
    }

    proptest! {
        #[test]
        fn only_time_that_is_worked_counts(pieces in prop::collection::vec((0_u64..100, 0_u64..8), 0..6)) {
            let work: u64 = pieces.iter().map(|(_, work)| work).sum();
            // To the second there is nothing to choose between the end of the work and of the time.
            prop_assume!(work != LIMIT.as_secs());
            prop_assert_eq!(worked(pieces), work < LIMIT.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_that_overlap_are_one_pause() {
        let (clock, context) = started();
        let call = async {
            let (one, other) = (context.pause_clock(), context.pause_clock());
            sleep(LIMIT * 2).await;
            drop(one);
            sleep(LIMIT * 2).await;
            drop(other);
            sleep(LIMIT - Duration::from_secs(1)).await;
        };
        let began = Instant::now();
        assert_eq!(clock.limited(call).await, Some(()));
        assert_eq!(began.elapsed(), LIMIT * 5 - Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_dropped_with_a_part_of_the_call_ends() {
        let (clock, context) = started();
        let call = async {
            let waiting = async {
                let _paused = context.pause_clock();
                std::future::pending::<()>().await;
            };
            let _ = tokio::time::timeout(LIMIT * 3, waiting).await;
            std::future::pending::<()>().await;
        };
        let began = Instant::now();
        assert_eq!(clock.limited(call).await, None, "the rest of the call has the whole limit and no more");
        assert_eq!(began.elapsed(), LIMIT * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn another_task_may_pause_and_go_on() {
        let (clock, context) = started();
        let elsewhere = tokio::spawn(async move {
            for _ in 0..50 {
                let paused = context.pause_clock();
                sleep(LIMIT * 2).await;
                drop(paused);
                sleep(Duration::from_millis(100)).await;
            }
        });
        let call = async { elsewhere.await.expect("no panic") };
        assert_eq!(clock.limited(call).await, Some(()), "fifty pauses, and five seconds of work");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_that_a_call_is_told_keeps_its_distance_while_the_clock_is_paused() {
        let (_clock, context) = started();
        let left = || context.deadline().saturating_duration_since(Instant::now().into_std());
        sleep(Duration::from_secs(4)).await;
        assert_eq!(left(), Duration::from_secs(6));
        let paused = context.pause_clock();
        sleep(LIMIT * 9).await;
        assert_eq!(left(), Duration::from_secs(6));
        drop(paused);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(left(), Duration::from_secs(1));
    }
}
