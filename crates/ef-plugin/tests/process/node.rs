//! A plugin in Node, where it is installed.
#![allow(clippy::print_stderr, reason = "a test that checks nothing says so")]

use std::path::Path;

use ef_model::{ErrorKind, EvaluatorOutput, Payload};
use ef_plugin::process::{ExternalPlugin, command_digest};
use serde_json::json;

use super::driver::{command, context, item, make_judge};

#[tokio::test]
async fn a_plugin_in_node_judges() {
    let folders = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];
    let Some(node) = folders.map(|folder| Path::new(folder).join("node")).into_iter().find(|node| node.is_file())
    else {
        eprintln!("SKIPPED: there is no node in {folders:?}");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/process/plugin.mjs");
    let mut command = command(&node, &[script]);
    command.digest = command_digest(&command.program, &command.arguments, None).expect("a digest");
    let plugin = ExternalPlugin::new(command);
    let judge = make_judge(&plugin, "toy.length", json!({})).await.expect("made");
    let verdict = judge.judge(&item(""), &EvaluatorOutput::new(Payload::from_text("four")), &context()).await;
    let verdict = verdict.expect("a verdict");
    assert_eq!(verdict.score.and_then(|score| score.as_number(None)), Some(4.0));
    assert_eq!(verdict.rationale.expect("a rationale").expose(), "\"counted\"");
    let error = judge.judge(&item(""), &EvaluatorOutput::new(Payload::parse("4").expect("JSON")), &context()).await;
    let error = error.expect_err("not a text");
    assert_eq!((error.kind, &*error.code), (ErrorKind::Permanent, "type_error"));
    plugin.shutdown().await;
}
