//! What has to hold for any bytes that come from outside.
//!
//! Each target is a function of bytes that panics where a promise is broken. The fuzzer looks for such bytes (`cargo xtask
//! fuzz`), and `tests/replay.rs` gives every target its seeds and everything that ever broke it.

mod content;
mod dataset;
mod payload;
mod record;
mod same;
mod spec;
mod store_uri;

/// A way for bytes to come in.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its binary, and of its folders of seeds and crashes.
    pub name: &'static str,
    /// Reads the bytes and checks what was promised of them. Gives whether they were taken; bytes that are refused are
    /// no less interesting.
    ///
    /// # Panics
    ///
    /// When a promise is broken.
    pub check: fn(&[u8]) -> bool,
}

/// All of them.
pub const TARGETS: [Target; 9] = [
    Target { name: "spec", check: spec::check },
    Target { name: "dataset_jsonl", check: dataset::jsonl },
    Target { name: "dataset_json", check: dataset::json },
    Target { name: "dataset_csv", check: dataset::csv },
    Target { name: "dataset_parquet", check: dataset::parquet },
    Target { name: "dataset_compressed", check: dataset::compressed },
    Target { name: "store_uri", check: store_uri::check },
    Target { name: "payload", check: payload::check },
    Target { name: "record", check: record::check },
];

/// Checks one target's promises.
///
/// # Panics
///
/// When a promise is broken, and when there is no such target.
pub fn check(target: &str, bytes: &[u8]) -> bool {
    let target = TARGETS.iter().find(|known| known.name == target).expect("the target is one of TARGETS");
    (target.check)(bytes)
}
