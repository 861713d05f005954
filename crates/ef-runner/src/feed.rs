//! Reading the dataset: on a thread of its own where it may block, on a pipe for ever.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ef_model::{DatasetRow, Digest, ItemSource, SourceError};
use tokio::sync::Notify;

use crate::done::Done;

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

/// Which rows are wanted.
#[derive(Debug)]
pub(crate) enum Rows {
    /// Each.
    All,
    /// Those with tasks that are not done.
    Open(Arc<Done>),
    /// Those that have a record.
    Recorded(Arc<Done>),
}

/// Reads the wanted rows.
struct Reader {
    source: Box<dyn ItemSource>,
    rows: Rows,
    /// The row that was read last.
    row: u64,
}

impl Reader {
    fn next(&mut self) -> Fed {
        self.try_next().unwrap_or_else(Fed::Failed)
    }

    fn try_next(&mut self) -> Result<Fed, SourceError> {
        let next = self.row + 1;
        let wanted = match &self.rows {
            Rows::All => next,
            Rows::Open(done) => done.next_open(next),
            Rows::Recorded(done) => done.next_recorded(next),
        };
        if wanted > next {
            self.source.skip_to(wanted)?;
        }
        Ok(match self.source.next_row()? {
            Some(row) => {
                self.row = row.row();
                Fed::Row(row)
            }
            None => Fed::End { digest: self.source.digest() },
        })
    }
}

/// Starts reading: on a thread of its own where it may block. The thread ends with the dataset, or at the first row that
/// nobody waits for.
pub(crate) fn start(source: Box<dyn ItemSource>, rows: Rows) -> std::io::Result<Feed> {
    let may_block = source.may_block();
    let mut reader = Reader { source, rows, row: 0 };
    if !may_block {
        return Ok(Feed(From::Source(Some(reader))));
    }
    let shared = Arc::new(Shared::default());
    let mut writer = Writer { shared: Arc::clone(&shared), notified: None };
    std::thread::Builder::new().name(DATASET_THREAD.to_owned()).spawn(move || {
        loop {
            let fed = reader.next();
            let last = !matches!(fed, Fed::Row(_));
            if !writer.deliver(fed) || last {
                return;
            }
        }
    })?;
    Ok(Feed(From::Thread(Reading { shared, succession: false })))
}

/// What is told of a reader that is gone without a word.
pub(crate) fn broken() -> SourceError {
    SourceError { message: "reading the dataset failed: a defect in its reader".to_owned(), hint: None }
}

/// The rows as they come.
pub(crate) struct Feed(From);

enum From {
    Thread(Reading),
    /// `None` after the last delivery.
    Source(Option<Reader>),
}

impl Feed {
    /// The next delivery; nothing when the reading thread is gone without a last word, which is a panic in it.
    pub(crate) async fn next(&mut self) -> Option<Fed> {
        match &mut self.0 {
            From::Thread(reading) => reading.next().await,
            From::Source(source) => {
                // As from a thread: others get their turn.
                tokio::task::yield_now().await;
                let fed = source.as_mut()?.next();
                if !matches!(fed, Fed::Row(_)) {
                    *source = None;
                }
                Some(fed)
            }
        }
    }
}

/// The rows that a thread reads. Dropping it ends the thread at its next row.
struct Reading {
    shared: Arc<Shared>,
    /// Rows have come, and no lull since.
    succession: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Fed> {
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

impl Drop for Reading {
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

    struct OnAThread(ListSource);
    impl ItemSource for OnAThread {
        fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
            self.0.next_row()
        }
        fn skip_to(&mut self, row: u64) -> Result<(), SourceError> {
            self.0.skip_to(row)
        }
        fn digest(&self) -> Option<Digest> {
            self.0.digest()
        }
    }

    #[tokio::test]
    async fn every_row_arrives_in_order_and_then_the_end() {
        let mut feed = start(Box::new(OnAThread(ListSource::of_items(1000))), Rows::All).expect("a thread");
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
            fn skip_to(&mut self, _: u64) -> Result<(), SourceError> {
                Ok(())
            }
            fn digest(&self) -> Option<Digest> {
                None
            }
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut feed = start(Box::new(Slow(receiver)), Rows::All).expect("a thread");
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
            fn skip_to(&mut self, _: u64) -> Result<(), SourceError> {
                Ok(())
            }
            fn digest(&self) -> Option<Digest> {
                None
            }
        }
        assert!(start(Box::new(Broken), Rows::All).expect("a thread").next().await.is_none());
    }
}
