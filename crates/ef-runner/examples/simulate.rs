//! Plays seeds of the simulation in `tests/simulation`: many of them side by side, or one with every step that it takes.
//!
//! `simulate --seeds N [--from SEED]` or `simulate --seed SEED`; `cargo xtask simulate` calls it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the person who runs it")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

#[path = "../tests/simulation/invariants.rs"]
mod invariants;
#[path = "../tests/simulation/life.rs"]
mod life;
#[path = "../tests/simulation/scenario.rs"]
mod scenario;
#[path = "../tests/simulation/seeds.rs"]
mod seeds;
#[path = "../tests/simulation/spans.rs"]
mod spans;

/// Broken seeds that are told, at most.
const TOLD: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let value = arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1));
        value.map(|value| value.parse::<u64>())
    };
    match (number("--seed"), number("--seeds"), number("--from")) {
        (Some(Ok(seed)), None, None) => one(seed),
        (None, Some(Ok(seeds)), None) => many(0, seeds),
        (None, Some(Ok(seeds)), Some(Ok(from))) => many(from, seeds),
        _ => {
            eprintln!("simulate --seeds N [--from SEED], or simulate --seed SEED");
            ExitCode::from(2)
        }
    }
}

/// One seed, with all its steps.
fn one(seed: u64) -> ExitCode {
    let story = seeds::play(seed, true);
    story.told.iter().for_each(|line| println!("{line}"));
    match story.broken {
        Some(broken) => {
            println!("seed {seed} is broken: {broken}");
            ExitCode::FAILURE
        }
        None => {
            println!("seed {seed} holds: {} lives, {} kills", story.history.len(), story.kills);
            ExitCode::SUCCESS
        }
    }
}

/// So many seeds from this one on, on all processors. It ends when a few are broken.
fn many(from: u64, seeds: u64) -> ExitCode {
    let began = Instant::now();
    let (next, kills, lives) = (AtomicU64::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let broken = Mutex::new(Vec::new());
    let told = || broken.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while told().len() < TOLD {
                    let played = next.fetch_add(1, Ordering::Relaxed);
                    if played >= seeds {
                        return;
                    }
                    let seed = from + played;
                    let story = seeds::play(seed, false);
                    kills.fetch_add(story.kills, Ordering::Relaxed);
                    lives.fetch_add(story.history.len(), Ordering::Relaxed);
                    if let Some(what) = story.broken {
                        println!("seed {seed} is broken: {what}\n    alone: cargo xtask simulate --seed {seed}");
                        told().push(seed);
                    }
                }
            });
        }
    });
    let broken = told().len();
    println!(
        "{} seeds, {} lives, {} kills in {:.1} s: {broken} broken",
        next.load(Ordering::Relaxed).min(seeds),
        lives.load(Ordering::Relaxed),
        kills.load(Ordering::Relaxed),
        began.elapsed().as_secs_f64()
    );
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
