//! What changed between two runs, before any score is looked at.

use std::collections::BTreeMap;

use ef_model::{Identity, JudgeIdentity, RunId, RunStatus, RunSummary, canonical};
use serde::Serialize;
use serde_json::Value;

use super::fields;

/// One of the two runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Its id.
    pub run_id: RunId,
    /// Its spec's id.
    pub spec_id: String,
    /// Its spec's version.
    pub spec_version: String,
    /// Where it stands.
    pub status: RunStatus,
}

/// What changed between two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Changes {
    /// The run.
    pub run: Subject,
    /// What it is compared with.
    pub baseline: Subject,
    /// What has to be known before any number is read, as sentences for a person; what concerns judges is first.
    pub notes: Vec<String>,
    /// Names of the judges that are in both runs but not the same: their id, version, digest, config or promise of
    /// determinism differs.
    pub judges_that_differ: Vec<String>,
    /// All parts, in the order of [`Part::ALL`]; in a part that is the same no field differs.
    #[serde(rename = "changes")]
    pub parts: Vec<PartChanges>,
}

/// A part of what makes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The spec, field by field.
    Spec,
    /// The dataset: path, format, digest, fields.
    Dataset,
    /// The evaluator: id, version, source, digest, config.
    Evaluator,
    /// The judges, by name: id, version, source, digest, determinism, config.
    Judges,
    /// The version of eval-fabric.
    #[serde(rename = "ef")]
    Program,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Spec, Self::Dataset, Self::Evaluator, Self::Judges, Self::Program];

    /// The name for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Dataset => "dataset",
            Self::Evaluator => "evaluator",
            Self::Judges => "judges",
            Self::Program => "ef",
        }
    }
}

/// What changed in a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartChanges {
    /// Which part.
    pub part: Part,
    /// Each field that differs.
    pub fields: Vec<Change>,
}

/// A field that differs. Configs of evaluators and judges are told by their SHA-256 here and field by field in
/// [`Part::Spec`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Which field: in the spec a JSON pointer (RFC 6901), of judges the name of the judge, a dot and the field.
    pub field: String,
    /// What it was in the baseline; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Value>,
    /// What it is in the run; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Value>,
}

/// Compares what is known of two runs.
#[must_use]
pub fn changes(run: &RunSummary, baseline: &RunSummary) -> Changes {
    let subject = |run: &RunSummary| Subject {
        run_id: run.head.run_id.clone(),
        spec_id: run.head.spec_id.clone(),
        spec_version: run.head.spec_version.clone(),
        status: run.status,
    };
    let parts = Part::ALL.map(|part| PartChanges {
        part,
        fields: match part {
            Part::Spec => fields::differences(&baseline.head.spec, &run.head.spec),
            Part::Dataset => listed(&dataset(baseline), &dataset(run)),
            Part::Evaluator => listed(&evaluator(baseline), &evaluator(run)),
            Part::Judges => listed(&judges(baseline), &judges(run)),
            Part::Program => listed(&version(baseline), &version(run)),
        },
    });
    let mut changes = Changes {
        run: subject(run),
        baseline: subject(baseline),
        notes: Vec::new(),
        judges_that_differ: differing(run, baseline),
        parts: parts.into(),
    };
    changes.notes = notes(run, baseline, &changes);
    changes
}

/// Facts by name, in the order of the names.
type Facts = BTreeMap<String, Value>;

fn listed(baseline: &Facts, run: &Facts) -> Vec<Change> {
    let names: std::collections::BTreeSet<_> = baseline.keys().chain(run.keys()).collect();
    let change = |name: &String| Change {
        field: name.clone(),
        baseline: baseline.get(name).cloned(),
        run: run.get(name).cloned(),
    };
    names.into_iter().map(change).filter(|change| change.baseline != change.run).collect()
}

