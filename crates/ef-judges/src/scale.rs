//! Which scores a judge that has an opinion, a model or a person, may give.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ef_model::{ConfigProblem, Finite, Scalar, Score};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rule::problem;

/// The labels of a config: a list, or a map that says what number each stands for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Labels {
    /// Labels that are scores themselves. Metrics see no number in them.
    Names(#[schemars(length(min = 2, max = 100), inner(length(min = 1, max = 64)))] Vec<String>),
    /// Labels with the number that metrics take each for.
    Scores(#[schemars(length(min = 2, max = 100))] BTreeMap<String, f64>),
}

/// The ends of a numeric scale, which are scores themselves.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// The lowest score.
    min: f64,
    /// The highest score.
    max: f64,
    /// Whether only whole numbers are scores.
    #[serde(default)]
    integer: bool,
}

/// The scores that may be given. Nothing else is ever taken for one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scale {
    /// `pass` or `fail`.
    PassFail,
    /// One of these.
    Labels(Vec<Label>),
    /// A number between two others, they included.
    Numbers { min: Finite, max: Finite, integer: bool },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Label {
    pub(crate) name: String,
    pub(crate) number: Option<Finite>,
    /// Its place among the labels.
    place: usize,
}

/// A score on a scale.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Grade {
    Passed(bool),
    Label(Label),
    Number(Finite),
}

impl Grade {
    /// The score that it is recorded as.
    pub(crate) fn score(&self) -> Score {
        match self {
            Self::Passed(passed) => (*passed).into(),
            Self::Number(number) => Score::Scalar(Scalar::Number(*number)),
            Self::Label(Label { name, number: None, .. }) => Score::Scalar(Scalar::Label(name.clone())),
            Self::Label(Label { name, number: Some(number), .. }) => Score::Object(BTreeMap::from([
                ("label".to_owned(), Scalar::Label(name.clone())),
                (Score::DEFAULT_KEY.to_owned(), Scalar::Number(*number)),
            ])),
        }
    }
}

#[cfg(feature = "models")]
impl Grade {
    /// The number that it stands for, if it stands for one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Passed(passed) => Some(f64::from(u8::from(*passed))),
            Self::Number(number) => Some(number.get()),
            Self::Label(label) => label.number.map(Finite::get),
        }
    }

    /// The JSON value that it is given as: what [`Scale::grade`] reads.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Passed(passed) => json!(if *passed { "pass" } else { "fail" }),
            Self::Number(number) => json!(number.get()),
            Self::Label(label) => json!(label.name),
        }
    }

    /// The order of a scale's grades: by number, and of labels without numbers as they are listed.
    pub(crate) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let by_number = self.number().partial_cmp(&other.number()).unwrap_or(std::cmp::Ordering::Equal);
        match (self, other) {
            (Self::Label(one), Self::Label(other)) => by_number.then(one.place.cmp(&other.place)),
            _ => by_number,
        }
    }
}

const MAX_LABELS: usize = 100;
const MAX_LABEL_CHARACTERS: usize = 64;

/// A scale of at most so many whole numbers is spelled out in schemas, which not all endpoints let have bounds.
const MAX_SPELLED_OUT: f64 = 32.0;

impl Scale {
    /// The scale that a config's `labels` and `scale` describe; without either, pass or fail.
    pub(crate) fn new(labels: Option<Labels>, range: Option<Range>) -> Result<Self, Vec<ConfigProblem>> {
        match (labels, range) {
            (None, None) => Ok(Self::PassFail),
            (Some(labels), None) => Self::of_labels(labels).map(Self::Labels).map_err(|problem| vec![problem]),
            (None, Some(range)) => Self::of_range(range).map_err(|problem| vec![problem]),
            (Some(_), Some(_)) => {
                let hint = "leave one of them out";
                Err(vec![problem("/scale", "there are `labels` as well: a score is one or the other", Some(hint))])
            }
        }
    }

    fn of_labels(labels: Labels) -> Result<Vec<Label>, ConfigProblem> {
        let refused = |message: &str, hint: &str| Err(problem("/labels", message, Some(hint)));
        let mut labels: Vec<_> = match labels {
            Labels::Names(names) => names.into_iter().map(|name| Label { name, number: None, place: 0 }).collect(),
            Labels::Scores(scores) => {
                let label = |(name, number)| Some(Label { name, number: Some(Finite::new(number)?), place: 0 });
                let Some(mut labels) = scores.into_iter().map(label).collect::<Option<Vec<_>>>() else {
                    return refused("a label's score is not a finite number", "give each label a number");
                };
                labels.sort_by(|a, b| a.number.partial_cmp(&b.number).unwrap_or(std::cmp::Ordering::Equal));
                labels
            }
        };
        let is_name = |label: &Label| {
            let name = &label.name;
            name.trim() == name
                && (1..=MAX_LABEL_CHARACTERS).contains(&name.chars().count())
                && !name.chars().any(char::is_control)
        };
        if !labels.iter().all(is_name) {
            let hint = "a label is 1 to 64 characters, without line breaks and without spaces at its ends";
            return refused("one of the labels cannot be a label", hint);
        }
        if !(2..=MAX_LABELS).contains(&labels.len()) {
            return refused("not a choice between labels", "name 2 to 100 of them");
        }
        let folded: Vec<_> = labels.iter().map(|label| label.name.to_lowercase()).collect();
        if folded.iter().enumerate().any(|(index, name)| folded[..index].contains(name)) {
            return refused("the same label twice", "labels have to differ in more than upper and lower case");
        }
        for (place, label) in labels.iter_mut().enumerate() {
            label.place = place;
        }
        Ok(labels)
    }

