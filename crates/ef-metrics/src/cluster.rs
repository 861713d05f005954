//! Clusters: items that share a value in their metadata, and so are not independent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ef_model::{Digest, Payload};
use serde_json::value::RawValue;

use crate::multiset::{Multiset, Ordered, Run};

/// Which cluster an item is in: 63 bits of a digest of its key's text, so that the order of clusters is the same in any
/// order of arrival. Two of a million clusters are taken for one with a probability below one in ten million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClusterId(u64);

impl ClusterId {
    /// The cluster of the item in this dataset row: that of the value at `path` in its metadata, or, where there is none
    /// or it is null, one that holds only this item (with all its repeats).
    ///
    /// A text clusters by its content, anything else by its JSON text. The path is looked for as a key first; then what
    /// lies before its first dot is the key of an object to look into.
    pub(crate) fn of(row: u64, metadata: Option<&Payload>, path: &str) -> Self {
        const NAMED: u64 = 1 << 63;

        let Some(key) = metadata.and_then(|metadata| value_at(metadata.expose(), path)) else {
            return Self(row & !NAMED);
        };
        let digest = Digest::of(key.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]) | NAMED)
    }
}

/// The text of the value at a dotted path of a JSON object. `None` where there is none or it is null.
fn value_at<'a>(object: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let fields: BTreeMap<String, &'a RawValue> = serde_json::from_str(object).ok()?;
    let Some(value) = fields.get(path) else {
        let (head, rest) = path.split_once('.')?;
        return value_at(fields.get(head)?.get(), rest);
    };
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    }
}

/// Numeric scores with the clusters of their items.
#[derive(Debug)]
pub(crate) struct Clustering {
    path: String,
    /// The columns that some metric of this clustering takes, ascending.
    columns: Vec<usize>,
    scores: Multiset<(ClusterId, usize, Ordered)>,
}

impl Clustering {
    pub(crate) const fn new(path: String) -> Self {
        Self { path, columns: Vec::new(), scores: Multiset::new() }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Keeps a column's scores from now on.
    pub(crate) fn keep(&mut self, column: usize) {
        if let Err(place) = self.columns.binary_search(&column) {
            self.columns.insert(place, column);
        }
    }

    /// Adds a task's scores, by column.
    pub(crate) fn observe(&mut self, row: u64, metadata: Option<&Payload>, scores: &[Option<f64>]) {
        if self.columns.iter().all(|&column| scores[column].is_none()) {
            return;
        }
        let cluster = ClusterId::of(row, metadata, &self.path);
        for &column in &self.columns {
            if let Some(score) = scores[column] {
                self.scores.insert((cluster, column, Ordered::new(score)));
            }
        }
    }

    pub(crate) fn compact(&mut self) {
        self.scores.compact();
    }

    /// Gives `f` each cluster's scores in these columns, with the weights of the columns. Clusters without one are left
    /// out; their order is that of their ids.
    pub(crate) fn for_each(&self, columns: &[(usize, f64)], mut f: impl FnMut(&[Run<(f64, Ordered)>])) {
        let weight = |column| columns.iter().find(|(selected, _)| *selected == column).map(|&(_, weight)| weight);
        let mut cluster = Vec::new();
        for same in self.scores.runs().chunk_by(|(a, _), (b, _)| a.0 == b.0) {
            cluster.clear();
            cluster
                .extend(same.iter().filter_map(|&((_, column, score), count)| Some(((weight(column)?, score), count))));
            if !cluster.is_empty() {
                f(&cluster);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(row: u64, metadata: &str, path: &str) -> ClusterId {
        ClusterId::of(row, Some(&Payload::parse(metadata).expect("valid JSON")), path)
    }

    #[test]
    fn items_with_an_equal_value_share_a_cluster() {
        let first = cluster(1, r#"{"doc":"a\u0062","x":1}"#, "doc");
        assert_eq!(first, cluster(2, r#"{"doc": "ab"}"#, "doc"));
        assert_ne!(first, cluster(1, r#"{"doc":"ac"}"#, "doc"));
        assert_eq!(cluster(1, r#"{"doc":17}"#, "doc"), cluster(2, r#"{"doc":17}"#, "doc"));
        assert_ne!(cluster(1, r#"{"doc":17}"#, "doc"), cluster(2, r#"{"doc":true}"#, "doc"));
    }

    #[test]
    fn a_path_reaches_inside_and_a_key_with_a_dot_is_found() {
        let inside = cluster(1, r#"{"source":{"doc":{"id":"a"}}}"#, "source.doc.id");
        assert_eq!(inside, cluster(2, r#"{"source.doc.id":"a"}"#, "source.doc.id"));
        assert_eq!(inside, cluster(3, r#"{"source":{"doc.id":"a"}}"#, "source.doc.id"));
    }

    #[test]
    fn an_item_without_the_key_is_a_cluster_of_its_own() {
        for metadata in ["{}", r#"{"doc":null}"#, r#"{"other":"a"}"#, r#"["doc"]"#, r#""doc""#, "3"] {
            assert_eq!(cluster(1, metadata, "doc"), ClusterId::of(1, None, "doc"), "{metadata}");
            assert_ne!(cluster(1, metadata, "doc"), cluster(2, metadata, "doc"), "{metadata}");
        }
        assert_eq!(cluster(1, r#"{"doc":"a"}"#, "doc.id"), ClusterId::of(1, None, "doc"));
        // A row number written out as a key is not that row.
        assert_ne!(cluster(1, r#"{"doc":1}"#, "doc"), ClusterId::of(1, None, "doc"));
    }
}
