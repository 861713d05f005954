//! Log events as lines.

use std::fmt;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::Logs;
use crate::levels::is_own;
use crate::line::{FieldValue, Line};
use crate::process::RunCell;

/// Writes a line for each log event.
#[derive(Debug)]
pub(crate) struct LogLines {
    logs: Logs,
    run: RunCell,
}

impl LogLines {
    /// Lines of this form to that place.
    pub(crate) const fn new(logs: Logs, run: RunCell) -> Self {
        Self { logs, run }
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !self.logs.errors && *metadata.level() == Level::ERROR && is_own(metadata.target()) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let run = self.run.get();
        let line = Line {
            time: Timestamp::now(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            message: &said.message,
            fields: &said.fields,
            run: run.as_ref(),
        };
        (self.logs.write)(&line.render(self.logs.format, self.logs.color));
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, FieldValue)>,
}

impl Said {
    fn add(&mut self, field: &Field, value: FieldValue) {
        // The line says it already, and events may not know better.
        if field.name() != "run_id" {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.add(field, FieldValue::Text(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.add(field, FieldValue::Text(value.to_owned()));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, FieldValue::Text(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, FieldValue::Float(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, FieldValue::Integer(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, FieldValue::Integer(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, FieldValue::Bool(value));
    }
}
