//! Whose certificates are trusted.

use std::sync::{Arc, Mutex};

use ef_client::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use super::*;

/// A server on loopback with a certificate for `localhost`. It answers one request on each connection with the protocols that
/// the client offers.
pub(super) struct TlsServer {
    pub(super) url: String,
    /// The authority that has signed its certificate, as PEM.
    authority: String,
    /// The requests that it had, as far as they came at once.
    heads: Arc<Mutex<Vec<String>>>,
}

impl TlsServer {
    pub(super) async fn start() -> Self {
        let (server, listener, config) = Self::ready(b"http/1.1").await;
        tokio::spawn(serve(listener, config, Arc::clone(&server.heads)));
        server
    }

    /// One that speaks HTTP/2 alone, and answers each request with the number of its connection.
    async fn start_http_2() -> Self {
        let (server, listener, config) = Self::ready(b"h2").await;
        tokio::spawn(serve_http_2(listener, config));
        server
    }

    /// One that does not answer yet, and speaks this protocol.
    async fn ready(protocol: &[u8]) -> (Self, TcpListener, Arc<rustls::ServerConfig>) {
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
        config.alpn_protocols = vec![protocol.to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
        (Self { url, authority: authority.pem(), heads: Arc::default() }, listener, Arc::new(config))
    }

    /// The requests that it had.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("no panic").clone()
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

async fn serve(listener: TcpListener, config: Arc<rustls::ServerConfig>, heads: Arc<Mutex<Vec<String>>>) {
    while let Ok((connection, _)) = listener.accept().await {
        // A client that does not trust the certificate breaks off.
        if let Ok(head) = answer(connection, Arc::clone(&config)).await {
            heads.lock().expect("no panic").push(head);
        }
    }
}

async fn serve_http_2(listener: TcpListener, config: Arc<rustls::ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    for number in 1_u32.. {
        let Ok((connection, _)) = listener.accept().await else { return };
        let Ok(stream) = acceptor.accept(connection).await else { continue };
        let service = service_fn(move |request: Request<Incoming>| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let sent = request.into_body().collect().await?.to_bytes();
            let answer = format!("connection {number}: {}", String::from_utf8_lossy(&sent));
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer))))
        });
        tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(connection: tokio::net::TcpStream, config: Arc<rustls::ServerConfig>) -> std::io::Result<String> {
    let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), connection).await?;
    let offered: Vec<_> = start.client_hello().alpn().into_iter().flatten().map(String::from_utf8_lossy).collect();
    let body = offered.join(",");
    let mut stream = start.into_stream(config).await?;
    let mut received = [0; 4096];
    let length = stream.read(&mut received).await?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all([head, body].concat().as_bytes()).await?;
    stream.shutdown().await?;
    Ok(String::from_utf8_lossy(&received[..length]).into_owned())
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

#[tokio::test]
async fn calls_share_a_connection_where_the_server_speaks_http_2() {
    let server = TlsServer::start_http_2().await;
    let (_folder, trusted) = server.trusted();
    let endpoint = Clients::new(&Environment::new([trusted])).endpoint(&server.url, None).expect("an address");
    let call = |endpoint: ef_client::Endpoint, body: String| async move {
        endpoint.send(HttpRequest::post("/", body), &context()).await.expect("an answer").body
    };
    assert_eq!(call(endpoint.clone(), "first".to_owned()).await, "connection 1: first");
    let mut running = JoinSet::new();
    for number in 0..10 {
        running.spawn(call(endpoint.clone(), number.to_string()));
    }
    let mut answers = running.join_all().await;
    answers.sort();
    let expected: Vec<_> = (0..10).map(|number| format!("connection 1: {number}")).collect();
    assert_eq!(answers, expected);
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_is_given_up_in_the_time_for_connecting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    let (_folder, trusted) = TlsServer::start().await.trusted();
    let mut settings = Settings::default();
    settings.connect_timeout = Duration::from_millis(50);
    let endpoint = Clients::with_settings(&Environment::new([trusted]), settings).endpoint(&url, None);
    let error = endpoint.expect("an address").send(HttpRequest::post("/", "x"), &context()).await;
    let error = error.expect_err("no handshake");
    assert_eq!((error.kind, error.code.as_ref()), (ef_model::ErrorKind::Timeout, "connect_timeout"));
}
