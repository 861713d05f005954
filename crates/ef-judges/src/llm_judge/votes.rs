//! From several votes to one score.

use std::cmp::Ordering;

use ef_model::Score;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::scale::Grade;

/// How votes become a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aggregate {
    /// What most of them say; of several that are said as often, the lowest.
    Majority,
    /// The mean of their numbers.
    Mean,
}

impl Aggregate {
    /// The score of these votes; nothing where there are none, or a mean is asked of grades without numbers.
    pub(crate) fn score(self, grades: &[Grade]) -> Option<Score> {
        match self {
            Self::Majority => majority(grades).map(Grade::score),
            Self::Mean => mean(grades).and_then(Score::number),
        }
    }
}

fn majority(grades: &[Grade]) -> Option<&Grade> {
    let count = |grade: &Grade| grades.iter().filter(|other| *other == grade).count();
    grades.iter().max_by(|one, other| count(one).cmp(&count(other)).then_with(|| other.compare(one)))
}

fn mean(grades: &[Grade]) -> Option<f64> {
    let mut numbers = grades.iter().map(Grade::number).collect::<Option<Vec<_>>>()?;
    numbers.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    let (lowest, highest) = (*numbers.first()?, *numbers.last()?);
    let n = numbers.len() as f64;
    let sum: f64 = numbers.iter().sum();
    // The sum of numbers near the end of a double's range is beyond it, and rounding may leave the range of the votes.
    let mean = if sum.is_finite() { sum / n } else { numbers.iter().map(|number| number / n).sum() };
    Some(mean.clamp(lowest, highest))
}

#[cfg(test)]
mod tests {
    use ef_model::Finite;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scale::{Labels, Scale};

    fn grades(scale: &Scale, values: &[serde_json::Value]) -> Vec<Grade> {
        values.iter().map(|value| scale.grade(value).expect("on the scale")).collect()
    }

    fn labels(config: serde_json::Value) -> Scale {
        let labels: Labels = serde_json::from_value(config).expect("labels");
        Scale::new(Some(labels), None).expect("a scale")
    }

    #[test]
    fn most_votes_win_and_a_tie_goes_against_the_output() {
        let of = |values: &[serde_json::Value]| Aggregate::Majority.score(&grades(&Scale::PassFail, values));
        assert_eq!(of(&[json!("pass"), json!("fail"), json!("pass")]), Some(true.into()));
        assert_eq!(of(&[json!("pass"), json!("fail")]), Some(false.into()));
        assert_eq!(of(&[json!("fail"), json!("pass")]), Some(false.into()));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_tie_between_labels_goes_to_the_lower_number_or_to_the_one_that_is_listed_first() {
        let scored = labels(json!({"good": 1, "bad": -1, "fair": 0}));
        let tie = grades(&scored, &[json!("good"), json!("fair")]);
        let score = Aggregate::Majority.score(&tie).expect("a score");
        assert_eq!(serde_json::to_value(score).expect("JSON"), json!({"label": "fair", "score": 0.0}));
        let mean = Aggregate::Mean.score(&grades(&scored, &[json!("good"), json!("bad"), json!("good")]));
        assert_eq!(mean.and_then(|mean| mean.as_number(None)), Some(1.0 / 3.0));

        let listed = labels(json!(["unsafe", "safe"]));
        for votes in [["safe", "unsafe"], ["unsafe", "safe"]] {
            let votes = grades(&listed, &votes.map(serde_json::Value::from));
            let score = Aggregate::Majority.score(&votes).expect("a score");
            assert_eq!(serde_json::to_value(score).expect("JSON"), json!("unsafe"));
            assert_eq!(Aggregate::Mean.score(&votes), None, "labels without numbers have no mean");
        }
    }

    #[test]
    fn the_share_of_passes_is_the_mean_of_pass_and_fail() {
        let votes = grades(&Scale::PassFail, &[json!("pass"), json!("fail"), json!("pass"), json!("pass")]);
        assert_eq!(Aggregate::Mean.score(&votes), Score::number(0.75));
    }

    proptest! {
        #[test]
        fn a_score_lies_within_the_votes_and_does_not_depend_on_their_order(
            numbers in prop::collection::vec(any::<f64>().prop_filter_map("finite", Finite::new), 1..9),
        ) {
            let votes: Vec<_> = numbers.iter().copied().map(Grade::Number).collect();
            let mut turned = votes.clone();
            turned.reverse();
            let lowest = numbers.iter().map(|number| number.get()).fold(f64::INFINITY, f64::min);
            let highest = numbers.iter().map(|number| number.get()).fold(f64::NEG_INFINITY, f64::max);
            for aggregate in [Aggregate::Mean, Aggregate::Majority] {
                let score = aggregate.score(&votes).expect("numbers");
                prop_assert_eq!(&Some(score.clone()), &aggregate.score(&turned));
                let number = score.as_number(None).expect("a number");
                prop_assert!((lowest..=highest).contains(&number), "{} of {:?}", number, numbers);
            }
        }
    }
}
