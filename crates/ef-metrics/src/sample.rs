//! A metric's scores as the independent units of a sample.

use std::borrow::Cow;

use crate::cluster::Clustering;
use crate::multiset::{Ordered, Run, add_up};

/// Scores with weights, grouped into what is taken to be independent.
#[derive(Debug)]
pub(crate) enum Sample<'a> {
    /// Each judgment is a unit of its own: weight and scores of each judge.
    Judgments(Vec<(f64, Cow<'a, [Run<Ordered>]>)>),
    /// Each cluster of items is one, over columns with weights.
    Clusters(&'a Clustering, &'a [(usize, f64)]),
}

impl Sample<'_> {
    /// Gives `f` the weighted scores of each unit, and how many units are alike.
    pub(crate) fn for_each(&self, mut f: impl FnMut(&[Run<(f64, Ordered)>], u64)) {
        match self {
            Self::Clusters(clustering, columns) => clustering.for_each(columns, |cluster| f(cluster, 1)),
            Self::Judgments(judges) => {
                for (weight, runs) in judges {
                    for &(score, count) in runs.iter() {
                        f(&[((*weight, score), 1)], count);
                    }
                }
            }
        }
    }

    /// Whether units are clusters.
    pub(crate) const fn is_clustered(&self) -> bool {
        matches!(self, Self::Clusters(..))
    }
}

/// Several judges' scores as one.
pub(crate) fn merged<'a>(mut columns: impl Iterator<Item = Cow<'a, [Run<Ordered>]>>) -> Cow<'a, [Run<Ordered>]> {
    let mut all = columns.next().unwrap_or_default();
    let mut is_one = true;
    for runs in columns {
        all.to_mut().extend_from_slice(&runs);
        is_one = false;
    }
    if !is_one {
        add_up(all.to_mut());
    }
    all
}
