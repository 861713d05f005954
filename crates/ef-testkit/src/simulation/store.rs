//! A store that fails, stalls and loses power when it is told to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ef_model::{
    BoxFuture, BoxStream, Digest, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult, RunSummary, StoreError,
    StoredRecord, TaskCommit, TraceStore,
};
use futures_util::StreamExt;

use super::{Chance, World};
use crate::MemoryStore;

/// How long a write takes that stalls.
const STALL: Duration = Duration::from_secs(3600);

/// What goes wrong. Writes (begin, append, finish) and reads (a call, or a record of a stream) are counted from 1.
#[derive(Debug, Clone, Default)]
pub struct StoreFaults {
    /// This write fails. Whether it was carried out nobody knows.
    pub failing_write: Option<u64>,
    /// And so do all after it, which are not carried out.
    pub is_gone_then: bool,
    /// This write takes an hour.
    pub stalling_write: Option<u64>,
    /// This read fails.
    pub failing_read: Option<u64>,
}

/// One process's access to a store that outlives it: `disk` has what is durable.
///
/// A write is durable when it returns. One that has not returned when the world ends is found wholly or not at all
/// afterwards, as chance has it.
pub struct UnreliableStore {
    disk: MemoryStore,
    world: Arc<World>,
    chance: Chance,
    faults: StoreFaults,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    writes: u64,
    reads: u64,
    unreturned: Vec<(u64, Write)>,
}

#[derive(Clone)]
enum Write {
    Begin(Box<RunHead>),
    Append(RunId, Arc<[TaskCommit]>),
    Finish(Box<RunResult>),
}

impl UnreliableStore {
    /// Opens the store as a process of this world does.
    #[must_use]
    pub fn new(disk: &MemoryStore, world: &Arc<World>, chance: Chance, faults: StoreFaults) -> Arc<Self> {
        let (disk, world) = (disk.reopened(), Arc::clone(world));
        Arc::new(Self { disk, world, chance: chance.of("store"), faults, state: Mutex::default() })
    }

    /// After the end of the world: what had not returned is there, or it is not.
    pub async fn settle(&self) {
        let unreturned = std::mem::take(&mut self.state().unreturned);
        for (number, write) in unreturned {
            if self.chance.of("settle").at(number).percent(50) {
                // What the store refuses is not there.
                let _ = self.carry_out(&write).await;
            }
        }
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        let (what, size) = match &write {
            Write::Begin(_) => ("begin", 0),
            Write::Append(_, batch) => ("append", batch.len() as u64),
            Write::Finish(_) => ("finish", 0),
        };
        let number = {
            let mut state = self.state();
            state.writes += 1;
            let number = state.writes;
            state.unreturned.push((number, write.clone()));
            number
        };
        self.world.step(what, number, size).await;
        let chance = self.chance.of("write").at(number);
        if self.faults.stalling_write == Some(number) {
            tokio::time::sleep(STALL).await;
        } else if chance.of("slow").percent(70) {
            tokio::time::sleep(Duration::from_millis(chance.of("delay").below(40))).await;
        }
        self.world.step("written", number, size).await;
        let done = match self.faults.failing_write {
            Some(failing) if failing == number => {
                if chance.of("carried out").percent(50) {
                    let _ = self.carry_out(&write).await;
                }
                Err(Self::failure())
            }
            Some(failing) if failing < number && self.faults.is_gone_then => Err(Self::failure()),
            _ => self.carry_out(&write).await,
        };
        if let (Ok(()), Write::Append(_, batch)) = (&done, &write) {
            let made = batch.iter().filter(|commit| commit.record().trace.attempts > 0).count();
            self.world.durable(made as u64);
        }
        self.state().unreturned.retain(|(unreturned, _)| *unreturned != number);
        done
    }

    async fn carry_out(&self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Begin(head) => self.disk.begin(head).await,
            Write::Append(run, batch) => self.disk.append(run, Arc::clone(batch)).await,
            Write::Finish(result) => self.disk.finish(result).await,
        }
    }

    async fn read(&self) -> Result<(), StoreError> {
        let number = {
            let mut state = self.state();
            state.reads += 1;
            state.reads
        };
        self.world.step("read", number, 0).await;
        match self.chance.of("read").at(number).below(20) {
            0 => tokio::time::sleep(Duration::from_millis(5)).await,
            1..10 => tokio::task::yield_now().await,
            _ => {}
        }
        if self.faults.failing_read == Some(number) { Err(Self::failure()) } else { Ok(()) }
    }

    fn streamed<'a, T: Send + 'a>(
        &'a self,
        stream: BoxStream<'a, Result<T, StoreError>>,
    ) -> BoxStream<'a, Result<T, StoreError>> {
        let read = move |next: Result<T, StoreError>| async move {
            self.read().await?;
            next
        };
        stream.then(read).boxed()
    }

    fn failure() -> StoreError {
        StoreError::Unavailable { store: "simulated://".to_owned(), reason: "told to fail".to_owned() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceStore for UnreliableStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write(Write::Begin(Box::new(head.clone()))))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.read().await?;
            self.disk.resume(run).await
        })
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write(Write::Append(run.clone(), batch)))
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.write(Write::Finish(Box::new(result.clone()))))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        Box::pin(async move {
            self.read().await?;
            self.disk.run(run).await
        })
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        Box::pin(async move {
            self.read().await?;
            self.disk.runs(prefix, limit).await
        })
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        self.streamed(self.disk.records(run, filter))
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        self.streamed(self.disk.keys(run))
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(async move {
            self.read().await?;
            self.disk.payloads(digests).await
        })
    }
}
