//! How the tables are written: compression, dictionaries, statistics.

use arrow::datatypes::Schema;
use ef_model::RunId;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::schema;

/// Rows of a row group, which readers take as a unit.
const GROUP_ROWS: usize = 1 << 17;

/// Rows of a page, which is made and taken apart in memory, in each column.
const PAGE_ROWS: usize = 1 << 13;

/// Properties of a run's part of the table with these columns.
pub(crate) fn properties(run: &RunId, schema: &Schema) -> WriterProperties {
    let plain = ["row", "item_id", "started_at", "duration_us", "content", "bytes"];
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_created_by(concat!("eval-fabric ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![
            KeyValue::new("eval_fabric.schema_version".to_owned(), schema::SCHEMA_VERSION.to_string()),
            KeyValue::new("eval_fabric.run_id".to_owned(), run.to_string()),
        ]));
    for field in schema.fields() {
        let (name, column) = (field.name(), ColumnPath::from(field.name().as_str()));
        // Of an evaluator or a judge there are few digests; elsewhere each is another.
        let digest = name.ends_with("_sha256") && !name.starts_with("evaluator") && !name.starts_with("judge")
            || name == "sha256";
        if digest || plain.contains(&name.as_str()) {
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
        }
        if digest {
            // Digests are random: there is nothing to find in them.
            properties = properties.set_column_compression(column.clone(), Compression::UNCOMPRESSED);
        }
        if digest || name == "content" {
            properties = properties.set_column_statistics_enabled(column.clone(), EnabledStatistics::None);
        }
        if name == "content" || name == "sha256" {
            // Small pages, because payloads are looked up by few.
            properties = properties.set_column_data_page_size_limit(column, 64 << 10).set_write_batch_size(64);
        }
    }
    properties.build()
}
