//! Seeds: the same for the same spec, item and component in every run.

use ef_model::{Digest, ItemId};

/// The seed of one item's calls to one component: the first eight bytes, little-endian, of SHA-256 over the run's seed,
/// the repeat, the component's name and the item's id.
pub(crate) fn of_call(run_seed: u64, repeat: u32, component: &str, item_id: &ItemId) -> u64 {
    let length = component.len() as u64;
    first_bytes(Digest::of_parts(&[
        &run_seed.to_le_bytes(),
        &repeat.to_le_bytes(),
        &length.to_le_bytes(),
        component.as_bytes(),
        item_id.as_str().as_bytes(),
    ]))
}

/// A number between 0 and 1 for the jitter of one attempt.
pub(crate) fn jitter(call_seed: u64, attempt: u32) -> f64 {
    let bits = first_bytes(Digest::of_parts(&[&call_seed.to_le_bytes(), &attempt.to_le_bytes(), b"jitter"]));
    // The upper 53 bits fill a double's mantissa.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

fn first_bytes(digest: Digest) -> u64 {
    let bytes: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    u64::from_le_bytes(bytes)
}