    fn of_range(Range { min, max, integer }: Range) -> Result<Self, ConfigProblem> {
        let refused = |message: &str, hint: &str| Err(problem("/scale", message, Some(hint)));
        let (Some(min), Some(max)) = (Finite::new(min), Finite::new(max)) else {
            return refused("an end is not a finite number", "such as `{min: 1, max: 5}`");
        };
        if min >= max {
            return refused("`min` is not below `max`", "such as `{min: 1, max: 5}`");
        }
        if integer && (min.get().fract() != 0.0 || max.get().fract() != 0.0) {
            return refused("the ends of a scale of whole numbers have to be whole", "such as `{min: 1, max: 5}`");
        }
        Ok(Self::Numbers { min, max, integer })
    }

    /// The grade that a JSON value stands for; nothing for whatever else it is. Nothing is rounded, clamped or converted.
    pub(crate) fn grade(&self, value: &Value) -> Option<Grade> {
        match (self, value) {
            (Self::PassFail, Value::String(word)) => match word.as_str() {
                "pass" => Some(Grade::Passed(true)),
                "fail" => Some(Grade::Passed(false)),
                _ => None,
            },
            (Self::Labels(labels), Value::String(name)) => {
                labels.iter().find(|label| label.name == *name).cloned().map(Grade::Label)
            }
            (Self::Numbers { .. }, Value::Number(number)) => self.number(number.as_f64()?),
            _ => None,
        }
    }

    fn number(&self, number: f64) -> Option<Grade> {
        let Self::Numbers { min, max, integer } = self else { return None };
        let number = Finite::new(number)?;
        let fits = (*min..=*max).contains(&number) && (!integer || number.get().fract() == 0.0);
        fits.then_some(Grade::Number(number))
    }

    /// The grade that a person's line stands for: upper and lower case are the same.
    pub(crate) fn grade_of_line(&self, line: &str) -> Option<Grade> {
        let line = line.trim();
        match self {
            Self::PassFail => match line.to_lowercase().as_str() {
                "pass" | "p" => Some(Grade::Passed(true)),
                "fail" | "f" => Some(Grade::Passed(false)),
                _ => None,
            },
            Self::Labels(labels) => {
                let folded = line.to_lowercase();
                labels.iter().find(|label| label.name.to_lowercase() == folded).cloned().map(Grade::Label)
            }
            Self::Numbers { .. } => self.number(line.parse().ok()?),
        }
    }

    /// Whether every grade stands for a number.
    #[cfg(feature = "models")]
    pub(crate) fn has_numbers(&self) -> bool {
        match self {
            Self::PassFail | Self::Numbers { .. } => true,
            Self::Labels(labels) => labels.iter().all(|label| label.number.is_some()),
        }
    }

    /// The JSON Schema of a score, which null fits as well if `or_null`. Only what endpoints with structured output
    /// commonly take is said in it.
    pub(crate) fn schema(&self, or_null: bool) -> Value {
        let kind = |name: &str| if or_null { json!([name, "null"]) } else { json!(name) };
        let one_of = |name: &str, mut values: Vec<Value>| {
            values.extend(or_null.then_some(Value::Null));
            json!({"type": kind(name), "enum": values})
        };
        match self {
            Self::PassFail => one_of("string", vec![json!("pass"), json!("fail")]),
            Self::Labels(labels) => one_of("string", labels.iter().map(|label| json!(label.name)).collect()),
            Self::Numbers { min, max, integer: true } if max.get() - min.get() < MAX_SPELLED_OUT => {
                one_of("integer", (min.get() as i64..=max.get() as i64).map(Value::from).collect())
            }
            Self::Numbers { integer: true, .. } => json!({"type": kind("integer")}),
            Self::Numbers { .. } => json!({"type": kind("number")}),
        }
    }

    /// The JSON Schema of a score, or null, with all that a score is held to.
    pub(crate) fn full_schema(&self) -> Value {
        let mut schema = self.schema(true);
        if let (Self::Numbers { min, max, .. }, Some(schema)) = (self, schema.as_object_mut())
            && !schema.contains_key("enum")
        {
            schema.insert("minimum".to_owned(), json!(min.get()));
            schema.insert("maximum".to_owned(), json!(max.get()));
        }
        schema
    }

    /// What may be given, in words: `"pass" or "fail"`, as JSON writes it.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::PassFail => r#""pass" or "fail""#.to_owned(),
            Self::Labels(labels) => {
                let mut words = String::new();
                for (index, label) in labels.iter().enumerate() {
                    let separator = match index {
                        0 => "",
                        _ if index + 1 == labels.len() => " or ",
                        _ => ", ",
                    };
                    let _ = write!(words, "{separator}{}", Value::from(label.name.as_str()));
                }
                words
            }
            Self::Numbers { min, max, integer } => {
                let kind = if *integer { "a whole number" } else { "a number" };
                format!("{kind} from {} to {}", min.get(), max.get())
            }
        }
    }
}
