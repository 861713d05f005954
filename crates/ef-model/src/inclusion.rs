//! RFC 6962 audit paths (section 2.1.1): that a leaf is part of a tree, shown without the other leaves.

use serde::{Deserialize, Serialize};

use crate::merkle::{Join, node};
use crate::{Digest, MerkleRoot};

/// The way from one leaf to the root: with the leaf's digest and the tree's size it gives the root, and without the leaf
/// nobody finds another way to the same root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPath {
    /// The leaf's place among the leaves, from 0.
    pub leaf_index: u64,
    /// The digests of the subtrees beside the way, from the leaf's own neighbour up.
    pub path: Vec<Digest>,
}

impl AuditPath {
    /// The root that this path leads to from that leaf, in a tree of so many leaves. `None` where there is no such leaf in
    /// a tree of that size, or its path has another length.
    #[must_use]
    pub fn root(&self, leaf: Digest, tree_size: u64) -> Option<Digest> {
        if self.leaf_index >= tree_size {
            return None;
        }
        // From the root down: at each step the subtree that has the leaf, until it is the leaf alone.
        let (mut index, mut size) = (self.leaf_index, tree_size);
        let mut goes_left = Vec::new();
        while size > 1 {
            let split = 1 << (size - 1).ilog2();
            goes_left.push(index < split);
            (index, size) = if index < split { (index, split) } else { (index - split, size - split) };
        }
        if goes_left.len() != self.path.len() {
            return None;
        }
        let way = goes_left.into_iter().rev().zip(&self.path);
        Some(
            way.fold(leaf, |digest, (is_left, &other)| if is_left { node(digest, other) } else { node(other, digest) }),
        )
    }
}

/// Makes the audit paths of some leaves while the tree is built, in one pass: the memory that it takes grows with the
/// number of those leaves and the logarithm of the number of all.
#[derive(Debug, Clone, Default)]
pub struct AuditPaths {
    tree: MerkleRoot,
    wanted: Vec<AuditPath>,
}

impl AuditPaths {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next leaf digest, of which a path is wanted or not.
    pub fn push(&mut self, leaf: Digest, wanted: bool) {
        if wanted {
            self.wanted.push(AuditPath { leaf_index: self.tree.count(), path: Vec::new() });
        }
        let paths = &mut self.wanted;
        self.tree.push_seen(leaf, |join| join.lead(paths));
    }

    /// How many leaves were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.tree.count()
    }

    /// The root over all leaves, and the wanted paths to it in the order of their leaves.
    #[must_use]
    pub fn finish(mut self) -> (Digest, Vec<AuditPath>) {
        let root = self.tree.root_seen(|join| join.lead(&mut self.wanted));
        (root, self.wanted)
    }
}

impl Join {
    /// Leads the paths whose leaves are in either subtree past the other.
    fn lead(&self, paths: &mut [AuditPath]) {
        // Paths are in the order of their leaves.
        let begin = paths.partition_point(|path| path.leaf_index < self.first);
        for path in paths[begin..].iter_mut().take_while(|path| path.leaf_index < self.end) {
            path.path.push(if path.leaf_index < self.split { self.right } else { self.left });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: u64) -> Vec<Digest> {
        (0..count).map(|leaf| MerkleRoot::leaf(&leaf.to_be_bytes())).collect()
    }

    /// MTH as RFC 6962, section 2.1, writes it.
    fn tree_hash(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(tree_hash(left), tree_hash(right))
            }
        }
    }

    /// PATH as section 2.1.1 writes it.
    fn path(index: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() < 2 {
            return Vec::new();
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut inner, other) = if index < split {
            (path(index, left), tree_hash(right))
        } else {
            (path(index - split, right), tree_hash(left))
        };
        inner.push(other);
        inner
    }

    fn paths_of(leaves: &[Digest], wanted: impl Fn(usize) -> bool) -> (Digest, Vec<AuditPath>) {
        let mut paths = AuditPaths::new();
        leaves.iter().enumerate().for_each(|(index, &leaf)| paths.push(leaf, wanted(index)));
        paths.finish()
    }

    #[test]
    fn every_path_of_every_small_tree_is_the_one_that_rfc_6962_defines() {
        for count in 1..70 {
            let leaves = leaves(count);
            let (root, paths) = paths_of(&leaves, |_| true);
            assert_eq!(root, tree_hash(&leaves));
            for (index, found) in paths.iter().enumerate() {
                assert_eq!(found.path, path(index, &leaves), "leaf {index} of {count}");
                assert_eq!(found.root(leaves[index], count), Some(root), "leaf {index} of {count}");
            }
        }
    }

    #[test]
    fn a_path_in_a_tree_of_any_size_is_refused_or_followed_without_overflow() {
        let leaf = leaves(1)[0];
        for (leaf_index, size, length) in [
            (u64::MAX - 1, u64::MAX, 63),
            (0, u64::MAX, 64),
            (1 << 63, u64::MAX, 64),
            (u64::MAX, u64::MAX, 64),
            (0, 0, 0),
        ] {
            for shorter in [0, 1] {
                let path = AuditPath { leaf_index, path: vec![leaf; length - shorter.min(length)] };
                let _ = path.root(leaf, size);
            }
        }
        assert!(AuditPath { leaf_index: 0, path: vec![leaf; 64] }.root(leaf, u64::MAX).is_some());
        assert!(AuditPath { leaf_index: 0, path: vec![] }.root(leaf, 0).is_none());
    }

    proptest! {
        #[test]
        fn paths_of_any_leaves_are_the_defined_ones(count in 1_u64..600, wanted in proptest::collection::btree_set(0_usize..600, 0..5)) {
            let leaves = leaves(count);
            let (root, paths) = paths_of(&leaves, |index| wanted.contains(&index));
            prop_assert_eq!(root, tree_hash(&leaves));
            let expected: Vec<_> = wanted.into_iter().filter(|&index| index < leaves.len()).collect();
            prop_assert_eq!(paths.len(), expected.len());
            for (found, index) in paths.iter().zip(expected) {
                prop_assert_eq!(found.leaf_index, index as u64);
                prop_assert_eq!(&found.path, &path(index, &leaves));
            }
        }

        #[test]
        fn a_path_proves_its_own_leaf_at_its_own_place_and_nothing_else(
            count in 2_u64..300, place in any::<prop::sample::Index>(), other in any::<prop::sample::Index>(), byte in 0_usize..32
        ) {
            let leaves = leaves(count);
            let (index, other) = (place.index(leaves.len()), other.index(leaves.len()));
            let (root, mut paths) = paths_of(&leaves, |candidate| candidate == index);
            let path = paths.pop().expect("one was wanted");
            prop_assert_eq!(path.root(leaves[index], count), Some(root));
            if other != index {
                prop_assert_ne!(path.root(leaves[other], count), Some(root));
                let elsewhere = AuditPath { leaf_index: other as u64, ..path.clone() };
                prop_assert_ne!(elsewhere.root(leaves[index], count), Some(root));
            }
            let mut longer = path.clone();
            longer.path.push(root);
            prop_assert_eq!(longer.root(leaves[index], count), None);
            let step = byte % path.path.len();
            let mut changed = path.clone();
            let mut bytes = *changed.path[step].as_bytes();
            bytes[byte] ^= 1;
            changed.path[step] = Digest::from_bytes(bytes);
            prop_assert_ne!(changed.root(leaves[index], count), Some(root));
        }
    }
}
