//! Public datasets, for tests that hold their results against what others have published.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file of the public datasets that are kept beside a checkout of eval-fabric, in `shared/data/`, and never in it.
///
/// `None` where it is not there: then it says on standard error that the test is skipped.
#[must_use]
pub fn public_data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_file() {
        return Some(path);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {}", path.display());
    None
}
