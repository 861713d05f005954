//! What is given to users and how they check it: `cargo xtask dist`, `sign`, `verify` and `repro`.
//!
//! A release is a folder: an archive, the SBOM of the program in it, the provenance of both, their SHA-256 sums, and the
//! signature of the sums.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

mod archive;
mod build;
pub(crate) mod commit;
pub(crate) mod dist;
mod provenance;
pub(crate) mod repro;
pub(crate) mod sign;
mod sums;
pub(crate) mod toolchain;
pub(crate) mod verify;

/// The file with the sums of the others.
const SUMS: &str = "SHA256SUMS";

/// The signature of the sums.
const SIGNATURE: &str = "SHA256SUMS.minisig";

/// How the names of the files end that a release consists of.
const ARCHIVE: &str = ".tar.gz";
const SBOM: &str = ".cdx.json";
const PROVENANCE: &str = ".intoto.json";

/// SHA-256 in hexadecimal.
fn sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
