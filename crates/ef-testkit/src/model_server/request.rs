//! Requests as they come over a connection: HTTP/1.1, with bodies of a said length or in chunks.

use std::ops::Range;

use httparse::{EMPTY_HEADER, Header, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Headers that a request may have, as many servers have it.
pub(super) const MOST_HEADERS: usize = 100;

const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_BODY: usize = 64 << 20;

/// Reads one request after the other from a connection, and keeps its buffers between them.
#[derive(Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    /// A body that came in chunks, put together.
    joined: Vec<u8>,
}

/// Where a request lies in the reader's buffers.
pub(super) struct Extent {
    head: usize,
    body: Range<usize>,
    in_chunks: bool,
    /// Whether the client wants to go on with this connection.
    pub(super) keeps_alive: bool,
}

/// Why there is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is gone in the middle of one.
    Gone,
    /// It is refused with this status, and the connection is closed.
    Refused(u16),
}

/// What the head says about what follows.
struct Framing {
    head: usize,
    length: Option<usize>,
    in_chunks: bool,
    waits_for_leave: bool,
    keeps_alive: bool,
}

impl Reader {
    /// The next request, or none where the client has closed the connection between two.
    pub(super) async fn next(&mut self, stream: &mut TcpStream) -> Result<Option<Extent>, Fault> {
        let framing = loop {
            if let Some(framing) = framing(&self.buffer)? {
                break framing;
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(Fault::Refused(431));
            }
            if !self.more(stream).await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(Fault::Gone) };
            }
        };
        if framing.waits_for_leave && self.buffer.len() == framing.head {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Fault::Gone)?;
        }
        let body = if framing.in_chunks {
            framing.head..self.join_chunks(stream, framing.head).await?
        } else {
            let length = framing.length.unwrap_or(0);
            if length > LONGEST_BODY {
                return Err(Fault::Refused(413));
            }
            let end = framing.head + length;
            while self.buffer.len() < end {
                self.buffer.reserve(end - self.buffer.len());
                self.must_have_more(stream).await?;
            }
            framing.head..end
        };
        let Framing { head, in_chunks, keeps_alive, .. } = framing;
        Ok(Some(Extent { head, body, in_chunks, keeps_alive }))
    }

    /// The request's head, to be parsed again, and its body.
    pub(super) fn parts(&self, extent: &Extent) -> (&[u8], &[u8]) {
        let body = if extent.in_chunks { &self.joined[..] } else { &self.buffer[extent.body.clone()] };
        (&self.buffer[..extent.head], body)
    }

    /// Forgets a request that is done with; what came after it stays.
    pub(super) fn forget(&mut self, extent: &Extent) {
        self.buffer.drain(..extent.body.end);
        self.joined.clear();
    }

    /// Puts the chunks from `at` on together, and says where they end.
    async fn join_chunks(&mut self, stream: &mut TcpStream, mut at: usize) -> Result<usize, Fault> {
        loop {
            let size = loop {
                match httparse::parse_chunk_size(&self.buffer[at..]) {
                    Ok(Status::Complete((used, size))) => {
                        at += used;
                        break usize::try_from(size).map_err(|_| Fault::Refused(413))?;
                    }
                    Ok(Status::Partial) => self.must_have_more(stream).await?,
                    Err(_) => return Err(Fault::Refused(400)),
                }
            };
            if self.joined.len().saturating_add(size) > LONGEST_BODY {
                return Err(Fault::Refused(413));
            }
            // A chunk, and the last one's (absent) trailers, end with a line break.
            while self.buffer.len() < at + size + 2 {
                self.must_have_more(stream).await?;
            }
            self.joined.extend_from_slice(&self.buffer[at..at + size]);
            at += size;
            if self.buffer[at..at + 2] != *b"\r\n" {
                return Err(Fault::Refused(400));
            }
            at += 2;
            if size == 0 {
                return Ok(at);
            }
        }
    }

    async fn must_have_more(&mut self, stream: &mut TcpStream) -> Result<(), Fault> {
        if self.more(stream).await? { Ok(()) } else { Err(Fault::Gone) }
    }

    async fn more(&mut self, stream: &mut TcpStream) -> Result<bool, Fault> {
        self.buffer.reserve(4 << 10);
        let read = stream.read_buf(&mut self.buffer).await.map_err(|_| Fault::Gone)?;
        Ok(read > 0)
    }
}

/// What the head says about what follows, once it is whole.
fn framing(buffer: &[u8]) -> Result<Option<Framing>, Fault> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(buffer) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Fault::Refused(431)),
        Err(_) => return Err(Fault::Refused(400)),
    };
    let says = |name: &str, word: &str| {
        header(request.headers, name).is_some_and(|value| value.to_ascii_lowercase().contains(word))
    };
    let length = match header(request.headers, "content-length") {
        Some(length) => Some(length.trim().parse().map_err(|_| Fault::Refused(400))?),
        None => None,
    };
    let in_chunks = says("transfer-encoding", "chunked");
    if in_chunks && length.is_some() {
        return Err(Fault::Refused(400));
    }
    let keeps_alive = request.version == Some(1) && !says("connection", "close");
    Ok(Some(Framing { head, length, in_chunks, waits_for_leave: says("expect", "100-continue"), keeps_alive }))
}

/// The value of a header, where it is there once or more and text.
pub(super) fn header<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok()
}
