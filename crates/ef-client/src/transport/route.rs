//! The way to an address: straight, or through a proxy.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Uri, uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use tower_service::Service;

use super::connector::{BoxError, BoxFuture, Tcp, Unresolved};
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
            Some(proxy) => {
                let target = asked_of(&proxy, target).await?;
                self.through(proxy, target).await.map_err(|error| ProxyFailed(error).into())
            }
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
            Proxy::Socks { address, version, login, .. } => {
                let connected = match version {
                    SocksVersion::V4 => SocksV4::new(address, self.tcp).call(target).await,
                    SocksVersion::V5 => {
                        let mut socks = SocksV5::new(address, self.tcp);
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

/// What the proxy is asked for: the address with its port, and with a number for its name where that is looked up here. The
/// library would take 443 for the port that is not named, whatever the scheme is, and look names up on the runtime's thread.
async fn asked_of(proxy: &Proxy, target: Uri) -> Result<Uri, Unresolved> {
    let Proxy::Socks { version, looks_up_here, .. } = proxy else { return Ok(target) };
    let port = if target.scheme() == Some(&uri::Scheme::HTTP) { 80 } else { 443 };
    let target = proxy::with_port(target, port);
    if !looks_up_here {
        return Ok(target);
    }
    let named = target.authority().map_or_else(String::new, uri::Authority::to_string);
    let found = tokio::net::lookup_host(named).await.map_err(Unresolved)?;
    // Version 4 has no room for other addresses.
    let mut usable = found.filter(|address| matches!(version, SocksVersion::V5) || address.is_ipv4());
    let address = usable.next().ok_or_else(|| Unresolved(io::ErrorKind::NotFound.into()))?;
    Ok(proxy::with_authority(target, &address.to_string()))
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
