//! HTTP connections to object storage, configured by nobody but the caller.

use std::fmt;
use std::sync::Arc;

use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
use rustls::{ClientConfig, RootCertStore};

/// Makes clients with the system's certificates, TLS by ring, and the proxy that it was given.
pub(crate) struct Connector {
    proxy: Option<String>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A proxy's address may hold a password.
        f.debug_struct("Connector").field("proxy", &self.proxy.is_some()).finish()
    }
}

impl Connector {
    pub(crate) const fn new(proxy: Option<String>) -> Self {
        Self { proxy }
    }

    fn client(&self) -> Result<reqwest::Client, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut client = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .http1_only()
            .connect_timeout(std::time::Duration::from_secs(5))
            .read_timeout(std::time::Duration::from_secs(30))
            .user_agent(concat!("eval-fabric/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls);
        if let Some(proxy) = &self.proxy {
            // The error would quote the address.
            client = client.proxy(reqwest::Proxy::all(proxy).map_err(|_| "the proxy's address is not one".to_owned())?);
        }
        client.build().map_err(|error| error.to_string())
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        match self.client() {
            Ok(client) => Ok(HttpClient::new(client)),
            Err(reason) => Err(object_store::Error::Generic { store: "HTTP", source: reason.into() }),
        }
    }
}
