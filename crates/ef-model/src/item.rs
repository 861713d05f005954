//! What goes into an evaluator and what comes out.

use serde::{Deserialize, Serialize};

use crate::{ItemId, Payload, Usage};

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalItem {
    /// Its id, unique in the dataset.
    pub item_id: ItemId,
    /// Its place in the dataset, from 1.
    pub row: u64,
    /// What the evaluator is given.
    pub input: Payload,
    /// What a good output would be, where the dataset knows.
    pub reference_output: Option<Payload>,
    /// Everything else that the dataset says, a JSON object.
    pub metadata: Option<Payload>,
}

impl EvalItem {
    /// The item's payloads.
    pub fn payloads(&self) -> impl Iterator<Item = &Payload> {
        [Some(&self.input), self.reference_output.as_ref(), self.metadata.as_ref()].into_iter().flatten()
    }
}

/// What an evaluator made of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatorOutput {
    /// The output that judges score.
    pub output: Payload,
    /// What else it wants kept (tool calls, the model's name), a JSON object.
    pub metadata: Option<Payload>,
    /// What it used.
    pub usage: Usage,
}

impl EvaluatorOutput {
    /// An output alone.
    #[must_use]
    pub const fn new(output: Payload) -> Self {
        Self { output, metadata: None, usage: Usage::UNKNOWN }
    }
}

/// A field of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ItemField {
    /// The item's id.
    ItemId,
    /// What the evaluator is given.
    Input,
    /// What a good output would be.
    ReferenceOutput,
    /// Everything else.
    Metadata,
}

impl ItemField {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ItemId, Self::Input, Self::ReferenceOutput, Self::Metadata];

    /// The name used in specs and datasets.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ItemId => "item_id",
            Self::Input => "input",
            Self::ReferenceOutput => "reference_output",
            Self::Metadata => "metadata",
        }
    }
}
