//! Registry of evaluators and judges: id to factory.
