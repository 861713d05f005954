//! The built-in judges of eval-fabric.
