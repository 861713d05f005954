//! Why a component could not be had.

use std::fmt;

use ef_model::{ComponentId, ConfigProblem};

use crate::nearest::nearest;

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ComponentKind {
    /// A system under test.
    Evaluator,
    /// A scorer of outputs.
    Judge,
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evaluator => "evaluator",
            Self::Judge => "judge",
        })
    }
}

/// Why an id and a config did not become a component. No message holds the value of an environment variable.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is no component of that kind and id.
    #[error("there is no {kind} `{id}`")]
    Unknown {
        /// The id that was asked for.
        id: ComponentId,
        /// What it was to be.
        kind: ComponentKind,
        /// The id that was probably meant.
        nearest: Option<ComponentId>,
        /// Whether the id belongs to a component of the other kind.
        is_other_kind: bool,
        /// The ids that there are, in order.
        known: Vec<ComponentId>,
    },
    /// The config does not fit. The pointers are relative to the config.
    #[error("the config does not fit ({} problem{})", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Config(Vec<ConfigProblem>),
    /// The component itself is broken.
    #[error("`{id}` is broken: {reason}")]
    Broken {
        /// Its id.
        id: ComponentId,
        /// What is wrong.
        reason: String,
    },
}

impl LookupError {
    /// What to do about it, where that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { id, kind: ComponentKind::Evaluator, is_other_kind: true, .. } => {
                Some(format!("`{id}` is a judge: name it under `judges`"))
            }
            Self::Unknown { id, kind: ComponentKind::Judge, is_other_kind: true, .. } => {
                Some(format!("`{id}` is an evaluator: name it under `evaluator`"))
            }
            Self::Unknown { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Unknown { kind, known, .. } if known.is_empty() => Some(format!("no {kind} is registered")),
            Self::Unknown { kind, known, .. } => {
                let known: Vec<_> = known.iter().map(ComponentId::as_str).collect();
                Some(format!("known {kind}s: {}", known.join(", ")))
            }
            Self::Config(_) | Self::Broken { .. } => None,
        }
    }
}

/// The known id that was probably meant: the one whose last part is spelled most nearly the same. Owners are not
/// compared, as a long one that is right would make any name under it look near.
pub(crate) fn nearest_id(id: &ComponentId, known: &[ComponentId]) -> Option<ComponentId> {
    let meant = nearest(last_part(id), known.iter().map(last_part))?;
    known.iter().find(|candidate| last_part(candidate) == meant).cloned()
}

fn last_part(id: &ComponentId) -> &str {
    id.as_str().rsplit('.').next().unwrap_or_default()
}
