//! Removing a client's own keys from what a server answers, which is stored: the answer stays what it is otherwise. What a
//! plugin says in a message is masked in ef-plugin, where the name of a variable stands for its value.

use bytes::Bytes;
use ef_model::Secret;
use http::{HeaderMap, HeaderValue};

/// What stands where a secret was.
const REPLACEMENT: &str = "[redacted]";

/// A secret of fewer bytes is a placeholder (`none`, `EMPTY`, `test`), as servers without keys are given: removing it would
/// change answers that hold it by chance.
const SHORTEST: usize = 8;

/// Removes secrets from texts, also where they are escaped.
#[derive(Clone, Default)]
pub(crate) struct Scrubber {
    secrets: Vec<Secret>,
}

impl Scrubber {
    /// One that removes this secret.
    pub(crate) fn new(secret: Option<&Secret>) -> Self {
        let mut scrubber = Self::default();
        if let Some(secret) = secret {
            scrubber.add(secret);
        }
        scrubber
    }

    /// Removes this one, too.
    pub(crate) fn add(&mut self, secret: &Secret) {
        if secret.expose().len() >= SHORTEST && !self.secrets.contains(secret) {
            self.secrets.push(secret.clone());
        }
    }

    /// These bytes without the secrets. Nothing is copied where there is none.
    pub(crate) fn bytes(&self, mut bytes: Bytes) -> Bytes {
        for secret in &self.secrets {
            if let Some(clean) = secret.replaced_in(&bytes, REPLACEMENT) {
                bytes = clean.into();
            }
        }
        bytes
    }

    /// At most so many of the first bytes, without the secrets. A secret that the cut goes through is left out whole.
    pub(crate) fn beginning(&self, bytes: Bytes, most: usize) -> Bytes {
        let was_cut = bytes.len() > most;
        let mut bytes = self.bytes(bytes);
        if was_cut {
            // The last bytes may begin a secret, each of whose bytes takes up to six when it is escaped.
            let longest = self.secrets.iter().map(|secret| secret.expose().len() * 6).max().unwrap_or(0);
            bytes.truncate(bytes.len().saturating_sub(longest).min(most));
        }
        bytes
    }

    /// This text without the secrets.
    pub(crate) fn text(&self, text: &mut String) {
        for secret in &self.secrets {
            if let Some(clean) = secret.replaced_in(text.as_bytes(), REPLACEMENT) {
                *text = String::from_utf8_lossy(&clean).into_owned();
            }
        }
    }

    /// Whether the text holds a secret.
    pub(crate) fn finds(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| secret.is_in(text.as_bytes()))
    }

    /// These headers without the secrets.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            for secret in &self.secrets {
                if let Some(clean) = secret.replaced_in(value.as_bytes(), REPLACEMENT) {
                    *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(REPLACEMENT));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
