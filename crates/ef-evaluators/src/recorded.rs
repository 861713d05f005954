//! `eval_fabric.recorded`: outputs that the dataset already holds.

use ef_model::{CallContext, CallError, ConfigProblem, Environment, EvalItem, EvaluatorOutput};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::factory::BuiltIn;
use crate::path::FieldPath;

/// Where a dataset holds the outputs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
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

pub(crate) struct Recorded {
    field: FieldPath,
    metadata_field: Option<FieldPath>,
}

impl BuiltIn for Recorded {
    const ID: &'static str = "eval_fabric.recorded";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Takes the outputs that the dataset already holds.";
    type Config = Config;
    type Shared = ();

    fn new(config: Config, _: &(), _: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        let field = FieldPath::of_config("/field", &config.field);
        let metadata_field =
            config.metadata_field.map(|text| FieldPath::of_config("/metadata_field", &text)).transpose();
        match (field, metadata_field) {
            (Ok(field), Ok(metadata_field)) => Ok(Self { field, metadata_field }),
            (field, metadata_field) => Err([field.err(), metadata_field.err()].into_iter().flatten().collect()),
        }
    }

    async fn evaluate(&self, item: &EvalItem, _: &CallContext) -> Result<EvaluatorOutput, CallError> {
        let output = self.field.look_up(item)?;
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
