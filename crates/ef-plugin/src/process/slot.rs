//! The place of one process: it is empty, filled, or broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use super::connection::Connection;
use super::failure::{Ended, PluginError};

/// The place of one process of a plugin.
pub(super) struct Slot {
    state: watch::Sender<State>,
    /// How many calls are with it, or wait for it.
    load: AtomicUsize,
}

#[derive(Clone)]
pub(super) enum State {
    Empty,
    Starting,
    Ready(Arc<Connection>),
    Broken(Arc<PluginError>),
}

/// What there is to do before a process can be used.
pub(super) enum Next {
    Use(Arc<Connection>),
    GiveUp(Arc<PluginError>),
    /// Start one: the caller alone is to do it. What became of the one before it, if there was one.
    Start(Option<Arc<Ended>>),
    /// Somebody else is starting one.
    Wait,
}

impl Slot {
    pub(super) fn new() -> Self {
        Self { state: watch::Sender::new(State::Empty), load: AtomicUsize::new(0) }
    }

    /// What there is to do.
    pub(super) fn next(&self) -> Next {
        if let State::Ready(connection) = &*self.state.borrow()
            && connection.ended().is_none()
        {
            return Next::Use(Arc::clone(connection));
        }
        let mut next = Next::Wait;
        self.state.send_if_modified(|state| {
            next = match state {
                State::Starting => Next::Wait,
                State::Broken(error) => Next::GiveUp(Arc::clone(error)),
                State::Empty => Next::Start(None),
                State::Ready(connection) => match connection.ended() {
                    None => Next::Use(Arc::clone(connection)),
                    ended @ Some(_) => Next::Start(ended),
                },
            };
            let is_to_start = matches!(next, Next::Start(_));
            if is_to_start {
                *state = State::Starting;
            }
            is_to_start
        });
        next
    }

    /// Waits until whoever starts the process is done.
    pub(super) async fn started(&self) {
        // The sender lives as long as the slot.
        let _ = self.state.subscribe().wait_for(|state| !matches!(state, State::Starting)).await;
    }

    /// What has come of starting, or of the whole plugin.
    pub(super) fn set(&self, state: State) -> State {
        self.state.send_replace(state)
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    /// One more call is with this process until what is returned is dropped.
    pub(super) fn take(&self) -> Taken<'_> {
        self.load.fetch_add(1, Ordering::Relaxed);
        Taken(&self.load)
    }
}

/// A call that is with a process, or waits for it.
pub(super) struct Taken<'s>(&'s AtomicUsize);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
