//! What the fields of a spec demand of one another. The rules look at the tree, not at the types, so that they speak
//! up even where another part of the file is broken.

use std::collections::HashMap;

use crate::Aggregator;
use crate::problem::{Problems, quoted};
use crate::shape::{listed, nearest};
use crate::table::is_judge_name;
use crate::tree::{Entry, Node, Span, Value};

/// In `from`: all judges.
pub(crate) const ALL_JUDGES: &str = "judges";

/// Checks all rules.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    let judges = judge_names(root, problems);
    let metrics = root
        .entry("scoring")
        .and_then(|scoring| scoring.value.entry("metrics"))
        .map_or(&[] as &[Node], |metrics| metrics.value.elements());
    let mut names: HashMap<&str, Span> = HashMap::new();
    for metric in metrics {
        if let Some((name, span)) = text_field(metric, "name") {
            if let Some(first) = names.get(name) {
                let message = format!("two metrics have the name {}", quoted(name));
                let problem = problems.at(span, "again here", message).at(*first, "first here");
                problems.push(problem.with_hint("give each metric a name of its own"));
            } else {
                names.insert(name, span);
            }
        }
        check_source(metric, &judges, problems);
        check_options(metric, problems);
    }
}

/// The judges' names, or `None` where a judge's name cannot be told.
fn judge_names<'n>(root: &'n Node, problems: &mut Problems) -> Option<Vec<&'n str>> {
    let mut names = Vec::new();
    let mut known: HashMap<&str, Span> = HashMap::new();
    let mut all_known = true;
    for judge in root.entry("judges").map_or(&[] as &[Node], |judges| judges.value.elements()) {
        let Some((name, span, given)) = judge_name(judge) else {
            all_known = false;
            continue;
        };
        if name == ALL_JUDGES {
            let problem = problems.at(span, "reserved", "no judge can have the name `judges`");
            problems
                .push(problem.with_hint("in a metric's `from` it means all judges; give this judge another `name`"));
        } else if !given && !is_judge_name(name) {
            let problem = problems.at(span, "too long a name", "the last part of the id cannot be this judge's name");
            problems.push(problem.with_hint("give it a `name` of 1 to 64 letters, digits, '_' and '-'"));
        } else if let Some(first) = known.get(name) {
            let message = format!("two judges have the name {}", quoted(name));
            let problem = problems.at(span, "again here", message).at(*first, "first here");
            problems.push(problem.with_hint(if given {
                "give each judge a name of its own"
            } else {
                "without a `name` a judge is called by the last part of its id; give this one a `name` of its own"
            }));
        }
        if name != ALL_JUDGES && !known.contains_key(name) {
            known.insert(name, span);
            names.push(name);
        }
    }
    all_known.then_some(names)
}

/// A judge's name, its place, and whether the file gives it or it comes from the id.
fn judge_name(judge: &Node) -> Option<(&str, Span, bool)> {
    if judge.entry("name").is_some() {
        return text_field(judge, "name")
            .filter(|(name, _)| is_judge_name(name))
            .map(|(name, span)| (name, span, true));
    }
    text_field(judge, "id").map(|(id, span)| (default_name(id), span, false))
}

/// The name of a judge that is given none: the last part of its id.
pub(crate) fn default_name(id: &str) -> &str {
    id.rsplit('.').next().unwrap_or(id)
}

fn text_field<'n>(node: &'n Node, field: &str) -> Option<(&'n str, Span)> {
    let entry = node.entry(field)?;
    Some((entry.value.text()?, entry.place()))
}

/// `from` names a judge, or one value of a judge's object score.
fn check_source(metric: &Node, judges: &Option<Vec<&str>>, problems: &mut Problems) {
    let (Some((from, span)), Some(judges)) = (text_field(metric, "from"), judges) else { return };
    let (judge, key) = from.split_once('.').map_or((from, None), |(judge, key)| (judge, Some(key)));
    if from != ALL_JUDGES && !judges.contains(&judge) {
        let hint = nearest(judge, judges).map_or_else(String::new, |name| format!("did you mean `{name}`? "));
        let shown = &judges[..judges.len().min(20)];
        let problem = problems.at(span, "unknown judge", format!("no judge has the name {}", quoted(judge)));
        problems.push(problem.with_hint(format!("{hint}the judges are {}", listed(shown))));
    } else if key == Some("") {
        let problem = problems.at(span, "ends with a dot", "`from` names no value behind the dot");
        problems.push(
            problem.with_hint(format!("write `{judge}` alone, or `{judge}.key` for one value of an object score")),
        );
    }
}

/// Options that the metric's aggregator does not have.
fn check_options(metric: &Node, problems: &mut Problems) {
    use Aggregator::{Count, KsTest, Mean, Median, RateAbove, WeightedMean};
    let aggregator = match metric.entry("aggregator") {
        None => Mean,
        Some(entry) => {
            let all = [Mean, Median, Count, RateAbove, WeightedMean, KsTest];
            let Some(found) = all.into_iter().find(|known| entry.value.text() == Some(known.as_str())) else { return };
            found
        }
    };
    let mut only_for = |field: &str, given: fn(&Value) -> bool, allowed: &[Aggregator]| {
        if let Some(Entry { key_span, value, .. }) = metric.entry(field)
            && given(&value.value)
            && !allowed.contains(&aggregator)
        {
            let names: Vec<&str> = allowed.iter().map(|aggregator| aggregator.as_str()).collect();
            let message = format!("`{field}` does not go with the aggregator `{}`", aggregator.as_str());
            let problem = problems.at(*key_span, "has no meaning here", message);
            let which = if names.len() == 1 { "the aggregator" } else { "the aggregators" };
            problems.push(problem.with_hint(format!("remove it, or use {which} {}", listed(&names))));
        }
    };
    only_for("threshold", |value| !matches!(value, Value::Null), &[RateAbove]);
    only_for("cluster_by", |value| !matches!(value, Value::Null), &[Mean, WeightedMean, RateAbove]);
    only_for("bootstrap", |value| *value == Value::Bool(true), &[Mean, Median, RateAbove, WeightedMean]);
}
