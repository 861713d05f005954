//! `ef plugins list`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use ef_model::{ComponentId, Identity};
use ef_plugin::process::{Description, ExternalPlugin};
use ef_plugin::{ComponentKind, LookupError, Registry};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::Exit;
use crate::compose::Parts;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::plugins::candidate::Candidate;

/// List what specs can name
///
/// Lists all evaluators and judges that specs can name: kind, id, version, source, where it was found, and SHA-256. A plugin
/// that does not declare what it has is started to be asked. With --health each one is started and has each of its
/// components made; what is broken is told with the reason, and ef exits with 5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Start each plugin, and have each component made
    #[arg(long)]
    health: bool,
    /// The form of the list
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A line of the list: a component, or a plugin of which no component is known.
struct Row {
    kind: Option<ComponentKind>,
    id: String,
    version: String,
    source: String,
    plugin: Option<String>,
    from: String,
    sha256: String,
    started_in: Option<Duration>,
    made_in: Option<Duration>,
    /// What has to be known although nothing is broken.
    note: Option<&'static str>,
    error: Option<String>,
}

pub(crate) async fn execute(args: &Args, parts: &mut Parts) -> Result<Exit, Failure> {
    let unopened = parts.plugins.open_all().await?;
    let mut rows = in_process(&parts.registry);
    let asked: Vec<_> = parts
        .plugins
        .opened()
        .map(|candidate| describe(candidate.plugin.clone(), args.health || !knows_itself(candidate)))
        .collect();
    let described = join_all(asked).await;
    for (candidate, described) in parts.plugins.opened().zip(described) {
        match described {
            Ok(known) => {
                let conflict = join(candidate, known.as_ref(), &mut parts.registry).await;
                rows.extend(rows_of(candidate, known.as_ref(), conflict.as_deref()));
            }
            Err(reason) => rows.push(Row { error: Some(reason), ..nothing_known(candidate) }),
        }
        let problems = candidate.problems.iter();
        rows.extend(problems.map(|problem| Row { error: Some(problem.clone()), ..nothing_known(candidate) }));
    }
    rows.extend(unopened.into_iter().map(|unopened| Row {
        kind: None,
        id: String::new(),
        version: String::new(),
        source: String::new(),
        plugin: Some(unopened.name),
        from: unopened.from,
        sha256: String::new(),
        started_in: None,
        made_in: None,
        note: None,
        error: Some(unopened.reason),
    }));
    if args.health {
        for row in rows.iter_mut().filter(|row| row.error.is_none()) {
            make(row, parts).await;
        }
    }
    output::print(&match args.format {
        Format::Text => text(&rows, args.health),
        Format::Json => json_text(&rows, args.health),
    })?;
    let is_broken = args.health && rows.iter().any(|row| row.error.is_some());
    Ok(if is_broken { Exit::Component } else { Exit::Done })
}

/// What is part of this program.
fn in_process(registry: &Registry) -> Vec<Row> {
    let evaluators = registry.evaluators().map(|factory| (ComponentKind::Evaluator, factory.identity()));
    let judges = registry.judges().map(|factory| (ComponentKind::Judge, factory.identity()));
    let row = |(kind, identity): (ComponentKind, &Identity)| Row {
        kind: Some(kind),
        id: identity.id.to_string(),
        version: identity.version.clone(),
        source: identity.source.clone(),
        plugin: None,
        from: "this program".to_owned(),
        sha256: identity.digest.to_string(),
        started_in: None,
        made_in: None,
        note: None,
        error: None,
    };
    evaluators.chain(judges).map(row).collect()
}

/// Whether everything that is listed of a plugin is declared.
fn knows_itself(candidate: &Candidate) -> bool {
    let mut declared = candidate.declared.evaluators.iter().chain(&candidate.declared.judges).peekable();
    declared.peek().is_some() && declared.all(|component| component.version.is_some())
}

/// What a plugin says of itself, if it is to be asked.
async fn describe(plugin: ExternalPlugin, is_asked: bool) -> Result<Option<Description>, String> {
    if !is_asked {
        return Ok(None);
    }
    match plugin.describe().await {
        Ok(description) => Ok(Some(description)),
        Err(error) => Err(error.hint.as_ref().map_or(error.reason.clone(), |hint| format!("{}: {hint}", error.reason))),
    }
}

/// Registers a plugin's components, so that two that claim one id are found out.
async fn join(candidate: &Candidate, known: Option<&Description>, registry: &mut Registry) -> Option<String> {
    let factories = match known {
        None => candidate.declared(),
        Some(_) => candidate.plugin.factories().await.ok()?,
    };
    factories.register(registry).err().map(|error| error.to_string())
}

