//! How plugins fail, and what that means for a call.

use std::borrow::Cow;
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use ef_model::{CallError, ErrorKind, Payload, Redacted, Usage, check_strict};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::answer::Used;
use super::stderr::StderrTail;

/// How much of an answer that cannot be used is kept with the error, in bytes.
const EXCERPT: usize = 4 << 10;

/// Why a plugin cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("plugin `{plugin}` is broken: {reason}")]
pub struct PluginError {
    /// The plugin's name.
    pub plugin: String,
    /// What is wrong. It quotes the plugin's standard error only where no payload had been sent to it.
    pub reason: String,
    /// What to do about it, where that can be said.
    pub hint: Option<String>,
    /// The end of what it wrote to its standard error.
    pub stderr: Redacted<String>,
}

impl PluginError {
    /// The message with what to do, on one line.
    pub(super) fn in_full(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{self} ({hint})"),
            None => self.to_string(),
        }
    }
}

/// How a process came to its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) cause: Cause,
    pub(super) stderr: Arc<StderrTail>,
}

/// What ended a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// It ended by itself; how, if the operating system says so.
    Exited(Option<ExitStatus>),
    /// It runs, but cannot answer.
    StdoutClosed,
    /// It runs, but cannot be asked.
    StdinClosed,
    /// It said what it must not: what that is, for a person; the beginning of what it said; whether it is clear whose answer
    /// it was.
    Violation { what: String, said: Redacted<String>, is_known: bool },
    /// The host does not need it any more.
    Unneeded,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "it ended with exit code {code}"),
                (None, Some(signal)) => write!(f, "it was ended by signal {signal}"),
                (None, None) => f.write_str("it ended"),
            },
            Self::Exited(None) => f.write_str("it ended"),
            Self::StdoutClosed => f.write_str("it closed its standard output"),
            Self::StdinClosed => f.write_str("it closed its standard input"),
            Self::Violation { what, .. } => f.write_str(what),
            Self::Unneeded => f.write_str("it was shut down"),
        }
    }
}

/// Why a request has no result.
#[derive(Clone)]
pub(super) enum Failure {
    /// The plugin answered with an error: its JSON.
    Error(Box<str>),
    /// The answer cannot be used: what is wrong with it, and the beginning of it.
    Malformed { fault: &'static str, excerpt: Box<str> },
    /// The request is longer than a message may be.
    TooLarge { bytes: usize, most: usize },
    /// The process ended first.
    Ended(Arc<Ended>),
}

impl Failure {
    /// An answer that cannot be used.
    pub(super) fn malformed(fault: &'static str, answer: &[u8]) -> Self {
        Self::Malformed { fault, excerpt: excerpt(answer).into() }
    }

    /// What a call makes of it.
    pub(super) fn into_call_error(self, plugin: &str) -> CallError {
        match self {
            Self::Error(error) => reported(plugin, &error),
            Self::Malformed { fault, excerpt } => {
                CallError::invalid_output("invalid_answer", format!("the answer of the plugin `{plugin}` {fault}"))
                    .with_detail(Payload::from_value(&json!({ "answer": excerpt })))
            }
            Self::TooLarge { bytes, most } => {
                let message = format!("a request of {bytes} bytes is more than the plugin `{plugin}` may be sent");
                CallError::permanent("request_too_large", format!("{message}: the most is {most}"))
            }
            Self::Ended(ended) => lost(plugin, &ended),
        }
    }
}

/// The beginning of what a plugin said, for the store alone.
pub(super) fn excerpt(said: &[u8]) -> String {
    String::from_utf8_lossy(&said[..said.len().min(EXCERPT)]).into_owned()
}

/// A call whose process ended before it answered.
fn lost(plugin: &str, ended: &Ended) -> CallError {
    let cause = &ended.cause;
    let stderr = ended.stderr.excerpt();
    let detail = Payload::from_value(&match cause {
        Cause::Violation { said, .. } => json!({ "stdout": said.expose(), "stderr": stderr }),
        _ => json!({ "stderr": stderr }),
    });
    let (kind, code) = match cause {
        Cause::Violation { is_known: false, .. } => (ErrorKind::InvalidOutput, "protocol_violation"),
        _ => (ErrorKind::Transient, "plugin_ended"),
    };
    let message =
        format!("the plugin `{plugin}` gave no answer: {cause}; the end of its standard error is kept with this error");
    CallError::new(kind, code, message).with_detail(detail)
}

/// A call that found the plugin broken for good.
pub(super) fn broken(error: &PluginError) -> CallError {
    let detail = Payload::from_value(&json!({ "stderr": error.stderr.expose() }));
    CallError::permanent("plugin_broken", error.in_full()).with_detail(detail)
}

/// An error object of JSON-RPC.
#[derive(Deserialize)]
pub(super) struct RpcError<'a> {
    #[serde(borrow, default)]
    pub(super) message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct ErrorData<'a> {
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
    #[serde(borrow, default)]
    detail: Option<&'a RawValue>,
    #[serde(default)]
    usage: Option<Used>,
}

