//! The one who writes: a thread of its own with the only writing connection.
//!
//! A batch is one piece of work on one thread, from the beginning of its transaction to its end, and the next begins where
//! it ends, without a detour through the tasks that wait for them. Whoever stops waiting leaves nothing behind that is half
//! done: what was handed over is carried out.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use ef_model::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::known::Known;
use crate::run_lock::RunLocks;
use crate::{fault, open};

/// Work for the thread.
type Job = Box<dyn FnOnce(&mut Writer) + Send>;

/// How others reach the thread. It ends when the handle is gone.
#[derive(Debug)]
pub(crate) struct WriterHandle {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    /// Of the runs that are written. Work that is handed over holds them too: nobody else takes up a run of which something
    /// is yet to be written.
    locks: Arc<RunLocks>,
}

/// What the thread has.
pub(crate) struct Writer {
    /// The database.
    pub(crate) path: PathBuf,
    connection: Link,
    /// What is known of the file as of the last transaction that was committed here.
    pub(crate) known: Option<Known>,
}

/// The connection, which is made when something is to be written.
enum Link {
    Unopened,
    Open(Connection),
    Closed,
}

impl WriterHandle {
    /// Starts the thread. Nothing is opened yet.
    pub(crate) fn start(path: &Path) -> Result<Self, StoreError> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let mut writer = Writer { path: path.to_owned(), connection: Link::Unopened, known: None };
        thread::Builder::new()
            .name("ef-store-writer".to_owned())
            .spawn(move || jobs.into_iter().for_each(|job| job(&mut writer)))
            .map_err(|error| fault::unavailable(path, format!("no thread can be started: {}", error.kind())))?;
        Ok(Self { path: path.to_owned(), jobs: sender, locks: Arc::default() })
    }

    /// Has the work done, after what was handed over before, and returns what comes of it. The work is done even if the
    /// future is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer, &RunLocks) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let locks = Arc::clone(&self.locks);
        let job: Job = Box::new(move |writer| {
            let done = work(writer, &locks);
            drop(locks);
            // Nobody may be waiting any more.
            let _ = answer.send(done);
        });
        let gone = || fault::unavailable(&self.path, "its writer has stopped");
        self.jobs.send(job).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Closes the connection and gives the runs back, after what was handed over before. Nothing can be written afterwards.
    pub(crate) async fn close(&self) {
        let closed = self.run(|writer, locks| {
            writer.known = None;
            writer.connection = Link::Closed;
            locks.release_all();
            Ok(())
        });
        // A writer that is gone has closed its connection.
        let _ = closed.await;
    }
}

impl Writer {
    /// The connection.
    pub(crate) fn connection(&mut self) -> Result<&mut Connection, StoreError> {
        if let Link::Unopened = self.connection {
            self.connection = Link::Open(open::writer(&self.path).map_err(|error| self.failed(&error))?);
        }
        match &mut self.connection {
            Link::Open(connection) => Ok(connection),
            Link::Unopened | Link::Closed => Err(fault::unavailable(&self.path, "it has been closed")),
        }
    }

    pub(crate) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        fault::of_writing(&self.path, error)
    }
}
