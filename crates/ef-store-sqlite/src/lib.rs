//! SQLite trace store of eval-fabric.
