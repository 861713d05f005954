//! The end of what a plugin writes to its standard error.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ef_model::Redacted;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::masking::Mask;

/// How much is kept.
const KEPT: usize = 64 << 10;
/// How much of it goes with a failed call.
const WITH_A_CALL: usize = 8 << 10;
/// The longest line that is quoted in a message, in characters.
const LONGEST_QUOTE: usize = 300;

/// The last 64 KiB of a process's standard error. It may hold anything, so it goes to no log and no message.
#[derive(Default)]
pub(super) struct StderrTail {
    bytes: Mutex<VecDeque<u8>>,
    /// How many lines there were in all.
    lines: AtomicU64,
}

impl fmt::Debug for StderrTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl StderrTail {
    /// Reads to the end, so that the process is never held up.
    pub(super) async fn drain(&self, mut pipe: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            let lines = buffer[..length].iter().filter(|byte| **byte == b'\n').count();
            self.lines.fetch_add(lines as u64, Ordering::Relaxed);
            let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            bytes.extend(&buffer[..length]);
            let surplus = bytes.len().saturating_sub(KEPT);
            bytes.drain(..surplus);
        }
    }

    /// How many lines were written, those that are not kept included: all that a log line may say of them.
    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// All that is kept.
    pub(super) fn text(&self) -> Redacted<String> {
        Redacted::new(self.last(KEPT))
    }

    /// What is kept with a failed call.
    pub(super) fn excerpt(&self) -> String {
        self.last(WITH_A_CALL)
    }

    fn last(&self, most: usize) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let skipped = bytes.len().saturating_sub(most);
        let bytes: Vec<u8> = bytes.iter().skip(skipped).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last line that says something, for a message about a process that has seen no payload yet.
    pub(super) fn last_line(&self, mask: &Mask) -> Option<String> {
        let text = self.last(WITH_A_CALL);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(quotable(&mask.text(line)))
    }
}

/// A text of a plugin that fits into a message: on one line, without control characters, and short.
pub(super) fn quotable(text: &str) -> String {
    let mut quoted: String =
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(LONGEST_QUOTE).collect();
    if quoted.len() < text.len() {
        quoted.push('…');
    }
    quoted
}
