//! What the task hands to the example that writes the document.

use serde::{Deserialize, Serialize};

/// A program and what is linked into it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Linked {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: String,
    pub(crate) repository: String,
    /// The commit that it is built from, in hexadecimal.
    pub(crate) commit: String,
    /// When that commit was made, as RFC 3339: the document has no time of its own, so that it can be made again.
    pub(crate) time: String,
    /// The target triple.
    pub(crate) target: String,
    /// SHA-256 of the program, in hexadecimal, where there is one already.
    pub(crate) sha256: Option<String>,
    /// The id of the package that has the program.
    pub(crate) root: String,
    pub(crate) packages: Vec<Package>,
}

/// A package that is linked into it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    /// SHA-256 of the published crate, in hexadecimal; nothing for a crate of the program's own repository.
    pub(crate) checksum: Option<String>,
    /// The features that it is built with, separated by commas.
    pub(crate) features: String,
    /// The ids of the packages that it uses.
    pub(crate) uses: Vec<String>,
}
