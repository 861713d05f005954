//! One call that has its turn, to the last byte of the answer.

use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ef_model::{CallContext, CallError, ErrorKind};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use tower_http::decompression::{Decompression, DecompressionBody};
use tower_service::Service;

use crate::endpoint::Inner;
use crate::limiter::Permit;
use crate::transport::{Client, RequestBody};
use crate::{HttpRequest, HttpResponse, failure, retry_after};

/// How long the body of an error is waited for: what it means is known without it.
const ERROR_BODY_PATIENCE: Duration = Duration::from_secs(2);

/// How long the end of a body is waited for that has said everything.
const END_PATIENCE: Duration = Duration::from_millis(250);

/// What requests say of who makes them, unless they say it themselves.
const USER_AGENT: &str = concat!("eval-fabric/", env!("CARGO_PKG_VERSION"));

/// What an answer brings along. It lies apart, so that a call that waits for its answer has no room for what reads it.
type ResponseBody = Box<DecompressionBody<Incoming>>;

/// A call whose answer has begun with a status from 200 to 299.
pub(crate) struct Exchange<'a> {
    endpoint: &'a Inner,
    context: &'a CallContext,
    response: Response<ResponseBody>,
    permit: Permit,
    started: Instant,
    received: usize,
}

impl<'a> Exchange<'a> {
    /// Sends the request and reads the head of the answer.
    pub(crate) async fn open(
        endpoint: &'a Inner,
        permit: Permit,
        request: HttpRequest,
        context: &'a CallContext,
    ) -> Result<Self, CallError> {
        let request = prepare(endpoint, request, context)?;
        let started = Instant::now();
        let first_byte = started.checked_add(endpoint.settings.first_byte_timeout);
        let response = match in_time(context, first_byte, client(endpoint).call(request)).await {
            Ok(Ok(response)) => response.map(Box::new),
            Ok(Err(error)) => return Err(failure::connection(&endpoint.host, &error)),
            Err(Late::FirstByte) => return Err(failure::first_byte(&endpoint.host)),
            Err(Late::Attempt) => return Err(failure::attempt(&endpoint.host)),
        };
        let exchange = Self { endpoint, context, response, permit, started, received: 0 };
        if exchange.response.status().is_success() {
            return Ok(exchange);
        }
        // Seldom, so that other calls are small.
        Err(Box::pin(exchange.refused()).await)
    }

    /// Whether the answer says that it is of this type, such as `text/event-stream`.
    pub(crate) fn is_of_type(&self, media_type: &str) -> bool {
        let header = self.response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = header.and_then(|header| header.split(';').next()).map(str::trim);
        essence.is_some_and(|essence| essence.eq_ignore_ascii_case(media_type))
    }

    /// The next piece of the body, with any secrets that are in it, or `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, CallError> {
        let host = &self.endpoint.host;
        let chunk = match in_time(self.context, None, piece(self.response.body_mut())).await {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(_)) => return Err(failure::truncated(host)),
            Err(_) => return Err(failure::attempt(host)),
        };
        self.received = self.received.saturating_add(chunk.as_ref().map_or(0, Bytes::len));
        if self.received > self.endpoint.settings.max_response_bytes {
            return Err(self.too_large());
        }
        Ok(chunk)
    }

    /// The whole body without secrets.
    pub(crate) async fn body(&mut self) -> Result<Bytes, CallError> {
        let announced = self.response.body().size_hint().exact().unwrap_or(0);
        if announced > self.endpoint.settings.max_response_bytes as u64 {
            return Err(self.too_large());
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(self.endpoint.scrubber.bytes(first)) };
        let mut body = BytesMut::with_capacity((announced as usize).max(first.len() + second.len()));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(self.endpoint.scrubber.bytes(body.freeze()))
    }

    /// Reads what is left of a body that says nothing more, so that the connection can be used again; a server that does not
    /// end it soon loses the connection.
    pub(crate) async fn drain(&mut self) {
        let patience = Instant::now().checked_add(END_PATIENCE);
        while let Ok(Ok(Some(chunk))) = in_time(self.context, patience, piece(self.response.body_mut())).await {
            self.received = self.received.saturating_add(chunk.len());
            if self.received > self.endpoint.settings.max_response_bytes {
                return;
            }
        }
    }

    /// The call went well.
    pub(crate) fn finish(mut self, body: Bytes) -> HttpResponse {
        let status = self.response.status().as_u16();
        let mut headers = std::mem::take(self.response.headers_mut());
        self.endpoint.scrubber.headers(&mut headers);
        self.permit.succeed();
        HttpResponse { status, headers, body, latency: self.started.elapsed() }
    }

    /// What an answer amounts to that says within itself that the call failed. This text is free of secrets.
    pub(crate) fn failed(self, answer: &str) -> CallError {
        let error = failure::within_answer(&self.endpoint.host, &self.endpoint.scrubber, answer);
        if error.kind == ErrorKind::Transient && failure::is_overload(error.code.as_ref()) {
            self.permit.reject(None);
        }
        error
    }

    /// What an answer with another status amounts to.
    async fn refused(mut self) -> CallError {
        let status = self.response.status();
        let wait = retry_after::wait(self.response.headers(), std::time::SystemTime::now());
        let refusal = failure::Refusal {
            host: &self.endpoint.host,
            scrubber: &self.endpoint.scrubber,
            longest_wait: self.endpoint.settings.longest_wait,
            status,
            wait: wait.filter(|_| failure::asks_for_less(status)),
        };
        if failure::asks_for_less(status) {
            // Said at once, so that others stay back while the body is read.
            self.permit.reject(refusal.acceptable_wait());
        }
        let headers = self.response.headers().clone();
        let body = self.error_body().await;
        refusal.error(&headers, &body)
    }

    /// The beginning of an error's body, as far as it can be had, without secrets.
    async fn error_body(&mut self) -> Bytes {
        let most = self.endpoint.settings.max_error_bytes;
        let patience = Instant::now().checked_add(ERROR_BODY_PATIENCE);
        let mut body = BytesMut::new();
        while body.len() <= most {
            match in_time(self.context, patience, piece(self.response.body_mut())).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk[..chunk.len().min(most + 1 - body.len())]),
                _ => break,
            }
        }
        self.endpoint.scrubber.beginning(body.freeze(), most)
    }

    fn too_large(&self) -> CallError {
        failure::too_large(&self.endpoint.host, self.endpoint.settings.max_response_bytes)
    }
}

