//! Reading the tasks of a stored run with what they were made from. Nothing is handed on that is not as it was recorded.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{
    DatasetRow, Digest, EvalItem, EvaluatorOutput, Payload, RecordPlace, RunId, StoreError, StoredRecord, TaskRecord,
    TraceOutcome, TraceStore,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{Instrument as _, Span};

use super::latest::Latest;
use crate::takeover::taken_over;
use crate::task::Recorded;

/// Tasks that are read ahead, at most, besides those whose payloads are being fetched.
const AHEAD: usize = 32;
/// Tasks whose payloads are fetched at once.
const CHUNK: usize = 32;

/// A task that is to be done again.
pub(crate) struct Replayed {
    pub(crate) row: DatasetRow,
    pub(crate) repeat: u32,
    /// What is taken over of it.
    pub(crate) recorded: Option<Box<Recorded>>,
}

/// Why a stored run cannot be replayed any further.
#[derive(Debug)]
pub(crate) enum Broken {
    /// It is not as it was recorded: which record, and what of it.
    Damaged(String),
    /// The store fails.
    Store(StoreError),
}

/// The tasks of a run as they are read. Dropping it ends the reading.
pub(crate) struct Replaying {
    tasks: mpsc::Receiver<Result<Replayed, Broken>>,
    _reader: JoinSet<()>,
}

impl Replaying {
    /// Starts reading. With `outputs`, the traces are taken over; else only rows that could not be evaluated are.
    pub(crate) fn start(store: Arc<dyn TraceStore>, run: RunId, outputs: bool) -> Self {
        let (sender, tasks) = mpsc::channel(AHEAD);
        let mut reader = JoinSet::new();
        let reading = async move {
            let reader = Reader { store: store.as_ref(), outputs, sender: &sender };
            if let Err(broken) = reader.read(&run).await {
                // Without a receiver nobody wants to know.
                let _ = sender.send(Err(broken)).await;
            }
        };
        reader.spawn(reading.instrument(Span::current()));
        Self { tasks, _reader: reader }
    }

    /// The next task, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Option<Result<Replayed, Broken>> {
        self.tasks.recv().await
    }
}

struct Reader<'a> {
    store: &'a dyn TraceStore,
    outputs: bool,
    sender: &'a mpsc::Sender<Result<Replayed, Broken>>,
}

impl Reader<'_> {
    async fn read(&self, run: &RunId) -> Result<(), Broken> {
        let mut records = Latest::new(self.store, run);
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            let next = records.next().await.map_err(|error| match error {
                StoreError::Damaged { reason, .. } => Broken::Damaged(format!("a record cannot be read: {reason}")),
                error => Broken::Store(error),
            })?;
            let ended = next.is_none();
            if let Some(StoredRecord { record, leaf }) = next {
                if record.leaf() != leaf {
                    return Err(damaged(&record, "it does not have the digest that was stored with it"));
                }
                chunk.push(record);
            }
            if chunk.len() >= CHUNK || ended {
                let payloads = self.fetch(&chunk).await?;
                let tasks: Vec<_> =
                    chunk.drain(..).map(|record| self.task(record, &payloads)).collect::<Result<_, _>>()?;
                for task in tasks {
                    if self.sender.send(Ok(task)).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// The payloads that the tasks need. Where a store says that some are damaged, each record is asked for by itself.
    async fn fetch(&self, records: &[TaskRecord]) -> Result<HashMap<Digest, Payload>, Broken> {
        match self.fetch_at_once(records).await {
            Err(StoreError::Damaged { .. }) => {}
            fetched => return fetched.map_err(Broken::Store),
        }
        let mut all = HashMap::new();
        for record in records {
            match self.fetch_at_once(std::slice::from_ref(record)).await {
                Ok(fetched) => all.extend(fetched),
                Err(StoreError::Damaged { reason, .. }) => return Err(damaged(record, &reason)),
                Err(error) => return Err(Broken::Store(error)),
            }
        }
        Ok(all)
    }

    async fn fetch_at_once(&self, records: &[TaskRecord]) -> Result<HashMap<Digest, Payload>, StoreError> {
        let mut digests: Vec<_> = records.iter().flat_map(|record| self.needed(record)).flatten().collect();
        digests.sort_unstable();
        digests.dedup();
        let found = if digests.is_empty() { Vec::new() } else { self.store.payloads(&digests).await? };
        // Whatever has another digest than was asked for counts as missing.
        let good = |(digest, found): (Digest, Option<Payload>)| {
            found.filter(|payload| payload.digest() == digest).map(|payload| (digest, payload))
        };
        Ok(digests.into_iter().zip(found).filter_map(good).collect())
    }

    /// Input, reference output, metadata, output and output metadata, as far as there are such and they are needed.
    fn needed(&self, record: &TaskRecord) -> [Option<Digest>; 5] {
        let trace = &record.trace;
        let (output, output_metadata) = match trace.outcome {
            TraceOutcome::Ok { output, output_metadata } if self.outputs => (Some(output), output_metadata),
            _ => (None, None),
        };
        [trace.input, trace.reference_output, trace.item_metadata, output, output_metadata]
    }

    fn task(&self, record: TaskRecord, payloads: &HashMap<Digest, Payload>) -> Result<Replayed, Broken> {
        const NAMES: [&str; 5] = ["input", "reference output", "item metadata", "output", "output metadata"];
        let mut found = [const { None }; 5];
        for ((place, digest), name) in found.iter_mut().zip(self.needed(&record)).zip(NAMES) {
            let Some(digest) = digest else { continue };
            let Some(payload) = payloads.get(&digest) else {
                return Err(damaged(&record, &format!("its {name}, the payload {digest}, is missing or damaged")));
            };
            *place = Some(payload.clone());
        }
        let [input, reference_output, metadata, output, output_metadata] = found;
        let TaskRecord { item_id, row, repeat, trace, judgments, .. } = record;
        let row = match (&trace.outcome, input) {
            (TraceOutcome::Skipped { fault }, _) => DatasetRow::Faulty { item_id, row, fault: fault.clone() },
            (_, Some(input)) => DatasetRow::Item(EvalItem { item_id, row, input, reference_output, metadata }),
            (_, None) => return Err(Broken::Damaged(format!("item {item_id} (row {row}): it names no input"))),
        };
        let output = output.map(|output| EvaluatorOutput { metadata: output_metadata, ..EvaluatorOutput::new(output) });
        let (trace, judgments) = taken_over(trace, judgments);
        let recorded = self.outputs.then(|| Box::new(Recorded { trace, output, judgments }));
        Ok(Replayed { row, repeat, recorded })
    }
}

fn damaged(record: &TaskRecord, what: &str) -> Broken {
    Broken::Damaged(format!("{}: {what}", RecordPlace::from(record)))
}
