//! The observed store is a store, and tells what happened.

use std::sync::Mutex;

use ef_testkit::conformance::{Backend, Capabilities, MemoryBackend};
use ef_testkit::{MemoryStore, commit, head};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};

use super::*;

#[derive(Default)]
struct Observed(MemoryBackend);

impl Backend for Observed {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async {
            let meters = StoreMeters::new(&SdkMeterProvider::default().meter("test"));
            let store = ObservedStore::new(self.0.open().await?, "memory", Some(meters));
            Ok(Arc::new(store) as Arc<dyn TraceStore>)
        })
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn make_other_version(&self) -> BoxFuture<'_, i64> {
        self.0.make_other_version()
    }

    fn make_foreign(&self) -> BoxFuture<'_, ()> {
        self.0.make_foreign()
    }
}

mod conformance {
    ef_testkit::trace_store_conformance!(async { super::Observed::default() });
}

/// A span's name and its fields.
type Seen = (String, Vec<String>);

/// Keeps each span.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

struct Fields(Vec<String>);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0.push(format!("{}={value:?}", field.name()));
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Spans {
    fn on_new_span(&self, attributes: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
        let mut fields = Fields(Vec::new());
        attributes.record(&mut fields);
        assert_eq!(attributes.metadata().target(), SPAN_TARGET);
        self.0.lock().expect("no panic").push((attributes.metadata().name().to_owned(), fields.0));
    }

    fn on_record(&self, _: &tracing::Id, values: &tracing::span::Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields(Vec::new());
        values.record(&mut fields);
        let fields = fields
            .0
            .into_iter()
            .map(|field| if field.starts_with("latency_ms=") { "latency_ms=…".into() } else { field });
        self.0.lock().expect("no panic").last_mut().expect("a span").1.extend(fields);
    }
}

#[tokio::test]
async fn a_commit_is_a_span_with_what_the_table_says_and_a_failed_one_says_how() {
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(Registry::default().with(spans.clone()));
    let memory = MemoryStore::new();
    memory.fail_after(1);
    let store = ObservedStore::new(Arc::new(memory), "memory", None);
    let head = head("run", 1);
    store.begin(&head).await.expect("a new run");
    store.append(&head.run_id, Arc::from([commit(1), commit(2)])).await.expect("the first works");
    store.append(&head.run_id, Arc::from([commit(3)])).await.expect_err("the second fails");
    let spans = spans.0.lock().expect("no panic").clone();
    let lines: Vec<String> = spans.into_iter().map(|(name, fields)| format!("{name} {}", fields.join(" "))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    tracestore.put record_type="task" count=2 backend="memory" latency_ms=…
    tracestore.put record_type="task" count=1 backend="memory" latency_ms=… otel.status_code="ERROR" error.type="unavailable"
    "#);
}
