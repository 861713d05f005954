//! The built-in evaluators of eval-fabric.
