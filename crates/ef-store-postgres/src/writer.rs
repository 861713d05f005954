//! The writing connection: it holds the locks of the runs that are written, and is made anew when it is lost.
//!
//! Who may write a run is settled twice. An advisory lock of the connection belongs to one writer at a time, and the server
//! takes it back when the connection ends, in whatever way. As a connection can be lost without the writer's knowing, each
//! transaction also checks that the run's row still has the writer's own token, and holds that row until it ends: whoever
//! takes the run up puts a token of their own there, and from then on the one before can add nothing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use ef_model::{Digest, RunId, RunStatus, StoreError};
use sqlx::{Connection as _, PgConnection, Postgres, Transaction};

use crate::fault::{self, Refusal};
use crate::migrate::lock_key;
use crate::patience::{self, Patience};
use crate::session::{ATTEMPT, Backend, Session};
use crate::target::Target;

/// A run that this writer has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    /// The run's row.
    pub(crate) run: i64,
    lock: i64,
    /// Whether all of the run's records are known to be of repeat 0 and revision 0: then the index by item alone finds an
    /// item that comes from another row.
    pub(crate) is_plain: bool,
}

/// The connection, and what is known of the store through it.
pub(crate) struct Writer {
    pub(crate) target: Arc<Target>,
    link: Link,
    /// Tells this writer from others.
    pub(crate) token: i64,
    leases: HashMap<RunId, Lease>,
    /// Runs that somebody else took up while the connection was lost.
    lost: HashSet<RunId>,
    /// Row ids of evaluators and judges, by the digests of their identities.
    pub(crate) components: HashMap<Digest, i64>,
}

enum Link {
    Open(Session),
    /// Not connected; what there was before may still be there for the server.
    Lost(Option<Backend>),
    Closed,
}

/// Something to be written, as often as it takes.
pub(crate) trait Attempt {
    /// What comes of it.
    type Done;

    /// The run that it is about.
    fn run(&self) -> &RunId;

    /// Tries it. Whatever an attempt before has done or not done, the outcome is as if there had been only one.
    fn attempt(&self, writer: &mut Writer) -> impl Future<Output = Result<Self::Done, Refusal>> + Send;
}

