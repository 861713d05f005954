//! What a run tells while it goes on, kept for a test: spans with their events, log lines, and numbers.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ef_model::telemetry::{Instruments, Load, Meters, SPAN_TARGET};
use ef_model::{ComponentId, ErrorKind, Propagator, TaskRecord, TraceContext};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// The fields of a span, of an event or of a log line, each as a text.
pub type Fields = BTreeMap<&'static str, String>;

/// A span that a test has seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedSpan {
    /// Its name: that of its field `otel.name`, where it has one.
    pub name: String,
    /// The place, in the list of spans, of the span that it is part of.
    pub parent: Option<usize>,
    /// Its fields. A field that was recorded twice is an error of the test.
    pub fields: Fields,
    /// Its events: name and fields.
    pub events: Vec<(String, Fields)>,
    /// Whether it has ended.
    pub is_closed: bool,
}

impl RecordedSpan {
    /// A field's text, empty where there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedLine {
    /// Its level.
    pub level: Level,
    /// Its target.
    pub target: String,
    /// Its message.
    pub message: String,
    /// Its other fields.
    pub fields: Fields,
}

/// Keeps what it is told. Cheap to clone: all clones keep the same.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    spans: Vec<RecordedSpan>,
    /// The places of the spans that are open.
    open: HashMap<u64, usize>,
    lines: Vec<RecordedLine>,
    committed: Vec<TaskRecord>,
    retried: Vec<(ComponentId, ErrorKind)>,
    load: Option<Arc<dyn Fn() -> Load + Send + Sync>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// A subscriber that tells it of spans, their events and log lines; for [`tracing::subscriber::with_default`].
    #[must_use]
    pub fn subscriber(&self) -> impl Subscriber + Send + Sync + 'static {
        Registry::default().with(self.clone())
    }

    /// The same for one who makes no spans of this name, as where telemetry cannot keep up.
    #[must_use]
    pub fn subscriber_without(&self, name: &'static str) -> impl Subscriber + Send + Sync + 'static {
        Registry::default().with(self.clone().with_filter(filter_fn(move |metadata| metadata.name() != name)))
    }

    /// Instruments that tell it of numbers, and ask it for the current span.
    #[must_use]
    pub fn instruments(&self) -> Instruments {
        Instruments { meters: Some(Arc::new(self.clone())), propagator: Some(Arc::new(self.clone())) }
    }

    /// All spans, in the order in which they began.
    #[must_use]
    pub fn spans(&self) -> Vec<RecordedSpan> {
        self.state().spans.clone()
    }

    /// All lines of the log.
    #[must_use]
    pub fn lines(&self) -> Vec<RecordedLine> {
        self.state().lines.clone()
    }

    /// The records that were told to be durable.
    #[must_use]
    pub fn committed(&self) -> Vec<TaskRecord> {
        self.state().committed.clone()
    }

    /// The attempts that were made again.
    #[must_use]
    pub fn retried(&self) -> Vec<(ComponentId, ErrorKind)> {
        self.state().retried.clone()
    }

    /// How much is going on now, as the last one says who was to be watched.
    #[must_use]
    pub fn load(&self) -> Option<Load> {
        let load = self.state().load.clone();
        load.map(|load| load())
    }

    /// The place of a span in a `traceparent` that this has told.
    #[must_use]
    pub fn place_of(traceparent: &str) -> Option<usize> {
        let span = traceparent.split('-').nth(2)?;
        usize::from_str_radix(span, 16).ok()?.checked_sub(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if metadata.target() != SPAN_TARGET {
            return;
        }
        let parent = match attributes.parent() {
            Some(parent) => Some(parent.clone()),
            None if attributes.is_contextual() => context.lookup_current().map(|span| span.id()),
            None => None,
        };
        let mut state = self.state();
        let parent = parent.and_then(|parent| state.open.get(&parent.into_u64()).copied());
        let mut span = RecordedSpan { name: metadata.name().to_owned(), parent, ..RecordedSpan::default() };
        attributes.record(&mut span);
        let place = state.spans.len();
        state.open.insert(id.into_u64(), place);
        state.spans.push(span);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut state = self.state();
        if let Some(place) = state.open.get(&id.into_u64()).copied() {
            values.record(&mut state.spans[place]);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = Fields::new();
        event.record(&mut Fielding(&mut fields));
        let message = fields.remove("message").unwrap_or_default();
        if metadata.target() != SPAN_TARGET {
            let (level, target) = (*metadata.level(), metadata.target().to_owned());
            self.state().lines.push(RecordedLine { level, target, message, fields });
            return;
        }
        let span = event.parent().cloned().or_else(|| context.lookup_current().map(|span| span.id()));
        let mut state = self.state();
        let place = span.and_then(|span| state.open.get(&span.into_u64()).copied());
        if let Some(place) = place {
            state.spans[place].events.push((message, fields));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let mut state = self.state();
        if let Some(place) = state.open.remove(&id.into_u64()) {
            state.spans[place].is_closed = true;
        }
    }
}

impl Meters for Recorder {
    fn committed(&self, record: &TaskRecord) {
        self.state().committed.push(record.clone());
    }

    fn retried(&self, component: &ComponentId, kind: ErrorKind) {
        self.state().retried.push((component.clone(), kind));
    }

    fn watch(&self, load: Arc<dyn Fn() -> Load + Send + Sync>) {
        self.state().load = Some(load);
    }
}

impl Propagator for Recorder {
    fn current(&self) -> Option<TraceContext> {
        let id = Span::current().id()?;
        let place = *self.state().open.get(&id.into_u64())?;
        Some(TraceContext { traceparent: format!("00-{:032x}-{:016x}-01", 1, place + 1), tracestate: None })
    }
}

impl Visit for RecordedSpan {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "otel.name" {
            value.clone_into(&mut self.name);
            return;
        }
        let before = self.fields.insert(field.name(), value.to_owned());
        assert!(before.is_none(), "the field {} of a span {} is recorded twice", field.name(), self.name);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

struct Fielding<'f>(&'f mut Fields);

impl Visit for Fielding<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}
