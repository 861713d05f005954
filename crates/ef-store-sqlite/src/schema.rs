//! The tables, and how a file is recognised as ours.

/// The schema version that this build reads and writes; kept in the file's `user_version`.
pub const SCHEMA_VERSION: i64 = 1;

/// Marks a file as a trace store: `EFab`, kept in the file's `application_id`.
pub(crate) const APPLICATION_ID: i64 = 0x4546_6162;

/// The script that leads from each version to the next. They are run in one transaction.
pub(crate) const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [VERSION_1];

/// Digests are blobs of 32 bytes, times are µs since 1970-01-01 UTC, durations are µs, `score`, `error` and `fault` are
/// JSON. A record is one row of `traces` and its rows of `judgments`; payloads are found by their digests.
const VERSION_1: &str = "
CREATE TABLE runs (
    id            INTEGER PRIMARY KEY,
    run_id        TEXT    NOT NULL UNIQUE,
    started_at_us INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('running', 'awaiting', 'aborted', 'completed')),
    head          TEXT    NOT NULL,
    result        TEXT
) STRICT;

CREATE TABLE components (
    id       INTEGER PRIMARY KEY,
    sha256   BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    identity TEXT NOT NULL
) STRICT;

CREATE TABLE payloads (
    sha256  BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    content TEXT NOT NULL
) STRICT;

CREATE TABLE traces (
    run              INTEGER NOT NULL REFERENCES runs,
    row              INTEGER NOT NULL,
    repeat           INTEGER NOT NULL,
    revision         INTEGER NOT NULL,
    item_id          TEXT    NOT NULL,
    evaluator        INTEGER NOT NULL REFERENCES components,
    status           TEXT    NOT NULL CHECK (status IN ('ok', 'timeout', 'error', 'skipped')),
    attempts         INTEGER NOT NULL,
    started_at_us    INTEGER NOT NULL,
    duration_us      INTEGER NOT NULL,
    input            BLOB,
    reference_output BLOB,
    item_metadata    BLOB,
    output           BLOB,
    output_metadata  BLOB,
    error            TEXT,
    fault            TEXT,
    leaf             BLOB    NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (run, row, repeat, revision),
    UNIQUE (run, item_id, repeat, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE judgments (
    run           INTEGER NOT NULL,
    row           INTEGER NOT NULL,
    repeat        INTEGER NOT NULL,
    revision      INTEGER NOT NULL,
    position      INTEGER NOT NULL,
    judge         INTEGER NOT NULL REFERENCES components,
    status        TEXT    NOT NULL CHECK (status IN ('scored', 'unscored', 'error')),
    attempts      INTEGER NOT NULL,
    started_at_us INTEGER NOT NULL,
    duration_us   INTEGER NOT NULL,
    score         TEXT,
    rationale     BLOB,
    cost_usd      REAL,
    error         TEXT,
    PRIMARY KEY (run, row, repeat, revision, position)
) STRICT, WITHOUT ROWID;
";

/// Sets what a new file is recognised by; part of the migrating transaction.
pub(crate) const STAMP: &str = "PRAGMA application_id = 1162240354; PRAGMA user_version = 1;";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_says_what_the_constants_say() {
        assert_eq!(STAMP, format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"));
    }
}
