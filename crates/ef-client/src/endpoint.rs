//! An address that calls go to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ef_model::{CallContext, CallError, Secret};
use http::HeaderValue;
use url::Url;

use crate::exchange::Exchange;
use crate::limiter::{Limiter, Permit};
use crate::scrub::Scrubber;
use crate::transport::Client;
use crate::{HttpRequest, HttpResponse, Settings};

/// An address that calls go to, with the credential that they carry; made by [`crate::Clients::endpoint`]. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) base: Url,
    pub(crate) host: String,
    pub(crate) client: Client,
    /// What a proxy wants to know in each request.
    pub(crate) proxy_authorization: Option<HeaderValue>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) scrubber: Scrubber,
    pub(crate) settings: Arc<Settings>,
}

impl Endpoint {
    pub(crate) fn new(
        base: Url,
        client: Client,
        proxy_authorization: Option<HeaderValue>,
        limiter: Arc<Limiter>,
        scrubber: Scrubber,
        settings: Arc<Settings>,
    ) -> Self {
        let host = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        Self { inner: Arc::new(Inner { base, host, client, proxy_authorization, limiter, scrubber, settings }) }
    }

    /// The same, whose requests carry further secrets: they are removed from whatever comes back, as the credential is.
    #[must_use]
    pub fn hiding<'s>(&self, secrets: impl IntoIterator<Item = &'s Secret>) -> Self {
        let mut inner = Inner::clone(&self.inner);
        for secret in secrets {
            inner.scrubber.add(secret);
        }
        Self { inner: Arc::new(inner) }
    }

    /// The host that is called, with its port where that is not the scheme's.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// Makes one call: waits for its turn, with the attempt's clock paused, sends the request with the trace context, and
    /// reads the answer. The credential is not sent by itself: a header made by [`crate::secret_header`] carries it. It is
    /// removed from everything that comes back.
    ///
    /// # Errors
    ///
    /// Whatever is not an answer with a status from 200 to 299, of the kind that README.md lists; a body that came along is
    /// in the error's detail alone. A request that cannot be made (a bad path) is permanent.
    pub async fn send(&self, request: HttpRequest, context: &CallContext) -> Result<HttpResponse, CallError> {
        let turn = self.turn(context).await;
        let mut exchange = self.open(turn, request, context).await?;
        let body = exchange.body().await?;
        Ok(exchange.finish(body))
    }

    /// Waits for the call's turn, with the attempt's clock paused.
    pub(crate) async fn turn(&self, context: &CallContext) -> Permit {
        let turn = match self.inner.limiter.try_acquire() {
            Some(turn) => turn,
            None => {
                let _paused = context.pause_clock();
                self.inner.limiter.acquire().await
            }
        };
        // The connection of the call that has made room is back in the pool as soon as its own task has run: without that,
        // another one would be made each time, and kept.
        tokio::task::yield_now().await;
        turn
    }

    /// Sends the request and waits for the head of a successful answer, whose body is still to be read.
    pub(crate) async fn open<'a>(
        &'a self,
        turn: Permit,
        request: HttpRequest,
        context: &'a CallContext,
    ) -> Result<Exchange<'a>, CallError> {
        Exchange::open(&self.inner, turn, request, context).await
    }

    /// The path of the base URL.
    pub(crate) fn path(&self) -> &str {
        self.inner.base.path()
    }

    pub(crate) fn scrub(&self, bytes: Bytes) -> Bytes {
        self.inner.scrubber.bytes(bytes)
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("host", &self.inner.host).finish_non_exhaustive()
    }
}
