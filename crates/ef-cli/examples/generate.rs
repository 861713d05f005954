//! Regenerates what is made from the code: `docs/cli.md` and the JSON Schemas in `docs/schema/`.
//!
//! `cargo run -p ef-cli --example generate` writes them; with `--check` it writes nothing and exits with 1 where one of
//! them is not as the code would make it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use clap::builder::PossibleValue;
use clap::{Arg, Command};

fn main() -> ExitCode {
    let check = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => {
            eprintln!("usage: generate [--check]");
            return ExitCode::from(2);
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut differing = Vec::new();
    for (name, content) in files() {
        let path = root.join(name);
        // A checkout may have other line ends; they are no difference.
        if fs::read_to_string(&path).is_ok_and(|present| present.replace("\r\n", "\n") == content) {
            continue;
        }
        if !check && let Err(error) = write(&path, &content) {
            eprintln!("error: {name} cannot be written: {error}");
            return ExitCode::FAILURE;
        }
        differing.push(name);
    }
    for name in &differing {
        println!("{} {name}", if check { "out of date:" } else { "wrote" });
    }
    match (check, differing.is_empty()) {
        (true, false) => {
            println!("to make them anew: cargo run -p ef-cli --example generate");
            ExitCode::FAILURE
        }
        (_, true) => {
            println!("all generated files are up to date");
            ExitCode::SUCCESS
        }
        (false, false) => ExitCode::SUCCESS,
    }
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, content)
}

