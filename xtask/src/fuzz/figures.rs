//! What libFuzzer's output says.

use std::fmt;

/// How far a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    /// Inputs that were tried.
    executions: u64,
    /// Inputs a second.
    rate: u64,
    /// Edges of the program that some input reached.
    coverage: u64,
    /// The most memory that was in use, in MiB.
    peak_rss: u64,
}

impl Figures {
    pub(super) const HEADER: &str = "target                    inputs  inputs/s  coverage  peak RSS, MiB";

    /// Reads them, where the run came to its end.
    pub(super) fn of(output: &str) -> Option<Self> {
        let last = output.lines().rfind(|line| line.starts_with('#') && line.contains(" cov: "))?;
        let mut words = last.split_whitespace().skip_while(|word| *word != "cov:").skip(1);
        Some(Self {
            executions: stat(output, "number_of_executed_units")?,
            rate: stat(output, "average_exec_per_sec")?,
            coverage: words.next()?.parse().ok()?,
            peak_rss: stat(output, "peak_rss_mb")?,
        })
    }
}

fn stat(output: &str, name: &str) -> Option<u64> {
    let marker = format!("stat::{name}:");
    output.lines().find_map(|line| line.strip_prefix(&marker)).and_then(|value| value.trim().parse().ok())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { executions, rate, coverage, peak_rss } = self;
        write!(f, "{executions:>12}{rate:>10}{coverage:>10}{peak_rss:>15}")
    }
}

/// The file of the input that broke the target.
pub(super) fn input(output: &str) -> Option<&str> {
    output.lines().find_map(|line| Some(line.split_once("Test unit written to ")?.1))
}

/// The lines that say why a target broke: a panic or a verdict of libFuzzer, and what follows it.
pub(super) fn reasons(output: &str) -> Vec<&str> {
    const SHOWN: usize = 6;
    let is_first = |line: &&str| line.contains("panicked at ") || line.contains("ERROR: ");
    let reasons = output.lines().skip_while(|line| !is_first(line)).take_while(|line| *line != "stack backtrace:");
    reasons.filter(|line| !line.trim().is_empty()).take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_at_the_end() {
        let output = "#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 40Mb\n#90\tDONE   cov: 345 ft: 400 corp: 9/1Kb\n\
                      Done 90 runs in 3 second(s)\nstat::number_of_executed_units: 90\n\
                      stat::average_exec_per_sec:     30\nstat::peak_rss_mb:              120\n";
        let figures = Figures { executions: 90, rate: 30, coverage: 345, peak_rss: 120 };
        assert_eq!(Figures::of(output), Some(figures));
        assert_eq!(figures.to_string().len() + 20, Figures::HEADER.len());
        assert_eq!(Figures::of("error: could not compile"), None);
    }

    #[test]
    fn what_broke_a_target_is_found_in_its_output() {
        let output = "INFO: seeds\n\nthread 'x' panicked at fuzz/src/spec.rs:1:2:\nboom\n\nstack backtrace:\n==1== ERROR: libFuzzer: deadly\n\
                      Test unit written to /x/crash-1\n";
        assert_eq!(input(output), Some("/x/crash-1"));
        let reasons = reasons(output);
        assert_eq!(reasons, ["thread 'x' panicked at fuzz/src/spec.rs:1:2:", "boom"]);
    }
}
