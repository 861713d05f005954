//! Reading the dataset on a thread of its own: it may block, on a pipe for ever.

use ef_model::{DatasetRow, Digest, ItemSource, SourceError};
use tokio::sync::mpsc;

/// Rows that are read ahead.
const AHEAD: usize = 64;

/// What the reading thread sends.
pub(crate) enum Fed {
    /// A row.
    Row(DatasetRow),
    /// There are no more.
    End {
        /// The dataset's digest, where all of it was read.
        digest: Option<Digest>,
    },
    /// There are no more that can be read.
    Failed(SourceError),
}

/// Starts the thread. It ends with the dataset, or at the first row that nobody waits for.
pub(crate) fn start(mut source: Box<dyn ItemSource>) -> std::io::Result<mpsc::Receiver<Fed>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::Builder::new().name("ef-dataset".to_owned()).spawn(move || {
        loop {
            let fed = match source.next_row() {
                Ok(Some(row)) => Fed::Row(row),
                Ok(None) => Fed::End { digest: source.digest() },
                Err(error) => Fed::Failed(error),
            };
            let last = !matches!(fed, Fed::Row(_));
            if sender.blocking_send(fed).is_err() || last {
                return;
            }
        }
    })?;
    Ok(receiver)
}
