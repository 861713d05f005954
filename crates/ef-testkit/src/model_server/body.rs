//! Bodies of replies, which may be much larger than the memory that they take.

use std::sync::Arc;

use flate2::{Compress, Compression, Crc, FlushCompress};

/// A body: bytes, or bytes around many copies of the same ones.
#[derive(Debug, Clone)]
pub(super) struct Body {
    before: Vec<u8>,
    repeated: Arc<[u8]>,
    times: u64,
    after: Vec<u8>,
}

impl Body {
    /// These bytes.
    pub(super) fn of(bytes: Vec<u8>) -> Self {
        Self { before: bytes, repeated: Arc::new([]), times: 0, after: Vec::new() }
    }

    /// Bytes around so many of the letter `a`, at least.
    pub(super) fn around(before: Vec<u8>, letters: u64, after: Vec<u8>) -> Self {
        const UNIT: usize = 1 << 16;
        let repeated = vec![b'a'; UNIT].into();
        Self { before, repeated, times: letters.div_ceil(UNIT as u64), after }
    }

    pub(super) fn len(&self) -> u64 {
        self.before.len() as u64 + self.repeated_len() + self.after.len() as u64
    }

    fn repeated_len(&self) -> u64 {
        self.repeated.len() as u64 * self.times
    }

    /// The whole body, where nothing in it is repeated.
    pub(super) fn plain(&self) -> Option<&[u8]> {
        (self.times == 0 && self.after.is_empty()).then_some(&self.before)
    }

    /// What begins at `at`: at most so many bytes, at least one where there is any.
    pub(super) fn piece(&self, at: u64, most: usize) -> &[u8] {
        let before = self.before.len() as u64;
        let (part, offset) = if at < before {
            (&self.before[..], at)
        } else if at < before + self.repeated_len() {
            (&self.repeated[..], (at - before) % self.repeated.len() as u64)
        } else {
            (&self.after[..], at - before - self.repeated_len())
        };
        // An offset is below the length of a part, which is in memory.
        let rest = part.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        &rest[..rest.len().min(most)]
    }

    /// The body compressed. What is repeated is compressed once: a full flush makes it independent of what came before
    /// (RFC 1951, a block with an empty history), so its compressed form can be repeated in turn.
    pub(super) fn gzip(&self) -> Self {
        let mut deflate = Compress::new(Compression::fast(), false);
        // RFC 1952: deflate, no flags, no time, no hint, an unknown system.
        let mut before = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        before.extend(deflated(&mut deflate, &self.before, FlushCompress::Full));
        let repeated = deflated(&mut deflate, &self.repeated, FlushCompress::Full);
        let mut after = deflated(&mut deflate, &self.after, FlushCompress::Finish);
        let mut sum = crc(&self.before);
        let unit = crc(&self.repeated);
        for _ in 0..self.times {
            sum.combine(&unit);
        }
        sum.combine(&crc(&self.after));
        after.extend(sum.sum().to_le_bytes());
        after.extend(sum.amount().to_le_bytes());
        Self { before, repeated: repeated.into(), times: self.times, after }
    }
}

fn crc(bytes: &[u8]) -> Crc {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc
}

fn deflated(deflate: &mut Compress, bytes: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    loop {
        out.reserve(bytes.len() / 2 + 256);
        let (room, read) = (out.capacity() - out.len(), deflate.total_in());
        let status = deflate.compress_vec(rest, &mut out, flush);
        status.expect("a compressor takes any bytes in any state but a finished one");
        rest = &rest[usize::try_from(deflate.total_in() - read).unwrap_or(rest.len())..];
        // Room that is left over is how a compressor says that it has given out everything.
        let used_all_room = out.len() == out.capacity();
        if rest.is_empty() && !(used_all_room && room > 0) {
            return out;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn whole(body: &Body) -> Vec<u8> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < body.len() {
            let piece = body.piece(bytes.len() as u64, 1000);
            assert!(!piece.is_empty(), "nothing at {} of {}", bytes.len(), body.len());
            bytes.extend_from_slice(piece);
        }
        assert!(body.piece(body.len(), 1000).is_empty());
        bytes
    }

    #[test]
    fn pieces_make_up_the_whole_body() {
        assert_eq!(whole(&Body::of(b"abc".to_vec())), b"abc");
        assert!(whole(&Body::of(Vec::new())).is_empty());
        let body = whole(&Body::around(b"{\"text\":\"".to_vec(), 100_000, b"\"}".to_vec()));
        assert_eq!(body.len(), 9 + 2 * 65_536 + 2);
        assert!(body.starts_with(b"{\"text\":\"aaa") && body.ends_with(b"aaa\"}"));
    }

    #[test]
    fn a_compressed_body_is_the_same_body_for_any_decompressor() {
        let bodies = [
            Body::of(Vec::new()),
            Body::of(b"{}".to_vec()),
            Body::of((0..200_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()),
            Body::around(b"[\"".to_vec(), 3 << 20, b"\"]".to_vec()),
        ];
        for body in bodies {
            let mut read = Vec::new();
            let compressed = whole(&body.gzip());
            flate2::read::GzDecoder::new(&compressed[..])
                .read_to_end(&mut read)
                .expect("it is gzip, with the right sum");
            assert!(read == whole(&body), "{} bytes came back of {}", read.len(), body.len());
        }
    }

    #[test]
    fn a_bomb_is_small_on_the_wire() {
        let bomb = Body::around(Vec::new(), 1 << 30, Vec::new()).gzip();
        assert!(bomb.len() < (1 << 30) / 200, "{} bytes", bomb.len());
    }
}
