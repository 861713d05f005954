//! OTLP over HTTP.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;

use ef_testkit::otlp_server::{Options, OtlpServer, Protocol, Tls};
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{TO_TRACES, exchange, one_span, send, send_span, status};

#[test]
fn a_message_is_taken_and_kept_with_its_headers_and_bytes() {
    let server = OtlpServer::start();
    let body = one_span("one").encode_to_vec();
    let answer = send(&server, &format!("{TO_TRACES}x-team: blue\r\n"), &body).expect("an answer");
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("application/x-protobuf"), "{answer}");
    let [received] = &server.requests()[..] else { panic!("one message was sent") };
    assert_eq!((received.protocol, received.header("X-Team")), (Protocol::Http, Some("blue")));
    assert_eq!((received.accepted, received.compressed, &received.body[..]), (true, false, &body[..]));
    assert_eq!(server.spans()[0].name, "one");
    let counts = server.counts();
    assert_eq!((counts.connections, counts.requests, counts.accepted, counts.spans), (1, 1, 1, 1));
    assert!(server.bytes().windows(4).any(|window| window == b"blue"), "headers can be searched");
    assert_eq!(server.take().len(), 1);
    assert!(server.requests().is_empty(), "what was taken away is gone");
}

#[test]
fn what_is_compressed_is_read_and_is_kept_as_it_was_before() {
    let server = OtlpServer::start();
    let body = one_span("packed").encode_to_vec();
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&body).expect("it packs");
    let packed = packer.finish().expect("it packs");
    let answer = send(&server, &format!("{TO_TRACES}content-encoding: gzip\r\n"), &packed).expect("an answer");
    assert_eq!(status(&answer), "200");
    let received = &server.requests()[0];
    assert!(received.compressed && received.body == body);
}

#[test]
fn what_no_collector_takes_is_refused_and_not_counted_as_a_message() {
    let server = OtlpServer::start();
    let body = one_span("x").encode_to_vec();
    let refused = [
        ("404", TO_TRACES.replace("/v1/traces", "/")),
        ("404", TO_TRACES.replace("/v1/traces", "/v1/traces/v1/traces")),
        ("405", TO_TRACES.replace("POST", "PUT")),
        ("415", TO_TRACES.replace("x-protobuf", "json")),
        ("415", format!("{TO_TRACES}content-encoding: br\r\n")),
        ("400", format!("{TO_TRACES}content-encoding: gzip\r\n")),
    ];
    for (wanted, head) in &refused {
        let answer = send(&server, head, &body).expect("an answer");
        assert_eq!(status(&answer), *wanted, "{head}");
    }
    let answer = send(&server, TO_TRACES, b"\xff no message").expect("an answer");
    assert_eq!(status(&answer), "400");
    let counts = server.counts();
    assert_eq!((counts.requests, counts.malformed), (0, refused.len() as u64 + 1));
}

/// A client that trusts this root; with a certificate of its own where it is given.
fn secure(server: &OtlpServer, root: &std::path::Path, with_certificate: bool) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(root).expect("a root")).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("there are versions").with_root_certificates(roots);
    let config = if with_certificate {
        let (certificate, key) = server.client_files();
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        config.with_client_auth_cert(vec![certificate], key).expect("they fit")
    } else {
        config.with_no_client_auth()
    };
    let name = "127.0.0.1".try_into().expect("an address");
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let stream = StreamOwned::new(client, TcpStream::connect(server.address())?);
    exchange(stream, TO_TRACES, &one_span("secret way").encode_to_vec())
}

#[test]
fn over_tls_a_client_that_trusts_it_is_served_and_no_other() {
    let server = OtlpServer::start_tls();
    let answer = secure(&server, &server.ca_file(), false).expect("an answer");
    assert_eq!(status(&answer), "200");
    assert!(secure(&server, &server.other_ca_file(), false).is_err());
    // At most, it says in TLS what is wrong.
    assert!(send_span(&server, "in the clear").is_ok_and(|answer| !answer.starts_with("HTTP")));
    assert_eq!(server.spans().len(), 1);
}

#[test]
fn a_server_that_wants_certificates_serves_no_client_without_one() {
    let options = Options { tls: Tls::ClientCertificate, ..Options::default() };
    let server = OtlpServer::start_with(([127, 0, 0, 1], 0).into(), options).expect("a port");
    assert!(secure(&server, &server.ca_file(), false).is_err());
    let answer = secure(&server, &server.ca_file(), true).expect("an answer");
    assert_eq!(status(&answer), "200");
}
