//! The tables.

/// The schema version that this build reads and writes: the highest in the table `schema_versions`.
pub const SCHEMA_VERSION: i64 = 1;

/// The script that leads from each version to the next. They are run in one transaction.
pub(crate) const MIGRATIONS: [&str; SCHEMA_VERSION as usize] = [VERSION_1];

/// Digests are 32 bytes. A record is one row of `traces`, so that it is there whole or not at all. There are no foreign
/// keys: only this crate writes, and checking each would cost a look-up. Texts are compared byte by byte.
const VERSION_1: &str = r#"
CREATE TABLE schema_versions (
    version    bigint      PRIMARY KEY,
    made_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE runs (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        text   COLLATE "C" NOT NULL UNIQUE,
    started_at_us bigint NOT NULL,
    status        text   NOT NULL CHECK (status IN ('running', 'awaiting', 'aborted', 'completed')),
    head          text   NOT NULL,
    result        text,
    writer        bigint NOT NULL
);

CREATE TABLE components (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256   bytea NOT NULL UNIQUE CHECK (octet_length(sha256) = 32),
    identity text  NOT NULL
);

CREATE TABLE payloads (
    sha256  bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    content text  NOT NULL
);

CREATE TABLE traces (
    run              bigint NOT NULL,
    row              bigint NOT NULL,
    repeat           bigint NOT NULL,
    revision         bigint NOT NULL,
    item_id          text   COLLATE "C" NOT NULL,
    evaluator        bigint NOT NULL,
    status           text   NOT NULL CHECK (status IN ('ok', 'timeout', 'error', 'skipped')),
    attempts         bigint NOT NULL,
    started_at_us    bigint NOT NULL,
    duration_us      bigint NOT NULL,
    input            bytea,
    reference_output bytea,
    item_metadata    bytea,
    cost_usd         double precision,
    input_tokens     bigint,
    output_tokens    bigint,
    output           bytea,
    output_metadata  bytea,
    error            text,
    fault            text,
    judgments        text   NOT NULL,
    leaf             bytea  NOT NULL CHECK (octet_length(leaf) = 32),
    PRIMARY KEY (run, row, repeat, revision),
    UNIQUE (run, item_id, repeat, revision)
);

CREATE TABLE judgment_keys (
    key      bytea  PRIMARY KEY CHECK (octet_length(key) = 32),
    run      bigint NOT NULL,
    row      bigint NOT NULL,
    repeat   bigint NOT NULL,
    revision bigint NOT NULL,
    judgment bigint NOT NULL
);

-- Postgres's JSON functions refuse a text with an escaped NUL, so the view shows U+FFFD in its place.
CREATE VIEW judgments AS
SELECT r.run_id, t.row, t.repeat, t.revision, t.item_id,
       c.identity ->> 'name'    AS judge,
       c.identity ->> 'id'      AS judge_id,
       c.identity ->> 'version' AS judge_version,
       j.value ->> 'status'     AS status,
       j.value -> 'score'       AS score,
       CASE json_typeof(j.value -> 'score')
            WHEN 'number'  THEN (j.value ->> 'score')::double precision
            WHEN 'boolean' THEN (j.value ->> 'score')::boolean::int
       END                      AS number,
       (j.value #>> '{usage,cost_usd}')::double precision AS cost_usd,
       (j.value #>> '{usage,input_tokens}')::bigint       AS input_tokens,
       (j.value #>> '{usage,output_tokens}')::bigint      AS output_tokens,
       (j.value ->> 'attempts')::bigint    AS attempts,
       (j.value ->> 'duration_us')::bigint AS duration_us,
       j.value ->> 'reused_from'           AS reused_from,
       j.value ->> 'rationale'             AS rationale,
       j.value -> 'error'                  AS error
FROM traces t
     JOIN runs r ON r.id = t.run
     CROSS JOIN LATERAL json_array_elements(replace(t.judgments, '\u0000', '\ufffd')::json) j
     JOIN (SELECT id, replace(identity, '\u0000', '\ufffd')::json AS identity FROM components) c
          ON c.id = (j.value ->> 'judge')::bigint;

COMMENT ON TABLE schema_versions IS 'The versions of this schema, the highest being the present one';
COMMENT ON TABLE runs IS 'Evaluations: what each began with (head) and came to (result), as JSON';
COMMENT ON COLUMN runs.started_at_us IS 'µs since 1970-01-01 UTC';
COMMENT ON COLUMN runs.writer IS 'A token of the one who took the run up last: nobody else can add records';
COMMENT ON TABLE components IS 'Evaluators and judges: who they are, as JSON, once by its SHA-256';
COMMENT ON TABLE payloads IS 'Inputs, references, outputs, metadata, rationales: JSON text as it arrived, once by its SHA-256';
COMMENT ON TABLE traces IS 'Records: an evaluator''s call on an item with the judgments on it. Never changed, never deleted';
COMMENT ON COLUMN traces.row IS 'The dataset row, from 1';
COMMENT ON COLUMN traces.revision IS 'The highest counts';
COMMENT ON COLUMN traces.evaluator IS 'Its id in components';
COMMENT ON COLUMN traces.started_at_us IS 'µs since 1970-01-01 UTC';
COMMENT ON COLUMN traces.input IS 'Like all columns of 32 bytes here the SHA-256 of a payload';
COMMENT ON COLUMN traces.judgments IS 'JSON, where judge is an id in components; the view judgments takes it apart';
COMMENT ON COLUMN traces.leaf IS 'RFC 6962 leaf digest of the record: what the run''s root digest is made of';
COMMENT ON TABLE judgment_keys IS 'Leads from what a judgment depends on to the judgment, so that it need not be made again';
COMMENT ON VIEW judgments IS 'Judgments, one a row. number is the score where it is a number or a truth value';
"#;
