//! The budget of a run: no attempt is made that could carry its cost across the cap.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ef_model::{CallError, ErrorKind, Evaluator, Pricing};
use tokio::sync::Notify;

use crate::{RunJudge, StopCause};

/// Picodollars in a dollar: amounts are counted in whole ones, so that reserving and settling loses nothing.
const PICODOLLARS: f64 = 1e12;
/// What is no amount, or beyond all reason: it never fits.
const ENDLESS: u128 = 1 << 100;

/// What may be spent, what has been, and what calls in flight may still cost.
///
/// A reservation is for one attempt and is never held while anything else is waited for but that attempt's end: so those
/// that wait here go on as others end, one after the other in the order in which they came.
#[derive(Debug)]
pub(crate) struct Budget {
    cap: u128,
    account: Mutex<Account>,
    /// Whose turn it is to wait for room. It is handed on in the order of arrival.
    turn: tokio::sync::Mutex<()>,
    settled: Notify,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Account {
    /// What ended attempts have cost, or may have cost.
    spent: u128,
    /// What those in flight can cost, at most.
    reserved: u128,
}

impl Budget {
    /// A budget of so many US dollars of which some are spent.
    pub(crate) fn new(cap_usd: f64, spent_usd: f64) -> Self {
        Self {
            cap: picodollars(cap_usd).min(ENDLESS - 1),
            account: Mutex::new(Account { spent: picodollars(spent_usd), reserved: 0 }),
            turn: tokio::sync::Mutex::default(),
            settled: Notify::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Sets aside what an attempt can cost at most, as soon as what others have set aside leaves room for it. There
    /// always is for what costs nothing.
    ///
    /// # Errors
    ///
    /// When there is no room for it, and nobody else has set anything aside.
    pub(crate) async fn reserve(&self, most_usd: f64) -> Result<Reservation<'_>, StopCause> {
        let most = picodollars(most_usd);
        if most == 0 {
            return Ok(self.reserved(0));
        }
        let _waiting = Waiting::one_more(&self.waiting);
        let _turn = self.turn.lock().await;
        loop {
            // Made before the look, so that nothing between the two is missed.
            let settled = self.settled.notified();
            {
                let mut account = self.account();
                let least = account.spent.saturating_add(most);
                if least.saturating_add(account.reserved) <= self.cap {
                    account.reserved += most;
                    return Ok(self.reserved(most));
                }
                if account.reserved == 0 {
                    return Err(self.spent(&account, most_usd));
                }
            }
            settled.await;
        }
    }

    /// Why to stop, where more has been spent than there was: a component has told less than it cost.
    pub(crate) fn overspent(&self) -> Option<StopCause> {
        let account = self.account();
        (account.spent > self.cap).then(|| self.spent(&account, 0.0))
    }

    fn spent(&self, account: &Account, next_usd: f64) -> StopCause {
        StopCause::BudgetSpent { cap_usd: dollars(self.cap), spent_usd: dollars(account.spent), next_usd }
    }

    const fn reserved(&self, most: u128) -> Reservation<'_> {
        Reservation { budget: self, most, cost: most }
    }

    /// Attempts that wait until others have ended.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn settle(&self, reserved: u128, cost: u128) {
        {
            let mut account = self.account();
            account.reserved -= reserved;
            account.spent = account.spent.saturating_add(cost);
        }
        self.settled.notify_one();
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is set aside for one attempt, until this is dropped. Whoever is never heard of again may have cost all of it.
#[derive(Debug)]
pub(crate) struct Reservation<'b> {
    budget: &'b Budget,
    most: u128,
    cost: u128,
}

impl Reservation<'_> {
    /// The attempt has ended, and this is what it reported to have cost, if it did.
    pub(crate) fn settle(mut self, cost_usd: Option<f64>) {
        self.cost = cost_usd.map_or(self.most, picodollars);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.budget.settle(self.most, self.cost);
    }
}

/// What an attempt that failed has cost, where that is known. One that was turned away (come back later, no quota left)
/// has cost nothing; of any other that does not say it is not known whether it will be billed.
pub(crate) fn cost_of_failure(error: &CallError) -> Option<f64> {
    let is_refused = error.retry_after.is_some() || error.kind == ErrorKind::QuotaExhausted;
    error.usage.in_range().cost_usd.or(is_refused.then_some(0.0))
}

/// Why no budget can be kept with these components, if so.
pub(crate) fn unpriced<'j>(
    evaluator: &dyn Evaluator,
    judges: impl IntoIterator<Item = &'j RunJudge>,
) -> Option<StopCause> {
    if let Pricing::Unbounded { missing } = evaluator.pricing() {
        return Some(StopCause::Unpriced { judge: None, missing });
    }
    judges.into_iter().find_map(|judge| match judge.judge.pricing() {
        Pricing::Unbounded { missing } => {
            Some(StopCause::Unpriced { judge: Some(judge.identity.name.clone()), missing })
        }
        Pricing::Free | Pricing::Bounded => None,
    })
}

/// One who waits, as long as this is kept.
struct Waiting<'b>(&'b AtomicUsize);

