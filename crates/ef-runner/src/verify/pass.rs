//! The pass over a run's records.

use std::collections::HashMap;

use ef_metrics::{MetricSet, UsageSum};
use ef_model::{
    Check, CheckSubject, Counts, Digest, JudgmentResult, MerkleRoot, Payload, RecordFilter, RecordKey, RecordPlace,
    RunHead, RunId, StoreError, StoredRecord, TaskRecord, TraceOutcome, TraceStore,
};
use ef_spec::EvalSpec;
use futures_util::TryStreamExt;

use super::{failed, failed_at, passed};

/// Payloads that are fetched at once. Each may be as large as the spec allows.
const PAYLOADS: usize = 64;

/// How often something is wrong, and where first.
#[derive(Default)]
struct Wrong {
    first: Option<(RecordPlace, String)>,
    records: u64,
}

impl Wrong {
    fn add(&mut self, record: &TaskRecord, what: impl FnOnce() -> String) {
        self.records += 1;
        self.first.get_or_insert_with(|| (record.into(), what()));
    }

    /// The check that this comes to.
    fn check(&self, subject: CheckSubject, otherwise: impl FnOnce() -> String) -> Check {
        match &self.first {
            None => passed(subject, otherwise()),
            Some((place, what)) => {
                let more = match self.records - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                };
                failed_at(subject, place.clone(), format!("{place}: {what}{more}"))
            }
        }
    }
}

/// What one pass over the stored records found.
pub(super) struct Pass<'a> {
    store: &'a dyn TraceStore,
    head: &'a RunHead,
    /// The tree over the records as they are, whatever leaves were stored with them.
    pub(super) tree: MerkleRoot,
    /// Counts of the latest revisions.
    pub(super) counts: Counts,
    /// What all revisions used.
    pub(super) usage: UsageSum,
    metrics: Option<MetricSet>,
    leaves: Wrong,
    components: Wrong,
    payloads: Wrong,
    payload_references: u64,
    metadata_missing: bool,
    /// The record before which others seem to be missing, and what says so.
    gap: Option<(RecordPlace, String)>,
    order: Wrong,
    last: Option<RecordPlace>,
    /// Why the records could not be read to their end.
    unreadable: Option<String>,
    /// The latest revision so far of the record that was read last.
    latest: Option<(TaskRecord, Option<Payload>)>,
}

impl<'a> Pass<'a> {
    /// Reads a run's records.
    pub(super) async fn over(
        store: &'a dyn TraceStore,
        run: &RunId,
        head: &'a RunHead,
        spec: Option<&EvalSpec>,
    ) -> Result<Self, StoreError> {
        let mut pass = Self {
            store,
            head,
            tree: MerkleRoot::new(),
            counts: Counts::default(),
            usage: UsageSum::default(),
            metrics: spec.map(|spec| MetricSet::new(&spec.scoring, &spec.judges, spec.runtime.seed)),
            leaves: Wrong::default(),
            components: Wrong::default(),
            payloads: Wrong::default(),
            payload_references: 0,
            metadata_missing: false,
            gap: None,
            order: Wrong::default(),
            last: None,
            unreadable: None,
            latest: None,
        };
        pass.read(run).await?;
        Ok(pass)
    }

    async fn read(&mut self, run: &RunId) -> Result<(), StoreError> {
        let (store, filter) = (self.store, RecordFilter::default());
        let mut records = store.records(run, &filter);
        let mut chunk = Vec::new();
        let mut references = 0;
        loop {
            let next = match records.try_next().await {
                Err(StoreError::Damaged { reason, .. }) => {
                    self.unreadable = Some(reason);
                    None
                }
                next => next?,
            };
            let ended = next.is_none();
            if let Some(stored) = next {
                self.take(&stored);
                references += payloads_of(&stored.record).count();
                chunk.push(stored.record);
            }
            if references >= PAYLOADS || chunk.len() >= PAYLOADS || ended {
                self.resolve(std::mem::take(&mut chunk)).await?;
                references = 0;
            }
            if ended {
                self.observe_latest();
                return Ok(());
            }
        }
    }

