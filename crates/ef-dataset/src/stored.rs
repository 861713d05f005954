//! The stored bytes of a dataset: hashed as they are read, and decompressed.

use std::io::{self, BufReader, Cursor, Read};

use ef_model::Digest;
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest as _, Sha256};

use crate::Compression;

/// Where bytes come from.
pub(crate) type Source = Box<dyn Read + Send>;

/// The content of a stored file, and the digest of the file itself.
pub(crate) struct Stored {
    decoder: Decoder,
}

enum Decoder {
    Plain(Hashing),
    Gzip(Box<MultiGzDecoder<BufReader<Hashing>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Hashing>>>),
}

impl Stored {
    /// Reads the content of `source`, compressed as its name says or else as its first bytes do.
    ///
    /// Without `hashed` there will be no digest.
    pub(crate) fn new(mut source: Source, named: Option<Compression>, hashed: bool) -> io::Result<Self> {
        let mut head = Vec::with_capacity(Compression::MAGIC_BYTES);
        source.by_ref().take(Compression::MAGIC_BYTES as u64).read_to_end(&mut head)?;
        let compression = named.unwrap_or_else(|| Compression::of_magic(&head));
        let hashing = Hashing { source: Box::new(Cursor::new(head).chain(source)), hasher: hashed.then(Sha256::new) };
        let decoder = match compression {
            Compression::None => Decoder::Plain(hashing),
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(BufReader::new(hashing)))),
            Compression::Zstd => Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(BufReader::new(hashing))?)),
        };
        Ok(Self { decoder })
    }

    /// Whether the bytes go through a decompressor.
    pub(crate) fn is_compressed(&self) -> bool {
        !matches!(self.decoder, Decoder::Plain(_))
    }

    /// SHA-256 of the whole file: what has not been read yet is read now.
    ///
    /// # Panics
    ///
    /// When it was opened without.
    pub(crate) fn digest(&mut self) -> io::Result<Digest> {
        let hashing = match &mut self.decoder {
            Decoder::Plain(hashing) => hashing,
            Decoder::Gzip(decoder) => decoder.get_mut().get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut().get_mut(),
        };
        io::copy(hashing, &mut io::sink())?;
        let hasher = hashing.hasher.clone().expect("a digest is asked for only where one was wanted");
        Ok(Digest::from_bytes(hasher.finalize().into()))
    }
}

impl Read for Stored {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.decoder {
            Decoder::Plain(hashing) => hashing.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// Hashes what passes.
struct Hashing {
    source: Source,
    hasher: Option<Sha256>,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..read]);
        }
        Ok(read)
    }
}
