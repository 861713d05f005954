//! A connection, whatever it is made of.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// A connection that leads to an address.
///
/// What it is made of lies apart: with TLS, and through a proxy with TLS again, that is kilobytes, which each call in
/// flight and each connection would have several times, and mostly for nothing.
pub(crate) struct Stream {
    io: Box<dyn Io>,
    /// Whether at its other end is a proxy that takes requests for others.
    is_forwarded: bool,
}

/// What a connection can be made of.
pub(super) trait Io: Read + Write + Connection + Unpin + Send {}

impl<T: Read + Write + Connection + Unpin + Send> Io for T {}

impl Stream {
    /// One that ends where requests are answered.
    pub(super) fn to_server(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), is_forwarded: false }
    }

    /// One that ends at a proxy which takes requests for others.
    pub(super) fn to_forwarder(io: impl Io + 'static) -> Self {
        Self { io: Box::new(io), is_forwarded: true }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = self.io.connected();
        if self.is_forwarded { connected.proxy(true) } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, to)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, from)
    }
}