/// Which limit is over.
enum Late {
    FirstByte,
    Attempt,
}

/// Waits for the future until the attempt's time is over, which moves while its clock is paused, or until `first_byte`.
async fn in_time<F: Future>(context: &CallContext, first_byte: Option<Instant>, future: F) -> Result<F::Output, Late> {
    let mut future = pin!(future);
    loop {
        let deadline = context.deadline();
        let until = first_byte.map_or(deadline, |first_byte| first_byte.min(deadline));
        if let Ok(output) = tokio::time::timeout_at(until.into(), &mut future).await {
            return Ok(output);
        }
        let now = tokio::time::Instant::now().into_std();
        if first_byte.is_some_and(|first_byte| now >= first_byte) {
            return Err(Late::FirstByte);
        }
        if now >= context.deadline() {
            return Err(Late::Attempt);
        }
    }
}

/// The client, with bodies compressed on their way where the server can do that.
fn client(endpoint: &Inner) -> Decompression<&Client> {
    // gzip alone, whatever else a program may have asked of the library.
    Decompression::new(&endpoint.client).no_deflate().no_br().no_zstd()
}

/// The next piece of a body, or `None` at its end.
async fn piece(body: &mut ResponseBody) -> Result<Option<Bytes>, BodyBroken> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(BodyBroken),
            // What else there may be is a trailer.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A body broke off, or is not what its head says. Why may quote it.
struct BodyBroken;

fn prepare(endpoint: &Inner, request: HttpRequest, context: &CallContext) -> Result<Request<RequestBody>, CallError> {
    let mut prepared = Request::new(request.body.map_or_else(Full::default, Full::new));
    *prepared.method_mut() = request.method;
    *prepared.uri_mut() = address(endpoint, &request.path)?;
    let mut headers = request.headers;
    if let header::Entry::Vacant(agent) = headers.entry(header::USER_AGENT) {
        agent.insert(HeaderValue::from_static(USER_AGENT));
    }
    if let header::Entry::Vacant(accepted) = headers.entry(header::ACCEPT) {
        accepted.insert(HeaderValue::from_static("*/*"));
    }
    if let Some(authorization) = &endpoint.proxy_authorization {
        headers.insert(header::PROXY_AUTHORIZATION, authorization.clone());
    }
    if let Some(trace) = context.trace() {
        pass_on(&mut headers, "traceparent", Some(&trace.traceparent));
        pass_on(&mut headers, "tracestate", trace.tracestate.as_ref());
    }
    *prepared.headers_mut() = headers;
    Ok(prepared)
}

fn pass_on(headers: &mut HeaderMap, name: &'static str, value: Option<&String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The base URL with the path at its end, and with the queries of both.
fn address(endpoint: &Inner, path: &str) -> Result<Uri, CallError> {
    let base = &endpoint.base;
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() && !path.starts_with('/') {
        let message = "the path of the request does not begin with `/`";
        return Err(CallError::permanent("request_invalid", message));
    }
    let mut url = base.clone();
    if !path.is_empty() {
        url.set_path(&[base.path().trim_end_matches('/'), path].concat());
    }
    if let Some(query) = query {
        let both = base.query().map_or_else(|| query.to_owned(), |first| format!("{first}&{query}"));
        url.set_query(Some(&both));
    }
    Uri::try_from(String::from(url)).map_err(|_| failure::unsendable(&endpoint.host))
}
