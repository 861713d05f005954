//! What makes a folder a store: the marker in its root.

use ef_model::StoreError;
use serde::{Deserialize, Serialize};

use crate::blobs::{BlobError, Blobs};
use crate::layout::MARKER;
use crate::schema::SCHEMA_VERSION;

/// What the marker says.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: String,
    schema_version: i64,
}

const FORMAT: &str = "eval-fabric parquet trace store";

/// Checks that there is a store of this version. Nothing is written.
pub(crate) async fn check(blobs: &Blobs) -> Result<(), StoreError> {
    let content = match blobs.tail(MARKER, 1 << 12).await {
        Err(BlobError::NotFound) => return Err(missing(blobs).await),
        content => content.map_err(|error| blobs.failed(&error))?,
    };
    let not_a_store =
        |reason: &str| StoreError::NotAStore { store: blobs.name().to_owned(), reason: reason.to_owned() };
    let marker: Marker =
        serde_json::from_slice(&content).map_err(|_| not_a_store(&format!("its {MARKER} cannot be read")))?;
    if marker.format != FORMAT {
        return Err(not_a_store(&format!("its {MARKER} is of another format")));
    }
    if marker.schema_version != SCHEMA_VERSION {
        let (found, supported) = (marker.schema_version, SCHEMA_VERSION);
        return Err(StoreError::SchemaVersion { store: blobs.name().to_owned(), found, supported });
    }
    Ok(())
}

/// Makes a store where there is nothing yet.
pub(crate) async fn create(blobs: &Blobs) -> Result<(), StoreError> {
    match check(blobs).await {
        Err(StoreError::Unavailable { reason, .. }) if reason == NOT_THERE => {}
        checked => return checked,
    }
    let marker = Marker { format: FORMAT.to_owned(), schema_version: SCHEMA_VERSION };
    let content = serde_json::to_vec(&marker).expect("a marker has a JSON form");
    blobs.prepare().await.map_err(|error| blobs.failed(&error))?;
    match blobs.create(MARKER, vec![content.into()]).await {
        // Perhaps by somebody else, perhaps by an attempt whose answer was lost.
        Ok(()) | Err(BlobError::Exists) => check(blobs).await,
        Err(error) => Err(blobs.failed(&error)),
    }
}

const NOT_THERE: &str = "there is no trace store yet";

/// Why there is no marker.
async fn missing(blobs: &Blobs) -> StoreError {
    match blobs.is_empty().await {
        Ok(true) => blobs.unavailable(NOT_THERE),
        Ok(false) => StoreError::NotAStore {
            store: blobs.name().to_owned(),
            reason: format!("there are files, and no {MARKER} among them"),
        },
        Err(error) => blobs.failed(&error),
    }
}
