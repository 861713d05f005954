//! Finished tasks that wait for the store: bounded, so that a slow store holds new tasks back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ef_model::TaskCommit;
use tokio::sync::mpsc::error::TryRecvError;
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
    (
        BacklogSender { queue: sender, shared: Arc::clone(&shared) },
        BacklogReceiver { queue: receiver, batch: Batch::default(), shared },
    )
}

/// A task that is done and not yet durable.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Its place in the order in which tasks were started, from 0.
    pub(crate) place: u64,
    /// Its record.
    pub(crate) commit: TaskCommit,
}

/// The tasks' end.
///
/// A finished task never waits here: it has its place already, since it was admitted while there was room. What may go
/// beyond the bounds is what was in flight then.
#[derive(Debug, Clone)]
pub(crate) struct BacklogSender {
    queue: mpsc::UnboundedSender<Finished>,
    shared: Arc<Shared>,
}

impl BacklogSender {
    /// Returns once there is room for another task's result. One caller at a time.
    pub(crate) async fn admit(&self) {
        while self.shared.waiting().is_full() {
            self.shared.freed.notified().await;
        }
    }

    /// Tells how many finished tasks wait for their commit, for as long as there is a queue. It does not keep it open.
    pub(crate) fn depth(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let shared = Arc::downgrade(&self.shared);
        move || shared.upgrade().map_or(0, |shared| shared.waiting().records)
    }

    /// Returns once nobody takes tasks from the queue any more.
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Queues a finished task.
    pub(crate) fn push(&self, finished: Finished) {
        {
            let mut waiting = self.shared.waiting();
            waiting.records += 1;
            waiting.bytes += finished.commit.size();
        }
        // Without a writer there is nobody to wait for the task: the run is over.
        let _ = self.queue.send(finished);
    }
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct BacklogReceiver {
    queue: mpsc::UnboundedReceiver<Finished>,
    /// The next batch, as far as it has come.
    batch: Batch,
    shared: Arc<Shared>,
}

impl BacklogReceiver {
    /// Waits for so many finished tasks and takes all that are there, within bounds; what is left when there will be no
    /// more. Dropping the future loses nothing.
    pub(crate) async fn next_batch(&mut self, at_least: usize) -> Batch {
        while !self.batch.is_full() {
            let next = match self.queue.try_recv() {
                Err(TryRecvError::Empty) if self.batch.room.records < at_least => self.queue.recv().await,
                next => next.ok(),
            };
            match next {
                Some(finished) => self.batch.add(finished),
                None => break,
            }
        }
        std::mem::take(&mut self.batch)
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

/// Tasks that are written together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The places of the tasks.
    pub(crate) places: Vec<u64>,
    /// Their records, in the same order.
    pub(crate) commits: Vec<TaskCommit>,
    /// The room that they take.
    pub(crate) room: Room,
}

impl Batch {
    fn add(&mut self, Finished { place, commit }: Finished) {
        self.room.records += 1;
        self.room.bytes += commit.size();
        self.places.push(place);
        self.commits.push(commit);
    }

    const fn is_full(&self) -> bool {
        self.room.records >= MAX_RECORDS / BATCHES || self.room.bytes >= MAX_BYTES / BATCHES
    }
}

/// How much of the backlog's room some tasks take.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Room {
    records: usize,
    bytes: usize,
}

impl Room {
    fn is_full(self) -> bool {
        self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }
}
