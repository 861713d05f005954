//! Maps that grow with a run.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

/// A map in many parts, because a part that grows is in memory twice for a moment, and then leaves a gap there that is
/// hard to fill.
pub(crate) struct Shards<K, V> {
    choose: fn(&K) -> u8,
    parts: Vec<HashMap<K, V>>,
}

impl<K: Hash + Eq, V: Copy> Shards<K, V> {
    /// An empty map that chooses the part of a key in this way.
    pub(crate) fn new(choose: fn(&K) -> u8) -> Self {
        Self { choose, parts: (0..=u8::MAX).map(|_| HashMap::new()).collect() }
    }

    fn part(&self, key: &K) -> usize {
        usize::from((self.choose)(key))
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.parts[self.part(key)].get(key).copied()
    }

    /// The value that is there; where there is none, this one is inserted.
    pub(crate) fn get_or_insert(&mut self, key: K, value: V) -> Option<V> {
        let part = self.part(&key);
        match self.parts[part].entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                None
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let part = self.part(key);
        self.parts[part].remove(key);
    }

    pub(crate) fn clear(&mut self) {
        self.parts.iter_mut().for_each(|part| *part = HashMap::new());
    }
}

/// A map whose keys mostly come in their order: those need no hashing, and lie side by side.
pub(crate) struct NearlyOrdered<K, V> {
    in_order: Vec<(K, V)>,
    /// Those that came after a greater one.
    late: HashMap<K, V>,
}

impl<K, V> Default for NearlyOrdered<K, V> {
    fn default() -> Self {
        Self { in_order: Vec::new(), late: HashMap::new() }
    }
}

impl<K: Hash + Ord + Copy, V: Copy> NearlyOrdered<K, V> {
    /// The value that is there; where there is none, this one is inserted.
    pub(crate) fn get_or_insert(&mut self, key: K, value: V) -> Option<V> {
        if self.in_order.last().is_none_or(|(last, _)| *last < key) {
            let known = if self.late.is_empty() { None } else { self.late.get(&key).copied() };
            if known.is_none() {
                self.in_order.push((key, value));
            }
            return known;
        }
        if let Ok(place) = self.in_order.binary_search_by_key(&key, |(known, _)| *known) {
            return Some(self.in_order[place].1);
        }
        match self.late.entry(key) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(value);
                None
            }
        }
    }

    /// Removes a key, quickly if it is the last.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Ok(place) = self.in_order.binary_search_by_key(key, |(known, _)| *known) {
            self.in_order.remove(place);
        } else {
            self.late.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_are_maps_whatever_the_order(steps in vec((0_u8..40, any::<bool>()), 0..200)) {
            let (mut expected, mut shards) = (BTreeMap::new(), Shards::new(|key: &u8| *key % 3));
            let mut ordered = NearlyOrdered::default();
            for (value, (key, is_removed)) in steps.into_iter().enumerate() {
                prop_assert_eq!(shards.get(&key), expected.get(&key).copied());
                if is_removed {
                    expected.remove(&key);
                    shards.remove(&key);
                    ordered.remove(&key);
                } else {
                    let known = expected.get(&key).copied();
                    expected.entry(key).or_insert(value);
                    prop_assert_eq!(shards.get_or_insert(key, value), known);
                    prop_assert_eq!(ordered.get_or_insert(key, value), known);
                }
            }
            shards.clear();
            prop_assert_eq!(shards.get(&1), None);
        }
    }
}