/// An error that the plugin reports. What it says of it goes to the store alone.
fn reported(plugin: &str, error: &str) -> CallError {
    let unusable = |fault| Failure::malformed(fault, error.as_bytes()).into_call_error(plugin);
    if check_strict(error).is_err() {
        return unusable("holds an error that is not strict JSON");
    }
    let Ok(RpcError { message, data }) = serde_json::from_str(error) else {
        return unusable("holds an error that is not an error of JSON-RPC");
    };
    let data = match data.map(|data| serde_json::from_str::<ErrorData<'_>>(data.get())) {
        None => ErrorData::default(),
        Some(Ok(data)) => data,
        Some(Err(_)) => return unusable("holds an error whose `data` does not fit the protocol"),
    };
    let kind = match data.kind.as_deref() {
        Some("transient") => ErrorKind::Transient,
        Some("quota_exhausted") => ErrorKind::QuotaExhausted,
        Some("invalid_output") => ErrorKind::InvalidOutput,
        // One that says nothing about trying again, or what this version does not know.
        _ => ErrorKind::Permanent,
    };
    let code =
        data.code.filter(|code| is_code(code)).map_or(Cow::Borrowed("plugin_error"), |code| code.into_owned().into());
    let said = format!("the plugin `{plugin}` reported {} error", with_article(kind));
    let detail = detail(message.as_deref(), data.detail);
    let mut error = CallError::new(kind, code, said).with_usage(data.usage.map_or(Usage::UNKNOWN, Used::into_usage));
    error.detail = detail;
    error.retry_after = data.retry_after_ms.map(Duration::from_millis);
    error
}

fn with_article(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Transient => "a transient",
        ErrorKind::QuotaExhausted => "an exhausted-quota",
        ErrorKind::InvalidOutput => "an invalid-output",
        ErrorKind::Permanent | ErrorKind::Timeout => "a permanent",
    }
}

/// What the plugin says of its error: a JSON object of its message and its detail, the latter byte for byte.
fn detail(message: Option<&str>, detail: Option<&RawValue>) -> Option<Payload> {
    let message = message.filter(|message| !message.is_empty()).map(|message| Value::from(message).to_string());
    let text = match (message, detail.map(RawValue::get)) {
        (None, None) => return None,
        (Some(message), None) => format!(r#"{{"message":{message}}}"#),
        (None, Some(detail)) => format!(r#"{{"detail":{detail}}}"#),
        (Some(message), Some(detail)) => format!(r#"{{"message":{message},"detail":{detail}}}"#),
    };
    // The detail may be as deep as JSON may be, and here it is one deeper.
    Payload::parse(text).ok()
}

fn is_code(code: &str) -> bool {
    (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> CallError {
        Failure::Error(text.into()).into_call_error("p")
    }

    #[test]
    fn invariant_8_what_a_plugin_says_of_its_error_goes_to_the_store_alone() {
        let text = r#"{"code":1,"message":"Alice failed","data":{"kind":"transient","code":"model_busy","retry_after_ms":1500,"detail":{"row": "Alice"},"usage":{"cost_usd":0.5}}}"#;
        let error = error(text);
        assert_eq!((error.kind, &*error.code), (ErrorKind::Transient, "model_busy"));
        assert_eq!(error.retry_after, Some(Duration::from_millis(1500)));
        assert_eq!(error.usage, Usage::cost(0.5));
        assert_eq!(error.message, "the plugin `p` reported a transient error");
        let detail = error.detail.expect("detail");
        assert_eq!(detail.expose(), r#"{"message":"Alice failed","detail":{"row": "Alice"}}"#);
    }

    #[test]
    fn an_error_that_says_nothing_more_is_permanent() {
        for text in [r#"{"code":-32601,"message":""}"#, r#"{"code":1,"data":{"kind":"new","code":"Alice's secret"}}"#] {
            let error = error(text);
            assert_eq!((error.kind, &*error.code), (ErrorKind::Permanent, "plugin_error"), "{text}");
            assert!(error.detail.is_none());
        }
    }

    #[test]
    fn an_error_that_does_not_fit_is_an_invalid_answer() {
        for text in [
            "7",
            r#"{"message":7}"#,
            r#"{"data":{"retry_after_ms":-1}}"#,
            r#"{"data":1,"data":2}"#,
            r#"{"data":{"detail":1e999}}"#,
        ] {
            assert_eq!(error(text).kind, ErrorKind::InvalidOutput, "{text}");
        }
    }
}
