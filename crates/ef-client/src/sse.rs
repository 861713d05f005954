//! Server-sent events (the WHATWG's HTML standard, section 9.2.6), read piece by piece.

use bytes::{Buf, Bytes, BytesMut};

/// Cuts a stream of bytes into the data of its events. An event's type and id are left out: the protocols say the type in
/// the data as well.
#[derive(Default)]
pub(crate) struct EventReader {
    /// What has not been read yet: the beginning of a line, once all whole lines are taken.
    pending: BytesMut,
    /// How much of it is known to hold no end of a line.
    searched: usize,
    data: BytesMut,
    has_data: bool,
    /// Whether the line before ended with CR, so that an LF now belongs to it.
    after_cr: bool,
    has_begun: bool,
}

impl EventReader {
    /// Takes the next piece.
    pub(crate) fn push(&mut self, piece: &Bytes) {
        self.pending.extend_from_slice(piece);
    }

    /// The data of the next event that is whole. What follows the last empty line when the stream ends is no event.
    pub(crate) fn next_event(&mut self) -> Option<Bytes> {
        while let Some(line) = self.next_line() {
            if line.is_empty() {
                if std::mem::take(&mut self.has_data) {
                    // Each line of data has left an LF, the last of which is none of the data.
                    self.data.truncate(self.data.len() - 1);
                    return Some(self.data.split().freeze());
                }
            } else if let Some(data) = field(&line, b"data") {
                self.has_data = true;
                self.data.extend_from_slice(data);
                self.data.extend_from_slice(b"\n");
            }
        }
        None
    }

    fn next_line(&mut self) -> Option<Bytes> {
        const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
        if std::mem::take(&mut self.after_cr) {
            match self.pending.first() {
                Some(b'\n') => self.pending.advance(1),
                Some(_) => {}
                None => self.after_cr = true,
            }
        }
        let Some(end) = memchr::memchr2(b'\n', b'\r', &self.pending[self.searched..]) else {
            self.searched = self.pending.len();
            return None;
        };
        let mut line = self.pending.split_to(self.searched + end).freeze();
        self.searched = 0;
        self.after_cr = self.pending.get_u8() == b'\r';
        if !std::mem::replace(&mut self.has_begun, true) && line.starts_with(BYTE_ORDER_MARK) {
            line.advance(BYTE_ORDER_MARK.len());
        }
        Some(line)
    }
}

/// The value of a line's field, if it is the one of this name. One space after the colon is no part of it.
fn field<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let rest = line.strip_prefix(name)?;
    match rest.split_first() {
        None => Some(rest),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a stream that arrives in these pieces.
    fn events<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<String> {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(&Bytes::copy_from_slice(piece));
            while let Some(event) = reader.next_event() {
                events.push(String::from_utf8_lossy(&event).into_owned());
            }
        }
        events
    }

    const STREAM: &str = "\u{FEFF}data: {\"a\": 1}\r\n\r\n: a comment\nevent: ping\ndata\n\ndata:x\ndata: y\r\rid: 7\n\n\
                          database: no\n\ndata:  two spaces\n\ndata: cut off\n";

    #[test]
    fn data_is_read_as_the_standard_says() {
        assert_eq!(events([STREAM.as_bytes()]), ["{\"a\": 1}", "", "x\ny", " two spaces"]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_cut(cuts in prop::collection::vec(0..STREAM.len(), 0..8)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|ends| &STREAM.as_bytes()[ends[0]..ends[1]]);
            prop_assert_eq!(events(pieces), events([STREAM.as_bytes()]));
        }

        #[test]
        fn no_stream_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1..20_usize) {
            let _ = events(bytes.chunks(size));
        }
    }
}
