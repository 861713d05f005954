//! The payloads that came last, known in memory because their keys are not in the index yet.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, VacantEntry};

use ef_model::Digest;

/// Payloads that a tail holds before their keys go into the index. With a batch on top they fit into a map of 2^16 places,
/// which takes 2.6 MiB; one more would double it.
const MANY: usize = 48 << 10;
/// Bytes of payloads after which they go there too: whoever opens the store reads past all of them.
const LARGE: usize = 64 << 20;

/// The payloads after the last one whose key is in the index, as far as they were read or written.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    indexed: i64,
    last: i64,
    ids: HashMap<Digest, i64>,
    bytes: usize,
}

impl Tail {
    /// An empty tail behind the payload of this id.
    pub(crate) fn after(indexed: i64) -> Self {
        Self { indexed, last: indexed, ..Self::default() }
    }

    /// Empties the tail: the payloads up to this id are in the index now. Keeps the memory, which will be needed again.
    pub(crate) fn restart(&mut self, indexed: i64) {
        self.ids.clear();
        (self.indexed, self.last, self.bytes) = (indexed, indexed, 0);
    }

    /// The id of the payload before the tail, the last whose key is in the index.
    pub(crate) const fn indexed(&self) -> i64 {
        self.indexed
    }

    /// The id of the last payload that is known, in the tail or before it.
    pub(crate) const fn last(&self) -> i64 {
        self.last
    }

    /// Adds a payload that was read, with its size in bytes.
    pub(crate) fn push(&mut self, id: i64, digest: Digest, size: usize) {
        self.last = self.last.max(id);
        self.bytes += size;
        self.ids.insert(digest, id);
    }

    /// The place of a payload that is not in the tail, for whoever wants to add it.
    pub(crate) fn place_for(&mut self, digest: Digest) -> Option<Place<'_>> {
        match self.ids.entry(digest) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => Some(Place { entry, last: &mut self.last, bytes: &mut self.bytes }),
        }
    }

    /// The id of a payload, if it is in the tail.
    pub(crate) fn find(&self, digest: Digest) -> Option<i64> {
        self.ids.get(&digest).copied()
    }

    /// Whether the keys should go into the index.
    pub(crate) fn is_long(&self) -> bool {
        self.ids.len() >= MANY || self.bytes >= LARGE
    }

    /// All keys with their ids, in the order of the index.
    pub(crate) fn keys(&self) -> Vec<(i64, i64)> {
        let mut keys: Vec<_> = self.ids.iter().map(|(digest, id)| (key(*digest), *id)).collect();
        keys.sort_unstable();
        keys
    }
}

/// A free place in a tail.
pub(crate) struct Place<'t> {
    entry: VacantEntry<'t, Digest, i64>,
    last: &'t mut i64,
    bytes: &'t mut usize,
}

impl Place<'_> {
    /// Adds the payload, which has this size in bytes, and gives its id: the next.
    pub(crate) fn take(self, size: usize) -> i64 {
        *self.last += 1;
        *self.bytes += size;
        *self.entry.insert(*self.last)
    }
}

/// A payload's key in the index: the first eight bytes of its digest, as SQLite's integers have them.
pub(crate) fn key(digest: Digest) -> i64 {
    let bytes: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_le_bytes())
    }

    #[test]
    fn a_tail_becomes_long_by_the_number_of_payloads_or_by_their_size() {
        let mut tail = Tail::after(7);
        for number in 0..MANY {
            assert!(!tail.is_long(), "after {number}");
            let place = tail.place_for(digest(number)).expect("a new one");
            place.take(1);
        }
        assert!(tail.is_long());
        assert!(tail.place_for(digest(0)).is_none(), "it is there");
        let last = 7 + i64::try_from(MANY).expect("a small number");
        assert_eq!((tail.indexed(), tail.last()), (7, last));
        tail.restart(last);
        assert!(!tail.is_long());
        assert_eq!((tail.indexed(), tail.last(), tail.find(digest(0))), (last, last, None));

        let mut tail = Tail::default();
        tail.push(1, digest(1), LARGE - 1);
        assert!(!tail.is_long());
        tail.push(2, digest(2), 1);
        assert!(tail.is_long());
    }

    #[test]
    fn keys_are_the_first_bytes_of_digests_in_the_order_of_sqlites_integers() {
        let mut tail = Tail::default();
        let digests: Vec<Digest> = (0..1000).map(digest).collect();
        (0..).zip(&digests).for_each(|(id, digest)| tail.push(id, *digest, 1));
        let keys = tail.keys();
        assert_eq!(keys.len(), 1000);
        assert!(keys.is_sorted(), "as signed integers");
        for (key, id) in keys {
            let digest = digests[usize::try_from(id).expect("an id")];
            assert_eq!(key.to_be_bytes(), digest.as_bytes()[..8]);
            assert_eq!(tail.find(digest), Some(id));
        }
    }
}