fn facts<const N: usize>(facts: [(&str, Value); N]) -> Facts {
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn dataset(run: &RunSummary) -> Facts {
    let dataset = &run.head.dataset;
    let mut known = facts([("path", dataset.path.as_str().into()), ("format", dataset.format.as_str().into())]);
    known.extend(dataset.fields.iter().map(|(field, column)| (format!("fields.{field}"), column.as_str().into())));
    let digest = run.result.as_ref().and_then(|result| result.dataset_digest);
    known.extend(digest.map(|digest| ("digest".to_owned(), digest.to_string().into())));
    known
}

fn code(identity: &Identity) -> Facts {
    facts([
        ("id", identity.id.as_str().into()),
        ("version", identity.version.as_str().into()),
        ("source", identity.source.as_str().into()),
        ("digest", identity.digest.to_string().into()),
    ])
}

fn evaluator(run: &RunSummary) -> Facts {
    let mut known = code(&run.head.evaluator);
    if let Some(config) = run.head.spec.pointer("/evaluator/config") {
        known.insert("config".to_owned(), canonical::digest(config).to_string().into());
    }
    known
}

fn judges(run: &RunSummary) -> Facts {
    let of_judge = |judge: &JudgeIdentity| {
        let mut known = code(&judge.identity);
        known.insert("determinism".to_owned(), judge.determinism.as_str().into());
        known.insert("config".to_owned(), judge.config_digest.to_string().into());
        known.into_iter().map(|(field, value)| (format!("{}.{field}", judge.name), value)).collect::<Vec<_>>()
    };
    run.head.judges.iter().flat_map(|judge| of_judge(judge)).collect()
}

fn version(run: &RunSummary) -> Facts {
    facts([("version", run.head.ef_version.as_str().into())])
}

/// The judges of both runs that are not the same. Where a judge was found says nothing of what it does.
fn differing(run: &RunSummary, baseline: &RunSummary) -> Vec<String> {
    let differs = |judge: &JudgeIdentity| {
        let before = judge_named(baseline, &judge.name);
        before.is_some_and(|before| {
            let source = judge.identity.source.clone();
            JudgeIdentity { identity: Identity { source, ..before.identity.clone() }, ..before.clone() } != *judge
        })
    };
    run.head.judges.iter().filter(|judge| differs(judge)).map(|judge| judge.name.clone()).collect()
}

fn judge_named<'r>(run: &'r RunSummary, name: &str) -> Option<&'r JudgeIdentity> {
    run.head.judges.iter().find(|judge| judge.name == name).map(|judge| &**judge)
}

fn notes(run: &RunSummary, baseline: &RunSummary, changes: &Changes) -> Vec<String> {
    let mut notes = Vec::new();
    if !changes.judges_that_differ.is_empty() {
        let names = changes.judges_that_differ.join(", ");
        let (judges, verb) = if changes.judges_that_differ.len() == 1 { ("judge", "is") } else { ("judges", "are") };
        notes.push(format!(
            "the {judges} {names} {verb} not the same in both runs: numbers may have moved because the {judges} did, \
             not what was judged"
        ));
    }
    for (one, other, which) in [(run, baseline, "run"), (baseline, run, "baseline")] {
        for judge in one.head.judges.iter().filter(|judge| judge_named(other, &judge.name).is_none()) {
            notes.push(format!("the judge {} is only in the {which}: it is left out", judge.name));
        }
    }
    if run.head.run_id == baseline.head.run_id {
        notes.push("the run is compared with itself".to_owned());
    }
    if run.head.spec_id != baseline.head.spec_id {
        notes.push(format!(
            "the runs are of different specs, {} and {}: judges are paired by name",
            run.head.spec_id, baseline.head.spec_id
        ));
    }
    for (run, which) in [(run, "run"), (baseline, "baseline")] {
        if run.status != RunStatus::Completed {
            let status = run.status;
            notes.push(format!("the {which} is {status}, not completed: only what it has so far is compared"));
        }
    }
    let digest = |run: &RunSummary| run.result.as_ref().and_then(|result| result.dataset_digest);
    if let (Some(one), Some(other)) = (digest(run), digest(baseline))
        && one != other
    {
        notes.push("the datasets differ: items are paired by their ids".to_owned());
    }
    notes
}
