//! The way to an address: straight, or through a proxy.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Uri, uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use tower_service::Service;

use super::connector::{BoxError, BoxFuture, Tcp};
use super::proxy::{self, Proxies, Proxy, SocksVersion};
use super::stream::Stream;

/// Finds the way to an address.
#[derive(Clone)]
pub(super) struct Router {
    tcp: Tcp,
    to_proxies: HttpsConnector<Tcp>,
    proxies: Arc<Proxies>,
}

/// A proxy could not be reached, or did not make the way free.
#[derive(Debug, thiserror::Error)]
#[error("the proxy did not make a connection")]
pub(crate) struct ProxyFailed(#[source] BoxError);

impl Router {
    pub(super) fn new(tcp: Tcp, to_proxies: HttpsConnector<Tcp>, proxies: Arc<Proxies>) -> Self {
        Self { tcp, to_proxies, proxies }
    }

    async fn lead(mut self, target: Uri) -> Result<Stream, BoxError> {
        match self.proxies.of(&target) {
            None => Ok(Stream::to_server(self.tcp.call(target).await?)),
            Some(proxy) => self.through(proxy, target).await.map_err(|error| ProxyFailed(error).into()),
        }
    }

    async fn through(mut self, proxy: Proxy, target: Uri) -> Result<Stream, BoxError> {
        let is_plain = target.scheme() == Some(&uri::Scheme::HTTP);
        match proxy {
            Proxy::Http { address, .. } if is_plain => Ok(Stream::to_forwarder(self.to_proxies.call(address).await?)),
            Proxy::Http { address, authorization } => {
                let mut tunnel = Tunnel::new(address, self.to_proxies);
                if let Some(authorization) = authorization {
                    tunnel = tunnel.with_auth(authorization);
                }
                Ok(Stream::to_server(tunnel.call(target).await?))
            }
            Proxy::Socks { address, version, login, looks_up_here } => {
                // SOCKS wants a port, and the library takes 443 where none is named, whatever the scheme is.
                let target = proxy::with_port(target, if is_plain { 80 } else { 443 });
                let connected = match version {
                    SocksVersion::V4 => SocksV4::new(address, self.tcp).local_dns(looks_up_here).call(target).await,
                    SocksVersion::V5 => {
                        let mut socks = SocksV5::new(address, self.tcp).local_dns(looks_up_here);
                        if let Some((user, password)) = login {
                            socks = socks.with_auth(user, password);
                        }
                        socks.call(target).await
                    }
                };
                Ok(Stream::to_server(connected?))
            }
        }
    }
}

impl Service<Uri> for Router {
    type Response = Stream;
    type Error = BoxError;
    type Future = BoxFuture<Stream, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().lead(target))
    }
}
