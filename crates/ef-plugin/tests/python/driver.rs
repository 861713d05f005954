//! The interpreter, and plugins made with it.
#![allow(clippy::print_stderr, reason = "a test that checks nothing says so")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{
    CallContext, CallError, ComponentId, CreateError, Environment, EvalItem, EvaluatorOutput, ItemId, Judge, Payload,
    Verdict,
};
use ef_plugin::process::{ExternalPlugin, PluginCommand};
use ef_plugin::python::Interpreter;
use serde_json::Value;

/// Variables for plugins: those of the test's own that programs need, and more.
pub(crate) fn environment(more: &[(&str, &str)]) -> Environment {
    let own =
        ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
    let quiet = ("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Environment::new(own.chain([quiet]).chain(more))
}

/// The Python of this machine. Where there is none the test says so and checks nothing, unless `EF_REQUIRE_PYTHON` is set.
pub(crate) fn python() -> Option<Interpreter> {
    let found = Interpreter::find(Some(Path::new("python3")), Path::new("/"), &environment(&[]));
    match found {
        Ok(found) => found,
        Err(error) => skip(&error.to_string()),
    }
}

/// Says that nothing is checked, unless that is not to be.
pub(crate) fn skip<T>(reason: &str) -> Option<T> {
    assert!(std::env::var_os("EF_REQUIRE_PYTHON").is_none(), "EF_REQUIRE_PYTHON is set, and {reason}");
    eprintln!("NOTHING IS CHECKED: {reason}");
    None
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/plugins").join(name)
}

/// Makes the judge of a plugin.
pub(crate) async fn create(plugin: &ExternalPlugin, id: &str, config: Value) -> Result<Arc<dyn Judge>, CreateError> {
    let id = ComponentId::new(id).expect("an id");
    let factories = plugin.factories().await.unwrap_or_else(|error| panic!("{error}: {}", error.stderr.expose()));
    let factory = factories.judges.into_iter().find(|factory| factory.identity().id == id).expect("it is provided");
    factory.create(&config, &Environment::default()).await
}

/// Starts a plugin and makes its judge.
pub(crate) async fn judge_of(command: PluginCommand, id: &str, config: Value) -> (ExternalPlugin, Arc<dyn Judge>) {
    let plugin = ExternalPlugin::new(command);
    let judge = create(&plugin, id, config).await.unwrap_or_else(|error| panic!("{error}"));
    (plugin, judge)
}

/// Judges one output.
pub(crate) async fn ask(judge: &Arc<dyn Judge>, reference: &str, output: &str) -> Result<Verdict, CallError> {
    let item = EvalItem {
        item_id: ItemId::new("item-1").expect("an id"),
        row: 1,
        input: Payload::from_text("a question"),
        reference_output: Some(Payload::from_text(reference)),
        metadata: None,
    };
    let context = CallContext::new(Instant::now() + Duration::from_secs(60), 1, 0, 42);
    judge.judge(&item, &EvaluatorOutput::new(Payload::from_text(output)), &context).await
}

/// The score's number, of one that has several the one of this name.
pub(crate) async fn number(judge: &Arc<dyn Judge>, reference: &str, output: &str, name: Option<&str>) -> f64 {
    let verdict = ask(judge, reference, output).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.detail));
    verdict.score.and_then(|score| score.as_number(name)).expect("a number")
}
