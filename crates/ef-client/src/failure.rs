//! What a failed call means: the kind, and the words for a person.
//!
//! A message is made of the host, the status and a code that the provider gives, if it looks like one. Bodies go into the
//! detail alone.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use ef_model::{CallError, ErrorKind, Payload, telemetry};
use http::{HeaderMap, StatusCode, header};
use hyper_util::client::legacy;
use serde_json::Value;
use url::Url;

use crate::scrub::Scrubber;
use crate::transport::{ConnectTimeout, ProxyFailed, Unresolved};

/// Codes and types by which providers say that there is no money or quota left.
const NO_QUOTA: [&str; 8] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "budget_exceeded",
    "insufficient_balance",
    "insufficient_credits",
    "quota_exhausted",
];

/// Anthropic's words for it, which come with the type of any bad request.
const NO_CREDIT: &str = "credit balance is too low";

/// An answer whose status is not a success.
pub(crate) struct Refusal<'a> {
    pub(crate) host: &'a str,
    pub(crate) scrubber: &'a Scrubber,
    /// The longest wait that is accepted.
    pub(crate) longest_wait: Duration,
    pub(crate) status: StatusCode,
    /// How long the server asks to wait.
    pub(crate) wait: Option<Duration>,
}

impl Refusal<'_> {
    /// How long the server asks to wait, if that is not too long.
    pub(crate) fn acceptable_wait(&self) -> Option<Duration> {
        self.wait.filter(|wait| *wait <= self.longest_wait)
    }

    /// The failure.
    pub(crate) fn error(&self, headers: &HeaderMap, body: &Bytes) -> CallError {
        let parsed: Option<Value> = serde_json::from_slice(body).ok();
        let words = parsed.as_ref().map(Words::of).unwrap_or_default();
        let is_out_of_quota =
            self.status == StatusCode::PAYMENT_REQUIRED || words.say_no_quota() || self.wait > self.acceptable_wait();
        let kind = if is_out_of_quota { ErrorKind::QuotaExhausted } else { kind(self.status) };
        let code = words.code.filter(|code| !self.scrubber.finds(code));
        let advice = if self.status.is_redirection() {
            self.redirect_advice(headers)
        } else if is_out_of_quota {
            match self.wait.filter(|wait| *wait > self.longest_wait) {
                Some(wait) => Cow::from(format!("; it asks to wait for {} s", wait.as_secs())),
                None => "; there is no quota or credit left".into(),
            }
        } else {
            advice(self.status).into()
        };
        let message = format!("{} answered {}{advice}", self.host, described(self.status, code.as_deref()));
        let mut error = CallError::new(kind, format!("http_{}", self.status.as_u16()), message);
        error.detail = detail(body);
        error.retry_after = self.acceptable_wait().filter(|_| kind == ErrorKind::Transient);
        error
    }

    /// Where a redirect leads: the origin alone, as the rest may hold anything.
    fn redirect_advice(&self, headers: &HeaderMap) -> Cow<'static, str> {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let origin = location
            .and_then(|location| Url::parse(location).ok())
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .map(|url| url.origin().ascii_serialization())
            .filter(|origin| origin.len() <= 100 && !self.scrubber.finds(origin));
        match origin {
            Some(origin) => {
                format!(" (to {origin}): redirects are not followed; give the final address in the config").into()
            }
            None => ": redirects are not followed; give the final address in the config".into(),
        }
    }
}

/// What a failed call means that says so in an answer with a status of success: `{"error": {…}}`.
pub(crate) fn within_answer(host: &str, scrubber: &Scrubber, answer: &str) -> CallError {
    let parsed: Option<Value> = serde_json::from_str(answer).ok();
    let words = parsed.as_ref().map(Words::of).unwrap_or_default();
    let status = words.status();
    let kind = if status == StatusCode::PAYMENT_REQUIRED || words.say_no_quota() {
        ErrorKind::QuotaExhausted
    } else {
        kind(status)
    };
    let code = words.code.filter(|code| !scrubber.finds(code));
    let shown = code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
    let message = format!("{host} began an answer that turned out to be an error{shown}{}", advice(status));
    let mut error = CallError::new(kind, format!("http_{}", status.as_u16()), message);
    error.detail = detail(answer.as_bytes());
    error
}

/// A request that led to no answer.
pub(crate) fn connection(host: &str, error: &legacy::Error) -> CallError {
    let cause = cause(error);
    if has::<ConnectTimeout>(error) || (error.is_connect() && cause == Some(io::ErrorKind::TimedOut)) {
        return late("connect_timeout", format!("no connection to {host} was made in time"));
    }
    let (whose, way) = if has::<ProxyFailed>(error) { ("'s proxy", " through its proxy") } else { ("", "") };
    if untrusted(error) {
        let message = format!(
            "the certificate of {host}{whose} is not trusted; if its authority is your own, set SSL_CERT_FILE to a file that holds it"
        );
        return CallError::permanent("tls_certificate", message);
    }
    let cause = cause.map_or_else(String::new, |kind| format!(": {kind}"));
    if has::<Unresolved>(error) {
        transient("name_not_resolved", format!("the name of {host}{whose} was not found"))
    } else if error.is_connect() {
        transient("connect", format!("no connection to {host}{way}{cause}"))
    } else {
        transient("connection_broken", format!("the connection to {host} broke before it answered{cause}"))
    }
}

