//! What the log says of processes: that they start and end, and nothing of what they write.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::driver::{ask, hostile, obedient, score};

/// Keeps the lines of the log that are not for developers alone.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("ef_plugin")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line without what differs from process to process.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = match field.name() {
            "process" | "started_ms" | "wait_ms" => "_".to_owned(),
            _ => format!("{value:?}"),
        };
        let _ = write!(self.0, " {}={value}", field.name());
    }
}

#[tokio::test]
async fn invariant_8_the_log_says_that_processes_start_and_end_and_nothing_of_what_they_write() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let (plugin, judge) = obedient(hostile(&[])).await;
    ask(&judge, "stderr").await.expect("it only writes");
    for order in ["print", "exit"] {
        ask(&judge, order).await.expect_err(order);
        assert_eq!(score(&judge, "good").await, 1.0);
    }
    plugin.shutdown().await;
    let lines = lines.0.lock().expect("no panic").join("\n");
    insta::assert_snapshot!(lines, @r#"
    INFO message=plugin started plugin="toys" version="1.0.0" digest="3bfcbeeee9f7" process=_ started_ms=_
    WARN message=plugin broke the protocol plugin="toys" process=_ fault="it wrote a line to its standard output that is not valid JSON" stderr_lines=1
    WARN message=plugin is started again plugin="toys" crashes=0 violations=1 wait_ms=_
    INFO message=plugin started plugin="toys" version="1.0.0" digest="3bfcbeeee9f7" process=_ started_ms=_
    WARN message=plugin ended plugin="toys" process=_ cause=it ended with exit code 3 stderr_lines=0
    WARN message=plugin is started again plugin="toys" crashes=1 violations=1 wait_ms=_
    INFO message=plugin started plugin="toys" version="1.0.0" digest="3bfcbeeee9f7" process=_ started_ms=_
    "#);
}
