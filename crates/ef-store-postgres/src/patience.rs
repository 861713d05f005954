//! Trying again, for a while.

use std::time::Duration;

use tokio::time::Instant;

/// How long a store that could be reached is tried again once it cannot: a restart of the server takes less.
pub(crate) const FOR_SERVER: Duration = Duration::from_secs(30);

/// How long the lock of a run is tried for before another is said to have it: one whose holder is gone may take a moment
/// to be given back.
pub(crate) const FOR_LOCK: Duration = Duration::from_millis(300);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is left of the time, from the first failure on.
#[derive(Default)]
pub(crate) struct Patience {
    began: Option<Instant>,
    pause: Duration,
}

impl Patience {
    /// Waits before the next attempt, longer each time. Returns `false` at once when the time is over.
    pub(crate) async fn pause(&mut self, limit: Duration) -> bool {
        let began = *self.began.get_or_insert_with(Instant::now);
        if began.elapsed() >= limit {
            return false;
        }
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        tokio::time::sleep(self.pause).await;
        true
    }
}
