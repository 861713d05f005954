//! A run of some seconds, whose time is that of its evaluator, so that what telemetry adds to it can be seen.

use std::time::Duration;

use ef_testkit::model_server::{ModelServer, Reply, Script};

use crate::folder::Folder;

/// How many items are evaluated at a time.
const CONCURRENCY: usize = 4;

/// A service that takes its time for each answer, and a folder with a spec that asks it.
pub(crate) struct Slow {
    pub(crate) folder: Folder,
    pub(crate) server: ModelServer,
}

impl Slow {
    /// So many items, and each takes so long.
    pub(crate) fn new(items: usize, delay: Duration) -> Self {
        let server = ModelServer::start(Script::always(Reply::text("x")).delayed(delay).recording());
        let folder = Folder::empty();
        let url = server.openai_url();
        folder.write(
            "spec.yaml",
            format!(
                "schema_version: \"1\"\nid: test/slow\nversion: 1.0.0\n\
                 evaluator: {{id: eval_fabric.openai_chat, config: {{base_url: \"{url}\", model: m}}}}\n\
                 judges:\n  - {{id: eval_fabric.contains, name: right, config: {{expected: x}}}}\n\
                 scoring: {{metrics: [{{name: right, from: right}}]}}\n\
                 runtime: {{max_concurrent: {CONCURRENCY}}}\n"
            ),
        );
        let row = |item| format!("{{\"item_id\": \"i{item}\", \"input\": \"{item}\"}}\n");
        folder.write("dataset.jsonl", (0..items).map(row).collect::<String>());
        Self { folder, server }
    }
}
