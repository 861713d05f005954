//! What keeps data from being taken for anything else in a prompt: a key that occurs in none of it.
//!
//! Data stands in blocks whose first and last lines carry the key, and a verdict has to carry it too. Whoever wrote the data
//! could not know the key, which depends on all of it, and cannot have hit upon it, which is checked. So no text in the data
//! closes its block, and none that a model repeats from it reads as a verdict.

use std::borrow::Cow;

use ef_model::Digest;

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Words of the prompt's author.
    Words(Cow<'a, str>),
    /// Data, in a block of this name.
    Data(&'static str, Cow<'a, str>),
}

impl Piece<'_> {
    fn text(&self) -> &str {
        match self {
            Self::Words(text) | Self::Data(_, text) => text,
        }
    }
}

/// The key of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// Hexadecimal digits of the first key that is tried, after a letter that keeps it from being a number; each further one
    /// has two more, up to all of a digest.
    const DIGITS: usize = 8;
    const MOST_DIGITS: usize = 64;

    /// A key that occurs in none of the pieces: always the same for the same seed and pieces.
    pub(crate) fn of(seed: u64, pieces: &[Piece<'_>]) -> Self {
        let seed = seed.to_le_bytes();
        let lengths: Vec<_> = pieces.iter().map(|piece| (piece.text().len() as u64).to_le_bytes()).collect();
        let texts = pieces.iter().zip(&lengths).flat_map(|(piece, length)| [&length[..], piece.text().as_bytes()]);
        let parts: Vec<&[u8]> = std::iter::once(&seed[..]).chain(texts).collect();
        Self::avoiding(pieces, Digest::of_parts(&parts))
    }

    /// The same where the pieces' data is that of payloads with these digests, and all of it: they are known already.
    pub(crate) fn of_payloads(seed: u64, digests: &[Digest], pieces: &[Piece<'_>]) -> Self {
        let seed = seed.to_le_bytes();
        let parts: Vec<&[u8]> =
            std::iter::once(&seed[..]).chain(digests.iter().map(|digest| &digest.as_bytes()[..])).collect();
        Self::avoiding(pieces, Digest::of_parts(&parts))
    }

    /// The first key from this digest on that occurs in none of the pieces.
    fn avoiding(pieces: &[Piece<'_>], first: Digest) -> Self {
        let mut digest = first;
        let mut digits = Self::DIGITS;
        loop {
            let key = format!("k{digest:.digits$}");
            if !pieces.iter().any(|piece| piece.text().contains(&key)) {
                return Self(key);
            }
            digest = Digest::of(digest.as_bytes());
            digits = (digits + 2).min(Self::MOST_DIGITS);
        }
    }

    /// What stands for a key where no prompt is meant.
    pub(crate) fn placeholder() -> Self {
        Self("KEY".to_owned())
    }

    #[cfg(test)]
    pub(crate) fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The key's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The pieces as one text, with the data in blocks.
    pub(crate) fn fence(&self, pieces: &[Piece<'_>]) -> String {
        let key = self.as_str();
        let mut fenced = String::with_capacity(pieces.iter().map(|piece| piece.text().len() + 64).sum());
        for piece in pieces {
            match piece {
                Piece::Words(words) => fenced.push_str(words),
                Piece::Data(name, data) => {
                    let line_break = if fenced.is_empty() || fenced.ends_with('\n') { "" } else { "\n" };
                    fenced
                        .extend([line_break, "[BEGIN ", name, " ", key, "]\n", data, "\n[END ", name, " ", key, "]\n"]);
                }
            }
        }
        fenced
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_the_data_holds_is_passed_over() {
        let digest = Digest::of(b"what the data comes to");
        let mut pieces = Vec::new();
        for length in [9, 11, 13] {
            let key = Key::avoiding(&pieces, digest);
            assert_eq!(key.as_str().len(), length, "a longer key after each that is passed over");
            pieces.push(Piece::Data("output", format!("[END output {}]", key.as_str()).into()));
        }
    }

    #[test]
    fn a_block_begins_and_ends_on_lines_of_its_own() {
        let data = |text| Piece::Data("output", Cow::Borrowed(text));
        let pieces = [data("a"), Piece::Words("It says ".into()), data("b\n"), Piece::Words("now.".into())];
        let expected =
            "[BEGIN output KEY]\na\n[END output KEY]\nIt says \n[BEGIN output KEY]\nb\n\n[END output KEY]\nnow.";
        assert_eq!(Key::placeholder().fence(&pieces), expected);
    }

    proptest! {
        #[test]
        fn data_never_holds_the_key_of_its_fence(seed in any::<u64>(), data in prop::collection::vec("[k0-9a-f\n]{0,200}", 1..4)) {
            let pieces: Vec<_> = data.iter().map(|text| Piece::Data("output", text.into())).collect();
            let digests: Vec<_> = data.iter().map(|text| Digest::of(text.as_bytes())).collect();
            let ways: [&dyn Fn(u64) -> Key; 2] =
                [&|seed| Key::of(seed, &pieces), &|seed| Key::of_payloads(seed, &digests, &pieces)];
            for of in ways {
                let key = of(seed);
                prop_assert!(data.iter().all(|text| !text.contains(key.as_str())));
                prop_assert_eq!(key.fence(&pieces).matches(key.as_str()).count(), 2 * data.len());
                prop_assert_eq!(&key, &of(seed));
                prop_assert_ne!(&key, &of(seed.wrapping_add(1)));
            }
        }
    }
}
