//! Opening: the schema is checked before anything is touched.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use ef_model::StoreError;
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{Connection as _, Row, SqliteConnection};

use crate::schema::{APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION, STAMP};
use crate::{cut, fault};

/// Large pages: a commit writes each changed page with two system calls, and most pages are new ones full of payloads.
const PAGE_BYTES: u32 = 16 << 10;

/// Pages of the write-ahead log after which it is copied into the database: 64 MiB. A busy page of an index is then
/// copied once for many commits.
const CHECKPOINT_PAGES: u32 = 4096;

/// Pages that the writing connection keeps in memory, as SQLite takes it (negative: KiB): what one commit changes should
/// fit, or it is written twice. A long run is not quicker with 12 MiB; it has the kernel read a few pages again with 4.
const WRITER_CACHE: i32 = -4096;
/// The same of a reading connection, which reads each page once.
const READER_CACHE: i32 = -2048;

/// Prepared statements that the writing connection keeps: more than there are.
const WRITER_STATEMENTS: usize = 32;

/// How long a connection waits for another's lock: two runs may share a file.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a file is found to be.
enum Found {
    /// A store of the version that this build works with.
    Ours,
    /// An SQLite file with nothing in it yet.
    Empty,
}

/// A connection that writes, to a file that is known to be ours. It has the settings of [`options`].
pub(crate) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(WRITER_STATEMENTS);
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA cache_size = {WRITER_CACHE};"
    ))?;
    Ok(connection)
}

/// How a connection that reads is made.
pub(crate) fn reader_options(path: &Path) -> SqliteConnectOptions {
    options(path).pragma("cache_size", READER_CACHE.to_string())
}

/// What all connections have in common once the file is known to be ours.
pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    bare_options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .page_size(PAGE_BYTES)
        // The journals of single statements are not for durability: no file is made for them.
        .pragma("temp_store", "MEMORY")
        .busy_timeout(PATIENCE)
}

fn bare_options(path: &Path) -> SqliteConnectOptions {
    // References are ours to keep: checking each would cost a look-up a payload.
    SqliteConnectOptions::new().filename(path).create_if_missing(false).foreign_keys(false)
}

/// Checks that the file is a trace store of our version.
pub(crate) async fn check(path: &Path) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(fault::unavailable(path, "there is no such file"));
    }
    match inspect(path).await? {
        Found::Ours => Ok(()),
        Found::Empty => Err(StoreError::NotAStore { store: fault::name(path), reason: "the file is empty".to_owned() }),
    }
}

/// Makes the file a trace store of our version if there is none or it is empty, and checks it otherwise.
pub(crate) async fn create(path: &Path) -> Result<(), StoreError> {
    create_file(path)?;
    match inspect(path).await? {
        Found::Ours => Ok(()),
        Found::Empty => initialise(path).await,
    }
}

/// Makes the file, and folders above it, readable by their owner alone. SQLite gives its side files the same mode.
fn create_file(path: &Path) -> Result<(), StoreError> {
    let refused = |error: std::io::Error| fault::unavailable(path, format!("it cannot be created: {}", error.kind()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(refused)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(refused(error)),
        _ => Ok(()),
    }
}

async fn inspect(path: &Path) -> Result<Found, StoreError> {
    if path.is_dir() {
        return Err(StoreError::NotAStore { store: fault::name(path), reason: "it is a folder".to_owned() });
    }
    // What cannot be read is told by SQLite.
    if cut::is_cut(path).unwrap_or(false) {
        return Err(fault::damaged(path, "the file is shorter than it was: its end is missing"));
    }
    let [application, version, objects] = stamps(path).await.map_err(|error| fault::of(path, &error))?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => Ok(Found::Ours),
        (APPLICATION_ID, found) => {
            Err(StoreError::SchemaVersion { store: fault::name(path), found, supported: SCHEMA_VERSION })
        }
        (0, 0) if objects == 0 => Ok(Found::Empty),
        _ => Err(StoreError::NotAStore {
            store: fault::name(path),
            reason: "it is an SQLite database of another program".to_owned(),
        }),
    }
}

/// The file's application id, its schema version, and how many tables and the like it has. Reads alone.
async fn stamps(path: &Path) -> Result<[i64; 3], sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&bare_options(path)).await?;
    let row = sqlx::query(
        "SELECT (SELECT application_id FROM pragma_application_id),
                (SELECT user_version FROM pragma_user_version),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok([row.get(0), row.get(1), row.get(2)])
}

/// Makes the tables. Another process may be doing the same, and SQLite does not wait for a lock while it changes the
/// journal mode: so this does.
async fn initialise(path: &Path) -> Result<(), StoreError> {
    let began = Instant::now();
    loop {
        match try_initialise(path).await {
            Err(error) if fault::is_busy(&error) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            result => return result.map_err(|error| fault::of(path, &error)),
        }
    }
}

/// One transaction: the file is a whole trace store or still empty.
async fn try_initialise(path: &Path) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&options(path)).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    if version == 0 {
        for script in MIGRATIONS {
            sqlx::raw_sql(script).execute(&mut *transaction).await?;
        }
        sqlx::raw_sql(STAMP).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await
}
