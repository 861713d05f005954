//! Regular expressions from configs: linear in the text, bounded in size.

use ef_model::ConfigProblem;
use regex::{Error, Regex, RegexBuilder};

use crate::rule::problem;

/// The most that a compiled pattern may take, in bytes: `\w{100}` takes a tenth of it.
pub(crate) const SIZE_LIMIT: usize = 4 << 20;

const SYNTAX: &str =
    "the syntax is that of the Rust crate `regex`: linear time, so no look-around and no back-references";

/// How a pattern is compiled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    pub(crate) ignore_case: bool,
    /// Whether it must match the text as a whole.
    pub(crate) full_match: bool,
}

/// Compiles the pattern that the config holds at `pointer`.
pub(crate) fn compile(pointer: &str, pattern: &str, options: Options) -> Result<Regex, ConfigProblem> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .case_insensitive(options.ignore_case)
            .size_limit(SIZE_LIMIT)
            .dfa_size_limit(SIZE_LIMIT)
            .build()
    };
    let alone = build(pattern).map_err(|error| refused(pointer, &error))?;
    if !options.full_match {
        return Ok(alone);
    }
    build(&format!(r"\A(?:{pattern})\z"))
        // In verbose mode the pattern may end in a comment, which a line break ends.
        .or_else(|_| build(&format!("\\A(?:{pattern}\n)\\z")))
        .map_err(|error| refused(pointer, &error))
}

fn refused(pointer: &str, error: &Error) -> ConfigProblem {
    match error {
        Error::CompiledTooBig(limit) => {
            let message = format!("the regular expression takes more than {} MiB once compiled", limit >> 20);
            problem(
                pointer,
                message,
                Some("repeat fewer times, or narrower classes: `[0-9]` for `\\d`, `[a-z]` for `\\w`"),
            )
        }
        error => {
            let text = error.to_string();
            let reason = text.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or(&text);
            problem(pointer, format!("not a valid regular expression: {reason}"), Some(SYNTAX))
        }
    }
}
