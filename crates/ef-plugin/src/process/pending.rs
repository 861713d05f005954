//! The requests that a process has not answered yet.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::failure::{Ended, Failure};

/// What comes of a request: the JSON of its result, or why there is none.
pub(super) type Reply = Result<Box<str>, Failure>;

/// How many cancelled requests are remembered one by one.
const REMEMBERED: usize = 65_536;

/// The requests that a process has not answered yet.
#[derive(Default)]
pub(super) struct Pending {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last_id: u64,
    waiting: HashMap<u64, oneshot::Sender<Reply>>,
    /// Those that nobody waits for any more. Their answers are dropped.
    cancelled: HashSet<u64>,
    /// Below this id nothing is known any more of cancelled requests.
    forgotten_below: u64,
    ended: Option<Arc<Ended>>,
}

/// An answer that belongs to no question.
#[derive(Debug)]
pub(super) struct Unasked;

impl Pending {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a new request, and where its answer will come.
    pub(super) fn ask(&self) -> Result<(u64, oneshot::Receiver<Reply>), Arc<Ended>> {
        let mut state = self.state();
        if let Some(ended) = &state.ended {
            return Err(Arc::clone(ended));
        }
        state.last_id += 1;
        let (id, (sender, receiver)) = (state.last_id, oneshot::channel());
        state.waiting.insert(id, sender);
        Ok((id, receiver))
    }

    /// Hands a reply to whoever waits for it.
    pub(super) fn answer(&self, id: u64, reply: Reply) -> Result<(), Unasked> {
        let mut state = self.state();
        if let Some(waiting) = state.waiting.remove(&id) {
            drop(state);
            // Whoever waited may just have given up.
            let _ = waiting.send(reply);
            return Ok(());
        }
        let was_asked = state.cancelled.remove(&id) || (id > 0 && id < state.forgotten_below);
        if was_asked { Ok(()) } else { Err(Unasked) }
    }

    /// Nobody waits for this answer any more. Whether it was still to come.
    pub(super) fn cancel(&self, id: u64) -> bool {
        let mut state = self.state();
        if state.waiting.remove(&id).is_none() {
            return false;
        }
        if state.cancelled.len() >= REMEMBERED {
            state.cancelled.clear();
            state.forgotten_below = id;
        }
        state.cancelled.insert(id);
        true
    }

    /// Keeps those of a batch that somebody still waits for.
    pub(super) fn retain_wanted<T>(&self, batch: &mut Vec<T>, id: impl Fn(&T) -> Option<u64>) {
        let state = self.state();
        batch.retain(|message| id(message).is_none_or(|id| state.waiting.contains_key(&id)));
    }

    /// Nothing more can be asked.
    pub(super) fn close(&self, ended: &Arc<Ended>) {
        self.state().ended.get_or_insert_with(|| Arc::clone(ended));
    }

    /// All that still wait learn why no answer comes.
    pub(super) fn fail(&self, failure: impl Fn(u64) -> Failure) {
        let waiting = std::mem::take(&mut self.state().waiting);
        for (id, sender) in waiting {
            let _ = sender.send(Err(failure(id)));
        }
    }

    /// Whether somebody waits for this answer.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        self.state().waiting.contains_key(&id)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Arc<Ended>> {
        self.state().ended.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_and_not_yet_answered_may_be_answered() {
        let pending = Pending::default();
        let (id, mut answer) = pending.ask().expect("not ended");
        assert!(pending.answer(id + 1, Ok("1".into())).is_err(), "never asked");
        pending.answer(id, Ok("1".into())).expect("asked");
        assert!(matches!(answer.try_recv(), Ok(Ok(text)) if &*text == "1"));
        assert!(pending.answer(id, Ok("2".into())).is_err(), "answered already");
    }

    #[test]
    fn the_late_answer_to_a_cancelled_request_is_dropped_once() {
        let pending = Pending::default();
        let (id, answer) = pending.ask().expect("not ended");
        assert!(pending.cancel(id));
        drop(answer);
        pending.answer(id, Ok("1".into())).expect("late");
        assert!(pending.answer(id, Ok("1".into())).is_err());
    }

    #[test]
    fn cancelled_requests_without_an_answer_do_not_pile_up() {
        let pending = Pending::default();
        for _ in 0..2 * REMEMBERED + 10 {
            let (id, _) = pending.ask().expect("not ended");
            pending.cancel(id);
        }
        assert!(pending.state().cancelled.len() <= REMEMBERED);
        pending.answer(1, Ok("1".into())).expect("an old one may still be answered");
        assert!(pending.answer(0, Ok("1".into())).is_err());
        assert!(pending.answer(u64::MAX, Ok("1".into())).is_err());
    }
}
