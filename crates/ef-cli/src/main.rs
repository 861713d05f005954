//! The `ef` program.
fn main() {}
