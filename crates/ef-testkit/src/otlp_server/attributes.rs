//! Attributes as a map of JSON values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;

/// Attributes by their keys. Bytes are strings of hexadecimal digits.
pub type Attributes = BTreeMap<String, Value>;

/// # Panics
///
/// Where a key is there twice: the protocol forbids it.
pub(super) fn map(attributes: &[KeyValue]) -> Attributes {
    let mut map = Attributes::new();
    for attribute in attributes {
        let before = map.insert(attribute.key.clone(), value(attribute.value.as_ref()));
        assert!(before.is_none(), "the attribute {:?} was sent twice", attribute.key);
    }
    map
}

pub(super) fn of_resource(resource: Option<&Resource>) -> Attributes {
    resource.map(|resource| map(&resource.attributes)).unwrap_or_default()
}

pub(super) fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Wire::StringValueStrindex(_)) => Value::Null,
        Some(Wire::StringValue(text)) => text.clone().into(),
        Some(Wire::BoolValue(value)) => (*value).into(),
        Some(Wire::IntValue(value)) => (*value).into(),
        Some(Wire::DoubleValue(value)) => (*value).into(),
        Some(Wire::ArrayValue(array)) => array.values.iter().map(|item| self::value(Some(item))).collect(),
        Some(Wire::KvlistValue(list)) => Value::Object(map(&list.values).into_iter().collect()),
        Some(Wire::BytesValue(bytes)) => hex(bytes).into(),
    }
}

/// Hexadecimal digits, as ids are written.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An id that may be absent.
pub(super) fn id(bytes: &[u8]) -> Option<String> {
    bytes.iter().any(|byte| *byte != 0).then(|| hex(bytes))
}

/// `key=value key=value`, with values as JSON, which keeps control characters off the terminal.
pub(super) fn line(attributes: &Attributes) -> String {
    let pairs: Vec<_> = attributes.iter().map(|(key, value)| format!("{}={value}", key.escape_debug())).collect();
    pairs.join(" ")
}
