//! A client that sees every byte.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ef_testkit::model_server::ModelServer;
use serde_json::{Value, json};

/// One connection.
pub(crate) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A reply, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The chunks that the body came in, where it did.
    pub(crate) chunks: Vec<Vec<u8>>,
}

/// How a connection stands when nothing more comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Closed,
    Reset,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

impl Raw {
    pub(crate) fn connect(server: &ModelServer) -> Self {
        let stream = TcpStream::connect(server.address()).expect("the server listens");
        Self { stream, unread: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send([request.as_bytes(), b"\r\n", body].concat());
    }

    /// The next reply, as far as its head.
    pub(crate) fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            assert!(self.more(), "the connection ended in a head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("a head is text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into()));
        (status.expect("a status"), headers.collect())
    }

    /// The next reply with its whole body.
    pub(crate) fn reply(&mut self) -> Reply {
        let (status, headers) = self.head();
        let header = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone());
        let (body, chunks) = match header("content-length") {
            Some(length) => (self.exactly(length.parse().expect("a length")), Vec::new()),
            None => {
                assert_eq!(header("transfer-encoding").as_deref(), Some("chunked"));
                let chunks = self.chunks();
                (chunks.concat(), chunks)
            }
        };
        Reply { status, headers, body, chunks }
    }

    fn chunks(&mut self) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                    break self.unread.drain(..at + 2).collect::<Vec<u8>>();
                }
                assert!(self.more(), "the connection ended between two chunks");
            };
            let size = usize::from_str_radix(String::from_utf8_lossy(&line).trim(), 16).expect("a size");
            let chunk = self.exactly(size + 2);
            assert!(chunk.ends_with(b"\r\n"));
            if size == 0 {
                return chunks;
            }
            chunks.push(chunk[..size].to_vec());
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.more(), "the connection ended after {} of {length} bytes", self.unread.len());
        }
        self.unread.drain(..length).collect()
    }

    fn more(&mut self) -> bool {
        let wait = Some(Duration::from_secs(10));
        self.stream.set_read_timeout(wait).expect("a timeout is allowed");
        let mut buffer = [0; 1 << 16];
        let read = self.stream.read(&mut buffer).expect("something comes within ten seconds");
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// All bytes that come until the connection ends or so much time has gone, and how it stands then.
    pub(crate) fn rest(mut self, within: Duration) -> (Vec<u8>, End) {
        let begin = Instant::now();
        let mut buffer = [0; 1 << 16];
        loop {
            let left = within.saturating_sub(begin.elapsed()).max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(left)).expect("a timeout is allowed");
            let end = match self.stream.read(&mut buffer) {
                Ok(0) => End::Closed,
                Ok(read) => {
                    self.unread.extend_from_slice(&buffer[..read]);
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                    End::Open
                }
            };
            return (self.unread, end);
        }
    }
}

pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
pub(crate) const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

/// A request for a chat completion with these fields over the least that one needs.
pub(crate) fn openai(more: &Value) -> Value {
    merged(json!({"model": "gpt-test", "messages": [{"role": "user", "content": "Hello"}]}), more)
}

/// A request for a message with these fields over the least that one needs.
pub(crate) fn anthropic(more: &Value) -> Value {
    merged(json!({"model": "claude-test", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}), more)
}

fn merged(mut request: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}

/// The reply to a chat completion.
pub(crate) fn complete(server: &ModelServer, more: &Value) -> Reply {
    exchange(server, "/v1/chat/completions", &[JSON], &openai(more))
}

/// The reply to a message.
pub(crate) fn message(server: &ModelServer, more: &Value) -> Reply {
    exchange(server, "/v1/messages", &[JSON, VERSION], &anthropic(more))
}

pub(crate) fn exchange(server: &ModelServer, path: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
    let mut raw = Raw::connect(server);
    raw.post(path, headers, body.to_string().as_bytes());
    raw.reply()
}

/// Waits for something that has to come to pass.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(10), "it did not come to pass");
        std::thread::sleep(Duration::from_millis(2));
    }
}
