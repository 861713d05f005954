//! `eval_fabric.recorded`: outputs that the dataset already holds.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, CreateError, Environment, EvalItem, Evaluator, EvaluatorFactory,
    EvaluatorOutput, Identity,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::path::FieldPath;

/// Where a dataset holds the outputs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where the output is: `metadata`, `input` or `reference_output`, and after a dot the way inside, such as
    /// `metadata.answers.0.text`. Whole numbers count list entries from 0. A key that holds dots itself is found too:
    /// of several keys that fit, the longest is taken.
    #[schemars(regex(pattern = FieldPath::PATTERN))]
    field: String,
    /// Where the output's metadata is: a path like that of `field`. It leads to a map; where an item has none there, the output has none.
    #[serde(default)]
    #[schemars(regex(pattern = FieldPath::PATTERN))]
    metadata_field: Option<String>,
}

pub(crate) struct RecordedFactory {
    identity: Identity,
}

impl RecordedFactory {
    pub(crate) fn new() -> Self {
        Self { identity: crate::identity("eval_fabric.recorded", "1.0.0") }
    }
}

impl EvaluatorFactory for RecordedFactory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "Takes the outputs that the dataset already holds."
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Evaluator>, CreateError>> {
        Box::pin(async move {
            let config: Config = crate::parse(config)?;
            let field = path("/field", &config.field);
            let metadata_field = config.metadata_field.map(|text| path("/metadata_field", &text)).transpose();
            match (field, metadata_field) {
                (Ok(field), Ok(metadata_field)) => {
                    let identity = self.identity.clone();
                    Ok(Arc::new(Recorded { identity, field, metadata_field }) as Arc<dyn Evaluator>)
                }
                (field, metadata_field) => {
                    let problems = [field.err(), metadata_field.err()];
                    Err(CreateError::Config(problems.into_iter().flatten().collect()))
                }
            }
        })
    }
}

fn path(pointer: &str, text: &str) -> Result<FieldPath, ef_model::ConfigProblem> {
    FieldPath::parse(text).ok_or_else(|| {
        let hint = "such as `metadata.answer` or `metadata.answers.0.text`";
        let message = "not a path that begins with `metadata`, `input` or `reference_output`".to_owned();
        crate::problem(pointer, message, Some(hint))
    })
}

struct Recorded {
    identity: Identity,
    field: FieldPath,
    metadata_field: Option<FieldPath>,
}

impl Recorded {
    fn look_up(&self, item: &EvalItem) -> Result<EvaluatorOutput, CallError> {
        let output = self.field.find(item).ok_or_else(|| {
            CallError::permanent("field_missing", format!("the item has nothing at `{}`", self.field))
        })?;
        let metadata = self.metadata_field.as_ref().and_then(|path| Some((path, path.find(item)?)));
        match metadata {
            None => Ok(EvaluatorOutput::new(output)),
            Some((_, metadata)) if metadata.expose().trim_start().starts_with('{') => {
                Ok(EvaluatorOutput { metadata: Some(metadata), ..EvaluatorOutput::new(output) })
            }
            Some((path, _)) => {
                let message =
                    format!("what the item has at `{path}` is not an object, as an output's metadata must be");
                Err(CallError::permanent("field_not_an_object", message))
            }
        }
    }
}

impl Evaluator for Recorded {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move { self.look_up(item) })
    }
}
