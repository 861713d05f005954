//! Connections to collectors: TLS by ring, proxies as the environment names them, and faults in words that quote nobody.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use ef_model::Environment;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{NoProxy, Proxy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::outlet::Outlet;
use crate::settings::{Certificates, Otlp};

/// The most that is read of an answer; a collector's are a few bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// The HTTP client of an exporter. It has to be used in the runtime of the exporter's thread.
pub(crate) struct Http {
    client: reqwest::Client,
    outlet: Arc<Outlet>,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client for this collector.
    pub(crate) fn new(otlp: &Otlp, outlet: Arc<Outlet>) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder()
            .timeout(otlp.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            // Keeps the client from looking for proxies by itself.
            .no_proxy();
        if otlp.endpoint.scheme_str() == Some("https") {
            builder = builder.tls_backend_preconfigured(tls(otlp)?);
        } else {
            builder = builder.tls_backend_preconfigured(bare(RootCertStore::empty())?.with_no_client_auth());
        }
        if !is_loopback(otlp.endpoint.host().unwrap_or_default()) {
            for proxy in proxies(&otlp.environment)? {
                builder = builder.proxy(proxy);
            }
        }
        let client = builder.build().map_err(|_| "the HTTP client cannot be set up".to_owned())?;
        Ok(Self { client, outlet })
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let request = request.try_into()?;
        let mut answer = self.client.execute(request).await.inspect_err(|error| self.outlet.note(fault(error)))?;
        let status = answer.status();
        if !status.is_success() {
            self.outlet.note(format!("it answered {}", status.as_u16()));
        }
        let headers = std::mem::take(answer.headers_mut());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.inspect_err(|error| self.outlet.note(fault(error)))? {
            if body.len() + chunk.len() > LONGEST_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        self.outlet.reject(if status.is_success() { rejected(&body) } else { 0 });
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

impl HttpClient for Http {
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(self.send(request))
    }
}

/// How many things a collector says that it has not taken. Its answers about metrics and log records differ from those about
/// spans in the names of their fields alone.
fn rejected(answer: &[u8]) -> u64 {
    let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
    answer.partial_success.map_or(0, |partial| partial.rejected_spans.try_into().unwrap_or(0))
}

/// What went wrong, in words of ours.
fn fault(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        // An input/output error may wrap one of TLS, which says more.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
            return "no TLS connection can be made with it".to_owned();
        }
        if let Some(error) = error.downcast_ref::<io::Error>().filter(|_| inner.is_none()) {
            return error.kind().to_string();
        }
        cause = error.source();
    }
    if error.is_connect() { "it cannot be reached" } else { "the request failed" }.to_owned()
}

/// How gRPC makes TLS connections.
pub(crate) fn grpc_tls(otlp: &Otlp) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new();
    config = match &otlp.certificates.authority {
        Some(authority) => config.ca_certificate(Certificate::from_pem(authority)),
        None => config.with_native_roots(),
    };
    match &otlp.certificates.client {
        Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key.expose())),
        None => config,
    }
}

/// TLS by ring alone, chosen here and not for the whole process.
fn tls(otlp: &Otlp) -> Result<ClientConfig, String> {
    let Certificates { authority, client } = &otlp.certificates;
    let mut roots = RootCertStore::empty();
    match authority {
        Some(pem) => drop(roots.add_parsable_certificates(pem_certificates(pem))),
        None => drop(roots.add_parsable_certificates(system_certificates(&otlp.environment))),
    }
    if roots.is_empty() {
        return Err("there is no certificate authority to check it with".to_owned());
    }
    let builder = bare(roots)?;
    match client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let unusable = |_| "the client certificate or its key cannot be used".to_owned();
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
                .map_err(|_| "the client's key cannot be used".to_owned())?;
            builder.with_client_auth_cert(pem_certificates(certificate), key).map_err(unusable)
        }
    }
}

fn bare(roots: RootCertStore) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, String> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| "TLS cannot be set up".to_owned())
        .map(|builder| builder.with_root_certificates(roots))
}

fn pem_certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

/// The certificate authorities that the environment names, or the system's. Those that cannot be read are left out.
fn system_certificates(environment: &Environment) -> Vec<CertificateDer<'static>> {
    let path =
        |name| environment.get(name).map(|value| Path::new(value.expose())).filter(|path| !path.as_os_str().is_empty());
    match (path("SSL_CERT_FILE"), path("SSL_CERT_DIR")) {
        (None, None) => rustls_native_certs::load_native_certs().certs,
        (file, folder) => rustls_native_certs::load_certs_from_paths(file, folder).certs,
    }
}

/// The proxies that the environment names.
fn proxies(environment: &Environment) -> Result<Vec<Proxy>, String> {
    type Make = fn(&str) -> reqwest::Result<Proxy>;
    let variables: [([&str; 2], Make); 3] = [
        (["http_proxy", "HTTP_PROXY"], |url| Proxy::http(url)),
        (["https_proxy", "HTTPS_PROXY"], |url| Proxy::https(url)),
        (["all_proxy", "ALL_PROXY"], |url| Proxy::all(url)),
    ];
    let set =
        |name: &&str| environment.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty());
    let except = ["no_proxy", "NO_PROXY"].iter().find_map(set);
    let mut proxies = Vec::new();
    for (names, make) in variables {
        let Some(url) = names.iter().find_map(set) else { continue };
        let proxy = make(url).map_err(|_| format!("{} names no proxy that can be used", names[1]))?;
        proxies.push(proxy.no_proxy(except.and_then(NoProxy::from_string)));
    }
    Ok(proxies)
}

/// Whether an address is this machine's own, which no proxy has to do with.
fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
    use opentelemetry_proto::tonic::collector::metrics::v1::{
        ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
    };
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;

    use super::*;

    #[test]
    fn an_answer_that_is_no_partial_success_rejects_nothing() {
        let partial = |rejected_spans| ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess { rejected_spans, error_message: "a reason".to_owned() }),
        };
        assert_eq!(rejected(&partial(7).encode_to_vec()), 7);
        assert_eq!(rejected(&partial(-1).encode_to_vec()), 0);
        assert_eq!(rejected(&ExportTraceServiceResponse::default().encode_to_vec()), 0);
        for other in [&b""[..], b"{}", b"<html>", &[0x0a, 0xff], &[0xff; 40]] {
            assert_eq!(rejected(other), 0, "{other:?}");
        }
    }

    #[test]
    fn answers_about_metrics_and_log_records_are_read_alike() {
        let metrics = ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points: 3, ..Default::default() }),
        };
        let logs = ExportLogsServiceResponse {
            partial_success: Some(ExportLogsPartialSuccess { rejected_log_records: 4, ..Default::default() }),
        };
        assert_eq!((rejected(&metrics.encode_to_vec()), rejected(&logs.encode_to_vec())), (3, 4));
    }

    #[test]
    fn no_proxy_has_to_do_with_this_machine() {
        for own in ["localhost", "LOCALHOST", "127.0.0.1", "127.8.8.8", "[::1]"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["localhost.example", "10.0.0.1", "collector", ""] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
