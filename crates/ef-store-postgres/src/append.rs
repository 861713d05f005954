//! Adding records: one transaction a batch.
//!
//! Everything of one kind goes with one statement, as arrays that the server takes apart: as fast as it takes rows, and
//! with one answer to wait for.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ef_model::{Digest, RunId, StoreError, TaskCommit, TaskRecord, canonical};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::fault::{self, Refusal};
use crate::judgment_keys;
use crate::new_payloads::NewPayloads;
use crate::runs::{IsRunning, give_up, json, lock_row};
use crate::trace_columns::{Known, TraceColumns, integer};
use crate::writer::{Attempt, Lease, Writer};

/// A batch on its way into the store.
pub(crate) struct Append {
    run: RunId,
    batch: Arc<[TaskCommit]>,
    payloads: NewPayloads,
}

impl Append {
    /// Prepares what can be prepared without the server.
    pub(crate) fn new(run: RunId, batch: Arc<[TaskCommit]>) -> Self {
        let payloads = NewPayloads::of(&batch);
        Self { run, batch, payloads }
    }

    fn records(&self) -> impl Iterator<Item = &TaskRecord> {
        self.batch.iter().map(TaskCommit::record)
    }

    /// Whether there are records of other repeats or revisions than the first.
    fn is_plain(&self) -> bool {
        self.records().all(|record| record.repeat == 0 && record.revision == 0)
    }
}

impl Attempt for Append {
    type Done = ();

    fn run(&self) -> &RunId {
        &self.run
    }

    async fn attempt(&self, writer: &mut Writer) -> Result<(), Refusal> {
        // Nearly always all records are new. If not, it is done once more, with care.
        match self.add(writer, Known::AreRefused).await {
            Err(Refusal::Sql(error)) if fault::is_known(&error) => self.add(writer, Known::ArePassedOver).await,
            done => done,
        }
    }
}

impl Append {
    /// One transaction.
    async fn add(&self, writer: &mut Writer, known: Known) -> Result<(), Refusal> {
        let lease = writer.lease(&self.run).await?;
        let is_plain = lease.is_plain && self.is_plain();
        let components = writer.components.clone();
        let (token, store) = (writer.token, Arc::clone(&writer.target));
        let mut transaction = writer.begin().await?;
        let place = Place { store: &store.name, lease, token, is_plain, known };
        match self.insert(&mut transaction, &place, &components).await {
            Ok(components) => {
                transaction.commit().await?;
                writer.components.extend(components.new);
                if lease.is_plain && !is_plain {
                    writer.not_plain(&self.run);
                }
                Ok(())
            }
            Err(refusal) => {
                transaction.rollback().await?;
                Err(give_up(writer, &self.run, refusal))
            }
        }
    }
}

/// Where a batch goes.
struct Place<'p> {
    store: &'p str,
    lease: Lease,
    token: i64,
    /// Whether run and batch have only records of repeat 0 and revision 0.
    is_plain: bool,
    known: Known,
}

impl Append {
    async fn insert(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        place: &Place<'_>,
        components: &HashMap<Digest, i64>,
    ) -> Result<Components, Refusal> {
        let Place { lease, .. } = *place;
        let IsRunning(is_running) = lock_row(transaction, &self.run, lease, place.token).await?;
        let connection: &mut PgConnection = transaction;
        if !is_running {
            sqlx::query("UPDATE runs SET status = 'running', result = NULL WHERE id = $1")
                .bind(lease.run)
                .execute(&mut *connection)
                .await?;
        }
        let components = Components::of_batch(&self.batch, components, connection).await?;
        self.payloads.insert(&self.batch, connection).await?;
        let columns = TraceColumns::new(&self.batch, |address| components.ids[&address]);
        let inserted = columns.insert(lease.run, place.known, connection).await?;
        if inserted < self.batch.len() as u64 {
            self.check_known(place, connection).await?;
        }
        if !place.is_plain {
            self.check_items(place, connection).await?;
        }
        judgment_keys::insert(lease.run, &self.batch, connection).await?;
        Ok(components)
    }

