//! How a call to an evaluator or a judge fails.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Payload, Usage};

/// What a failure means for the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// May go away: tried again.
    Transient,
    /// No answer within the time allowed: tried again.
    Timeout,
    /// Will not go away: not tried again.
    Permanent,
    /// There is no quota left: the run stops, resumable.
    QuotaExhausted,
    /// The answer does not fit the contract. Not tried again.
    InvalidOutput,
}

impl ErrorKind {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::Permanent => "permanent",
            Self::QuotaExhausted => "quota_exhausted",
            Self::InvalidOutput => "invalid_output",
        }
    }

    /// Whether a runner tries again.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Transient | Self::Timeout)
    }
}

/// A failed call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message} ({code})")]
pub struct CallError {
    /// What it means for the runner.
    pub kind: ErrorKind,
    /// A short name for the cause, such as `http_503`.
    pub code: Cow<'static, str>,
    /// For a person. Never holds a payload, a rationale or a secret.
    pub message: String,
    /// What may hold one (a provider's error body, an exception's text): kept in the store alone.
    pub detail: Option<Payload>,
    /// When to come back at the earliest, where the other side said so.
    pub retry_after: Option<Duration>,
    /// What the call used all the same.
    pub usage: Usage,
}

impl CallError {
    /// A failure without detail.
    pub fn new(kind: ErrorKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            detail: None,
            retry_after: None,
            usage: Usage::UNKNOWN,
        }
    }

    /// A failure that will not go away.
    pub fn permanent(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Permanent, code, message)
    }

    /// An answer that does not fit the contract.
    pub fn invalid_output(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidOutput, code, message)
    }

    /// The same failure with something for the store alone.
    #[must_use]
    pub fn with_detail(mut self, detail: Payload) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The same failure with what the call used all the same.
    #[must_use]
    pub const fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The same failure with the earliest time to come back.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
