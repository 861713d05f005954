//! The RFC 6962 Merkle tree hash, built in one pass with logarithmic memory.

use crate::Digest;

/// Collects leaf digests in order and gives the RFC 6962 (section 2.1) tree hash over them.
///
/// A leaf digest is `SHA-256(0x00 ‖ leaf bytes)` and is made with [`MerkleRoot::leaf`]; an inner node is
/// `SHA-256(0x01 ‖ left ‖ right)`.
#[derive(Debug, Clone, Default)]
pub struct MerkleRoot {
    /// Roots of the complete subtrees so far, largest first, with their heights.
    peaks: Vec<(u32, Digest)>,
    count: u64,
}

impl MerkleRoot {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The leaf digest of these bytes.
    #[must_use]
    pub fn leaf(bytes: &[u8]) -> Digest {
        Digest::of_parts(&[&[0], bytes])
    }

    /// Adds the next leaf digest.
    pub fn push(&mut self, leaf: Digest) {
        self.push_seen(leaf, |_| {});
    }

    /// Adds the next leaf digest, and shows each pair of subtrees that becomes one by it.
    pub(crate) fn push_seen(&mut self, leaf: Digest, mut seen: impl FnMut(Join)) {
        let mut height = 0;
        let mut digest = leaf;
        let mut first = self.count;
        while let Some(&(peak_height, peak)) = self.peaks.last()
            && peak_height == height
        {
            let split = first;
            first -= 1 << height;
            seen(Join { first, split, end: self.count + 1, left: peak, right: digest });
            digest = node(peak, digest);
            height += 1;
            self.peaks.pop();
        }
        self.peaks.push((height, digest));
        self.count += 1;
    }

    /// How many leaves were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The tree hash over the leaves so far. Of no leaves it is the digest of nothing.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root_seen(|_| {})
    }

    /// The tree hash, and each pair of subtrees that becomes one on the way to it.
    pub(crate) fn root_seen(&self, mut seen: impl FnMut(Join)) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        let Some(&(height, last)) = peaks.next() else { return Digest::of(b"") };
        let mut split = self.count - (1 << height);
        let mut digest = last;
        for &(height, left) in peaks {
            let first = split - (1 << height);
            seen(Join { first, split, end: self.count, left, right: digest });
            digest = node(left, digest);
            split = first;
        }
        digest
    }
}

/// Two neighbouring subtrees that become one: of the leaves from `first` to before `split`, and from there to before `end`.
pub(crate) struct Join {
    pub(crate) first: u64,
    pub(crate) split: u64,
    pub(crate) end: u64,
    pub(crate) left: Digest,
    pub(crate) right: Digest,
}

/// The digest of an inner node.
pub(crate) fn node(left: Digest, right: Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recursive definition of RFC 6962, as it is written there.
    fn by_definition(leaves: &[Digest]) -> Digest {
        match leaves {
            [] => Digest::of(b""),
            [leaf] => *leaf,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(by_definition(&leaves[..split]), by_definition(&leaves[split..]))
            }
        }
    }

    #[test]
    fn the_streamed_root_is_the_one_that_rfc_6962_defines() {
        for count in 0..70_u8 {
            let leaves: Vec<_> = (0..count).map(|leaf| MerkleRoot::leaf(&[leaf])).collect();
            let mut tree = MerkleRoot::new();
            leaves.iter().for_each(|&leaf| tree.push(leaf));
            assert_eq!(tree.root(), by_definition(&leaves), "{count} leaves");
            assert_eq!(tree.count(), u64::from(count));
        }
    }

    #[test]
    fn the_roots_are_those_of_the_certificate_transparency_test_vectors() {
        let leaf = MerkleRoot::leaf(b"");
        assert_eq!(leaf.to_string(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(
            MerkleRoot::new().root().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
