//! Ids as types of their own.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {rule}")]
pub struct IdError {
    what: &'static str,
    rule: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(#[cfg_attr(feature = "schema", schemars(with = "String"))] Arc<str>);

        impl $name {
            /// Checks a text and takes it as an id.
            ///
            /// # Errors
            ///
            /// When the text breaks the rule that the error names.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, IdError> {
                let text = text.into();
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) { Ok(Self(text)) } else { Err(IdError { what: $what, rule: $rule }) }
            }

            /// The id's text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

id! {
    /// The id of a run: the name of its artifact, so it is a safe file name. Made as a UUID version 7, so that ids sort
    /// by the time of their making.
    RunId, "a run id",
    "is 1 to 128 letters, digits, '.', '_' or '-', does not start with '.' or '-', and is not 'latest'",
    |text| {
        (1..=128).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            && !text.starts_with(['.', '-'])
            && text != "latest"
    }
}

impl RunId {
    /// A new id, later in order than those made before it.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }
}

id! {
    /// The id of a dataset row. It names the row on screens and in logs, so it is not a payload: at most 512 bytes,
    /// without control characters.
    ItemId, "an item id", "is 1 to 512 bytes without control characters",
    |text| (1..=512).contains(&text.len()) && !text.chars().any(char::is_control)
}

id! {
    /// The id of an evaluator or a judge: `owner.name`, such as `eval_fabric.exact_match`.
    ComponentId, "an evaluator's or judge's id",
    "is 'owner.name' of letters, digits, '_' and '-', with two or more parts, at most 128 bytes",
    |text| {
        text.len() <= 128
            && text.split('.').count() >= 2
            && text.split('.').all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_safe_file_name() {
        for good in ["a", "0199-x", "nightly.3", RunId::generate().as_str()] {
            assert!(RunId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "-x", "a b", "latest", "a\0", &"x".repeat(129)] {
            assert!(RunId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn run_ids_made_later_sort_later() {
        let ids: Vec<_> = (0..100).map(|_| RunId::generate()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_component_id_is_namespaced() {
        assert!(ComponentId::new("eval_fabric.examples.echo").is_ok());
        for bad in ["echo", "a..b", ".a", "a.b c", ""] {
            assert!(ComponentId::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_item_id_cannot_move_the_cursor() {
        assert!(ItemId::new("dev:17 é").is_ok());
        assert!(ItemId::new("a\u{1b}[2J").is_err());
    }
}
