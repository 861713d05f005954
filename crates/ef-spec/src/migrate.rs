//! Specs of older versions to newer ones.

use crate::load::declared_version;
use crate::{SpecErrors, parse};

/// The schema versions that this crate reads, the oldest first.
pub const SCHEMA_VERSIONS: [&str; 1] = ["1"];

/// One step: from a version, to the next, and how a text of the first becomes a text of the second.
type Step = (&'static str, &'static str, fn(&str) -> String);

/// A new version adds itself to `SCHEMA_VERSIONS` and one step here; older files then take all steps in turn.
const STEPS: [Step; SCHEMA_VERSIONS.len() - 1] = [];

/// Why a spec could not be migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// It is wrong as it is.
    #[error(transparent)]
    Spec(SpecErrors),
    /// There is no such version.
    #[error("there is no schema version {to:?}; this ef knows {}", SCHEMA_VERSIONS.join(", "))]
    UnknownVersion {
        /// The version that was asked for.
        to: String,
    },
    /// There is no way from the one to the other: versions only go up.
    #[error(
        "a spec of schema version {from:?} cannot be turned into one of version {to:?}; this ef knows {}",
        SCHEMA_VERSIONS.join(", ")
    )]
    NoWay {
        /// The spec's version.
        from: String,
        /// The version that was asked for.
        to: String,
    },
}

/// Turns a spec into one of another schema version, and checks the outcome. A spec that has this version already is
/// given back unchanged, byte for byte.
///
/// # Errors
///
/// When the spec is wrong, or there is no such version, or no way to it.
pub fn migrate(name: &str, bytes: &[u8], to: &str) -> Result<String, MigrateError> {
    if !SCHEMA_VERSIONS.contains(&to) {
        return Err(MigrateError::UnknownVersion { to: to.to_owned() });
    }
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    // A spec that declares none is told so by the check.
    if let Some(from) = declared_version(name, bytes).map_err(MigrateError::Spec)? {
        text = follow(&STEPS, text, &from, to)?;
    }
    parse(name, text.as_bytes()).map_err(MigrateError::Spec)?;
    Ok(text)
}

fn follow(steps: &[Step], mut text: String, from: &str, to: &str) -> Result<String, MigrateError> {
    let mut version = from;
    while version != to {
        let Some((_, next, step)) = steps.iter().find(|(before, ..)| *before == version) else {
            return Err(MigrateError::NoWay { from: from.to_owned(), to: to.to_owned() });
        };
        text = step(&text);
        version = next;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "# kept\nschema_version: '1'\nid: a\nversion: 1.0.0\n\
                        evaluator: {id: a.b}\njudges: [{id: a.c}] # too\n";

    #[test]
    fn a_spec_of_the_version_asked_for_is_given_back_byte_for_byte() {
        assert_eq!(migrate("s.yaml", SPEC.as_bytes(), "1").expect("valid"), SPEC);
        let with_bom = format!("\u{feff}{SPEC}");
        assert_eq!(migrate("s.yaml", with_bom.as_bytes(), "1").expect("valid"), with_bom);
    }

    #[test]
    fn a_version_that_does_not_exist_is_refused_with_those_that_do() {
        let error = migrate("s.yaml", SPEC.as_bytes(), "2").expect_err("no version 2");
        assert_eq!(error.to_string(), "there is no schema version \"2\"; this ef knows 1");
        let error = migrate("s.yaml", SPEC.replace("'1'", "'0'").as_bytes(), "1").expect_err("no version 0");
        let message = "a spec of schema version \"0\" cannot be turned into one of version \"1\"; this ef knows 1";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn a_spec_that_is_wrong_is_reported_as_any_other() {
        for text in ["id: a", "schema_version: 1", "a: [", "\u{0}"] {
            let error = migrate("s.yaml", text.as_bytes(), "1").expect_err("a broken spec");
            assert!(matches!(error, MigrateError::Spec(_)), "{error}");
        }
    }

    #[test]
    fn steps_are_taken_in_turn_and_never_back() {
        let steps: [Step; 2] = [("a", "b", |text| format!("{text}b")), ("b", "c", |text| format!("{text}c"))];
        assert_eq!(follow(&steps, "a".to_owned(), "a", "c").expect("a way"), "abc");
        assert_eq!(follow(&steps, "a".to_owned(), "b", "b").expect("no step"), "a");
        assert!(matches!(follow(&steps, String::new(), "c", "a"), Err(MigrateError::NoWay { .. })));
    }
}
