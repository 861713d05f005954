//! Reading the dataset on a thread of its own: it may block, on a pipe for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ef_model::{DatasetRow, Digest, ItemSource, SourceError};
use tokio::sync::Notify;

/// The name of the thread that reads the dataset. What panics there ends the run with an error of the dataset.
pub const DATASET_THREAD: &str = "ef-dataset";

/// Rows that are read ahead, at most.
const AHEAD: usize = 64;
/// The reading thread sleeps until so few are left: waking it for each row would cost more than reading the row.
const RESUME: usize = 16;
/// While rows come faster than this, whoever waits for them is woken once for many: a wake costs more than a row.
const LULL: Duration = Duration::from_micros(250);

/// What the reading thread delivers.
pub(crate) enum Fed {
    /// A row.
    Row(DatasetRow),
    /// There are no more.
    End {
        /// The dataset's digest, where all of it was read.
        digest: Option<Digest>,
    },
    /// There are no more that can be read.
    Failed(SourceError),
}

/// Starts the thread. It ends with the dataset, or at the first row that nobody waits for.
pub(crate) fn start(mut source: Box<dyn ItemSource>) -> std::io::Result<Feed> {
    let shared = Arc::new(Shared::default());
    let mut writer = Writer { shared: Arc::clone(&shared), notified: None };
    std::thread::Builder::new().name(DATASET_THREAD.to_owned()).spawn(move || {
        loop {
            let fed = match source.next_row() {
                Ok(Some(row)) => Fed::Row(row),
                Ok(None) => Fed::End { digest: source.digest() },
                Err(error) => Fed::Failed(error),
            };
            let last = !matches!(fed, Fed::Row(_));
            if !writer.deliver(fed) || last {
                return;
            }
        }
    })?;
    Ok(Feed { shared, succession: false })
}

/// The rows as they come. Dropping it ends the reading thread at its next row.
pub(crate) struct Feed {
    shared: Arc<Shared>,
    /// Rows have come, and no lull since.
    succession: bool,
}

impl Feed {
    /// The next delivery; nothing when the reading thread is gone without a last word, which is a panic in it.
    pub(crate) async fn next(&mut self) -> Option<Fed> {
        loop {
            {
                let mut queue = self.shared.lock();
                if let Some(fed) = queue.rows.pop_front() {
                    if queue.rows.len() == RESUME {
                        self.shared.drained.notify_one();
                    }
                    self.succession = true;
                    return Some(fed);
                }
                if queue.ended {
                    return None;
                }
            }
            // A delivery between the look and the wait leaves its mark in the notification. The first of a quick
            // succession gives one at once, its followers may give none: until there was a lull, there is another look.
            let delivered = self.shared.delivered.notified();
            if self.succession {
                self.succession = tokio::time::timeout(LULL, delivered).await.is_ok();
            } else {
                delivered.await;
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.drained.notify_one();
    }
}

/// The reading thread's end.
struct Writer {
    shared: Arc<Shared>,
    /// When it last told of a row.
    notified: Option<Instant>,
}

impl Writer {
    /// Delivers, and waits while too much is read ahead. False when nobody waits for more.
    fn deliver(&mut self, fed: Fed) -> bool {
        let mut queue = self.shared.lock();
        queue.rows.push_back(fed);
        let now = Instant::now();
        if self.notified.is_none_or(|notified| now - notified > LULL) || queue.rows.len() >= RESUME {
            self.shared.delivered.notify_one();
            self.notified = Some(now);
        }
        if queue.rows.len() >= AHEAD {
            while queue.rows.len() > RESUME && !queue.abandoned {
                queue = self.shared.drained.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
        }
        !queue.abandoned
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.delivered.notify_one();
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    delivered: Notify,
    drained: Condvar,
}

#[derive(Default)]
struct Queue {
    rows: VecDeque<Fed>,
    ended: bool,
    abandoned: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ef_testkit::ListSource;

    use super::*;

    #[tokio::test]
    async fn every_row_arrives_in_order_and_then_the_end() {
        let mut feed = start(Box::new(ListSource::of_items(1000))).expect("a thread");
        for expected in 1..=1000 {
            let Some(Fed::Row(DatasetRow::Item(item))) = feed.next().await else { panic!("row {expected} is missing") };
            assert_eq!(item.row, expected);
        }
        assert!(matches!(feed.next().await, Some(Fed::End { digest: Some(_) })));
        assert!(feed.next().await.is_none());
    }

    #[tokio::test]
    async fn a_row_is_delivered_while_the_next_is_not_there_yet() {
        struct Slow(std::sync::mpsc::Receiver<u64>);
        impl ItemSource for Slow {
            fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
                Ok(self.0.recv().ok().map(|row| DatasetRow::Item(ef_testkit::item(row))))
            }
            fn digest(&self) -> Option<Digest> {
                None
            }
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut feed = start(Box::new(Slow(receiver))).expect("a thread");
        for row in 1..=200 {
            sender.send(row).expect("the thread reads");
            assert!(matches!(feed.next().await, Some(Fed::Row(_))), "row {row} was held back");
        }
        drop(sender);
        assert!(matches!(feed.next().await, Some(Fed::End { .. })));
    }

    #[tokio::test]
    async fn a_panic_in_the_dataset_ends_the_feed() {
        struct Broken;
        impl ItemSource for Broken {
            fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
                panic!("a defect that this test plants")
            }
            fn digest(&self) -> Option<Digest> {
                None
            }
        }
        assert!(start(Box::new(Broken)).expect("a thread").next().await.is_none());
    }
}
