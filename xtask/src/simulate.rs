//! `cargo xtask simulate`: more seeds of the simulation of the runner than the tests play, or one of them alone.

use clap::Args;

use crate::step::{self, Failure, cargo};

/// Play seeds of the simulation: runs that are killed, stopped, starved and resumed, and what they promise all the same.
///
/// A seed that breaks a promise is told with the command that plays it alone. The tests play the first 2,000.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// How many seeds.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, value_name = "SEED", default_value_t = 2000)]
    from: u64,
    /// Only this seed, with every step that it takes.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// With optimised code: slow to build, and faster for very many.
    #[arg(long)]
    release: bool,
}

/// Plays them.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut simulate = cargo(["run", "--quiet", "--package", "ef-runner", "--example", "simulate"]);
    if arguments.release {
        simulate.arg("--release");
    }
    step::run(simulate.arg("--").args(wanted(arguments)))
}

fn wanted(arguments: &Arguments) -> Vec<String> {
    match arguments.seed {
        Some(seed) => vec!["--seed".to_owned(), seed.to_string()],
        None => {
            let (seeds, from) = (arguments.seeds.to_string(), arguments.from.to_string());
            vec!["--seeds".to_owned(), seeds, "--from".to_owned(), from]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_played_alone() {
        let arguments = Arguments { seeds: 5, from: 7, seed: None, release: false };
        assert_eq!(wanted(&arguments), ["--seeds", "5", "--from", "7"]);
        assert_eq!(wanted(&Arguments { seed: Some(3), ..arguments }), ["--seed", "3"]);
    }
}
