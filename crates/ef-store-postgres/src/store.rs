//! The store itself: one writing connection and a few reading ones.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ef_model::{
    BoxFuture, BoxStream, Digest, Environment, FoundJudgment, Payload, RecordFilter, RecordKey, RunHead, RunId,
    RunResult, RunSummary, Secret, StoreError, StoredRecord, TaskCommit, TraceStore,
};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Connection as _, Postgres, Transaction};
use tokio::sync::Mutex;

use crate::append::Append;
use crate::fault::{self, Refusal};
use crate::patience::{self, Patience};
use crate::runs::{Begin, Finish, Resume};
use crate::session::{self, Purpose};
use crate::target::Target;
use crate::writer::{Attempt, Writer};
use crate::{judgment_keys, keys, migrate, payloads, read};

/// Connections that read, at most: two streams that are compared, and look-ups beside them.
const READERS: u32 = 4;

/// A trace store in a schema of a Postgres database. What [`TraceStore::append`] returned from is committed, and as durable
/// as the server makes it.
///
/// It needs a Tokio runtime, on which its connections live. A store opens up to five: one that writes, made when something
/// is to be written, and four that read.
pub struct PostgresStore {
    writer: Arc<Mutex<Writer>>,
    pub(crate) readers: Arc<Readers>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Opens a store that is there. Nothing is written.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the URI, a variable or a file that it names cannot be understood, the server cannot
    /// be reached, or it refuses the login, the database or the schema; [`StoreError::NotAStore`] when the schema is absent,
    /// empty or another program's; [`StoreError::SchemaVersion`] when another version of eval-fabric made it.
    pub async fn open(uri: &Secret, environment: &Environment) -> Result<Self, StoreError> {
        let target = Arc::new(Target::new(uri, environment)?);
        let checked = async {
            let mut connection = session::connect(&target, Purpose::Read).await?;
            migrate::check(&mut connection, &target).await?;
            // What matters is known, however the connection ends.
            let _ = connection.close().await;
            Ok(())
        };
        checked.await.map_err(|refusal| session::refused(&target, refusal))?;
        let readers = Arc::new(Readers::new(&target));
        Ok(Self { writer: Arc::new(Mutex::new(Writer::new(target))), readers })
    }

    /// Makes the schema and its tables, unless they are there already. The database itself has to be there.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::open`], and when the role may not create a schema in the database.
    pub async fn init(uri: &Secret, environment: &Environment) -> Result<(), StoreError> {
        let target = Target::new(uri, environment)?;
        migrate::init(&target).await.map_err(|refusal| session::refused(&target, refusal))
    }

    /// Leads the schema to a later version, and returns the version that it had. Nobody should be writing meanwhile.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::open`]; [`StoreError::Unavailable`] when `to` is earlier than the version that is there or later
    /// than [`crate::SCHEMA_VERSION`]; [`StoreError::SchemaVersion`] when the one that is there is later than that.
    pub async fn migrate(uri: &Secret, environment: &Environment, to: i64) -> Result<i64, StoreError> {
        let target = Target::new(uri, environment)?;
        migrate::migrate(&target, to).await.map_err(|refusal| session::refused(&target, refusal))
    }

    /// The store's URI without its password, as messages have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.readers.name
    }

    /// How many bytes the store takes on the server, with its indexes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the server cannot be asked.
    pub async fn size(&self) -> Result<u64, StoreError> {
        let ask = || async {
            let bytes: i64 = sqlx::query_scalar(
                "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
                 WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
            )
            .fetch_one(&mut *self.reader().await?)
            .await?;
            Ok(u64::try_from(bytes).unwrap_or(0))
        };
        self.read(ask).await
    }

    /// Closes all connections. Runs that this store was writing are free for others afterwards.
    pub async fn close(&self) {
        self.writer.lock().await.close().await;
        self.readers.pool.close().await;
    }

    /// Writes something. It is done even if the future is dropped: a statement is never left half-way.
    async fn write<A>(&self, prepare: impl FnOnce() -> A + Send + 'static) -> Result<A::Done, StoreError>
    where
        A: Attempt + Send + Sync + 'static,
        A::Done: Send + 'static,
    {
        let writer = Arc::clone(&self.writer);
        let writing = tokio::spawn(async move {
            let work = prepare();
            writer.lock().await.persist(&work).await
        });
        writing.await.unwrap_or_else(|_| Err(fault::unavailable(self.name(), "its writer has stopped")))
    }

    /// See [`Readers::read`].
    pub(crate) async fn read<T, F>(&self, attempt: impl Fn() -> F + Send) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Refusal>> + Send,
    {
        self.readers.read(attempt).await
    }

    /// See [`Readers::connection`].
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.readers.connection().await
    }

    /// A transaction to read from that sees the database as it is now, whatever is written meanwhile.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        self.readers.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await
    }

    pub(crate) fn failed(&self, error: &sqlx::Error) -> StoreError {
        fault::of(self.name(), error)
    }

    pub(crate) fn refused(&self, refusal: Refusal) -> StoreError {
        self.readers.refused(refusal)
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        fault::damaged(self.name(), reason)
    }
}

/// The connections that read.
pub(crate) struct Readers {
    name: String,
    pool: PgPool,
}

impl Readers {
    fn new(target: &Arc<Target>) -> Self {
        let schema = target.schema.clone();
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(patience::FOR_SERVER)
            .idle_timeout(Duration::from_secs(600))
            .after_connect(move |connection, _| {
                let schema = schema.clone();
                Box::pin(async move { session::prepare(connection, &schema, Purpose::Read).await })
            })
            .connect_lazy_with(target.options.clone());
        Self { name: target.name.clone(), pool }
    }

    /// A connection that reads. One that was lost while nobody used it is made anew.
    pub(crate) async fn connection(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        self.pool.acquire().await
    }

    /// Reads something, again and again while the server is being restarted or the network is down.
    pub(crate) async fn read<T, F>(&self, attempt: impl Fn() -> F + Send) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Refusal>> + Send,
    {
        let mut patience = Patience::default();
        loop {
            let limit = session::ATTEMPT;
            let silence = |_| Err(Refusal::Sql(fault::silence(limit.as_secs())));
            match tokio::time::timeout(limit, attempt()).await.unwrap_or_else(silence) {
                Ok(done) => return Ok(done),
                Err(Refusal::Sql(error)) if fault::may_pass(&error) && !matches!(error, sqlx::Error::PoolTimedOut) => {
                    if !patience.pause(patience::FOR_SERVER).await {
                        return Err(fault::of(&self.name, &error));
                    }
                }
                Err(refusal) => return Err(self.refused(refusal)),
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> StoreError {
        match refusal {
            Refusal::Store(error) => error,
            Refusal::Sql(error) => fault::of(&self.name, &error),
            Refusal::Locked => fault::unavailable(&self.name, "somebody else has its lock"),
        }
    }
}

impl TraceStore for PostgresStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        let begin = Begin::new(head);
        Box::pin(self.write(move || begin))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        let resume = Resume(run.clone());
        Box::pin(self.write(move || resume))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        if batch.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        let run = run.clone();
        Box::pin(self.write(move || Append::new(run, batch)))
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        let finish = Finish::new(result);
        Box::pin(self.write(move || finish))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        Box::pin(read::run(self, run))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        Box::pin(read::runs(self, prefix, limit))
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        read::records(self, run, filter)
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        keys::keys(self, run)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(payloads::get(self, digests))
    }

    fn judgments<'a>(&'a self, keys: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<FoundJudgment>>, StoreError>> {
        Box::pin(judgment_keys::get(self, keys))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::close(self))
    }
}
