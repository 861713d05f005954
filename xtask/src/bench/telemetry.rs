//! `cargo xtask bench telemetry`: what it costs a run to tell of itself. `ef run` with the echo evaluator and one judge, with
//! everything exported by OTLP to a receiver on loopback, beside the same run that exports nothing.
//!
//! The receiver is a process of its own: the CPU time is that of `ef`, and with the machine's cores both share the wall time.
//! What is promised of receivers that misbehave is the wall time. Of one that serves it is shown and no target: an echo run
//! leaves no core idle, so that it takes longer by what its spans cost, and by what the receiver does with them.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::figures::{as_f64, median};
use super::programs::{Programs, untold};
use super::targets::Target;
use super::{dataset, report};
use crate::measure::{Usage, measured};
use crate::step::{self, Failure, cargo};

mod receiver;

use receiver::{Counts, Manner, Receiver};

const ITEMS: u64 = 100_000;
/// CPU time of one span, in µs, below.
const SPAN_CPU_US: f64 = 15.0;
/// Wall time as a multiple of a run that exports nothing, where the receiver misbehaves, below.
const WALL: f64 = 1.1;

/// Each way of exporting: the protocol, the receiver's manner, and the name of its target.
const WAYS: [(&str, Manner, &str); 6] = [
    ("http/protobuf", Manner::Serves, "CPU of a span by HTTP, µs"),
    ("grpc", Manner::Serves, "CPU of a span by gRPC, µs"),
    ("http/protobuf", Manner::IsDown, "wall time, nobody listens"),
    ("http/protobuf", Manner::Refuses, "wall time, the receiver refuses"),
    ("http/protobuf", Manner::IsSlow, "wall time, the receiver is slow"),
    ("http/protobuf", Manner::Hangs, "wall time, the receiver hangs"),
];

/// The barest programs that make as many spans, and what they are called in the table.
const LOOPS: [(&str, &str); 2] =
    [("spans", "a bare loop through ef-telemetry"), ("sdk", "a bare loop through the SDK alone")];

/// All runs of one way of exporting; `told[i]` and the baseline's `i`th run are a pair.
#[derive(Debug, Serialize)]
struct Way {
    protocol: &'static str,
    receiver: Manner,
    #[serde(skip)]
    target: &'static str,
    told: Vec<Told>,
}

