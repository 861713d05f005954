//! Server-sent events (the HTML standard, section 9.2), as the two APIs use them.

use serde_json::Value;

/// Events, one after the other.
#[derive(Default)]
pub(super) struct Events(Vec<u8>);

impl Events {
    /// An event that has only data.
    pub(super) fn data(&mut self, data: &Value) {
        self.0.extend_from_slice(format!("data: {data}\n\n").as_bytes());
    }

    /// An event that is named as its data's `type`.
    pub(super) fn named(&mut self, data: &Value) {
        let name = data["type"].as_str().unwrap_or_default();
        self.0.extend_from_slice(format!("event: {name}\n").as_bytes());
        self.data(data);
    }

    /// A line that says nothing.
    pub(super) fn comment(&mut self, words: &str) {
        self.0.extend_from_slice(format!(": {words}\n\n").as_bytes());
    }

    /// The end of a stream of chat completions.
    pub(super) fn done(&mut self) {
        self.0.extend_from_slice(b"data: [DONE]\n\n");
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A text in pieces of four characters: half an escape, half a number.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(4).map(|piece| piece.iter().collect()).collect()
}
