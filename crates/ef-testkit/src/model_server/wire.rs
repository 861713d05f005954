//! How a reply goes over the connection: when, in which pieces, and whether to its end.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::body::Body;

/// How a reply goes over the connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wire {
    /// The wait before the first byte.
    pub(super) wait: Duration,
    /// The wait between head and body.
    pub(super) wait_after_head: Duration,
    pub(super) pieces: Pieces,
    /// The wait after each piece of the body.
    pub(super) wait_after_piece: Duration,
    pub(super) framing: Framing,
    pub(super) ending: Ending,
    pub(super) gzip: bool,
}

/// The pieces in which a body is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Pieces {
    /// As large as they come.
    #[default]
    Large,
    /// Sizes that end a piece in the middle of everything.
    Awkward,
    /// All of this size.
    Of(usize),
}

/// How the client learns where the body ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Framing {
    /// By its length.
    #[default]
    Length,
    /// By a length that is not its own.
    FalseLength(u64),
    /// By a last chunk.
    Chunked,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is kept, if the client wants to.
    #[default]
    Kept,
    /// It is closed after the reply, and nothing has said so.
    Closed,
    /// It is cut off before the reply's end.
    Cut(Cut),
    /// The same by a reset.
    Reset(Cut),
}

/// Where a connection is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Before any byte of the reply.
    BeforeAnyByte,
    /// After the head, before any byte of the body.
    AfterHead,
    /// In the middle of the body.
    InBody,
}

/// A reply, ready to be sent.
pub(super) struct Outgoing {
    /// None where there is never an answer.
    pub(super) status: Option<u16>,
    /// The status line and the headers, without those that say how long the body is and without the empty line.
    pub(super) head: Vec<u8>,
    pub(super) body: Body,
    pub(super) wire: Wire,
}

/// What the connection is after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Open,
    Over,
}

impl Outgoing {
    /// Sends it. `begun` is called when its first byte is about to be written.
    pub(super) async fn send(mut self, stream: &mut TcpStream, begun: impl FnOnce(u16)) -> After {
        let Some(status) = self.status else {
            gone(stream).await;
            return After::Over;
        };
        if !self.wire.wait.is_zero() && !waited(self.wire.wait, stream).await {
            return After::Over;
        }
        if let Some((Cut::BeforeAnyByte, reset)) = self.cut() {
            return cut_off(stream, reset);
        }
        begun(status);
        self.finish_head();
        let sent = match self.body.plain() {
            Some(body) if self.is_ordinary() => {
                self.head.extend_from_slice(body);
                stream.write_all(&self.head).await
            }
            _ => self.send_in_pieces(stream).await,
        };
        match (sent, self.wire.ending) {
            (Ok(()), Ending::Kept) => After::Open,
            (Ok(()), Ending::Reset(_)) => cut_off(stream, true),
            _ => After::Over,
        }
    }

    const fn cut(&self) -> Option<(Cut, bool)> {
        match self.wire.ending {
            Ending::Cut(cut) => Some((cut, false)),
            Ending::Reset(cut) => Some((cut, true)),
            Ending::Kept | Ending::Closed => None,
        }
    }

    /// Whether it can be written at once.
    const fn is_ordinary(&self) -> bool {
        let Wire { wait_after_head, pieces, framing, .. } = self.wire;
        wait_after_head.is_zero()
            && matches!(pieces, Pieces::Large)
            && !matches!(framing, Framing::Chunked)
            && self.cut().is_none()
    }

    fn finish_head(&mut self) {
        let framing = match self.wire.framing {
            Framing::Length => format!("content-length: {}\r\n\r\n", self.body.len()),
            Framing::FalseLength(length) => format!("content-length: {length}\r\n\r\n"),
            Framing::Chunked => "transfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        self.head.extend_from_slice(framing.as_bytes());
    }

    async fn send_in_pieces(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        stream.write_all(&self.head).await?;
        tokio::time::sleep(self.wire.wait_after_head).await;
        let end = match self.cut() {
            Some((Cut::InBody, _)) => self.body.len() / 2,
            Some(_) => 0,
            None => self.body.len(),
        };
        let chunked = matches!(self.wire.framing, Framing::Chunked);
        let (mut at, mut framed) = (0, Vec::new());
        for number in 0.. {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = self.body.piece(at, self.wire.pieces.size(number).min(left));
            if piece.is_empty() {
                break;
            }
            let piece = self.wire.pieces.cut(number, piece);
            at += piece.len() as u64;
            if chunked {
                framed.clear();
                framed.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                framed.extend_from_slice(piece);
                framed.extend_from_slice(b"\r\n");
                stream.write_all(&framed).await?;
            } else {
                stream.write_all(piece).await?;
            }
            if !self.wire.wait_after_piece.is_zero() {
                tokio::time::sleep(self.wire.wait_after_piece).await;
            }
        }
        if chunked && self.cut().is_none() {
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Ok(())
    }
}

impl Pieces {
    const fn size(self, number: usize) -> usize {
        const AWKWARD: [usize; 9] = [1, 2, 61, 3, 5, 200, 7, 1, 500];
        match self {
            Self::Large => 1 << 16,
            Self::Awkward => AWKWARD[number % AWKWARD.len()],
            Self::Of(0) => 1,
            Self::Of(size) => size,
        }
    }

    /// Of awkward pieces every other one ends between the two line breaks that end an event, where it has them.
    fn cut(self, number: usize, piece: &[u8]) -> &[u8] {
        let wanted = matches!(self, Self::Awkward) && number.is_multiple_of(2);
        let end = piece.windows(2).position(|window| wanted && window == b"\n\n");
        end.map_or(piece, |at| &piece[..=at])
    }
}

/// Waits, and says whether the client is still there.
async fn waited(wait: Duration, stream: &TcpStream) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = gone(stream) => false,
    }
}

/// Waits until the client has closed the connection. One that sends more instead is taken to stay.
async fn gone(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

/// The connection is closed when it is dropped; with nothing to linger for, that is a reset.
fn cut_off(stream: &TcpStream, reset: bool) -> After {
    if reset {
        // It may be gone already, which is as well.
        let _ = stream.set_zero_linger();
    }
    After::Over
}
