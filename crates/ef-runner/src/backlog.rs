//! Finished tasks that wait for the store: bounded, so that a slow store holds new tasks back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ef_model::TaskCommit;
use tokio::sync::{Notify, mpsc};

/// Finished tasks that may wait before no new one is started.
const MAX_RECORDS: usize = 4096;
/// Bytes of finished tasks that may wait before no new one is started.
const MAX_BYTES: usize = 8 << 20;
/// A batch takes at most this part of them: while it is written there is room for the next.
const BATCHES: usize = 2;

/// A queue between tasks and writer.
pub(crate) fn channel() -> (BacklogSender, BacklogReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared { waiting: Mutex::default(), freed: Notify::new() });
    (BacklogSender { queue: sender, shared: Arc::clone(&shared) }, BacklogReceiver { queue: receiver, shared })
}

/// The tasks' end.
///
/// A finished task never waits here: it has its place already, since it was admitted while there was room. What may go
/// beyond the bounds is what was in flight then.
#[derive(Debug, Clone)]
pub(crate) struct BacklogSender {
    queue: mpsc::UnboundedSender<TaskCommit>,
    shared: Arc<Shared>,
}

impl BacklogSender {
    /// Returns once there is room for another task's result. One caller at a time.
    pub(crate) async fn admit(&self) {
        while self.shared.waiting().is_full() {
            self.shared.freed.notified().await;
        }
    }

    /// Returns once nobody takes tasks from the queue any more.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Queues a finished task.
    pub(crate) fn push(&self, commit: TaskCommit) {
        {
            let mut waiting = self.shared.waiting();
            let room = Room::of(std::slice::from_ref(&commit));
            waiting.records += room.records;
            waiting.bytes += room.bytes;
        }
        // Without a writer there is nobody to wait for the task: the run is over.
        let _ = self.queue.send(commit);
    }
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct BacklogReceiver {
    queue: mpsc::UnboundedReceiver<TaskCommit>,
    shared: Arc<Shared>,
}

impl BacklogReceiver {
    /// Waits for a finished task and takes it with all others that are there, within bounds; nothing when there will be
    /// no more.
    pub(crate) async fn next_batch(&mut self) -> Vec<TaskCommit> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        let mut next = self.queue.recv().await;
        while let Some(commit) = next {
            bytes += commit.size();
            batch.push(commit);
            if batch.len() >= MAX_RECORDS / BATCHES || bytes >= MAX_BYTES / BATCHES {
                break;
            }
            next = self.queue.try_recv().ok();
        }
        batch
    }

    /// Frees the room that a batch took.
    pub(crate) fn release(&self, room: Room) {
        {
            let mut waiting = self.shared.waiting();
            waiting.records -= room.records;
            waiting.bytes -= room.bytes;
        }
        self.shared.freed.notify_one();
    }
}

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Room>,
    freed: Notify,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Room> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much of the backlog's room some tasks take.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    /// What these tasks take.
    pub(crate) fn of(tasks: &[TaskCommit]) -> Self {
        Self { records: tasks.len(), bytes: tasks.iter().map(TaskCommit::size).sum() }
    }

    fn is_full(self) -> bool {
        self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }
}
