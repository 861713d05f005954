//! Proxies of every kind between the client and the server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ef_client::ClientError;
use ef_model::ErrorKind;
use ef_testkit::model_server::Script;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::trust::TlsServer;
use super::*;

fn set(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A proxy on loopback that joins each connection to one and the same server, whatever it is asked for.
struct Joining {
    address: SocketAddr,
    /// What it was asked for on each connection.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Joining {
    /// One that speaks HTTP, and gives this answer.
    async fn http(target: String, answer: &'static str) -> Self {
        Self::start(target, move |connection, target| Box::pin(tunnel(connection, target, answer))).await
    }

    /// One that speaks SOCKS 5, and wants a user and a password.
    async fn socks5(target: String) -> Self {
        Self::start(target, |connection, target| Box::pin(socks5(connection, target))).await
    }

    /// One that speaks SOCKS 4.
    async fn socks4(target: String) -> Self {
        Self::start(target, |connection, target| Box::pin(socks4(connection, target))).await
    }

    async fn start(target: String, meet: impl Fn(TcpStream, String) -> Meeting + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (request, mut joined) = meet(connection, target.clone()).await;
                heard.lock().expect("no panic").push(request);
                tokio::spawn(async move {
                    if let Some((connection, server)) = &mut joined {
                        let _ = tokio::io::copy_bidirectional(connection, server).await;
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

/// What was asked for, and the two ends that are joined, if they are.
type Met = (String, Option<(TcpStream, TcpStream)>);
type Meeting = std::pin::Pin<Box<dyn Future<Output = Met> + Send>>;

async fn tunnel(mut connection: TcpStream, target: String, answer: &'static str) -> Met {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await.expect("a head"));
    }
    connection.write_all(answer.as_bytes()).await.expect("the answer is taken");
    let server = TcpStream::connect(target).await.expect("the server");
    (String::from_utf8_lossy(&head).into_owned(), answer.contains("200").then_some((connection, server)))
}

/// RFC 1928, with the user and the password of RFC 1929.
async fn socks5(mut connection: TcpStream, target: String) -> Met {
    assert_eq!(connection.read_u8().await.expect("a version"), 5);
    let methods = short(&mut connection).await;
    assert_eq!(methods, [2], "a user and a password are all that it knows");
    connection.write_all(&[5, 2]).await.expect("taken");
    assert_eq!(connection.read_u8().await.expect("a version"), 1);
    let (user, password) = (short(&mut connection).await, short(&mut connection).await);
    connection.write_all(&[1, 0]).await.expect("taken");
    let mut request = [0; 4];
    connection.read_exact(&mut request).await.expect("a request");
    assert_eq!(request, [5, 1, 0, 3], "a connection to a name");
    let name = short(&mut connection).await;
    let port = connection.read_u16().await.expect("a port");
    connection.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await.expect("taken");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let asked = format!("{}:{port} for {} with {}", text(&name), text(&user), text(&password));
    (asked, Some((connection, TcpStream::connect(target).await.expect("the server"))))
}

/// Bytes after their number.
async fn short(connection: &mut TcpStream) -> Vec<u8> {
    let length = connection.read_u8().await.expect("a length");
    let mut bytes = vec![0; length.into()];
    connection.read_exact(&mut bytes).await.expect("as many bytes");
    bytes
}

async fn socks4(mut connection: TcpStream, target: String) -> Met {
    let mut request = [0; 8];
    connection.read_exact(&mut request).await.expect("a request");
    assert_eq!(request[..2], [4, 1], "a connection");
    while connection.read_u8().await.expect("a user") != 0 {}
    connection.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).await.expect("taken");
    let port = u16::from_be_bytes([request[2], request[3]]);
    let asked = format!("{}.{}.{}.{}:{port}", request[4], request[5], request[6], request[7]);
    (asked, Some((connection, TcpStream::connect(target).await.expect("the server"))))
}

#[tokio::test]
async fn proxies_come_from_the_environment_that_is_passed_and_no_proxy_excepts_hosts() {
    let proxy = ModelServer::start(Script::echo().recording());
    let through = Environment::new([set("HTTP_PROXY", &proxy.base_url())]);
    let endpoint = Clients::new(&through).endpoint("http://nowhere.invalid/echo", None).expect("an address");
    // What is sent to a proxy names the whole address, which this server does not know.
    endpoint.send(HttpRequest::post("", "x"), &context()).await.expect_err("the proxy's 404");
    assert_eq!(proxy.requests()[0].header("host"), Some("nowhere.invalid"));

    let except =
        Environment::new([set("http_proxy", &proxy.base_url()), set("NO_PROXY", "other.invalid,.nowhere.invalid")]);
    let endpoint = Clients::new(&except).endpoint("http://x.nowhere.invalid/echo", None).expect("an address");
    endpoint.send(HttpRequest::post("", "x"), &context()).await.expect_err("there is no such host");
    assert_eq!(proxy.counts().calls, 1);
}

#[tokio::test]
async fn a_proxy_is_told_of_who_asks_in_each_request_that_it_passes_on() {
    let proxy = ModelServer::start(Script::echo().recording());
    let url = format!("http://user:p%40ss@{}", proxy.address());
    let clients = Clients::new(&Environment::new([set("http_proxy", &url)]));
    let endpoint = clients.endpoint("http://nowhere.invalid/echo", None).expect("an address");
    endpoint.send(HttpRequest::post("", "x"), &context()).await.expect_err("the proxy's 404");
    // What `user:p@ss` is in base64.
    assert_eq!(proxy.requests()[0].header("proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
}

#[tokio::test]
async fn an_https_address_is_reached_through_a_tunnel_and_its_server_never_sees_the_proxys_password() {
    let server = TlsServer::start().await;
    let (_folder, trusted) = server.trusted();
    let host = server.url.trim_start_matches("https://").to_owned();
    let proxy = Joining::http(host.clone(), "HTTP/1.1 200 OK\r\n\r\n").await;
    let through = set("HTTPS_PROXY", &format!("http://user:pass@{}", proxy.address));
    let endpoint = Clients::new(&Environment::new([trusted, through])).endpoint(&server.url, None);
    let response = endpoint.expect("an address").send(HttpRequest::post("/", "x"), &context()).await;
    assert_eq!(response.expect("an answer").body, "h2,http/1.1");
    let asked = proxy.asked();
    assert!(asked[0].starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{asked:?}");
    assert!(asked[0].contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{asked:?}");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named_as_what_is_in_the_way() {
    let server = TlsServer::start().await;
    let host = server.url.trim_start_matches("https://").to_owned();
    let refusing = Joining::http(host.clone(), "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a port");
    let expect = |words: &str| format!("no connection to {host} through its proxy{words} (connect)");
    for (proxy, words) in [(refusing.address, ""), (nobody, ": connection refused")] {
        let (_folder, trusted) = server.trusted();
        let through = set("all_proxy", &format!("http://{proxy}"));
        let endpoint = Clients::new(&Environment::new([trusted, through])).endpoint(&server.url, None);
        let error = endpoint.expect("an address").send(HttpRequest::post("/", "x"), &context()).await;
        let error = error.expect_err("no tunnel");
        assert_eq!((error.kind, error.to_string()), (ErrorKind::Transient, expect(words)));
    }
}

#[tokio::test]
async fn a_proxy_is_called_by_tls_where_its_address_says_so() {
    let proxy = TlsServer::start().await;
    let (_folder, trusted) = proxy.trusted();
    let clients = Clients::new(&Environment::new([trusted, set("http_proxy", &proxy.url)]));
    let endpoint = clients.endpoint("http://nowhere.invalid/", None).expect("an address");
    let response = endpoint.send(HttpRequest::post("", "x"), &context()).await.expect("the proxy's answer");
    assert_eq!(response.body, "", "no protocol but HTTP/1.1 is offered to a proxy");

    let (_folder, other) = TlsServer::start().await.trusted();
    let stranger = Clients::new(&Environment::new([other, set("http_proxy", &proxy.url)]));
    let endpoint = stranger.endpoint("http://nowhere.invalid/", None).expect("an address");
    let error = endpoint.send(HttpRequest::post("", "x"), &context()).await.expect_err("a stranger");
    assert_eq!(error.code, "tls_certificate");
    assert!(error.message.starts_with("the certificate of nowhere.invalid's proxy is not trusted"), "{error}");
}

#[tokio::test]
async fn socks_proxies_are_used_and_look_names_up_themselves_where_they_are_to() {
    let server = ModelServer::start(Script::echo());
    let proxy = Joining::socks5(server.address().to_string()).await;
    let through = set("ALL_PROXY", &format!("socks5h://user:p%40ss@{}", proxy.address));
    let endpoint = Clients::new(&Environment::new([through])).endpoint("http://nowhere.invalid", None);
    let response = endpoint.expect("an address").send(HttpRequest::post("/echo", "x"), &context()).await;
    assert_eq!(response.expect("an echo").body, "x");
    assert_eq!(proxy.asked(), ["nowhere.invalid:80 for user with p@ss"]);

    let proxy = Joining::socks4(server.address().to_string()).await;
    let through = set("http_proxy", &format!("socks4://{}", proxy.address));
    let endpoint = Clients::new(&Environment::new([through])).endpoint("http://127.0.0.1:4321", None);
    let response = endpoint.expect("an address").send(HttpRequest::post("/echo", "x"), &context()).await;
    assert_eq!(response.expect("an echo").body, "x");
    assert_eq!(proxy.asked(), ["127.0.0.1:4321"]);
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_by_its_variables_name_and_not_gone_past() {
    for address in ["http://user:secret@:bad:", "ftp://user:secret@host", "user secret", "socks9://secret", "http://"] {
        for variable in ["HTTPS_PROXY", "all_proxy", "http_proxy"] {
            let refused = Clients::new(&Environment::new([set(variable, address)])).endpoint("http://host/", None);
            let error = refused.expect_err("no proxy");
            assert_eq!(error, ClientError::Proxy { variable }, "{address}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
