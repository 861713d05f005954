//! Metrics with honest intervals from judgments; pure and deterministic.
