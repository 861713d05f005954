//! A connection: TLS where there is any, then HTTP/1.1 or HTTP/2, and each request to the protocol that it speaks.

use std::convert::Infallible;
use std::io::{self, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;

use super::mode::Mode;
use super::received::House;
use super::{grpc, http};

/// The longest body, before and after decompression.
const LIMIT: usize = 256 << 20;

/// The connection is to be cut.
pub(super) fn cut() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

pub(super) async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, house: Arc<House>) {
    house.connected();
    match house.mode() {
        // With this, an end is a reset.
        Mode::Close => drop(stream.set_zero_linger()),
        Mode::Deaf => std::future::pending().await,
        _ => match tls {
            None => speak(stream, house).await,
            Some(tls) => {
                // A client that does not trust the server, or that the server does not trust, is gone.
                if let Ok(stream) = tls.accept(stream).await {
                    speak(stream, house).await;
                }
            }
        },
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, house: Arc<House>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&house)));
    // A connection that fails is the client's to notice.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, house: Arc<House>) -> Result<Response<Body>, io::Error> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LIMIT).collect().await else {
        house.malformed();
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body did not arrive, or is too large"));
    };
    let (mode, body) = (house.mode(), body.to_bytes());
    if grpc::is_grpc(&parts.headers) {
        grpc::answer(parts, body, mode, house).await
    } else {
        http::answer(parts, body, mode, &house).await
    }
}

/// Headers as they came.
pub(super) fn headers(headers: &hyper::HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// What was compressed with gzip.
pub(super) fn gunzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).take(LIMIT as u64).read_to_end(&mut plain)?;
    Ok(plain.into())
}

pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

pub(super) fn full(bytes: impl Into<Bytes>) -> Body {
    Body::new(Full::new(bytes.into()).map_err(|never: Infallible| match never {}))
}
