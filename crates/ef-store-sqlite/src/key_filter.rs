//! Which keys may be in the index of payloads: a filter that answers most look-ups without the database.

/// Bits of the filter: 1 MiB of memory, whatever the size of the store.
const BITS: u64 = 1 << 23;

/// A Bloom filter with two bits a key. A key that it does not know is certainly not in the index; one that it knows must
/// be looked up.
#[derive(Debug)]
pub(crate) struct KeyFilter(Box<[u64]>);

impl KeyFilter {
    /// A filter that knows no key.
    pub(crate) fn new() -> Self {
        Self(vec![0; usize::try_from(BITS / 64).expect("the filter fits into memory")].into_boxed_slice())
    }

    /// Whether a key may be in the index.
    pub(crate) fn may_have(&self, key: i64) -> bool {
        places(key).into_iter().all(|(word, bit)| self.0[word] & bit != 0)
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, key: i64) {
        for (word, bit) in places(key) {
            self.0[word] |= bit;
        }
    }
}

/// A key's two bits. A key is a part of a SHA-256: its halves are as good as two hashes of it.
fn places(key: i64) -> [(usize, u64); 2] {
    let key = key.cast_unsigned();
    [key >> 32, key & 0xffff_ffff].map(|half| {
        let bit = half % BITS;
        (usize::try_from(bit / 64).expect("the filter fits into memory"), 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_there_and_most_else_is_not() {
        let mut filter = KeyFilter::new();
        let key = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed();
        (0..100_000).for_each(|number| filter.add(key(number)));
        assert!((0..100_000).all(|number| filter.may_have(key(number))));
        let mistaken = (100_000..200_000).filter(|number| filter.may_have(key(*number))).count();
        assert!(mistaken < 1000, "{mistaken} of 100,000 keys are taken for known");
    }
}