    /// Checks what a record says of itself.
    fn take(&mut self, stored: &StoredRecord) {
        let StoredRecord { record, leaf } = stored;
        let actual = record.leaf();
        if actual != *leaf {
            self.leaves.add(record, || "it does not have the digest that was stored with it".to_owned());
        }
        self.tree.push(actual);
        if record.trace.evaluator != self.head.evaluator {
            self.components.add(record, || "it names another evaluator than the run's".to_owned());
        } else if record.judgments.iter().any(|judgment| !self.head.judges.contains(&judgment.judge)) {
            self.components.add(record, || "it names a judge that is not the run's".to_owned());
        }
        self.follow(record);
    }

    /// Looks for jumps in the order of records.
    fn follow(&mut self, record: &TaskRecord) {
        let key = record.key();
        let last =
            self.last.as_ref().map(|last| RecordKey { row: last.row, repeat: last.repeat, revision: last.revision });
        if last.is_some_and(|last| last >= key) {
            self.order.add(record, || "its place in the run is one that an earlier record has".to_owned());
        }
        let RecordKey { row, repeat, revision } = key;
        let expected = match last {
            Some(last) if (last.row, last.repeat) == (row, repeat) => last.revision.checked_add(1) == Some(revision),
            Some(last) if last.row == row => revision == 0 && last.repeat.checked_add(1) == Some(repeat),
            // A dataset may have blank lines, which are no rows but are counted: a jump is a hint and no proof.
            last => revision == 0 && repeat == 0 && last.map_or(0, |last| last.row).checked_add(1) == Some(row),
        };
        if !expected && self.gap.is_none() {
            let place = RecordPlace::from(record);
            let what = match &self.last {
                Some(last) => format!("The rows jump from {last} to {place}"),
                None => format!("The first record is {place}"),
            };
            self.gap = Some((place, what));
        }
        self.last = Some(record.into());
    }

    /// Checks the payloads of some records, and counts the records.
    async fn resolve(&mut self, records: Vec<TaskRecord>) -> Result<(), StoreError> {
        let mut digests: Vec<Digest> = records.iter().flat_map(payloads_of).map(|(_, digest)| digest).collect();
        digests.sort_unstable();
        digests.dedup();
        let found = fetch(self.store, &digests).await?;
        let found: HashMap<Digest, Fetched> = digests.into_iter().zip(found).collect();
        for record in records {
            self.payload_references += payloads_of(&record).count() as u64;
            let bad = payloads_of(&record).find_map(|(role, digest)| match &found[&digest] {
                Fetched::Good(_) => None,
                Fetched::Missing => Some(format!("its {role}, the payload {digest}, is missing")),
                Fetched::Damaged(reason) => Some(format!("its {role} is damaged: {reason}")),
            });
            if let Some(bad) = bad {
                self.payloads.add(&record, || bad);
            }
            let metadata = match record.trace.item_metadata.map(|digest| &found[&digest]) {
                None => None,
                Some(Fetched::Good(payload)) => Some(payload.clone()),
                Some(_) => {
                    self.metadata_missing = true;
                    None
                }
            };
            self.supersede(record, metadata);
        }
        Ok(())
    }

    /// The latest revision of each record counts.
    fn supersede(&mut self, record: TaskRecord, metadata: Option<Payload>) {
        self.usage.observe(&record, self.latest.as_ref().map(|(latest, _)| latest));
        let is_next =
            self.latest.as_ref().is_none_or(|(last, _)| (last.row, last.repeat) != (record.row, record.repeat));
        if is_next {
            self.observe_latest();
        }
        let metadata = metadata.filter(|_| self.metrics.as_ref().is_some_and(MetricSet::needs_metadata));
        self.latest = Some((record, metadata));
    }

    fn observe_latest(&mut self) {
        if let Some((record, metadata)) = self.latest.take() {
            self.counts.add(&record);
            if let Some(metrics) = &mut self.metrics {
                metrics.observe(&record, metadata.as_ref());
            }
        }
    }

    /// Whether all records could be read.
    pub(super) const fn is_whole(&self) -> bool {
        self.unreadable.is_none()
    }

    /// The metrics' scores, where they are all known.
    pub(super) fn metrics(&mut self) -> Option<MetricSet> {
        let needs_metadata = self.metrics.as_ref().is_some_and(MetricSet::needs_metadata);
        self.metrics.take().filter(|_| !(needs_metadata && self.metadata_missing))
    }

