//! Whose certificates are trusted.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::LazyConfigAcceptor;

use super::*;

/// A server on loopback with a certificate for `localhost`. It answers one request on each connection with the protocols that
/// the client offers.
pub(super) struct TlsServer {
    pub(super) url: String,
    /// The authority that has signed its certificate, as PEM.
    authority: String,
}

impl TlsServer {
    pub(super) async fn start() -> Self {
        let authority_key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&authority_key).expect("a certificate");
        let issuer = Issuer::new(params, authority_key);
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("a certificate");
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .and_then(|builder| {
                    builder.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private)
                })
                .expect("a config");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        tokio::spawn(serve(listener, Arc::new(config)));
        Self { url, authority: authority.pem() }
    }

    /// The variable that makes a client trust it, and the folder that holds what it names.
    pub(super) fn trusted(&self) -> (tempfile::TempDir, (String, String)) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("authority.pem");
        std::fs::write(&file, &self.authority).expect("a file");
        let variable = ("SSL_CERT_FILE".to_owned(), file.to_string_lossy().into_owned());
        (folder, variable)
    }
}

async fn serve(listener: TcpListener, config: Arc<rustls::ServerConfig>) {
    while let Ok((connection, _)) = listener.accept().await {
        // A client that does not trust the certificate breaks off.
        let _ = answer(connection, Arc::clone(&config)).await;
    }
}

async fn answer(connection: tokio::net::TcpStream, config: Arc<rustls::ServerConfig>) -> std::io::Result<()> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), connection).await?;
    let offered: Vec<_> = start.client_hello().alpn().into_iter().flatten().map(String::from_utf8_lossy).collect();
    let body = offered.join(",");
    let mut stream = start.into_stream(config).await?;
    let _ = stream.read(&mut [0; 4096]).await?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all([head, body].concat().as_bytes()).await?;
    stream.shutdown().await
}

#[tokio::test]
async fn an_authority_that_the_environment_names_is_trusted_and_http_2_is_offered() {
    let server = TlsServer::start().await;
    let (_folder, trusted) = server.trusted();
    let environment = Environment::new([trusted]);
    let endpoint = Clients::new(&environment).endpoint(&server.url, None).expect("an address");
    let response = endpoint.send(HttpRequest::post("/", "x"), &context()).await.expect("an answer");
    assert_eq!(response.body, "h2,http/1.1");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_for_good_with_what_to_do() {
    let (server, other) = (TlsServer::start().await, TlsServer::start().await);
    let (_folder, trusted) = other.trusted();
    let environment = Environment::new([trusted]);
    let endpoint = Clients::new(&environment).endpoint(&server.url, None).expect("an address");
    let error = endpoint.send(HttpRequest::post("/", "x"), &context()).await.expect_err("a stranger");
    assert_eq!(error.kind, ef_model::ErrorKind::Permanent);
    let host = server.url.trim_start_matches("https://");
    let expected = format!(
        "the certificate of {host} is not trusted; if its authority is your own, set SSL_CERT_FILE to a file that holds it \
         (tls_certificate)"
    );
    assert_eq!(error.to_string(), expected);
}
