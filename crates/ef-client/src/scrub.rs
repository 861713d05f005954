//! Removing secrets from what comes back.

use bytes::Bytes;
use ef_model::Secret;
use http::{HeaderMap, HeaderValue};

/// What stands where a secret was.
const REPLACEMENT: &str = "[redacted]";

/// A secret of fewer bytes is a placeholder (`none`, `EMPTY`, `test`), as servers without keys are given: removing it would
/// change answers that hold it by chance.
const SHORTEST: usize = 8;

/// Removes secrets from texts, also where they are written with JSON or percent escapes.
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
            if let Some(clean) = replace(&bytes, secret.expose().as_bytes()) {
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
            if let Some(clean) = replace(text.as_bytes(), secret.expose().as_bytes()) {
                *text = String::from_utf8_lossy(&clean).into_owned();
            }
        }
    }

    /// Whether the text holds a secret.
    pub(crate) fn finds(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| find(text.as_bytes(), secret.expose().as_bytes(), 0).is_some())
    }

    /// These headers without the secrets.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            for secret in &self.secrets {
                if let Some(clean) = replace(value.as_bytes(), secret.expose().as_bytes()) {
                    *value = HeaderValue::from_bytes(&clean).unwrap_or(HeaderValue::from_static(REPLACEMENT));
                }
            }
        }
    }
}

/// The text with the replacement in the secret's places, if it has any.
fn replace(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let (mut start, mut end) = find(text, secret, 0)?;
    let mut clean = Vec::with_capacity(text.len());
    let mut done = 0;
    loop {
        clean.extend_from_slice(&text[done..start]);
        clean.extend_from_slice(REPLACEMENT.as_bytes());
        done = end;
        match find(text, secret, done) {
            Some(next) => (start, end) = next,
            None => break,
        }
    }
    clean.extend_from_slice(&text[done..]);
    Some(clean)
}

/// Where the secret is first, from `from` on: its first byte and the one after its last.
fn find(text: &[u8], secret: &[u8], from: usize) -> Option<(usize, usize)> {
    let first = *secret.first()?;
    memchr::memchr3_iter(first, b'\\', b'%', &text[from..])
        .map(|start| from + start)
        .find_map(|start| Some((start, match_from(text, secret, start)?)))
}

/// Where the secret ends if it begins here.
fn match_from(text: &[u8], secret: &[u8], start: usize) -> Option<usize> {
    secret.iter().try_fold(start, |at, byte| match_byte(text, *byte, at))
}

/// Where this byte of the secret ends if it is here: as it is, or escaped.
fn match_byte(text: &[u8], byte: u8, at: usize) -> Option<usize> {
    let rest = &text[at..];
    match *rest.first()? {
        b'%' if hex(rest.get(1..3)) == Some(u32::from(byte)) => Some(at + 3),
        b'\\' => Some(at + match_escape(rest, byte)?),
        found => (found == byte).then_some(at + 1),
    }
}

/// The length of what stands for the byte at the beginning of `rest`, which is a backslash. JSON inside of JSON doubles its
/// backslashes, so that there may be any number of them before what is escaped.
fn match_escape(rest: &[u8], byte: u8) -> Option<usize> {
    let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
    match rest.get(slashes).copied() {
        Some(b'u') if hex(rest.get(slashes + 1..slashes + 5)) == Some(u32::from(byte)) => Some(slashes + 5),
        Some(found @ (b'/' | b'"')) if found == byte => Some(slashes + 1),
        _ => (byte == b'\\').then_some(slashes),
    }
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests;
