//! Runs: how they begin, go on and end.

use std::sync::atomic::{AtomicBool, Ordering};

use ef_model::{RunHead, RunId, RunResult, RunStatus, StoreError};
use serde::Serialize;
use sqlx::{PgConnection, Postgres, Transaction};

use crate::fault::Refusal;
use crate::writer::{Attempt, Lease, Writer, open_run, unlock};

/// The beginning of a run.
pub(crate) struct Begin {
    run: RunId,
    started_at_us: i64,
    head: String,
    /// Whether an attempt came as far as its commit: then a run of this id may be this one.
    committing: AtomicBool,
}

impl Begin {
    pub(crate) fn new(head: &RunHead) -> Self {
        let (run, started_at_us) = (head.run_id.clone(), head.started_at_us);
        Self { run, started_at_us, head: json(head), committing: AtomicBool::new(false) }
    }
}

impl Attempt for Begin {
    type Done = ();

    fn run(&self) -> &RunId {
        &self.run
    }

    async fn attempt(&self, writer: &mut Writer) -> Result<(), Refusal> {
        let (token, lock) = (writer.token, writer.lock_of(&self.run));
        let mut transaction = writer.begin().await?;
        let inserted: Option<i64> = sqlx::query_scalar(
            "INSERT INTO runs (run_id, started_at_us, status, head, writer) VALUES ($1, $2, 'running', $3, $4)
             ON CONFLICT (run_id) DO NOTHING RETURNING id",
        )
        .bind(self.run.as_str())
        .bind(self.started_at_us)
        .bind(&self.head)
        .bind(token)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(id) = inserted else {
            transaction.rollback().await?;
            return self.exists(writer).await;
        };
        // Before anybody else can see the run.
        let is_locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(lock).fetch_one(&mut *transaction).await?;
        if !is_locked {
            transaction.rollback().await?;
            return Err(Refusal::Locked);
        }
        self.committing.store(true, Ordering::Relaxed);
        if let Err(error) = transaction.commit().await {
            // If the connection is gone, so is the lock.
            let _ = unlock(writer.connection().await?, lock).await;
            return Err(error.into());
        }
        writer.hold(&self.run, id, true);
        Ok(())
    }
}

impl Begin {
    /// There is a run of this id: this one, if an earlier attempt was committed without our hearing of it.
    async fn exists(&self, writer: &mut Writer) -> Result<(), Refusal> {
        let exists = || Err(StoreError::RunExists(self.run.clone()).into());
        if !self.committing.load(Ordering::Relaxed) {
            return exists();
        }
        let token = writer.token;
        let its_writer: i64 = sqlx::query_scalar("SELECT writer FROM runs WHERE run_id = $1")
            .bind(self.run.as_str())
            .fetch_one(writer.connection().await?)
            .await?;
        if its_writer == token { writer.take(&self.run).await.map(drop) } else { exists() }
    }
}

/// The taking up of a run.
pub(crate) struct Resume(pub(crate) RunId);

impl Attempt for Resume {
    type Done = ();

    fn run(&self) -> &RunId {
        &self.0
    }

    async fn attempt(&self, writer: &mut Writer) -> Result<(), Refusal> {
        writer.take(&self.0).await.map(drop)
    }
}

/// The end of a run.
pub(crate) struct Finish {
    run: RunId,
    status: RunStatus,
    result: String,
    /// Whether an attempt came as far as its commit: then the run may have ended with it.
    committing: AtomicBool,
}

impl Finish {
    pub(crate) fn new(result: &RunResult) -> Self {
        let (run, status) = (result.head.run_id.clone(), result.status);
        Self { run, status, result: json(result), committing: AtomicBool::new(false) }
    }
}

impl Attempt for Finish {
    type Done = ();

    fn run(&self) -> &RunId {
        &self.run
    }

    async fn attempt(&self, writer: &mut Writer) -> Result<(), Refusal> {
        let lease = match writer.lease(&self.run).await {
            Err(Refusal::Store(StoreError::RunClosed(_))) if self.has_ended(writer).await? => return Ok(()),
            lease => lease?,
        };
        let token = writer.token;
        let mut transaction = writer.begin().await?;
        match lock_row(&mut transaction, &self.run, lease, token).await {
            Ok(_) => {}
            Err(refusal) => {
                transaction.rollback().await?;
                let ended =
                    matches!(refusal, Refusal::Store(StoreError::RunClosed(_))) && self.has_ended(writer).await?;
                if !ended {
                    return Err(give_up(writer, &self.run, refusal));
                }
                writer.release(&self.run).await;
                return Ok(());
            }
        }
        sqlx::query("UPDATE runs SET status = $1, result = $2 WHERE id = $3")
            .bind(self.status.as_str())
            .bind(&self.result)
            .bind(lease.run)
            .execute(&mut *transaction)
            .await?;
        self.committing.store(true, Ordering::Relaxed);
        transaction.commit().await?;
        writer.release(&self.run).await;
        Ok(())
    }
}

impl Finish {
    /// Whether the run has ended with an earlier attempt that was committed without our hearing of it.
    async fn has_ended(&self, writer: &mut Writer) -> Result<bool, Refusal> {
        if !self.committing.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let ended = sqlx::query_scalar("SELECT result = $1 AND writer = $2 FROM runs WHERE run_id = $3")
            .bind(&self.result)
            .bind(writer.token)
            .bind(self.run.as_str());
        Ok(ended.fetch_one(writer.connection().await?).await?)
    }
}

/// Whether a run is running, as its writer finds it.
pub(crate) struct IsRunning(pub(crate) bool);

/// Takes the run's row until the transaction ends, and checks that the run is still this writer's.
pub(crate) async fn lock_row(
    transaction: &mut Transaction<'_, Postgres>,
    run: &RunId,
    lease: Lease,
    token: i64,
) -> Result<IsRunning, Refusal> {
    let found: Option<(i64, String, i64)> =
        sqlx::query_as("SELECT id, status, writer FROM runs WHERE id = $1 FOR NO KEY UPDATE")
            .bind(lease.run)
            .fetch_optional(transaction as &mut PgConnection)
            .await?;
    let is_running = found.as_ref().is_some_and(|(_, status, _)| status == RunStatus::Running.as_str());
    let is_ours = found.as_ref().is_none_or(|(.., writer)| *writer == token);
    open_run(run, found.map(|(id, status, _)| (id, status)))?;
    if is_ours { Ok(IsRunning(is_running)) } else { Err(StoreError::RunBusy(run.clone()).into()) }
}

/// What a refusal means for the lease.
pub(crate) fn give_up(writer: &mut Writer, run: &RunId, refusal: Refusal) -> Refusal {
    if matches!(refusal, Refusal::Store(StoreError::RunBusy(_))) {
        writer.lost(run);
    }
    refusal
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records have a JSON form")
}
