//! EvalSpec: text to a validated evaluation spec with source spans.

mod model;

pub use model::{
    Aggregator, DatasetSpec, EvalSpec, EvaluatorSpec, ItemField, JudgeSpec, MetricSpec, OnFailure, Runtime, Scoring,
};
