//! The HTTP client: TLS, proxies and the pool of connections.

use std::path::Path;
use std::sync::Arc;

use ef_model::Environment;
use reqwest::{NoProxy, Proxy};
use rustls::{ClientConfig, RootCertStore};

use crate::{ClientError, Settings};

/// The HTTP client of a process.
pub(crate) struct Transport {
    pub(crate) client: reqwest::Client,
    /// Whether there is a certificate authority that https addresses can be checked with.
    pub(crate) has_roots: bool,
}

/// Sets the client up.
pub(crate) fn build(environment: &Environment, settings: &Settings) -> Result<Transport, ClientError> {
    let roots = roots(environment);
    let has_roots = !roots.is_empty();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(roots)?)
        .user_agent(concat!("eval-fabric/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.max_idle_connections)
        .pool_idle_timeout(settings.idle_timeout)
        // Keeps the client from looking for proxies by itself.
        .no_proxy();
    for proxy in proxies(environment)? {
        builder = builder.proxy(proxy);
    }
    let client = builder.build().map_err(|_| ClientError::Setup)?;
    Ok(Transport { client, has_roots })
}

/// TLS by ring alone, chosen here and not for the whole process.
fn tls(roots: RootCertStore) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| ClientError::Setup)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificate authorities that the environment names, or the system's. Those that cannot be read are left out.
fn roots(environment: &Environment) -> RootCertStore {
    let path =
        |name| environment.get(name).map(|value| Path::new(value.expose())).filter(|p| !p.as_os_str().is_empty());
    let found = match (path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
        (None, None) => rustls_native_certs::load_native_certs(),
        (file, folder) => rustls_native_certs::load_certs_from_paths(file, folder),
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// The proxies that the environment names.
fn proxies(environment: &Environment) -> Result<Vec<Proxy>, ClientError> {
    type Make = fn(&str) -> reqwest::Result<Proxy>;
    let variables: [(&'static str, &'static str, Make); 3] = [
        ("http_proxy", "HTTP_PROXY", |url| Proxy::http(url)),
        ("https_proxy", "HTTPS_PROXY", |url| Proxy::https(url)),
        ("all_proxy", "ALL_PROXY", |url| Proxy::all(url)),
    ];
    let set = |name| environment.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty());
    let except = set("no_proxy").or_else(|| set("NO_PROXY"));
    let mut proxies = Vec::new();
    for (lower, upper, make) in variables {
        let found = set(lower).map(|url| (lower, url)).or_else(|| set(upper).map(|url| (upper, url)));
        if let Some((variable, url)) = found {
            let proxy = make(url).map_err(|_| ClientError::Proxy { variable })?;
            proxies.push(proxy.no_proxy(except.and_then(NoProxy::from_string)));
        }
    }
    Ok(proxies)
}
