//! From a spec to the components that it names.

use std::path::Path;
use std::sync::Arc;

use ef_client::Clients;
use ef_judges::Prompter;
use ef_model::{
    ConfigProblem, Environment, Evaluator, Identity, Judge, JudgeIdentity, Pricing, RunHead, Secret, canonical,
};
use ef_plugin::{ComponentKind, LookupError, Registry};
use ef_runner::RunJudge;
use ef_spec::{Draft, DraftComponent, EvalSpec, LoadedSpec};

use serde_json::Map;

use crate::Exit;
use crate::failure::{self, Failure};
use crate::plugins::{Plugins, Wanted};
use crate::prompt::Terminal;

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

/// What specs are composed of: everything that one can name in this build, and what it may use.
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) environment: Environment,
    /// The connections of all that call somebody else.
    pub(crate) clients: Clients,
    pub(crate) plugins: Plugins,
}

impl Parts {
    /// All that there is: what the program has of its `own`, what is built in, and plugins as they are needed. A person is
    /// asked at `terminal`, where there is one. If they are `locked`, plugins that are not as the lock file says are refused.
    pub(crate) fn gather(own: Registry, terminal: Option<Arc<Terminal>>, locked: bool) -> Result<Self, Failure> {
        let environment = environment();
        let clients = Clients::new(&environment);
        let plugins = Plugins::find(&environment, locked)?;
        let mut registry = own;
        for factory in ef_evaluators::factories().into_iter().chain(ef_evaluators::model_factories(&clients)) {
            registry.register_evaluator(factory)?;
        }
        for factory in ef_judges::factories().into_iter().chain(ef_judges::model_factories(&clients)) {
            registry.register_judge(factory)?;
        }
        let prompter = terminal.map(|terminal| terminal as Arc<dyn Prompter>);
        registry.register_judge(ef_judges::human_factory(prompter))?;
        Ok(Self { registry, environment, clients, plugins })
    }

    /// Registers what plugins have of these ids. What nobody has is told when it is made.
    pub(crate) async fn provide(&mut self, wanted: &[Wanted]) -> Result<(), Failure> {
        self.plugins.provide(&mut self.registry, wanted).await
    }

    /// What to do where a component cannot be had.
    pub(crate) fn hint(&self, error: &LookupError) -> Option<String> {
        let hint = error.hint();
        let Some(broken) = self.plugins.broken().filter(|_| matches!(error, LookupError::Unknown { .. })) else {
            return hint;
        };
        let broken = format!("it may be one of a plugin's that could not be asked: {broken}");
        Some(hint.map_or(broken.clone(), |hint| format!("{hint}; {broken}")))
    }
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
pub(crate) async fn compose(path: &Path, parts: &mut Parts) -> Result<Composed, Failure> {
    compose_text(&path.to_string_lossy(), &read_spec(path)?, parts).await
}

/// The same of the spec that a run keeps.
pub(crate) async fn compose_run(head: &RunHead, parts: &mut Parts) -> Result<Composed, Failure> {
    let text = format!("{:#}\n", head.spec);
    compose_text(&format!("kept by the run {}", head.run_id), text.as_bytes(), parts).await
}

async fn compose_text(name: &str, text: &[u8], parts: &mut Parts) -> Result<Composed, Failure> {
    let mut draft = Draft::read(name, text).map_err(Failure::spec)?;
    let is_sound = draft.is_sound();
    let kind = |is_judge| if is_judge { ComponentKind::Judge } else { ComponentKind::Evaluator };
    let components = draft.components();
    let wanted: Vec<_> = components.iter().map(|named| (kind(named.is_judge), named.id.clone())).collect();
    parts.provide(&wanted).await?;
    let Parts { registry, environment, clients, .. } = &*parts;
    let mut is_to_be_had = true;
    let mut evaluator = None;
    let mut judges = Vec::new();
    for DraftComponent { pointer, is_judge, id, config } in components {
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
                draft.add(&format!("{pointer}/id"), false, other.to_string(), parts.hint(&other));
            }
        }
    }
    let exit = if is_sound && !is_to_be_had { Exit::Component } else { Exit::Usage };
    let loaded = draft.finish().map_err(|errors| Failure::report_of(exit, errors))?;
    let store = store_uri(&loaded, environment)?;
    let evaluator = evaluator.expect("a sound spec has an evaluator, and it was made");
    require_prices(&loaded, &*evaluator, &judges)?;
    let LoadedSpec { spec, .. } = loaded;
    clients.limit_to(spec.runtime.max_concurrent);
    let used = judges.iter().map(|judge| (ComponentKind::Judge, judge.identity()));
    let used: Vec<(_, &Identity)> =
        std::iter::once((ComponentKind::Evaluator, evaluator.identity())).chain(used).collect();
    parts.plugins.require_lock(&used).await?;
    log_plugins(&used);
    let judges = spec.judges.iter().zip(judges);
    let judges = judges.map(|(named, judge)| RunJudge { identity: Arc::new(judge_identity(named, &*judge)), judge });
    Ok(Composed { evaluator, judges: judges.collect(), spec, store })
}

/// Tells the log which components are not built in.
pub(crate) fn log_plugins(used: &[(ComponentKind, &Identity)]) {
    for (kind, Identity { id, version, source, digest }) in used.iter().filter(|(_, used)| used.source != "builtin") {
        let digest = format_args!("{digest:.12}");
        tracing::info!(%kind, %id, version, source, %digest, "plugin in use");
    }
}

/// Under a budget, whatever costs money has to say beforehand how much at most.
fn require_prices(loaded: &LoadedSpec, evaluator: &dyn Evaluator, judges: &[Arc<dyn Judge>]) -> Result<(), Failure> {
    if loaded.spec.runtime.max_cost_usd.is_none() {
        return Ok(());
    }
    let components = std::iter::once(("/evaluator/config".to_owned(), evaluator.pricing()));
    let judges = judges.iter().enumerate().map(|(index, judge)| (format!("/judges/{index}/config"), judge.pricing()));
    let problem = |(pointer, pricing): (String, Pricing)| match pricing {
        Pricing::Free | Pricing::Bounded => None,
        Pricing::Unbounded { missing } => {
            let message = format!("a call may cost anything, and `runtime.max_cost_usd` is set: {missing}");
            Some(loaded.problem(&pointer, false, message, None))
        }
    };
    let problems: Vec<_> = components.chain(judges).filter_map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(Failure::spec(loaded.errors(problems))) }
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
