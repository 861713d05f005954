//! `ef tracestore info`: what is in a store.

use ef_model::StoreInfo;
use serde_json::json;

use super::Subject;
use crate::Exit;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::stores::Location;

/// Tell what is in a trace store
///
/// Its schema version, how many runs and records it holds, and its size with indexes and logs where that is known. Of a
/// store of another schema version only the version and the size are told.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) async fn execute(args: Args) -> Result<Exit, Failure> {
    let location = args.subject.location()?;
    location.check_presence()?;
    let admin = location.admin();
    let info = admin.info().await.map_err(|error| location.failed(error))?;
    let supported = admin.supported_version();
    output::print(&match args.format {
        Format::Text => text(&location, &info, supported),
        Format::Json => format!("{:#}\n", value(&location, &info, supported)),
    })?;
    Ok(Exit::Done)
}

fn text(location: &Location, info: &StoreInfo, supported: i64) -> String {
    let mut text = format!("store           {}\n", ef_report::visible(location.shown()));
    text += &match info.schema_version {
        version if version == supported => format!("schema version  {version}\n"),
        version => format!("schema version  {version}, and this ef works with version {supported}\n"),
    };
    if let Some(content) = &info.content {
        text += &format!("runs            {}\nrecords         {}\n", content.runs, content.records);
    }
    if let Some(bytes) = info.bytes {
        text += &format!("size            {}\n", size(bytes));
    }
    text
}

/// Bytes, in the unit that a person would name.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes * 10 / 1024;
    let mut unit = 0;
    while tenths >= 10240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

fn value(location: &Location, info: &StoreInfo, supported: i64) -> serde_json::Value {
    json!({
        "store": location.shown(),
        "schema_version": info.schema_version,
        "supported_version": supported,
        "runs": info.content.map(|content| content.runs),
        "records": info.content.map(|content| content.records),
        "bytes": info.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn a_size_has_the_unit_that_a_person_would_name() {
        let sizes = [0, 1023, 1024, 1536, 1 << 20, (1 << 30) - 1, 5 << 40];
        let expected = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1023.9 MiB", "5.0 TiB"];
        assert_eq!(sizes.map(size), expected);
    }
}
