//! What to do about a store that does not do what it should.

use ef_model::StoreError;

use super::argument::quoted;

/// What to do where no more is known than the error.
pub(crate) fn hint(error: &StoreError) -> Option<String> {
    let hint = match error {
        StoreError::Unavailable { store, .. } => unavailable(store),
        StoreError::SchemaVersion { found, supported, .. } if found > supported => {
            "a newer ef made it: update ef, or use another --store"
        }
        StoreError::SchemaVersion { store, supported, .. } => return Some(migrate(store, *supported)),
        StoreError::NotAStore { store, .. } => return Some(not_a_store(store)),
        StoreError::Damaged { store, .. } => damaged(store),
        StoreError::Conflict { .. } => "item ids are unique in a dataset: map another column to item_id",
        StoreError::RunExists(_) => "choose another --run-id, or leave it out",
        StoreError::RunBusy(_) => "wait for it, or end it; a writer that is gone holds nobody for long",
        StoreError::RunNotFound(_) => "`ef runs` lists the runs",
        StoreError::RunClosed(_) => return None,
    };
    Some(hint.to_owned())
}

/// The same where the store's URI, without a password, is known: then a command can be told that works.
pub(super) fn of_location(error: &StoreError, uri: &str) -> Option<String> {
    match error {
        StoreError::SchemaVersion { found, supported, .. } if found < supported => Some(migrate(uri, *supported)),
        StoreError::NotAStore { .. } => Some(not_a_store(uri)),
        // Where there is nothing at all, files are no store yet, and are not something else either.
        StoreError::Unavailable { reason, .. } if reason.ends_with("there is no trace store yet") => {
            Some(not_a_store(uri))
        }
        _ => None,
    }
}

fn migrate(uri: &str, supported: i64) -> String {
    let command = format!("ef tracestore migrate {} --to {supported}", quoted(uri));
    format!("an older ef made it: `{command}` brings it up to date, after which older ones cannot read it")
}

fn unavailable(store: &str) -> &'static str {
    match scheme(store) {
        "postgres" | "postgresql" => {
            "check that the server runs and can be reached, the user, its password (PGPASSWORD or ~/.pgpass) and its \
             rights, and the database's name"
        }
        "parquet" => "check the folder, its permissions and the room on its disk",
        "s3" => {
            "check the bucket, AWS_REGION or AWS_ENDPOINT_URL, and the credentials: AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY"
        }
        "gs" | "az" => "check the bucket or container, and the credentials in the environment",
        _ => {
            "check the path, its permissions and the room on its disk, or name another file with --store sqlite://PATH"
        }
    }
}

fn not_a_store(uri: &str) -> String {
    match scheme(uri) {
        "sqlite" => "name another file with --store sqlite://PATH; ef makes it".to_owned(),
        _ => format!(
            "`ef tracestore init {}` makes a store where there is room for one; --store names another",
            quoted(uri)
        ),
    }
}

fn damaged(store: &str) -> &'static str {
    match scheme(store) {
        "sqlite" => "restore the file from a copy; `PRAGMA integrity_check` tells more",
        "postgres" | "postgresql" => "restore the database from a backup; `ef verify RUN` tells which runs are whole",
        _ => "restore the files from a copy; `ef verify RUN` tells which runs are whole",
    }
}

fn scheme(uri: &str) -> &str {
    uri.split_once("://").map_or("sqlite", |(scheme, _)| scheme)
}
