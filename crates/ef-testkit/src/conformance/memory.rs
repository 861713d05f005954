//! Reading in constant memory.

use ef_model::{RecordFilter, RunId, RunStatus, TaskCommit, TraceOutcome, TraceStore};
use futures_util::TryStreamExt;

use super::{Backend, append, begun, open, without_payloads};
use crate::samples::outcomes;
use crate::{head, record, result};

const MIB: u64 = 1 << 20;
/// Records of the run, which come to 24 MiB.
const RECORDS: u64 = 24_000;
const MESSAGE: usize = 1 << 10;
/// How much more memory the process may have while it reads them.
const GROWTH: u64 = 16 * MIB;

/// Memory of this process, in bytes, where the system tells.
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn large(row: u64) -> TaskCommit {
    let mut record = record(row);
    let mut failed = outcomes().swap_remove(1).trace.outcome;
    if let TraceOutcome::Error { error } = &mut failed {
        error.message = format!("{row} ").repeat(MESSAGE / (row.to_string().len() + 1));
    }
    record.trace.outcome = failed;
    record.judgments.clear();
    without_payloads(record)
}

/// A run of 24 MiB is read, and while it is, the process grows by 16 MiB at most. Where the system does not tell
/// how much memory a process has, it is read all the same. A backend that keeps all in memory is not measured.
pub async fn records_are_streamed_in_constant_memory(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "large").await;
    for first in (1..=RECORDS).step_by(500) {
        append(&*store, &run, (first..first + 500).map(large).collect()).await;
    }
    store.close().await;
    let store = open(backend).await;
    assert_reads_in_constant_memory(backend, &*store, &run).await;
    // Finishing may put the records somewhere else.
    super::take_over(&*store, &run).await;
    store.finish(&result(&head("large", 1), RunStatus::Completed)).await.expect("finished");
    assert_reads_in_constant_memory(backend, &*store, &run).await;
}

async fn assert_reads_in_constant_memory(backend: &dyn Backend, store: &dyn TraceStore, run: &RunId) {
    let filter = RecordFilter::default();
    let mut records = store.records(run, &filter);
    let (mut read, before, mut most) = (0, memory(), 0);
    while let Some(stored) = records.try_next().await.expect("readable") {
        read += 1;
        assert_eq!(stored.record.row, read, "in order");
        if read % 100 == 0 {
            most = most.max(memory().unwrap_or(0));
        }
    }
    assert_eq!(read, RECORDS);
    if !backend.capabilities().constant_memory {
        return;
    }
    let grown = most.saturating_sub(before.unwrap_or(most));
    assert!(grown < GROWTH, "reading a run of 24 MiB took {} MiB of memory", grown / MIB);
}
