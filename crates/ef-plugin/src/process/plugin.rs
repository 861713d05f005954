//! A plugin as its user holds it.

use std::sync::Arc;

use ef_model::{ComponentId, EvaluatorFactory, JudgeFactory, Redacted};

use super::command::PluginCommand;
use super::component::ExternalFactory;
use super::failure::PluginError;
use super::handshake::Description;
use super::host::Host;
use crate::{ComponentKind, Registry, RegistryError};

/// A plugin that is a program. It is started when it is first needed; its processes end when the last of its clones,
/// factories and components is dropped, or with [`ExternalPlugin::shutdown`].
#[derive(Clone)]
pub struct ExternalPlugin {
    host: Arc<Host>,
}

/// What is said about a plugin without starting it.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Its evaluators.
    pub evaluators: Vec<DeclaredComponent>,
    /// Its judges.
    pub judges: Vec<DeclaredComponent>,
}

/// A component that a plugin is said to provide.
#[derive(Debug, Clone)]
pub struct DeclaredComponent {
    /// Its id.
    pub id: ComponentId,
    /// Its version, where it is said; it is then checked when the plugin has started.
    pub version: Option<String>,
    /// One line for a person who chooses.
    pub summary: Option<String>,
}

/// The factories of a plugin.
#[derive(Default)]
pub struct Factories {
    /// Of its evaluators.
    pub evaluators: Vec<Arc<dyn EvaluatorFactory>>,
    /// Of its judges.
    pub judges: Vec<Arc<dyn JudgeFactory>>,
}

impl Factories {
    /// Registers all of them.
    ///
    /// # Errors
    ///
    /// At the first that cannot be registered; those before it are.
    pub fn register(self, registry: &mut Registry) -> Result<(), RegistryError> {
        self.evaluators.into_iter().try_for_each(|factory| registry.register_evaluator(factory))?;
        self.judges.into_iter().try_for_each(|factory| registry.register_judge(factory))
    }
}

impl ExternalPlugin {
    /// A plugin of this command. Nothing is started.
    #[must_use]
    pub fn new(command: PluginCommand) -> Self {
        Self { host: Arc::new(Host::new(command)) }
    }

    /// What is started.
    #[must_use]
    pub fn command(&self) -> &PluginCommand {
        &self.host.command
    }

    /// What the plugin says of itself. It is started if it has not been. Inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or its handshake fails.
    pub async fn describe(&self) -> Result<Description, PluginError> {
        match self.host.describe().await {
            Ok(description) => Ok(Description::clone(&description)),
            Err(error) => Err(PluginError::clone(&error)),
        }
    }

    /// The factories of all that the plugin provides. It is started if it has not been. Inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or its handshake fails.
    pub async fn factories(&self) -> Result<Factories, PluginError> {
        let description = self.describe().await?;
        let factory = |kind, provided| Arc::new(ExternalFactory::provided(&self.host, kind, provided));
        let evaluators = description.evaluators.iter().map(|provided| factory(ComponentKind::Evaluator, provided) as _);
        let judges = description.judges.iter().map(|provided| factory(ComponentKind::Judge, provided) as _);
        Ok(Factories { evaluators: evaluators.collect(), judges: judges.collect() })
    }

    /// The factories of what the plugin is said to provide. It is started when the first component is made; only then is
    /// its config checked, and its version known ([`super::UNKNOWN_VERSION`] until then, where none is declared).
    #[must_use]
    pub fn declared(&self, declared: &Declared) -> Factories {
        let factory = |kind, component: &DeclaredComponent| {
            let DeclaredComponent { id, version, summary } = component;
            Arc::new(ExternalFactory::declared(&self.host, kind, id, version.as_deref(), summary.as_deref()))
        };
        let evaluators = declared.evaluators.iter().map(|component| factory(ComponentKind::Evaluator, component) as _);
        let judges = declared.judges.iter().map(|component| factory(ComponentKind::Judge, component) as _);
        Factories { evaluators: evaluators.collect(), judges: judges.collect() }
    }

    /// The end of what the process that was started last has written to its standard error, at most 64 KiB. It may hold
    /// anything that the plugin was given.
    #[must_use]
    pub fn stderr_tail(&self) -> Redacted<String> {
        self.host.stderr().text()
    }

    /// Ends the plugin's processes: they are told to, given time, and then made to with all that they started. Nothing is
    /// started any more.
    pub async fn shutdown(&self) {
        self.host.shut_down().await;
    }
}