impl<'b> Waiting<'b> {
    fn one_more(waiting: &'b AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An amount in whole picodollars, the nearest, but one where it is nearly nothing.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number, and the cast saturates")]
fn picodollars(usd: f64) -> u128 {
    match usd {
        0.0 => 0,
        usd if usd > 0.0 => ((usd * PICODOLLARS).round() as u128).clamp(1, ENDLESS),
        _ => ENDLESS,
    }
}

fn dollars(picodollars: u128) -> f64 {
    picodollars as f64 / PICODOLLARS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    fn spent(budget: &Budget) -> f64 {
        dollars(budget.account().spent)
    }

    #[tokio::test]
    async fn decimal_amounts_add_up_as_people_expect() {
        let budget = Budget::new(0.3, 0.0);
        for _ in 0..3 {
            budget.reserve(0.1).await.expect("three tenths are 0.3").settle(Some(0.1));
        }
        let refused = budget.reserve(1e-9).await.expect_err("nothing is left");
        assert_eq!(refused, StopCause::BudgetSpent { cap_usd: 0.3, spent_usd: 0.3, next_usd: 1e-9 });
        budget.reserve(0.0).await.expect("what costs nothing goes on").settle(Some(0.0));
    }

    #[tokio::test]
    async fn what_is_no_amount_never_fits() {
        for absurd in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Budget::new(1e6, 0.0).reserve(absurd).await.is_err(), "{absurd}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_came_first_goes_first_and_a_small_call_does_not_overtake_a_large_one() {
        let budget = Arc::new(Budget::new(10.0, 0.0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let held = budget.reserve(5.0).await.expect("room");
        let mut waiting = Vec::new();
        for (name, most) in [("large", 8.0), ("small", 1.0), ("also small", 1.0)] {
            let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
            waiting.push(tokio::spawn(async move {
                let reserved = budget.reserve(most).await.expect("room");
                order.lock().unwrap_or_else(PoisonError::into_inner).push(name);
                reserved.settle(Some(0.0));
            }));
            tokio::task::yield_now().await;
        }
        assert_eq!(budget.waiting(), 3);
        sleep(Duration::from_secs(1)).await;
        held.settle(Some(1.0));
        futures_util::future::join_all(waiting).await;
        assert_eq!(*order.lock().unwrap_or_else(PoisonError::into_inner), ["large", "small", "also small"]);
        assert_eq!(budget.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_gives_up_waiting_holds_nobody_up() {
        let budget = Budget::new(1.0, 0.0);
        let held = budget.reserve(1.0).await.expect("room");
        let given_up = tokio::time::timeout(Duration::from_secs(1), budget.reserve(0.5)).await;
        assert!(given_up.is_err(), "there was no room");
        held.settle(Some(0.25));
        budget.reserve(0.75).await.expect("room").settle(Some(0.75));
        assert_eq!(spent(&budget), 1.0);
    }

    #[tokio::test]
    async fn an_attempt_that_is_never_heard_of_again_may_have_cost_its_worst() {
        let budget = Budget::new(1.0, 0.25);
        drop(budget.reserve(0.5).await.expect("room"));
        budget.reserve(0.125).await.expect("room").settle(None);
        assert_eq!(spent(&budget), 0.875);
    }

    /// What an attempt takes and how it ends.
    #[derive(Debug, Clone)]
    struct Attempt {
        most: u32,
        /// A part of `most`, in percent; `None`: it is dropped.
        cost: Option<u32>,
        arrives: u64,
        takes: u64,
        /// Whether it waits for its turn no longer than this.
        patience: Option<u64>,
    }

    fn attempt() -> impl Strategy<Value = Attempt> {
        let cost = prop::option::weighted(0.8, 0_u32..=100);
        (0_u32..400, cost, 0_u64..50, 0_u64..30, prop::option::weighted(0.2, 0_u64..20))
            .prop_map(|(most, cost, arrives, takes, patience)| Attempt { most, cost, arrives, takes, patience })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn worst_cases_never_cross_the_cap_and_everyone_is_answered(
            attempts in prop::collection::vec(attempt(), 0..40),
        ) {
            const CAP: f64 = 10.0;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let budget = Budget::new(CAP, 0.0);
                let calls = attempts.iter().map(async |attempt| {
                    sleep(Duration::from_millis(attempt.arrives)).await;
                    let most = f64::from(attempt.most) / 100.0;
                    let patience = attempt.patience.map_or(Duration::from_secs(3600), Duration::from_millis);
                    let Ok(reserved) = tokio::time::timeout(patience, budget.reserve(most)).await else {
                        assert!(attempt.patience.is_some(), "someone waits for ever");
                        return;
                    };
                    let Ok(reserved) = reserved else { return };
                    {
                        let account = budget.account();
                        assert!(account.spent + account.reserved <= budget.cap, "the cap may be crossed");
                    }
                    sleep(Duration::from_millis(attempt.takes)).await;
                    reserved.settle(attempt.cost.map(|percent| most * f64::from(percent) / 100.0));
                });
                futures_util::future::join_all(calls).await;
                let account = budget.account();
                assert!(account.reserved == 0 && account.spent <= budget.cap);
                drop(account);
                assert_eq!(budget.waiting(), 0);
            });
        }
    }
}
