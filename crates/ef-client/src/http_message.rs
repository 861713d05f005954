//! Requests and what comes back.

use std::time::Duration;

use bytes::Bytes;
use ef_model::Secret;
use http::{HeaderMap, HeaderValue, Method};

/// A request to an [`crate::Endpoint`]. Cheap to make from parts that are kept: headers and body are shared.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// What follows the endpoint's base URL: empty, or a path that begins with `/`, with a query after `?` if there is one.
    pub path: String,
    /// Headers. Those whose values are secrets come from [`secret_header`].
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Bytes>,
}

impl HttpRequest {
    /// A request without headers and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: None }
    }

    /// A POST of this body.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..Self::new(Method::POST, path) }
    }

    /// The same with these headers and no others.
    #[must_use]
    pub fn with_headers(self, headers: HeaderMap) -> Self {
        Self { headers, ..self }
    }
}

impl std::fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_ref().map(Bytes::len);
        f.debug_struct("HttpRequest").field("method", &self.method).field("body_bytes", &body).finish_non_exhaustive()
    }
}

/// A successful answer (status 200 to 299), without the secrets that the request carried.
#[derive(Clone)]
pub struct HttpResponse {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
    /// From the moment the request was made, after any wait for its turn, to the last byte.
    pub latency: Duration,
}

impl std::fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("latency", &self.latency)
            .finish_non_exhaustive()
    }
}

/// A secret that cannot be the value of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretHeaderError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It begins or ends with a space or a line break.
    #[error("it begins or ends with white space, perhaps a line break that was copied along")]
    Padded,
    /// A character in it is not visible ASCII.
    #[error("it holds a character that a header cannot carry")]
    Unprintable,
}

/// The value of a header that is never shown: `prefix` (such as `Bearer `) and the secret.
///
/// # Errors
///
/// When the secret cannot be sent: it is empty, padded with white space, or holds anything but visible ASCII and spaces.
pub fn secret_header(prefix: &'static str, secret: &Secret) -> Result<HeaderValue, SecretHeaderError> {
    let text = secret.expose();
    if text.is_empty() {
        return Err(SecretHeaderError::Empty);
    }
    if text.trim() != text {
        return Err(SecretHeaderError::Padded);
    }
    if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(SecretHeaderError::Unprintable);
    }
    let mut value = HeaderValue::try_from([prefix, text].concat()).map_err(|_| SecretHeaderError::Unprintable)?;
    value.set_sensitive(true);
    Ok(value)
}
