//! What is said of this process to a collector: what it is, and nothing about the machine or who uses it.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use uuid::Uuid;

use super::source::Source;

/// The resource, of which the environment may set and add attributes.
pub(super) fn read(source: &mut Source<'_>) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.name", "eval-fabric"),
        // All crates of the project share one version.
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
    ];
    // Later ones replace earlier ones of the same key.
    let given = source.pairs("OTEL_RESOURCE_ATTRIBUTES");
    attributes.extend(given.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    attributes.extend(source.text("OTEL_SERVICE_NAME").map(|name| KeyValue::new("service.name", name.to_owned())));
    // The builder that is not empty would look at the process's environment by itself.
    Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector)).with_attributes(attributes).build()
}