/// A request that cannot be written as HTTP.
pub(crate) fn unsendable(host: &str) -> CallError {
    CallError::permanent("request_invalid", format!("the request to {host} cannot be sent as it is"))
}

/// The body broke off.
pub(crate) fn truncated(host: &str) -> CallError {
    transient("response_truncated", format!("the answer of {host} broke off"))
}

/// The body has more bytes than are read.
pub(crate) fn too_large(host: &str, most: usize) -> CallError {
    let message = format!("the answer of {host} is larger than {most} bytes");
    CallError::invalid_output("response_too_large", message)
}

/// No byte came in time.
pub(crate) fn first_byte(host: &str) -> CallError {
    late("first_byte_timeout", format!("{host} did not begin to answer in time"))
}

/// The attempt's own time is over.
pub(crate) fn attempt(host: &str) -> CallError {
    late("timeout", format!("{host} did not finish its answer within the attempt's time"))
}

/// Whether nothing can have been done for a call that failed so: the server refused it, or never saw it.
pub(crate) fn is_unbilled(code: &str) -> bool {
    code.starts_with("http_")
        || matches!(code, "connect" | "connect_timeout" | "name_not_resolved" | "request_invalid" | "tls_certificate")
}

/// Whether a server with this status wants fewer calls.
pub(crate) fn asks_for_less(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 503 | 529)
}

/// The same of an error's code.
pub(crate) fn is_overload(code: &str) -> bool {
    matches!(code, "http_429" | "http_503" | "http_529")
}

fn transient(code: &'static str, message: String) -> CallError {
    CallError::new(ErrorKind::Transient, code, message)
}

fn late(code: &'static str, message: String) -> CallError {
    CallError::new(ErrorKind::Timeout, code, message)
}

/// Statuses that may be another one next time: a request timeout, conflicts with another call, too early, too many, and
/// faults of the server.
fn kind(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        408 | 409 | 425 | 429 | 500..=599 => ErrorKind::Transient,
        _ => ErrorKind::Permanent,
    }
}

fn advice(status: StatusCode) -> &'static str {
    match status.as_u16() {
        400 | 422 => "; the request does not fit what it takes",
        401 => "; check the key",
        403 => "; check what the key may do",
        404 => "; check the address and the model's name",
        413 => "; the request is too large for it",
        _ => "",
    }
}

/// A status in words, with the provider's code.
fn described(status: StatusCode, code: Option<&str>) -> String {
    let reason = match status.as_u16() {
        529 => Some("Overloaded"),
        _ => status.canonical_reason(),
    };
    let reason = reason.map_or_else(String::new, |reason| format!(" {reason}"));
    let code = code.map_or_else(String::new, |code| format!(" ({code})"));
    format!("{}{reason}{code}", status.as_u16())
}

/// A body as a payload: as it is where it is JSON, otherwise as text.
fn detail(body: &[u8]) -> Option<Payload> {
    if body.is_empty() {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    Some(Payload::parse(text.as_ref()).unwrap_or_else(|_| Payload::from_text(&text)))
}

/// What an error's body says, as far as it can be relied on.
#[derive(Default)]
struct Words {
    /// The first of the codes and types, for a person.
    code: Option<String>,
    /// All of them.
    all: Vec<String>,
    has_no_credit: bool,
}

impl Words {
    fn of(body: &Value) -> Self {
        let places = ["/error/code", "/error/type", "/error/status", "/code", "/type"];
        let all: Vec<_> = places.iter().filter_map(|place| Self::code(body.pointer(place)?)).collect();
        let message = body.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
        let is_code = |code: &&String| code.as_str() != "error" && code.parse::<u16>().is_err();
        let code = all.iter().find(is_code).cloned();
        Self { code, all, has_no_credit: message.contains(NO_CREDIT) }
    }

    /// Something that looks like a code. Anything else may be a sentence, or data.
    fn code(value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.as_u64()?.to_string(),
            _ => return None,
        };
        telemetry::is_code(&text).then_some(text)
    }

    fn say_no_quota(&self) -> bool {
        self.has_no_credit || self.all.iter().any(|code| NO_QUOTA.contains(&code.as_str()))
    }

    /// The status that they would have had as an answer's.
    fn status(&self) -> StatusCode {
        let known = self.all.iter().find_map(|code| match code.as_str() {
            "overloaded_error" => Some(529),
            "rate_limit_error" | "rate_limit_exceeded" => Some(429),
            "invalid_request_error" => Some(400),
            "authentication_error" => Some(401),
            "billing_error" => Some(402),
            "permission_error" => Some(403),
            "not_found_error" => Some(404),
            "request_too_large" => Some(413),
            number => number.parse().ok().filter(|status| (400..600).contains(status)),
        });
        known.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The errors that led to this one, itself first.
fn chain<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        // An I/O error hides the one that it was made of.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
        Some(error)
    })
}

/// Whether an error of this type led to this one.
fn has<E: StdError + 'static>(error: &legacy::Error) -> bool {
    chain(error).any(<dyn StdError>::is::<E>)
}

fn untrusted(error: &legacy::Error) -> bool {
    chain(error).any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// What the operating system says of it, in words that are always the same.
fn cause(error: &legacy::Error) -> Option<io::ErrorKind> {
    let kinds = chain(error).filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.last().filter(|kind| *kind != io::ErrorKind::Other)
}
