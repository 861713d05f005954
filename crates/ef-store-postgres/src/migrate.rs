//! Making the schema, leading it to another version, and checking it.
//!
//! Only [`crate::PostgresStore::init`] and [`crate::PostgresStore::migrate`] change it, each in one transaction, behind a
//! lock, so that two who do it at once do it one after the other.

use ef_model::{Digest, StoreError};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::fault::{self, Refusal};
use crate::schema::{MIGRATIONS, SCHEMA_VERSION};
use crate::session::{self, Purpose};
use crate::target::Target;

/// What the schema is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// There is none of the name.
    Absent,
    /// There is one with nothing in it.
    Empty,
    /// Ours, of this version.
    Ours(i64),
    /// One with tables of somebody else.
    Foreign,
}

/// Checks that the schema is there and has the version of this build.
pub(crate) async fn check(connection: &mut PgConnection, target: &Target) -> Result<(), Refusal> {
    match found(connection, target).await? {
        Found::Ours(SCHEMA_VERSION) => Ok(()),
        other => Err(refusal(other, target).into()),
    }
}

/// What is wrong with a schema that cannot be used.
fn refusal(found: Found, target: &Target) -> StoreError {
    let (store, schema) = (target.name.clone(), &target.schema);
    let reason = match found {
        Found::Ours(found) => return StoreError::SchemaVersion { store, found, supported: SCHEMA_VERSION },
        Found::Absent => format!("the database has no schema \"{schema}\": it has not been initialised"),
        Found::Empty => format!("the schema \"{schema}\" is empty: it has not been initialised"),
        Found::Foreign => format!("the schema \"{schema}\" holds tables of another program"),
    };
    StoreError::NotAStore { store, reason }
}

async fn found(connection: &mut PgConnection, target: &Target) -> Result<Found, Refusal> {
    let row = sqlx::query(
        "SELECT s.oid IS NOT NULL,
                coalesce(has_schema_privilege(s.oid, 'USAGE'), false),
                EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = s.oid),
                EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = s.oid AND relname = 'schema_versions'),
                current_user::text
         FROM (SELECT to_regnamespace($1)::oid AS oid) s",
    )
    .persistent(false)
    .bind(format!("\"{}\"", target.schema))
    .fetch_one(&mut *connection)
    .await?;
    let [is_there, is_usable, has_tables, is_ours]: [bool; 4] =
        [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?];
    match (is_there, has_tables, is_ours) {
        (false, ..) => return Ok(Found::Absent),
        (true, false, _) => return Ok(Found::Empty),
        (true, true, false) => return Ok(Found::Foreign),
        (true, true, true) => {}
    }
    if !is_usable {
        let (role, schema): (String, _) = (row.try_get(4)?, &target.schema);
        let reason = format!("the role \"{role}\" may not use the schema \"{schema}\" (GRANT USAGE ON SCHEMA)");
        return Err(fault::unavailable(&target.name, reason).into());
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT max(version) FROM schema_versions").persistent(false).fetch_one(connection).await?;
    Ok(Found::Ours(version.unwrap_or(0)))
}

/// Makes the schema, unless it is there already.
pub(crate) async fn init(target: &Target) -> Result<(), Refusal> {
    lead(target, |found| match found {
        Found::Absent | Found::Empty => Ok(0..SCHEMA_VERSION),
        Found::Ours(SCHEMA_VERSION) => Ok(SCHEMA_VERSION..SCHEMA_VERSION),
        other => Err(refusal(other, target)),
    })
    .await
    .map(drop)
}

/// Leads the schema to a later version, and returns the one that it had.
pub(crate) async fn migrate(target: &Target, to: i64) -> Result<i64, Refusal> {
    lead(target, |found| match found {
        Found::Ours(from) if (from..=SCHEMA_VERSION).contains(&to) => Ok(from..to),
        Found::Ours(from) if from <= SCHEMA_VERSION => {
            let reason = format!(
                "its schema version is {from}, and this ef leads it to versions up to {SCHEMA_VERSION}, not to {to}"
            );
            Err(fault::unavailable(&target.name, reason))
        }
        other => Err(refusal(other, target)),
    })
    .await
}

/// Runs the scripts between two versions, which are chosen by what is found, and returns the first.
async fn lead(
    target: &Target,
    choose: impl Fn(Found) -> Result<std::ops::Range<i64>, StoreError> + Send,
) -> Result<i64, Refusal> {
    let mut connection = session::connect(target, Purpose::Migrate).await?;
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(lock_key(&["schema", &target.schema]))
        .execute(&mut *transaction)
        .await?;
    let found = found(&mut transaction, target).await?;
    let steps = choose(found)?;
    if found == Found::Absent {
        let create = AssertSqlSafe(format!("CREATE SCHEMA \"{}\"", target.schema));
        sqlx::raw_sql(create).execute(&mut *transaction).await?;
    }
    for (version, script) in (1..).zip(MIGRATIONS) {
        if steps.start < version && version <= steps.end {
            sqlx::raw_sql(script).execute(&mut *transaction).await?;
            sqlx::query("INSERT INTO schema_versions (version) VALUES ($1)")
                .bind(version)
                .execute(&mut *transaction)
                .await?;
        }
    }
    transaction.commit().await?;
    // What is done is done, however the connection ends.
    let _ = connection.close().await;
    Ok(steps.start)
}

/// The key of an advisory lock: these are numbers, the same for all programs that use the database.
pub(crate) fn lock_key(parts: &[&str]) -> i64 {
    let digest = Digest::of(format!("eval-fabric\n{}", parts.join("\n")).as_bytes());
    let bytes: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    i64::from_be_bytes(bytes)
}
