//! Making connections: in time, by name, and with TLS where the address wants it.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use rustls::ClientConfig;
use tower_service::Service;

use super::proxy::Proxies;
use super::route::Router;
use super::stream::Stream;

pub(super) type BoxError = Box<dyn StdError + Send + Sync>;
pub(super) type BoxFuture<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;
/// TCP to a host by name or number.
pub(super) type Tcp = HttpConnector<Resolver>;

/// Makes the connections of a client. Cheap to clone and small, as each request does so several times.
#[derive(Clone)]
pub(crate) struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    https: HttpsConnector<Router>,
    time_limit: Duration,
}

/// No connection was made in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection was made in time")]
pub(crate) struct ConnectTimeout;

/// A name was not found.
#[derive(Debug, thiserror::Error)]
#[error("the name was not found")]
pub(crate) struct Unresolved(#[source] pub(super) std::io::Error);

impl Connector {
    /// One whose connections are made, TLS and proxies included, in so much time.
    pub(super) fn new(tls: ClientConfig, proxies: Arc<Proxies>, time_limit: Duration) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(GaiResolver::new()));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(super::KEEP_ALIVE));
        tcp.set_keepalive_interval(Some(super::KEEP_ALIVE));
        tcp.set_keepalive_retries(Some(super::KEEP_ALIVE_RETRIES));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(super::UNACKNOWLEDGED));
        // Divided among the addresses of a name, so that one that is silent does not use up the time of the others.
        tcp.set_connect_timeout(Some(time_limit));
        // A proxy that is called by TLS itself is spoken to in HTTP/1.1.
        let to_proxies = HttpsConnector::from((tcp.clone(), tls.clone()));
        let mut to_targets = tls;
        to_targets.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let router = Router::new(tcp, to_proxies, proxies);
        Self { inner: Arc::new(Inner { https: HttpsConnector::from((router, to_targets)), time_limit }) }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream, BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.inner.https.clone().call(target);
        let time_limit = self.inner.time_limit;
        Box::pin(async move {
            match tokio::time::timeout(time_limit, connecting).await {
                Ok(Ok(MaybeHttpsStream::Http(stream))) => Ok(stream),
                Ok(Ok(MaybeHttpsStream::Https(stream))) => Ok(Stream::to_server(MaybeHttpsStream::Https(stream))),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(ConnectTimeout.into()),
            }
        })
    }
}

/// Looks names up as the system does.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = Unresolved;
    type Future = BoxFuture<GaiAddrs, Unresolved>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        self.0.poll_ready(context).map_err(Unresolved)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = self.0.call(name);
        Box::pin(async move { found.await.map_err(Unresolved) })
    }
}
