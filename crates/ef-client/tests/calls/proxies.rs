//! Proxies of every kind between the client and the server.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
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

/// What comes of a request to this address in an environment with these variables.
async fn sent(variables: impl IntoIterator<Item = (String, String)>, url: &str) -> Result<String, CallError> {
    let endpoint = Clients::new(&Environment::new(variables)).endpoint(url, None).expect("an address");
    let response = endpoint.send(HttpRequest::post("", "x"), &context()).await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
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

    /// One that speaks SOCKS 4, 4a and 5, the last with a user and a password if the client has them.
    async fn socks(target: String) -> Self {
        Self::start(target, |connection, target| Box::pin(socks(connection, target))).await
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

/// SOCKS 4 and 4a, and RFC 1928 with the user and the password of RFC 1929. A client that goes away has asked for nothing.
async fn socks(mut connection: TcpStream, target: String) -> Met {
    let Ok(asked) = asked_by_socks(&mut connection).await else { return (String::new(), None) };
    (asked, Some((connection, TcpStream::connect(target).await.expect("the server"))))
}

async fn asked_by_socks(connection: &mut TcpStream) -> io::Result<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if connection.read_u8().await? == 4 {
        assert_eq!(connection.read_u8().await?, 1, "a connection");
        let port = connection.read_u16().await?;
        let address = Ipv4Addr::from(connection.read_u32().await?);
        terminated(connection).await?;
        // 4a says with this address that a name follows.
        let is_name = address.octets()[..3] == [0, 0, 0];
        let host = if is_name { text(&terminated(connection).await?) } else { address.to_string() };
        connection.write_all(&[0, 90, 0, 0, 0, 0, 0, 0]).await?;
        return Ok(format!("{host}:{port}"));
    }
    let methods = short(connection).await?;
    connection.write_all(&[5, methods[0]]).await?;
    let mut login = String::new();
    if methods[0] == 2 {
        assert_eq!(connection.read_u8().await?, 1);
        login = format!(" for {} with {}", text(&short(connection).await?), text(&short(connection).await?));
        connection.write_all(&[1, 0]).await?;
    }
    let mut request = [0; 4];
    connection.read_exact(&mut request).await?;
    assert_eq!(request[..3], [5, 1, 0], "a connection");
    let host = match request[3] {
        1 => Ipv4Addr::from(connection.read_u32().await?).to_string(),
        _ => text(&short(connection).await?),
    };
    let port = connection.read_u16().await?;
    connection.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0]).await?;
    Ok(format!("{host}:{port}{login}"))
}

/// Bytes before a zero.
async fn terminated(connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match connection.read_u8().await? {
            0 => return Ok(bytes),
            byte => bytes.push(byte),
        }
    }
}

/// Bytes after their number.
async fn short(connection: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = connection.read_u8().await?;
    let mut bytes = vec![0; length.into()];
    connection.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[tokio::test]
async fn proxies_come_from_the_environment_that_is_passed_and_no_proxy_excepts_hosts() {
    let proxy = ModelServer::start(Script::echo().recording());
    // What is sent to a proxy names the whole address, which this server does not know.
    sent([set("HTTP_PROXY", &proxy.base_url())], "http://nowhere.invalid/echo").await.expect_err("the proxy's 404");
    assert_eq!(proxy.requests()[0].header("host"), Some("nowhere.invalid"));

    let except = [set("http_proxy", &proxy.base_url()), set("NO_PROXY", "other.invalid,.nowhere.invalid")];
    let error = sent(except, "http://x.nowhere.invalid/echo").await.expect_err("there is no such host");
    assert_eq!(error.message, "the name of x.nowhere.invalid was not found");
    assert_eq!(proxy.counts().calls, 1);
}

#[tokio::test]
async fn a_proxy_is_told_of_who_asks_in_each_request_that_it_passes_on() {
    let proxy = ModelServer::start(Script::echo().recording());
    let url = format!("http://user:p%40ss@{}", proxy.address());
    sent([set("http_proxy", &url)], "http://nowhere.invalid/echo").await.expect_err("the proxy's 404");
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
    assert_eq!(sent([trusted, through], &server.url).await.expect("an answer"), "h2,http/1.1");
    let asked = proxy.asked();
    assert!(asked[0].starts_with(&format!("CONNECT {host} HTTP/1.1\r\n")), "{asked:?}");
    assert!(asked[0].contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"), "{asked:?}");
    assert_eq!(asked.len(), 1);
    let heads = server.heads();
    assert!(heads.len() == 1 && !heads[0].to_lowercase().contains("proxy-authorization"), "{heads:?}");
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
        let error = sent([trusted, through], &server.url).await.expect_err("no tunnel");
        assert_eq!((error.kind, error.to_string()), (ErrorKind::Transient, expect(words)));
    }
}

#[tokio::test]
async fn a_proxy_is_called_by_tls_where_its_address_says_so() {
    let proxy = TlsServer::start().await;
    let (_folder, trusted) = proxy.trusted();
    let answer = sent([trusted, set("http_proxy", &proxy.url)], "http://nowhere.invalid/").await;
    assert_eq!(answer.expect("the proxy's answer"), "", "no protocol but HTTP/1.1 is offered to a proxy");

    let (_folder, other) = TlsServer::start().await.trusted();
    let error = sent([other, set("http_proxy", &proxy.url)], "http://nowhere.invalid/").await.expect_err("a stranger");
    assert_eq!(error.code, "tls_certificate");
    assert!(error.message.starts_with("the certificate of nowhere.invalid's proxy is not trusted"), "{error}");
}

#[tokio::test]
async fn socks_proxies_are_used_and_look_names_up_themselves_where_they_are_to() {
    let server = ModelServer::start(Script::echo());
    let proxy = Joining::socks(server.address().to_string()).await;
    for (scheme, target, expected) in [
        ("socks5h://user:p%40ss@", "http://nowhere.invalid/echo", "nowhere.invalid:80 for user with p@ss"),
        ("socks5://", "http://127.0.0.1/echo", "127.0.0.1:80"),
        ("socks4://", "http://localhost:82/echo", "127.0.0.1:82"),
        ("socks4a://", "http://nowhere.invalid:81/echo", "nowhere.invalid:81"),
        ("socks4://", "http://127.0.0.1:4321/echo", "127.0.0.1:4321"),
    ] {
        let answer = sent([set("ALL_PROXY", &format!("{scheme}{}", proxy.address))], target).await;
        assert_eq!(answer.expect("an echo"), "x", "{scheme}");
        assert_eq!(proxy.asked().last().map(String::as_str), Some(expected), "{scheme}");
    }
    // A name that is to be looked up here does not get as far as the proxy.
    for scheme in ["socks5", "socks4"] {
        let through = set("ALL_PROXY", &format!("{scheme}://{}", proxy.address));
        let error = sent([through], "http://nowhere.invalid/echo").await.expect_err("there is no such host");
        assert_eq!(error.message, "the name of nowhere.invalid was not found", "{scheme}");
    }
    assert_eq!(proxy.asked().len(), 5);
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
