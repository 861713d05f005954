//! Id to factory.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use ef_model::{ComponentId, CreateError, Environment, Evaluator, EvaluatorFactory, Identity, Judge, JudgeFactory};

use crate::lookup::{ComponentKind, LookupError, nearest_id};
use crate::masked::Masked;
use crate::schema::ConfigSchema;
use crate::variables::Resolved;

/// The evaluators and judges that specs can name.
#[derive(Default)]
pub struct Registry {
    evaluators: Components<dyn EvaluatorFactory>,
    judges: Components<dyn JudgeFactory>,
}

/// Why a factory was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Two different components claim the same id.
    #[error("two {kind}s claim the id `{id}`: {} and {}", describe(.first), describe(.second))]
    Conflict {
        /// The id.
        id: ComponentId,
        /// What they are.
        kind: ComponentKind,
        /// The one that was registered first and stays.
        first: Box<Identity>,
        /// The one that was refused.
        second: Box<Identity>,
    },
    /// The factory cannot be used.
    #[error("the {kind} `{id}` is broken: {reason}")]
    Broken {
        /// Its id.
        id: ComponentId,
        /// What it is.
        kind: ComponentKind,
        /// What is wrong.
        reason: String,
    },
}

fn describe(identity: &Identity) -> String {
    format!("version {} from {} (sha256 {:.12})", identity.version, identity.source, identity.digest)
}

impl Registry {
    /// A registry of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an evaluator. Adding the same one again does nothing.
    ///
    /// # Errors
    ///
    /// When another one has its id already, or its config schema is not a valid schema.
    pub fn register_evaluator(&mut self, factory: Arc<dyn EvaluatorFactory>) -> Result<(), RegistryError> {
        let (identity, schema) = (factory.identity().clone(), factory.config_schema());
        self.evaluators.register(ComponentKind::Evaluator, identity, schema, factory)
    }

    /// Adds a judge. Adding the same one again does nothing.
    ///
    /// # Errors
    ///
    /// When another one has its id already, or its config schema is not a valid schema.
    pub fn register_judge(&mut self, factory: Arc<dyn JudgeFactory>) -> Result<(), RegistryError> {
        let (identity, schema) = (factory.identity().clone(), factory.config_schema());
        self.judges.register(ComponentKind::Judge, identity, schema, factory)
    }

    /// The evaluators, in the order of their ids.
    pub fn evaluators(&self) -> impl Iterator<Item = &Arc<dyn EvaluatorFactory>> {
        self.evaluators.entries.values().map(|entry| &entry.factory)
    }

    /// The judges, in the order of their ids.
    pub fn judges(&self) -> impl Iterator<Item = &Arc<dyn JudgeFactory>> {
        self.judges.entries.values().map(|entry| &entry.factory)
    }

    /// Makes an evaluator from a config as a spec holds it: checked against the schema, then with its `${VAR}`s filled in.
    ///
    /// # Errors
    ///
    /// When there is none of that id, the config does not fit, or the component is broken.
    pub async fn create_evaluator(
        &self,
        id: &ComponentId,
        config: &Map<String, Value>,
        environment: &Environment,
    ) -> Result<Arc<dyn Evaluator>, LookupError> {
        let is_judge = self.judges.entries.contains_key(id);
        let entry = self.evaluators.find(ComponentKind::Evaluator, id, is_judge)?;
        let config = entry.schema.prepare(config, environment).map_err(LookupError::Config)?;
        let made =
            entry.factory.create(config.expose(), environment).await.map_err(|error| refused(id, &config, error))?;
        Ok(match config.mask() {
            Some(mask) => Arc::new(Masked { inner: made, mask: mask.clone() }) as Arc<dyn Evaluator>,
            None => made,
        })
    }

    /// Makes a judge from a config as a spec holds it: checked against the schema, then with its `${VAR}`s filled in.
    ///
    /// # Errors
    ///
    /// When there is none of that id, the config does not fit, or the component is broken.
    pub async fn create_judge(
        &self,
        id: &ComponentId,
        config: &Map<String, Value>,
        environment: &Environment,
    ) -> Result<Arc<dyn Judge>, LookupError> {
        let is_evaluator = self.evaluators.entries.contains_key(id);
        let entry = self.judges.find(ComponentKind::Judge, id, is_evaluator)?;
        let config = entry.schema.prepare(config, environment).map_err(LookupError::Config)?;
        let made =
            entry.factory.create(config.expose(), environment).await.map_err(|error| refused(id, &config, error))?;
        Ok(match config.mask() {
            Some(mask) => Arc::new(Masked { inner: made, mask: mask.clone() }) as Arc<dyn Judge>,
            None => made,
        })
    }
}

fn refused(id: &ComponentId, config: &Resolved, error: CreateError) -> LookupError {
    match config.conceal_error(error) {
        CreateError::Config(problems) => LookupError::Config(problems),
        CreateError::Broken(reason) => LookupError::Broken { id: id.clone(), reason },
    }
}

/// The components of one kind.
struct Components<F: ?Sized> {
    entries: BTreeMap<ComponentId, Entry<F>>,
}

struct Entry<F: ?Sized> {
    identity: Identity,
    schema: ConfigSchema,
    factory: Arc<F>,
}

impl<F: ?Sized> Default for Components<F> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<F: ?Sized> Components<F> {
    fn register(
        &mut self,
        kind: ComponentKind,
        identity: Identity,
        schema: Value,
        factory: Arc<F>,
    ) -> Result<(), RegistryError> {
        if let Some(first) = self.entries.get(&identity.id) {
            if first.identity == identity {
                return Ok(());
            }
            let first = Box::new(first.identity.clone());
            return Err(RegistryError::Conflict { id: identity.id.clone(), kind, first, second: Box::new(identity) });
        }
        let schema = ConfigSchema::new(schema).map_err(|reason| RegistryError::Broken {
            id: identity.id.clone(),
            kind,
            reason: format!("its config schema is not a valid schema: {reason}"),
        })?;
        self.entries.insert(identity.id.clone(), Entry { identity, schema, factory });
        Ok(())
    }

    fn find(&self, kind: ComponentKind, id: &ComponentId, is_other_kind: bool) -> Result<&Entry<F>, LookupError> {
        self.entries.get(id).ok_or_else(|| {
            let known: Vec<_> = self.entries.keys().cloned().collect();
            LookupError::Unknown { id: id.clone(), kind, nearest: nearest_id(id, &known), is_other_kind, known }
        })
    }
}
