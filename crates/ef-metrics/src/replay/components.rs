//! What is not the same in a replay as in its source: where drift may come from.

use ef_model::{Identity, RunHead};

/// What has to be known before any number of a replay is read, as sentences for a person: evaluator, judges and program
/// that are not those of the source.
#[must_use]
pub fn notes(source: &RunHead, replay: &RunHead) -> Vec<String> {
    let mut notes = Vec::new();
    if source.evaluator != replay.evaluator {
        let change = change(&source.evaluator, &replay.evaluator);
        notes.push(format!("the evaluator is not the one of the source: {change}. Other outputs may come of it"));
    }
    for judge in &replay.judges {
        let Some(before) = source.judges.iter().find(|before| before.name == judge.name) else { continue };
        if before.identity != judge.identity {
            let change = change(&before.identity, &judge.identity);
            notes
                .push(format!("the judge {} is not the one of the source: {change}. Drift may come of it", judge.name));
        } else if before.determinism != judge.determinism {
            let (before, now) = (before.determinism.as_str(), judge.determinism.as_str());
            notes.push(format!(
                "the judge {} declared to be {before} and declares to be {now}. It is held to the former",
                judge.name
            ));
        } else if before.config_digest != judge.config_digest {
            notes.push(format!("the judge {} has another config than in the source", judge.name));
        }
    }
    if source.ef_version != replay.ef_version {
        notes.push(format!("ef {} made the source, and this is ef {}", source.ef_version, replay.ef_version));
    }
    notes
}

fn change(before: &Identity, now: &Identity) -> String {
    let shown = |identity: &Identity| {
        format!("{} {} from {} (sha256 {:.12})", identity.id, identity.version, identity.source, identity.digest)
    };
    format!("it was {} and is {}", shown(before), shown(now))
}
