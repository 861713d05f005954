//! The `ef` command line.
