//! Who produced a number: the identity of evaluators and judges.

use serde::{Deserialize, Serialize};

use crate::{ComponentId, Digest};

/// Exactly which code ran.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Identity {
    /// `owner.name`.
    pub id: ComponentId,
    /// The component's own version.
    pub version: String,
    /// Where it came from: `builtin`, or where a plugin was found.
    pub source: String,
    /// SHA-256 of the code; for a built-in a constant of the build.
    pub digest: Digest,
}

impl Identity {
    /// The identity of a built-in: its digest covers the crate's name and version and the component's id and version.
    ///
    /// # Panics
    ///
    /// When `id` is not a valid component id, which a test of the built-in shows.
    #[must_use]
    pub fn builtin(id: &str, version: &str, package: &str, package_version: &str) -> Self {
        let parts = [package, package_version, id, version];
        Self {
            id: ComponentId::new(id).expect("the id of a built-in is valid"),
            version: version.to_owned(),
            source: "builtin".to_owned(),
            digest: Digest::of(parts.join("\n").as_bytes()),
        }
    }
}

/// What a judge promises about judging the same output again. It sets what replay asserts and what may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Determinism {
    /// The same verdict, byte for byte.
    Deterministic,
    /// The same verdict for the same seed and model.
    SamplingDeterministic,
    /// A draw from a distribution.
    Stochastic,
}

impl Determinism {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deterministic => "deterministic",
            Self::SamplingDeterministic => "sampling_deterministic",
            Self::Stochastic => "stochastic",
        }
    }
}

/// A judge as a run uses it: its code, the name that the spec gives it, and its promise.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JudgeIdentity {
    /// The name in the spec, unique within it.
    pub name: String,
    /// Which code it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// What it promises.
    pub determinism: Determinism,
    /// SHA-256 of the RFC 8785 form of its config as written in the spec, before any `${VAR}` is resolved.
    pub config_digest: Digest,
}
