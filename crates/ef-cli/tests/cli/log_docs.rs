//! The list of log lines in `docs/observability.md` is what the crates log: every message from INFO up, with its levels and
//! its fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What is known of a message: its levels and its fields.
type Lines = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All sources of the crates that are part of `ef`.
fn sources() -> Vec<PathBuf> {
    let mut sources = Vec::new();
    let crates = fs::read_dir(root().join("crates")).expect("the crates").map(|entry| entry.expect("a crate").path());
    let mut folders: Vec<_> =
        crates.filter(|path| !path.ends_with("ef-testkit")).map(|path| path.join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                sources.push(path);
            }
        }
    }
    sources
}

/// What stands between the brackets, from just after the first, cut at its outermost commas.
fn arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut argument) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0_u32, false, false);
    for c in text.chars() {
        if quoted {
            quoted = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
        } else {
            match c {
                '"' => quoted = true,
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    arguments.push(std::mem::take(&mut argument));
                    continue;
                }
                _ => {}
            }
        }
        argument.push(c);
    }
    arguments.push(argument);
    arguments.into_iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

/// A message as a document writes it: what differs is an ellipsis.
fn message(literal: &str) -> String {
    let mut message = String::new();
    for (index, part) in literal
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(literal)
        .split(['{', '}'])
        .enumerate()
    {
        message += if index % 2 == 0 { part } else { "…" };
    }
    message
}

/// The lines that a source logs. Span events are not among them, nor what its tests log.
fn logged(source: &str, lines: &mut Lines) {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    for (name, level) in [("info!(", "INFO"), ("warn!(", "WARN"), ("error!(", "ERROR")] {
        for (at, _) in source.match_indices(name) {
            if source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let arguments = arguments(&source[at + name.len()..]);
            if arguments.iter().any(|argument| argument.contains("SPAN_TARGET")) {
                continue;
            }
            let Some(literal) = arguments.iter().find(|argument| argument.starts_with('"')) else { continue };
            let (levels, fields) = lines.entry(message(literal)).or_default();
            levels.insert(level.to_owned());
            let fields_of = arguments.iter().filter(|argument| !argument.starts_with('"'));
            fields.extend(fields_of.map(|argument| {
                let field = argument.split('=').next().unwrap_or_default().trim();
                field.trim_start_matches(['%', '?']).to_owned()
            }));
        }
    }
}

/// The lines of the document's table.
fn documented(page: &str) -> Lines {
    let rows = page.split("| level | message | fields |\n|---|---|---|\n").nth(1).expect("the table of log lines");
    let rows = rows.lines().take_while(|row| row.starts_with('|'));
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let line = |row: &str| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, level, message, fields, ..] = cells[..] else { panic!("a row has three cells: {row}") };
        (message.to_owned(), (words(level), words(fields)))
    };
    rows.map(line).collect()
}

fn table(lines: &Lines) -> String {
    let mut table = String::new();
    for (message, (levels, fields)) in lines {
        let code = |words: &BTreeSet<String>, between| {
            words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(between)
        };
        let _ = writeln!(table, "| {} | {message} | {} |", code(levels, " or "), code(fields, ", "));
    }
    table
}

#[test]
fn the_list_of_log_lines_is_what_the_crates_log() {
    let mut lines = Lines::new();
    for source in sources() {
        logged(&fs::read_to_string(&source).expect("a source"), &mut lines);
    }
    let page = fs::read_to_string(root().join("docs/observability.md")).expect("docs/observability.md");
    let documented = documented(&page);
    let differing = |of: &Lines, from: &Lines| -> Lines {
        let differing = of.iter().filter(|(message, known)| from.get(*message) != Some(known));
        differing.map(|(message, known)| (message.clone(), known.clone())).collect()
    };
    let (missing, gone) = (differing(&lines, &documented), differing(&documented, &lines));
    assert!(
        missing.is_empty() && gone.is_empty(),
        "docs/observability.md does not list these lines that are logged:\n{}\nand lists these that are not:\n{}",
        table(&missing),
        table(&gone)
    );
}

#[test]
fn a_line_is_read_out_of_a_source() {
    let mut lines = Lines::new();
    let source = r#"
        tracing::warn!(target: SPAN_TARGET, attempt = 1, "retry");
        warn!(plugin = format!("{}, {}", a, b), %digest, count = f(1, "x"), "it failed, \"badly\"");
        my_info!(a, "not one");
        info!("{things} are gone");
    "#;
    logged(source, &mut lines);
    assert_eq!(
        table(&lines),
        "| `WARN` | it failed, \\\"badly\\\" | `count`, `digest`, `plugin` |\n| `INFO` | … are gone |  |\n"
    );
}
