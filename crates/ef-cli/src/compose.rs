//! From a spec to the components that it names.

use std::path::Path;
use std::sync::Arc;

use ef_model::{Environment, Evaluator, Judge, JudgeIdentity, canonical};
use ef_plugin::{LookupError, Registry};
use ef_runner::RunJudge;
use ef_spec::{LoadedSpec, SpecProblem};

use crate::failure::{self, Failure};

/// Reads and checks a spec file.
pub(crate) fn load_spec(path: &Path) -> Result<LoadedSpec, Failure> {
    let bytes = read_spec(path)?;
    ef_spec::parse(&path.to_string_lossy(), &bytes).map_err(Failure::spec)
}

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

/// A spec's evaluator and judges, ready to be used.
pub(crate) struct Components {
    pub(crate) evaluator: Arc<dyn Evaluator>,
    pub(crate) judges: Vec<RunJudge>,
}

/// Makes a spec's evaluator and judges. All that is wrong with them is told at once, at its place in the file.
pub(crate) async fn components(
    loaded: &LoadedSpec,
    registry: &Registry,
    environment: &Environment,
) -> Result<Components, Failure> {
    let spec = &loaded.spec;
    let mut problems = Problems { loaded, all: Vec::new(), only_configs: true };
    let evaluator = registry.create_evaluator(&spec.evaluator.id, &spec.evaluator.config, environment).await;
    let evaluator = problems.take("/evaluator", evaluator);
    let mut judges = Vec::new();
    for (index, judge) in spec.judges.iter().enumerate() {
        let made = registry.create_judge(&judge.id, &judge.config, environment).await;
        let Some(made) = problems.take(&format!("/judges/{index}"), made) else { continue };
        judges.push(RunJudge { identity: Arc::new(judge_identity(judge, made.as_ref())), judge: made });
    }
    match evaluator {
        Some(evaluator) if problems.all.is_empty() => Ok(Components { evaluator, judges }),
        _ => Err(problems.into_failure()),
    }
}

fn judge_identity(spec: &ef_spec::JudgeSpec, judge: &dyn Judge) -> JudgeIdentity {
    JudgeIdentity {
        name: spec.name.clone(),
        identity: judge.identity().clone(),
        determinism: judge.determinism(),
        config_digest: canonical::digest(&spec.config),
    }
}

/// Collects what is wrong with the components of one spec.
struct Problems<'a> {
    loaded: &'a LoadedSpec,
    all: Vec<SpecProblem>,
    only_configs: bool,
}

impl Problems<'_> {
    fn take<T>(&mut self, place: &str, made: Result<T, LookupError>) -> Option<T> {
        let error = match made {
            Ok(made) => return Some(made),
            Err(error) => error,
        };
        self.only_configs &= failure::is_spec_problem(&error);
        match error {
            LookupError::Config(problems) => self.all.extend(problems.into_iter().map(|problem| {
                let pointer = format!("{place}/config{}", problem.pointer);
                self.loaded.problem(&pointer, problem.at_key, problem.message, problem.hint)
            })),
            other => {
                let hint = other.hint();
                self.all.push(self.loaded.problem(&format!("{place}/id"), false, other.to_string(), hint));
            }
        }
        None
    }

    fn into_failure(self) -> Failure {
        let errors = self.loaded.errors(self.all);
        if self.only_configs { Failure::spec(errors) } else { Failure::component(errors) }
    }
}
