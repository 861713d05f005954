//! What goes into an evaluator and what comes out.

use crate::{ItemId, Payload};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatorOutput {
    /// The output that judges score.
    pub output: Payload,
    /// What else it wants kept (token usage, tool calls), a JSON object.
    pub metadata: Option<Payload>,
}
