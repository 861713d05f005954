//! From a spec to the components that it names.

use std::path::Path;
use std::sync::Arc;

use ef_model::{ConfigProblem, Environment, Evaluator, Judge, JudgeIdentity, RunHead, Secret, canonical};
use ef_plugin::{LookupError, Registry};
use ef_runner::RunJudge;
use ef_spec::{Draft, DraftComponent, EvalSpec, LoadedSpec};

use serde_json::Map;

use crate::Exit;
use crate::failure::{self, Failure};

/// The bytes of a spec file, or a little more than the most that it may have.
pub(crate) fn read_spec(path: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read;
    let refused = |error: std::io::Error| {
        let message = format!("the spec {} cannot be read: {}", path.display(), failure::reason(&error));
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                Failure::usage(message).hint("`ef init DIR` makes a project with a spec to begin from")
            }
            _ => Failure::usage(message),
        }
    };
    if path.is_dir() {
        return Err(Failure::usage(format!("the spec {} is a folder", path.display())).hint("name the file in it"));
    }
    let mut bytes = Vec::new();
    let limit = ef_spec::MAX_BYTES as u64 + 1;
    std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(refused)?;
    Ok(bytes)
}

/// Everything that a spec can name in this build.
pub(crate) fn registry() -> Result<Registry, Failure> {
    let mut registry = Registry::new();
    for factory in ef_evaluators::factories() {
        registry.register_evaluator(factory)?;
    }
    for factory in ef_judges::factories() {
        registry.register_judge(factory)?;
    }
    Ok(registry)
}

/// The environment that components may read.
pub(crate) fn environment() -> Environment {
    // A variable that is not UTF-8 cannot be named in a spec either.
    Environment::new(
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
    )
}

/// A spec with its evaluator and judges, ready to be used.
pub(crate) struct Composed {
    pub(crate) spec: EvalSpec,
    /// The URI of the spec's trace store, its `${VAR}`s filled in.
    pub(crate) store: Secret,
    pub(crate) evaluator: Arc<dyn Evaluator>,
    pub(crate) judges: Vec<RunJudge>,
}

/// Reads a spec file and makes the evaluator and the judges that it names. All that is wrong with any of them is told at
/// once, at its place in the file.
pub(crate) async fn compose(path: &Path, registry: &Registry, environment: &Environment) -> Result<Composed, Failure> {
    compose_text(&path.to_string_lossy(), &read_spec(path)?, registry, environment).await
}

/// The same of the spec that a run keeps.
pub(crate) async fn compose_run(
    head: &RunHead,
    registry: &Registry,
    environment: &Environment,
) -> Result<Composed, Failure> {
    let text = format!("{:#}\n", head.spec);
    compose_text(&format!("kept by the run {}", head.run_id), text.as_bytes(), registry, environment).await
}

async fn compose_text(
    name: &str,
    text: &[u8],
    registry: &Registry,
    environment: &Environment,
) -> Result<Composed, Failure> {
    let mut draft = Draft::read(name, text).map_err(Failure::spec)?;
    let is_sound = draft.is_sound();
    let mut is_to_be_had = true;
    let mut evaluator = None;
    let mut judges = Vec::new();
    for DraftComponent { pointer, is_judge, id, config } in draft.components() {
        let made = if is_judge {
            registry.create_judge(&id, &config, environment).await.map(|judge| judges.push(judge))
        } else {
            registry.create_evaluator(&id, &config, environment).await.map(|made| evaluator = Some(made))
        };
        match made {
            Ok(()) => {}
            Err(LookupError::Config(problems)) => {
                for problem in problems {
                    let pointer = format!("{pointer}/config{}", problem.pointer);
                    draft.add(&pointer, problem.at_key, problem.message, problem.hint);
                }
            }
            Err(other) => {
                is_to_be_had = false;
                draft.add(&format!("{pointer}/id"), false, other.to_string(), other.hint());
            }
        }
    }
    let exit = if is_sound && !is_to_be_had { Exit::Component } else { Exit::Usage };
    let loaded = draft.finish().map_err(|errors| Failure::report_of(exit, errors))?;
    let store = store_uri(&loaded, environment)?;
    let LoadedSpec { spec, .. } = loaded;
    let evaluator = evaluator.expect("a sound spec has an evaluator, and it was made");
    let judges = spec.judges.iter().zip(judges);
    let judges = judges.map(|(named, judge)| RunJudge { identity: Arc::new(judge_identity(named, &*judge)), judge });
    Ok(Composed { evaluator, judges: judges.collect(), spec, store })
}

/// The URI of the spec's trace store. With its variables filled in it may hold a password.
fn store_uri(loaded: &LoadedSpec, environment: &Environment) -> Result<Secret, Failure> {
    const KEY: &str = "trace_store";
    let written = Map::from_iter([(KEY.to_owned(), loaded.spec.runtime.trace_store.as_str().into())]);
    let resolved = ef_plugin::variables::resolve(&written, environment).map_err(|problems| {
        let place = |problem: ConfigProblem| {
            loaded.problem(&format!("/runtime{}", problem.pointer), false, problem.message, problem.hint)
        };
        Failure::spec(loaded.errors(problems.into_iter().map(place).collect()))
    })?;
    Ok(Secret::new(resolved.expose()[KEY].as_str().unwrap_or_default().to_owned()))
}

/// What records say of a judge.
pub(crate) fn judge_identity(spec: &ef_spec::JudgeSpec, judge: &dyn Judge) -> JudgeIdentity {
    JudgeIdentity {
        name: spec.name.clone(),
        identity: judge.identity().clone(),
        determinism: judge.determinism(),
        config_digest: canonical::digest(&spec.config),
    }
}