    /// Some records of the batch were there already, or twice in it. With the same content that is nothing; anything else
    /// is a conflict.
    async fn check_known(&self, place: &Place<'_>, connection: &mut PgConnection) -> Result<(), Refusal> {
        // A record that fits both ways is found twice, which does no harm.
        let others: Option<(i64, i64)> = sqlx::query_as(
            "SELECT b.place, t.row
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[]) WITH ORDINALITY
                      AS b (nr, repeat, revision, item_id, leaf, place),
                  LATERAL (SELECT k.row, k.leaf FROM traces k
                           WHERE k.run = $1 AND k.item_id = b.item_id AND k.repeat = b.repeat AND k.revision = b.revision
                           UNION ALL
                           SELECT k.row, k.leaf FROM traces k
                           WHERE k.run = $1 AND k.row = b.nr AND k.repeat = b.repeat AND k.revision = b.revision) t
             WHERE t.leaf <> b.leaf
             ORDER BY b.place LIMIT 1",
        )
        .bind(place.lease.run)
        .bind(self.records().map(|record| integer(record.row)).collect::<Vec<_>>())
        .bind(self.records().map(|record| i64::from(record.repeat)).collect::<Vec<_>>())
        .bind(self.records().map(|record| i64::from(record.revision)).collect::<Vec<_>>())
        .bind(self.records().map(|record| record.item_id.as_str()).collect::<Vec<_>>())
        .bind(self.batch.iter().map(|commit| *commit.leaf().as_bytes()).collect::<Vec<_>>())
        .fetch_optional(connection)
        .await?;
        self.conflict(place, others)
    }

    /// The index by item tells of another row of the item only for the same repeat and revision.
    async fn check_items(&self, place: &Place<'_>, connection: &mut PgConnection) -> Result<(), Refusal> {
        let others: Option<(i64, i64)> = sqlx::query_as(
            "SELECT b.place, t.row
             FROM unnest($2::bigint[], $3::text[]) WITH ORDINALITY AS b (nr, item_id, place)
                  JOIN traces t ON t.run = $1 AND t.item_id = b.item_id AND t.row <> b.nr
             ORDER BY b.place DESC LIMIT 1",
        )
        .bind(place.lease.run)
        .bind(self.records().map(|record| integer(record.row)).collect::<Vec<_>>())
        .bind(self.records().map(|record| record.item_id.as_str()).collect::<Vec<_>>())
        .fetch_optional(connection)
        .await?;
        self.conflict(place, others)
    }

    /// The conflict of a record at a place in the batch, from 1, with one of another row.
    fn conflict(&self, place: &Place<'_>, found: Option<(i64, i64)>) -> Result<(), Refusal> {
        let Some((at, existing_row)) = found else { return Ok(()) };
        let record = usize::try_from(at - 1).ok().and_then(|at| self.batch.get(at)).map(TaskCommit::record);
        let record = record.ok_or_else(|| fault::damaged(place.store, "a conflict with no record of the batch"))?;
        Err(StoreError::Conflict {
            item_id: record.item_id.clone(),
            row: record.row,
            existing_row: u64::try_from(existing_row).unwrap_or(0),
        }
        .into())
    }
}

/// The row ids of a batch's evaluators and judges.
struct Components {
    /// By the address of the shared identity: a batch has few.
    ids: HashMap<usize, i64>,
    /// Those that were not known, by their digests.
    new: HashMap<Digest, i64>,
}

impl Components {
    async fn of_batch(
        batch: &[TaskCommit],
        known: &HashMap<Digest, i64>,
        connection: &mut PgConnection,
    ) -> Result<Self, Refusal> {
        let mut digests = HashMap::new();
        // Sorted, so that two who add the same ones wait for one another in one direction only.
        let mut unknown = BTreeMap::new();
        for record in batch.iter().map(TaskCommit::record) {
            let mut note = |address: usize, identity: &dyn Fn() -> (Digest, String)| {
                if let Entry::Vacant(new) = digests.entry(address) {
                    let (digest, text) = identity();
                    new.insert(digest);
                    if !known.contains_key(&digest) {
                        unknown.insert(digest, text);
                    }
                }
            };
            note(address(&record.trace.evaluator), &|| described(&*record.trace.evaluator));
            for judgment in &record.judgments {
                note(address(&judgment.judge), &|| described(&*judgment.judge));
            }
        }
        let mut new = HashMap::new();
        for (digest, identity) in unknown {
            new.insert(digest, insert_component(digest, &identity, connection).await?);
        }
        let id = |digest: &Digest| known.get(digest).or_else(|| new.get(digest)).copied();
        let ids = digests.iter().filter_map(|(address, digest)| Some((*address, id(digest)?))).collect();
        Ok(Self { ids, new })
    }
}

/// What a shared identity is known by within a batch.
pub(crate) fn address<T>(identity: &Arc<T>) -> usize {
    Arc::as_ptr(identity).addr()
}

fn described<T: Serialize>(identity: &T) -> (Digest, String) {
    (canonical::digest(identity), json(identity))
}

async fn insert_component(digest: Digest, identity: &str, connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO components (sha256, identity) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING")
        .bind(digest.as_bytes().as_slice())
        .bind(identity)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT id FROM components WHERE sha256 = $1")
        .bind(digest.as_bytes().as_slice())
        .fetch_one(connection)
        .await
}