/// A plugin's components, and what it declares and does not have.
fn rows_of(candidate: &Candidate, known: Option<&Description>, conflict: Option<&str>) -> Vec<Row> {
    let of = |kind, id: &ComponentId, version: &str, error: Option<String>| Row {
        kind: Some(kind),
        id: id.to_string(),
        version: version.to_owned(),
        started_in: known.map(|known| known.started_in),
        error: error.or_else(|| conflict.map(str::to_owned)),
        ..nothing_known(candidate)
    };
    let declared = [
        (ComponentKind::Evaluator, &candidate.declared.evaluators),
        (ComponentKind::Judge, &candidate.declared.judges),
    ];
    let mut rows = Vec::new();
    for (kind, declared) in declared {
        let provided = known.map(|known| match kind {
            ComponentKind::Evaluator => &known.evaluators,
            ComponentKind::Judge => &known.judges,
        });
        rows.extend(provided.into_iter().flatten().map(|provided| of(kind, &provided.id, &provided.version, None)));
        for component in declared {
            let version = component.version.as_deref().unwrap_or_default();
            match provided {
                None => rows.push(of(kind, &component.id, version, None)),
                Some(provided) if provided.iter().all(|provided| provided.id != component.id) => {
                    let error = format!("the {kind} is declared, and the plugin does not provide it");
                    rows.push(of(kind, &component.id, version, Some(error)));
                }
                Some(_) => {}
            }
        }
    }
    if rows.is_empty() {
        let error = "the plugin provides neither an evaluator nor a judge".to_owned();
        rows.push(Row { error: Some(error), ..nothing_known(candidate) });
    }
    rows
}

fn nothing_known(candidate: &Candidate) -> Row {
    let command = candidate.plugin.command();
    Row {
        kind: None,
        id: String::new(),
        version: String::new(),
        source: command.source.clone(),
        plugin: Some(candidate.name.clone()),
        from: candidate.from.clone(),
        sha256: command.digest.to_string(),
        started_in: None,
        made_in: None,
        note: None,
        error: None,
    }
}

/// Has the component made, with an empty config where it takes one.
async fn make(row: &mut Row, parts: &Parts) {
    let (Some(kind), Ok(id)) = (row.kind, ComponentId::new(row.id.as_str())) else { return };
    let (config, begun) = (Map::new(), Instant::now());
    let made = match kind {
        ComponentKind::Evaluator => parts.registry.create_evaluator(&id, &config, &parts.environment).await.err(),
        ComponentKind::Judge => parts.registry.create_judge(&id, &config, &parts.environment).await.err(),
    };
    match made {
        None => row.made_in = Some(begun.elapsed()),
        Some(LookupError::Config(_)) => row.note = Some("not made: it needs a config"),
        Some(LookupError::Broken { reason, .. }) => row.error = Some(reason),
        Some(other) => row.error = Some(other.to_string()),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

fn json_text(rows: &[Row], health: bool) -> String {
    let optional = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            let mut value = json!({
                "kind": row.kind.map(|kind| kind.to_string()),
                "id": optional(&row.id),
                "version": optional(&row.version),
                "source": optional(&row.source),
                "plugin": row.plugin,
                "from": row.from,
                "sha256": optional(&row.sha256),
            });
            if health {
                value["ok"] = row.error.is_none().into();
                value["started_in_ms"] = row.started_in.map(milliseconds).into();
                value["made_in_ms"] = row.made_in.map(milliseconds).into();
                value["note"] = row.note.into();
            }
            if health || row.error.is_some() {
                value["error"] = row.error.clone().into();
            }
            value
        })
        .collect();
    format!("{:#}\n", Value::from(rows))
}

fn text(rows: &[Row], health: bool) -> String {
    let mut lines = vec![["kind", "id", "version", "sha256", "source", "from"].map(str::to_owned).to_vec()];
    if health {
        lines[0].push("health".to_owned());
    }
    for row in rows {
        let shown = |text: &str| if text.is_empty() { "–".to_owned() } else { ef_report::visible(text).into_owned() };
        let source = if row.source.is_empty() { row.plugin.as_deref().unwrap_or_default() } else { &row.source };
        let mut line = vec![
            row.kind.map_or_else(|| "plugin".to_owned(), |kind| kind.to_string()),
            shown(&row.id),
            shown(&row.version),
            shown(&row.sha256.chars().take(12).collect::<String>()),
            shown(source),
            shown(&row.from),
        ];
        if health {
            line.push(health_of(row));
        }
        lines.push(line);
    }
    let widths: Vec<_> = (0..lines[0].len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for row in rows {
        let Some(error) = &row.error else { continue };
        let what = if row.id.is_empty() { row.plugin.as_deref().unwrap_or_default() } else { &row.id };
        let _ = writeln!(text, "\n{} is broken: {}", ef_report::visible(what), ef_report::visible(error));
    }
    text
}

fn health_of(row: &Row) -> String {
    if row.error.is_some() {
        return "broken".to_owned();
    }
    let started = row.started_in.map(|duration| format!("started in {} ms", milliseconds(duration)));
    let made = row.made_in.map(|duration| format!("made in {} ms", milliseconds(duration)));
    let parts: Vec<_> = [started, made, row.note.map(str::to_owned)].into_iter().flatten().collect();
    if parts.is_empty() { "ok".to_owned() } else { format!("ok: {}", parts.join(", ")) }
}