/// Every generated file: its path from the repository's root, and what belongs in it.
fn files() -> [(&'static str, String); 4] {
    let schema = |schema: serde_json::Value| format!("{schema:#}\n");
    [
        ("docs/cli.md", page()),
        ("docs/schema/spec.json", schema(ef_spec::schema::spec())),
        ("docs/schema/item.json", schema(ef_spec::schema::item())),
        ("docs/schema/run.json", schema(ef_spec::schema::run())),
    ]
}

const BEGINNING: &str = "<!-- Made by `cargo run -p ef-cli --example generate`: change the code, not this file. -->

# The command line

`ef` runs an evaluation that a spec describes over a dataset, keeps everything that it produced in a trace store, and turns
the numbers into a verdict for continuous integration.

```console
$ ef init my-eval && cd my-eval
$ ef run spec.yaml --dataset dataset.jsonl
$ ef show latest --traces
$ ef gate latest --metric accuracy --min 0.8
```

What a spec may say stands in [spec.md](spec.md), how a dataset is read in [datasets.md](datasets.md), how metrics are
computed in [metrics.md](metrics.md), and what a trace store holds in [stores.md](stores.md).
";

const CONVENTIONS: &str = "
## Results and messages

Results go to standard output, and everything said to a person besides (errors, notes, progress, the next command to try)
goes to standard error, as does the log. `--format json` makes a result readable for programs; nothing else is on standard output
then. `--log-format json`, an option of every command, does the same for standard error: each line is an object, errors
included ([observability.md](observability.md#logs)). The progress line is shown only where standard error is a terminal. Inputs, outputs, references, metadata and rationales are
never shown but by `ef show --payloads`.

A run that has completed also leaves its result as a file, `<output>/<run_id>.json`: the same JSON as `ef run --format json`
prints, with the schema that `ef schema run` prints. The folder is `--output`, by default `./runs`. That file, the trace
store, and the folders made for them can be read by their owner alone.

The first Ctrl-C (or SIGTERM) ends a run gently: nothing new is started, what is in flight is finished or times out, and all
of it is kept. The second one ends it at once. What was counted as done on the screen is in the store either way.

## Run references

Where a command takes a run, it takes the run's id, any beginning of it that no other run's id has, or `latest`, which is
the run that began last. `ef runs` lists them.

## Trace stores

`--store URI` (or `--trace-store URI`) names the trace store. What follows `sqlite://` is the path of its file:
`sqlite://evals.db` is relative to the current folder, `sqlite:///srv/evals.db` is absolute, and `sqlite://` alone, which is
the default, is `./runs/runs.db`. For `ef run`, `runtime.trace_store` in the spec is used where there is no `--store`. Only
`ef run` and `ef tracestore init` make a store where there is none. Backups, tables and queries: [stores.md](stores.md).
";

const ENVIRONMENT: &str = "
## Environment variables

One variable is `ef`'s own; the others are conventions:

| variable | effect |
|---|---|
| `EVAL_FABRIC_LOG_LEVEL` | which log lines there are: `off`, `error`, `warn`, `info` (the default), `debug` or `trace`, also for parts: `warn,ef_runner=debug` |
| `OTEL_*` | traces, metrics and logs by OpenTelemetry, off by default; all of them are in [observability.md](observability.md#settings) |
| `NO_COLOR` | where it is set and not empty, no colours |
| `TERM` | where it is `dumb`, no colours |
| `CLICOLOR`, `CLICOLOR_FORCE`, `CI` | colours of help texts and of errors about the command line |
| `COLUMNS` | the width of help texts where there is no terminal to ask |
| `TOKIO_WORKER_THREADS` | how many threads do the work; by default one for each processor |
| `SQLITE_TMPDIR`, `TMPDIR` | where SQLite keeps temporary files, if it needs any |

Evaluators, judges and the spec's `runtime.trace_store` are given the variables that the spec names as `${NAME}`; see
[spec.md](spec.md#environment-variables). What such a variable holds is neither stored nor shown.
";

/// `docs/cli.md`.
fn page() -> String {
    let mut ef = ef_cli::command();
    ef.build();
    let mut page = BEGINNING.to_owned();
    page += "\n| command | |\n|---|---|\n";
    for command in commands(&ef) {
        let (name, about) = (name(command), sentence(command.get_about()));
        page += &format!("| [`{name}`](#{}) | {about} |\n", anchor(&name));
    }
    page += "\n`ef help COMMAND` says the same as this page, `ef --version` the version.\n";
    page += CONVENTIONS;
    page += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n";
    for (exit, meaning) in ef_cli::EXIT_CODES {
        page += &format!("| {} | {} |\n", exit.code(), cell(meaning));
    }
    page += ENVIRONMENT;
    page += "\n## Commands\n";
    for command in commands(&ef) {
        page += &section(command);
    }
    page
}

/// The commands that do something, in their order; those that only lead to others are left out.
fn commands(command: &Command) -> Vec<&Command> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    below.flat_map(|below| if below.has_subcommands() { commands(below) } else { vec![below] }).collect()
}

fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn anchor(heading: &str) -> String {
    heading.replace(' ', "-")
}

/// A command's section: what it does, how it is called, its arguments and options.
fn section(command: &Command) -> String {
    let about = description(command);
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let mut section = format!("\n### {}\n\n{about}\n\n```text\n{usage}\n```\n", name(command));
    let visible = || command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    let visible = || visible().filter(|arg| arg.get_id() != "version" && !arg.is_global_set());
    let rows = |wanted: fn(&Arg) -> bool| visible().filter(|arg| wanted(arg)).map(row).collect::<String>();
    for (title, rows) in [("argument", rows(Arg::is_positional)), ("option", rows(|arg| !arg.is_positional()))] {
        if !rows.is_empty() {
            section += &format!("\n| {title} | meaning |\n|---|---|\n{rows}");
        }
    }
    section
}

/// What a command does: the line in the list of commands, and what there is to say besides.
fn description(command: &Command) -> String {
    let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let more = long.split_once("\n\n").map_or_else(String::new, |(_, more)| format!("\n\n{}", more.trim()));
    sentence(command.get_about()) + &more
}

fn row(arg: &Arg) -> String {
    let values = |arg: &Arg| arg.get_value_names().unwrap_or_default().join(" ");
    let written = match arg.get_long() {
        None => values(arg),
        Some(long) if arg.get_action().takes_values() => format!("--{long} {}", values(arg)),
        Some(long) => format!("--{long}"),
    };
    let mut meaning = vec![sentence(arg.get_help())];
    if arg.is_required_set() && !arg.is_positional() {
        meaning.push("Required.".to_owned());
    }
    // A flag takes no value, though it has possible ones.
    let possible = if arg.get_action().takes_values() { arg.get_possible_values() } else { Vec::new() };
    if !possible.is_empty() {
        meaning.push(format!("One of {}.", possible.iter().map(choice).collect::<Vec<_>>().join(", ")));
    }
    let default = arg.get_default_values().first().map(|value| value.to_string_lossy()).unwrap_or_default();
    if !default.is_empty() && arg.get_action().takes_values() {
        meaning.push(format!("Default: `{default}`."));
    }
    format!("| `{}` | {} |\n", cell(&written), cell(&meaning.join(" ")))
}

/// A value that an argument may have, with what it stands for where that is said.
fn choice(value: &PossibleValue) -> String {
    let name = value.get_name();
    match value.get_help() {
        Some(help) => {
            let help = help.to_string();
            format!("`{name}` ({})", lower(help.trim_end_matches('.')))
        }
        None => format!("`{name}`"),
    }
}

/// Texts for the terminal leave out the last full stop; a page does not.
fn sentence(text: Option<&clap::builder::StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    if text.is_empty() || text.ends_with(['.', '`', '!', '?']) { text } else { text + "." }
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Text in a table: a bar would end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