/// One run that exports.
#[derive(Debug, Clone, Copy, Serialize)]
struct Told {
    #[serde(flatten)]
    usage: Usage,
    received: Counts,
    /// Spans that `ef` says it has dropped.
    dropped: u64,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Figures {
    items: u64,
    silent: Vec<Usage>,
    ways: Vec<Way>,
    loops: Vec<(&'static str, Vec<Loop>)>,
}

/// One run of a bare loop.
#[derive(Debug, Clone, Copy, Serialize)]
struct Loop {
    /// CPU time of a span, in µs.
    cpu_us: f64,
    received: u64,
}

/// Measures, prints, and says whether every target is met.
pub(super) fn run(programs: &Programs, scratch: &Path, runs: u32) -> Result<bool, Failure> {
    let receiver = receiver::build(&programs.target_directory)?;
    for (example, _) in LOOPS {
        step::run(&mut cargo(["build", "--release", "--package", "ef-telemetry", "--example", example]))?;
    }
    let file = scratch.join("dataset.jsonl");
    dataset::write(&file, ITEMS).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let way = |(protocol, receiver, target)| Way { protocol, receiver, target, told: Vec::new() };
    let mut figures = Figures {
        items: ITEMS,
        silent: Vec::new(),
        ways: WAYS.map(way).into(),
        loops: LOOPS.map(|(_, name)| (name, Vec::new())).into(),
    };
    for run in 1..=runs {
        let (silent, _) = programs.run_told(&file, ITEMS, &[], scratch)?;
        eprintln!("    {run}: nothing exported, {:.2} s", silent.wall_s);
        figures.silent.push(silent);
        for way in &mut figures.ways {
            let told = told(programs, &receiver, way, &file, scratch)?;
            let wall = told.usage.wall_s;
            eprintln!("    {run}: {} {:?}, {wall:.2} s, {} dropped", way.protocol, way.receiver, told.dropped);
            way.told.push(told);
        }
        for ((example, _), (_, taken)) in LOOPS.iter().zip(&mut figures.loops) {
            let program = programs.target_directory.join("release/examples").join(example);
            taken.push(bare_loop(&program, &receiver, scratch)?);
        }
    }
    let targets = figures.targets();
    println!("{}\n{}", figures.text(), report::judged(&targets));
    let json = programs.target_directory.join("bench-telemetry.json");
    let text = serde_json::to_string_pretty(&figures).map_err(|error| Failure::new(error.to_string()))?;
    step::write(&json, text)?;
    eprintln!("as JSON: {}", json.display());
    Ok(targets.iter().all(|target| target.met == Some(true)))
}

fn variables(protocol: &str, endpoint: &str) -> [(&'static str, String); 6] {
    [
        ("OTEL_TRACES_EXPORTER", "otlp".to_owned()),
        ("OTEL_METRICS_EXPORTER", "otlp".to_owned()),
        ("OTEL_LOGS_EXPORTER", "otlp".to_owned()),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1000".to_owned()),
    ]
}

fn told(programs: &Programs, receiver: &Path, way: &Way, dataset: &Path, scratch: &Path) -> Result<Told, Failure> {
    let receiver = Receiver::start(receiver, way.receiver)?;
    let variables = variables(way.protocol, &receiver.endpoint);
    let (usage, log) = programs.run_told(dataset, ITEMS, &variables, scratch)?;
    let received = if way.receiver == Manner::Serves { receiver.counts()? } else { Counts::default() };
    let told = Told { usage, received, dropped: dropped(&log) };
    if way.receiver == Manner::Serves && told.made() <= 2 * ITEMS {
        let made = told.made();
        return Err(Failure::new(format!("{ITEMS} items with one judge each made {made} spans: {received:?}")));
    }
    Ok(told)
}

/// The spans that `ef` says it has dropped, in a log of lines of JSON.
fn dropped(log: &str) -> u64 {
    #[derive(Deserialize)]
    struct Line {
        message: String,
        #[serde(default)]
        spans: u64,
    }
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.filter(|line| line.message.contains("dropped")).map(|line| line.spans).sum()
}

/// A program that does nothing but make as many spans, and has room for all of them: what is dropped costs nothing.
fn bare_loop(program: &Path, receiver: &Path, scratch: &Path) -> Result<Loop, Failure> {
    let receiver = Receiver::start(receiver, Manner::Serves)?;
    let mut command = Command::new(program);
    command.arg(ITEMS.to_string());
    untold(&mut command)
        .envs(variables("grpc", &receiver.endpoint))
        .env("OTEL_BSP_MAX_QUEUE_SIZE", (2 * ITEMS + 1).to_string());
    let (usage, _) = measured(&command, scratch)?;
    let received = receiver.counts()?.spans;
    if received == 0 {
        return Err(Failure::new(format!("`{}` sent no spans", step::shown(&command))));
    }
    Ok(Loop { cpu_us: cpu_s(&usage) * 1e6 / as_f64(2 * ITEMS), received })
}

const fn cpu_s(usage: &Usage) -> f64 {
    usage.user_s + usage.system_s
}

impl Told {
    const fn made(&self) -> u64 {
        self.received.spans + self.dropped
    }
}

impl Way {
    /// CPU time of a span in µs: the median over the pairs.
    fn span_cpu_us(&self, silent: &[Usage]) -> f64 {
        let pairs = self.told.iter().zip(silent);
        median(pairs.map(|(told, silent)| (cpu_s(&told.usage) - cpu_s(silent)) * 1e6 / as_f64(told.made())))
    }

    /// Wall time as a multiple of that of a run that exports nothing: the median over the pairs.
    fn wall(&self, silent: &[Usage]) -> f64 {
        median(self.told.iter().zip(silent).map(|(told, silent)| told.usage.wall_s / silent.wall_s))
    }

    fn line(&self, silent: &[Usage]) -> String {
        let of = |figure: fn(&Told) -> u64| median(self.told.iter().map(|told| as_f64(figure(told))));
        format!(
            "{:<14} {:<8} wall {:.2} of it, {:.1} MiB, spans received {:.0}, dropped {:.0}",
            self.protocol,
            format!("{:?}", self.receiver),
            self.wall(silent),
            of(|told| told.usage.peak_rss_bytes) / f64::from(1 << 20),
            of(|told| told.received.spans),
            of(|told| told.dropped)
        )
    }
}

impl Figures {
    fn text(&self) -> String {
        let of = |figure: fn(&Usage) -> f64| median(self.silent.iter().map(figure));
        let mut lines = vec![format!(
            "{} items, nothing exported: {:.2} s, {:.2} s of CPU, {:.1} MiB",
            self.items,
            of(|usage| usage.wall_s),
            of(cpu_s),
            of(|usage| as_f64(usage.peak_rss_bytes)) / f64::from(1 << 20)
        )];
        lines.extend(self.ways.iter().map(|way| way.line(&self.silent)));
        lines.extend(self.loops.iter().map(|(name, taken)| {
            let cpu_us = median(taken.iter().map(|taken| taken.cpu_us));
            let received = median(taken.iter().map(|taken| as_f64(taken.received)));
            format!("{name}, by gRPC: {cpu_us:.2} µs of CPU a span, spans received {received:.0}")
        }));
        lines.join("\n") + "\n"
    }

    fn targets(&self) -> Vec<Target> {
        let target = |way: &Way| {
            let (measured, limit) = match way.receiver {
                Manner::Serves => (way.span_cpu_us(&self.silent), SPAN_CPU_US),
                _ => (way.wall(&self.silent), WALL),
            };
            let met = Some(measured < limit);
            Target { name: way.target, wanted: format!("< {limit}"), measured: Some(measured), met }
        };
        self.ways.iter().map(target).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(wall_s: f64, cpu_s: f64) -> Usage {
        Usage { wall_s, user_s: cpu_s, system_s: 0.0, peak_rss_bytes: 40 << 20 }
    }

    fn way(receiver: Manner, told: &[(f64, f64, u64, u64)]) -> Way {
        let told = told.iter().map(|&(wall_s, cpu_s, spans, dropped)| Told {
            usage: usage(wall_s, cpu_s),
            received: Counts { spans, metrics: 3, logs: 4 },
            dropped,
        });
        Way { protocol: "grpc", receiver, target: "x", told: told.collect() }
    }

    #[test]
    fn a_span_costs_what_the_run_uses_more_whether_it_arrives_or_not() {
        let served = way(Manner::Serves, &[(2.0, 4.0, 150_000, 50_000), (2.0, 5.0, 200_000, 0)]);
        let silent = [usage(1.0, 2.0), usage(1.0, 2.0)];
        assert_eq!(served.span_cpu_us(&silent), 12.5);
        let figures = Figures { items: 1, silent: silent.into(), ways: vec![served], loops: Vec::new() };
        let target = &figures.targets()[0];
        assert_eq!((target.measured, target.met), (Some(12.5), Some(true)));
    }

    #[test]
    fn a_receiver_that_misbehaves_is_judged_by_the_wall_time() {
        let down = way(Manner::IsDown, &[(1.2, 2.0, 0, 200_000)]);
        let figures = Figures { items: 1, silent: vec![usage(1.0, 2.0)], ways: vec![down], loops: Vec::new() };
        let target = &figures.targets()[0];
        assert_eq!((target.measured, target.met), (Some(1.2), Some(false)));
        assert_eq!(
            figures.ways[0].line(&figures.silent),
            "grpc           IsDown   wall 1.20 of it, 40.0 MiB, spans received 0, dropped 200000"
        );
    }

    #[test]
    fn what_ef_says_it_has_dropped_is_found_in_its_log() {
        let log = "{\"message\": \"run started\", \"items\": 7}\nnot JSON\n{\"message\":\"telemetry was dropped\",\"spans\":12}\n";
        assert_eq!(dropped(log), 12);
        assert_eq!(dropped(""), 0);
    }
}
