//! The tables, and how a file is recognised as ours.

/// The schema version that this build reads and writes; kept in the file's `user_version`.
pub const SCHEMA_VERSION: i64 = 1;

/// Marks a file as a trace store: `EFab`, kept in the file's `application_id`.
pub(crate) const APPLICATION_ID: i64 = 0x4546_6162;

/// The script that leads from each version to the next. They are run in one transaction.
pub(crate) const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [VERSION_1];

/// Digests are blobs of 32 bytes, times are µs since 1970-01-01 UTC, durations are µs; `error`, `fault` and `judgments`
/// are JSON. A record is one row of `traces`, so that it is there whole or not at all. `judgment_keys` leads from what a
/// costly judgment depends on to the judgment. `payload_keys` leads from a digest to
/// its payload for those with ids up to the last `up_to` of `payload_key_merges`. The view `judgments` is for people who
/// query the file.
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
    id      INTEGER PRIMARY KEY,
    sha256  BLOB NOT NULL CHECK (length(sha256) = 32),
    content TEXT NOT NULL
) STRICT;

CREATE TABLE payload_keys (
    key INTEGER NOT NULL,
    id  INTEGER NOT NULL REFERENCES payloads,
    PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE payload_key_merges (
    up_to INTEGER PRIMARY KEY
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
    usage            TEXT,
    judgments        TEXT    NOT NULL,
    leaf             BLOB    NOT NULL CHECK (length(leaf) = 32),
    PRIMARY KEY (run, row, repeat, revision),
    UNIQUE (run, item_id, repeat, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE judgment_keys (
    key      BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    run      INTEGER NOT NULL,
    row      INTEGER NOT NULL,
    repeat   INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    judgment INTEGER NOT NULL,
    FOREIGN KEY (run, row, repeat, revision) REFERENCES traces
) STRICT, WITHOUT ROWID;

CREATE VIEW judgments AS
SELECT runs.run_id, t.row, t.repeat, t.revision, t.item_id,
       c.identity ->> 'name'    AS judge,
       c.identity ->> 'id'      AS judge_id,
       c.identity ->> 'version' AS judge_version,
       j.value ->> 'status'     AS status,
       j.value -> 'score'       AS score,
       CASE WHEN json_type(j.value, '$.score') IN ('true', 'false', 'integer', 'real')
            THEN CAST(j.value ->> 'score' AS REAL) END AS number,
       j.value ->> '$.usage.cost_usd' AS cost_usd,
       j.value ->> '$.usage.input_tokens' AS input_tokens,
       j.value ->> '$.usage.output_tokens' AS output_tokens,
       j.value ->> 'attempts'   AS attempts,
       j.value ->> 'duration_us' AS duration_us,
       j.value ->> 'reused_from' AS reused_from,
       j.value -> 'error'       AS error
FROM traces t JOIN runs ON runs.id = t.run, json_each(t.judgments) j
     JOIN components c ON c.id = j.value ->> 'judge';
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