    /// The checks of records, components and payloads.
    pub(super) fn checks(&self) -> [Check; 3] {
        [
            self.records_check(),
            self.components
                .check(CheckSubject::Components, || "the records name the run's evaluator and judges".to_owned()),
            self.payloads.check(CheckSubject::Payloads, || {
                format!("{} named, and each is there with its digest", self.payload_references)
            }),
        ]
    }

    fn records_check(&self) -> Check {
        let mut check = self.leaves.check(CheckSubject::Records, || match self.tree.count() {
            1 => "1, and it has the digest that was stored with it".to_owned(),
            records => format!("{records}, and each has the digest that was stored with it"),
        });
        if let Some(reason) = &self.unreadable {
            let place =
                self.last.as_ref().map_or_else(|| "one of the first".to_owned(), |last| format!("one after {last}"));
            let unreadable = format!("{place} cannot be read: {reason}");
            check = match check.record.take() {
                Some(record) => failed_at(CheckSubject::Records, record, format!("{}; {unreadable}", check.message)),
                None => failed(CheckSubject::Records, unreadable),
            };
        }
        check
    }

    /// Why the root over the records is not that of the run's end, which counted so many tasks, and the record that shows
    /// it. `None` where it follows from records that were found to be wrong.
    pub(super) fn set_changed(&self, tasks: u64) -> Option<(String, Option<RecordPlace>)> {
        if let Some((place, what)) = &self.order.first {
            return Some((format!("{place}: {what}"), Some(place.clone())));
        }
        let found = self.counts.tasks();
        let what = if found < tasks {
            "records are missing"
        } else if found > tasks {
            "there are records too many"
        } else if self.leaves.first.is_none() {
            "the set of records is not the one that the run ended with: each has its digest, and the root over all is another"
        } else {
            return None;
        };
        let mut message = what.to_owned();
        if found != tasks {
            message += &format!(": the result counts {tasks}, and there are {found}");
        }
        let (hint, place) = match (&self.gap, &self.last) {
            (Some((place, jump)), _) => (format!(". {jump}"), Some(place.clone())),
            (None, Some(last)) if found != tasks => (format!(". The last record is {last}"), Some(last.clone())),
            _ => (String::new(), None),
        };
        Some((message + &hint, place))
    }
}

/// What came of looking for a payload.
enum Fetched {
    Good(Payload),
    Missing,
    Damaged(String),
}

/// Payloads by their digests. Where a store says that some are damaged, each is asked for by itself.
async fn fetch(store: &dyn TraceStore, digests: &[Digest]) -> Result<Vec<Fetched>, StoreError> {
    let fetched = |(digest, found): (&Digest, Option<Payload>)| match found {
        Some(payload) if payload.digest() == *digest => Fetched::Good(payload),
        Some(_) => Fetched::Damaged(format!("the payload {digest} has other content than its digest says")),
        None => Fetched::Missing,
    };
    match store.payloads(digests).await {
        Ok(found) => return Ok(digests.iter().zip(found).map(fetched).collect()),
        Err(StoreError::Damaged { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut all = Vec::with_capacity(digests.len());
    for digest in digests {
        all.push(match store.payloads(std::slice::from_ref(digest)).await {
            Ok(mut found) => fetched((digest, found.pop().flatten())),
            Err(StoreError::Damaged { reason, .. }) => Fetched::Damaged(reason),
            Err(error) => return Err(error),
        });
    }
    Ok(all)
}

/// The payloads that a record names, each with what it is to the record.
pub(crate) fn payloads_of(record: &TaskRecord) -> impl Iterator<Item = (&'static str, Digest)> {
    let trace = &record.trace;
    let (output, output_metadata, detail) = match &trace.outcome {
        TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata, None),
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => (None, None, error.detail),
        TraceOutcome::Skipped { .. } => (None, None, None),
    };
    let of_judgments = record.judgments.iter().map(|judgment| match &judgment.result {
        JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale } => ("rationale", *rationale),
        JudgmentResult::Pending => ("rationale", None),
        JudgmentResult::Error { error } => ("judge's error detail", error.detail),
    });
    [
        ("input", trace.input),
        ("reference output", trace.reference_output),
        ("item metadata", trace.item_metadata),
        ("output", output),
        ("output metadata", output_metadata),
        ("error detail", detail),
    ]
    .into_iter()
    .chain(of_judgments)
    .filter_map(|(role, digest)| Some((role, digest?)))
}
