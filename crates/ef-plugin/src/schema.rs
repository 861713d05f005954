//! A component's config schema, ready to check configs against.

use std::collections::BTreeSet;

use jsonschema::{PatternOptions, Validator};
use serde_json::{Map, Value};

use ef_model::{ConfigProblem, Environment};

use crate::problem::{Words, is_about_shape};
use crate::variables::{self, Resolved};

/// A config schema that can be compiled. It is compiled anew for each config: there are as many schemas as components, few
/// of which a run uses, and compiled ones are large.
pub(crate) struct ConfigSchema {
    schema: Value,
}

fn compiled(schema: &Value) -> Result<Validator, jsonschema::ValidationError<'static>> {
    jsonschema::options()
        .offline()
        // The default engine backtracks; this one is linear in the text.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
}

impl ConfigSchema {
    /// Takes a schema that can be compiled. References out of it are refused: nothing is ever fetched.
    pub(crate) fn new(schema: Value) -> Result<Self, String> {
        match compiled(&schema) {
            Ok(_) => Ok(Self { schema }),
            Err(error) => Err(match error.schema_path().as_str() {
                "" => error.to_string(),
                path => format!("{error} at {path}"),
            }),
        }
    }

    fn validator(&self) -> Validator {
        compiled(&self.schema).expect("it was compiled when it was taken")
    }

    /// Checks a config as it is written and resolves its variables, reporting everything that is wrong at once.
    ///
    /// A text with a variable cannot be held to a pattern or a list of values before it is resolved; it is held to them
    /// afterwards.
    pub(crate) fn prepare(
        &self,
        config: &Map<String, Value>,
        environment: &Environment,
    ) -> Result<Resolved, Vec<ConfigProblem>> {
        let written = Value::Object(config.clone());
        let validator = self.validator();
        let mut problems = self.check(&validator, &written, |error| {
            is_about_shape(error) || !variables::may_change(error.instance().as_ref())
        });
        let resolved = variables::resolve(config, environment);
        match resolved {
            Err(unset) => {
                problems.extend(unset);
                problems.sort_by(|a, b| a.pointer.cmp(&b.pointer));
            }
            Ok(resolved) if problems.is_empty() => {
                let problems = self.check(&validator, resolved.expose(), |_| true);
                let problems: Vec<_> = problems.into_iter().map(|problem| resolved.name_variables(problem)).collect();
                return if problems.is_empty() { Ok(resolved) } else { Err(problems) };
            }
            Ok(_) => {}
        }
        Err(problems)
    }

    /// Everything that is wrong with a config whose variables are resolved already.
    #[cfg(all(feature = "process", unix))]
    pub(crate) fn check_resolved(&self, config: &Value) -> Vec<ConfigProblem> {
        self.check(&self.validator(), config, |_| true)
    }

    /// Everything that is wrong with the config, in the order of the pointers. No message quotes a value.
    fn check(
        &self,
        validator: &Validator,
        config: &Value,
        counts: impl Fn(&jsonschema::ValidationError<'_>) -> bool,
    ) -> Vec<ConfigProblem> {
        let words = Words { schema: &self.schema, config };
        let mut seen = BTreeSet::new();
        let mut problems: Vec<_> = validator
            .iter_errors(config)
            .filter(counts)
            .flat_map(|error| words.describe(&error))
            .filter(|problem| seen.insert((problem.pointer.clone(), problem.message.clone())))
            .collect();
        problems.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        problems
    }
}
