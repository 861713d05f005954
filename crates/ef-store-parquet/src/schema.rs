//! The columns. They are a public format: the README documents them.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// The version of the layout and the columns, which the marker in the store's root names.
pub const SCHEMA_VERSION: i64 = 1;

const INT: DataType = DataType::Int64;
const TEXT: DataType = DataType::Utf8;
const DOUBLE: DataType = DataType::Float64;
const BOOL: DataType = DataType::Boolean;
/// SHA-256.
const DIGEST: DataType = DataType::FixedSizeBinary(32);

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn is(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn may_be(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

/// A row for each record.
pub(crate) static TRACES: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(vec![
        is("row", INT),
        is("repeat", INT),
        is("revision", INT),
        is("item_id", TEXT),
        is("status", TEXT),
        is("attempts", INT),
        is("started_at", time()),
        is("duration_us", INT),
        may_be("cost_usd", DOUBLE),
        may_be("input_tokens", INT),
        may_be("output_tokens", INT),
        may_be("input_sha256", DIGEST),
        may_be("reference_output_sha256", DIGEST),
        may_be("item_metadata_sha256", DIGEST),
        may_be("output_sha256", DIGEST),
        may_be("output_metadata_sha256", DIGEST),
        may_be("error_kind", TEXT),
        may_be("error_code", TEXT),
        may_be("error_message", TEXT),
        may_be("error_detail_sha256", DIGEST),
        may_be("fault_kind", TEXT),
        may_be("fault_message", TEXT),
        may_be("fault_bytes", INT),
        may_be("fault_sha256", DIGEST),
        is("evaluator_id", TEXT),
        is("evaluator_version", TEXT),
        is("evaluator_source", TEXT),
        is("evaluator_sha256", DIGEST),
        is("judgments", INT),
        is("leaf_sha256", DIGEST),
    ])
});

/// A row for each judgment.
pub(crate) static JUDGMENTS: LazyLock<SchemaRef> = LazyLock::new(|| {
    schema(vec![
        is("row", INT),
        is("repeat", INT),
        is("revision", INT),
        is("judgment", INT),
        is("item_id", TEXT),
        is("judge", TEXT),
        is("status", TEXT),
        may_be("score", DOUBLE),
        may_be("score_bool", BOOL),
        may_be("score_label", TEXT),
        may_be("score_object", TEXT),
        may_be("rationale_sha256", DIGEST),
        may_be("error_kind", TEXT),
        may_be("error_code", TEXT),
        may_be("error_message", TEXT),
        may_be("error_detail_sha256", DIGEST),
        is("attempts", INT),
        is("started_at", time()),
        is("duration_us", INT),
        may_be("cost_usd", DOUBLE),
        may_be("input_tokens", INT),
        may_be("output_tokens", INT),
        may_be("reused_from", TEXT),
        is("judge_id", TEXT),
        is("judge_version", TEXT),
        is("judge_source", TEXT),
        is("judge_sha256", DIGEST),
        is("judge_config_sha256", DIGEST),
        is("determinism", TEXT),
    ])
});

/// A row for each payload.
pub(crate) static PAYLOADS: LazyLock<SchemaRef> =
    LazyLock::new(|| schema(vec![is("sha256", DIGEST), is("bytes", INT), is("content", TEXT)]));

/// What the published tables of traces and judgments have besides: whether the record is the latest revision.
pub(crate) const LATEST: &str = "latest";

/// Those columns with [`LATEST`] behind them.
pub(crate) fn published(columns: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<_> = columns.fields().iter().cloned().collect();
    fields.push(Arc::new(is(LATEST, BOOL)));
    Arc::new(Schema::new(fields))
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}