impl Writer {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        // Keys that the system chose at random.
        let token = RandomState::new().hash_one(std::process::id()).cast_signed();
        Self {
            target,
            link: Link::Lost(None),
            token,
            leases: HashMap::new(),
            lost: HashSet::new(),
            components: HashMap::new(),
        }
    }

    /// Does something, again and again while the server is being restarted or the network is down.
    pub(crate) async fn persist<A: Attempt>(&mut self, work: &A) -> Result<A::Done, StoreError> {
        let mut patience = Patience::default();
        loop {
            let silence = |_| Err(Refusal::Sql(fault::silence(ATTEMPT.as_secs())));
            match tokio::time::timeout(ATTEMPT, work.attempt(self)).await.unwrap_or_else(silence) {
                Ok(done) => return Ok(done),
                Err(Refusal::Store(error)) => return Err(error),
                Err(Refusal::Sql(error)) => {
                    if fault::ends_connection(&error) {
                        self.lose();
                    }
                    if !fault::may_pass(&error) || !patience.pause(patience::FOR_SERVER).await {
                        return Err(fault::of(&self.target.name, &error));
                    }
                }
                Err(Refusal::Locked) => {
                    // One's own connection, lost, may keep the lock until the server notices.
                    let is_ours = self.leases.contains_key(work.run());
                    let limit = if is_ours { patience::FOR_SERVER } else { patience::FOR_LOCK };
                    if !patience.pause(limit).await {
                        return Err(StoreError::RunBusy(work.run().clone()));
                    }
                }
            }
        }
    }

    fn lose(&mut self) {
        if let Link::Open(session) = &self.link {
            self.link = Link::Lost(Some(session.backend.clone()));
        }
    }

    /// Closes the connection, which gives all locks back. Nothing can be written afterwards.
    pub(crate) async fn close(&mut self) {
        self.leases.clear();
        if let Link::Open(mut session) = std::mem::replace(&mut self.link, Link::Closed) {
            // Whoever wants a run next need not wait until the server sees the connection end. One that is lost is closed.
            let _ = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut session.connection).await;
            let _ = session.connection.close().await;
        }
    }

    /// The connection, made anew if it was lost, with the locks of all runs.
    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, Refusal> {
        match &self.link {
            Link::Open(_) => {}
            Link::Closed => return Err(fault::unavailable(&self.target.name, "it has been closed").into()),
            Link::Lost(before) => {
                let mut session = Session::open(&self.target, before.as_ref()).await?;
                self.lock_again(&mut session.connection).await?;
                self.link = Link::Open(session);
            }
        }
        match &mut self.link {
            Link::Open(session) => Ok(&mut session.connection),
            Link::Lost(_) | Link::Closed => Err(fault::unavailable(&self.target.name, "it has been closed").into()),
        }
    }

    /// Takes the locks of the runs again, but for those that somebody else has taken up meanwhile.
    async fn lock_again(&mut self, connection: &mut PgConnection) -> Result<(), Refusal> {
        for (run, lease) in self.leases.clone() {
            let (is_locked, writer): (bool, i64) =
                sqlx::query_as("SELECT pg_try_advisory_lock($1), writer FROM runs WHERE id = $2")
                    .bind(lease.lock)
                    .bind(lease.run)
                    .fetch_one(&mut *connection)
                    .await?;
            match (writer == self.token, is_locked) {
                (true, true) => {}
                (true, false) => return Err(Refusal::Locked),
                (false, is_locked) => {
                    if is_locked {
                        unlock(connection, lease.lock).await?;
                    }
                    self.leases.remove(&run);
                    self.lost.insert(run);
                }
            }
        }
        Ok(())
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<Transaction<'_, Postgres>, Refusal> {
        Ok(self.connection().await?.begin().await?)
    }

    /// The run's lease, which is taken if nobody else has it.
    pub(crate) async fn lease(&mut self, run: &RunId) -> Result<Lease, Refusal> {
        // Brings the leases up to date.
        self.connection().await?;
        match self.leases.get(run) {
            Some(lease) => Ok(*lease),
            None if self.lost.contains(run) => Err(StoreError::RunBusy(run.clone()).into()),
            None => self.take(run).await,
        }
    }

    /// Takes a run that is there and not completed.
    pub(crate) async fn take(&mut self, run: &RunId) -> Result<Lease, Refusal> {
        let (token, lock) = (self.token, self.lock_of(run));
        let connection = self.connection().await?;
        let found: Option<(i64, String)> = sqlx::query_as("SELECT id, status FROM runs WHERE run_id = $1")
            .bind(run.as_str())
            .fetch_optional(&mut *connection)
            .await?;
        let id = open_run(run, found)?;
        if let Some(lease) = self.leases.get(run) {
            return Ok(*lease);
        }
        let connection = self.connection().await?;
        let is_locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(lock).fetch_one(&mut *connection).await?;
        if !is_locked {
            return Err(Refusal::Locked);
        }
        // Waits for a transaction of the one who had the run before. They may have completed it meanwhile.
        let taken = sqlx::query("UPDATE runs SET writer = $1 WHERE id = $2 AND status <> 'completed'")
            .bind(token)
            .bind(id)
            .execute(&mut *connection)
            .await;
        match taken {
            Ok(taken) if taken.rows_affected() == 1 => {
                self.lost.remove(run);
                Ok(self.hold(run, id, false))
            }
            Ok(_) => {
                unlock(connection, lock).await?;
                Err(StoreError::RunClosed(run.clone()).into())
            }
            Err(error) => {
                unlock(connection, lock).await?;
                Err(error.into())
            }
        }
    }

    /// Notes that a run's lock is held.
    pub(crate) fn hold(&mut self, run: &RunId, id: i64, is_plain: bool) -> Lease {
        let lease = Lease { run: id, lock: self.lock_of(run), is_plain };
        self.leases.insert(run.clone(), lease);
        lease
    }

    /// Notes that the run has a record of another repeat or revision than the first.
    pub(crate) fn not_plain(&mut self, run: &RunId) {
        if let Some(lease) = self.leases.get_mut(run) {
            lease.is_plain = false;
        }
    }

    /// Notes that somebody else has taken the run up.
    pub(crate) fn lost(&mut self, run: &RunId) {
        self.leases.remove(run);
        self.lost.insert(run.clone());
    }

    /// Gives a run back.
    pub(crate) async fn release(&mut self, run: &RunId) {
        if let (Some(lease), Link::Open(session)) = (self.leases.remove(run), &mut self.link)
            && unlock(&mut session.connection, lease.lock).await.is_err()
        {
            // With the connection goes the lock.
            self.lose();
        }
    }

    /// The advisory lock of a run.
    pub(crate) fn lock_of(&self, run: &RunId) -> i64 {
        lock_key(&["run", &self.target.schema, run.as_str()])
    }
}

pub(crate) async fn unlock(connection: &mut PgConnection, lock: i64) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(lock).execute(connection).await.map(drop)
}

/// The row of a run that takes records.
pub(crate) fn open_run(run: &RunId, found: Option<(i64, String)>) -> Result<i64, StoreError> {
    match found {
        None => Err(StoreError::RunNotFound(run.clone())),
        Some((_, status)) if status == RunStatus::Completed.as_str() => Err(StoreError::RunClosed(run.clone())),
        Some((id, _)) => Ok(id),
    }
}
