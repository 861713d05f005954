//! Starts plugins and asks them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{
    CallContext, CallError, ComponentId, CreateError, Digest, Environment, EvalItem, Evaluator, EvaluatorOutput,
    ItemId, Judge, Payload, Verdict,
};
use ef_plugin::process::{ExternalPlugin, PluginCommand};
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A command with a digest of no meaning, and short times.
pub(crate) fn command(program: impl Into<PathBuf>, arguments: &[&str]) -> PluginCommand {
    let mut command = PluginCommand::new("toys", program, "tests", Digest::of(b"toys"));
    command.arguments = arguments.iter().map(OsString::from).collect();
    command.environment = Environment::new([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
    command.start_timeout = Duration::from_secs(20);
    command.grace = Duration::from_secs(5);
    command.restart_delay = Duration::from_millis(5);
    command
}

/// The plugin of `examples/hostile-plugin.rs`.
pub(crate) fn hostile(arguments: &[&str]) -> PluginCommand {
    let test = std::env::current_exe().expect("the path of this test");
    let folder = test.parent().and_then(std::path::Path::parent).expect("target/debug");
    command(folder.join("examples/hostile-plugin"), arguments)
}

pub(crate) fn shell(script: &str) -> PluginCommand {
    command("/bin/sh", &["-c", script])
}

pub(crate) fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(30), 1, 0, 42)
}

pub(crate) fn item(input: &str) -> EvalItem {
    EvalItem {
        item_id: ItemId::new("item-1").expect("an id"),
        row: 1,
        input: Payload::from_text(input),
        reference_output: None,
        metadata: None,
    }
}

pub(crate) async fn make_judge(
    plugin: &ExternalPlugin,
    id: &str,
    config: Value,
) -> Result<Arc<dyn Judge>, CreateError> {
    let id = ComponentId::new(id).expect("an id");
    let factories = plugin.factories().await.expect("the plugin starts");
    let factory = factories.judges.iter().find(|factory| factory.identity().id == id).expect("provided");
    factory.create(&config, &Environment::default()).await
}

pub(crate) async fn make_evaluator(plugin: &ExternalPlugin) -> Arc<dyn Evaluator> {
    let factories = plugin.factories().await.expect("the plugin starts");
    factories.evaluators[0].create(&json!({}), &Environment::default()).await.expect("made")
}

/// The judge that does what the input says.
pub(crate) async fn obedient(command: PluginCommand) -> (ExternalPlugin, Arc<dyn Judge>) {
    let plugin = ExternalPlugin::new(command);
    let judge = make_judge(&plugin, "toy.obey", json!({})).await.expect("made");
    (plugin, judge)
}

pub(crate) async fn ask(judge: &Arc<dyn Judge>, order: &str) -> Result<Verdict, CallError> {
    judge.judge(&item(order), &EvaluatorOutput::new(Payload::from_text("an output")), &context()).await
}

pub(crate) async fn score(judge: &Arc<dyn Judge>, order: &str) -> f64 {
    let verdict = ask(judge, order).await.expect("a verdict");
    verdict.score.and_then(|score| score.as_number(None)).expect("a number")
}

/// The rationale as a process's number.
pub(crate) async fn process_of(judge: &Arc<dyn Judge>, order: &str) -> Pid {
    let rationale = ask(judge, order).await.expect("a verdict").rationale.expect("a rationale");
    Pid::from_raw(rationale.expose().parse().expect("a number"))
}

/// Whether a process ends within a few seconds. One that has ended and that nobody waited for counts as gone.
pub(crate) async fn is_gone(process: Pid) -> bool {
    for _ in 0..300 {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let is_zombie = state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'));
        if kill(process, None).is_err() || is_zombie {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
