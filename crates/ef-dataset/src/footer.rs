//! A look at a Parquet file's footer before the decoder sees it.
//!
//! The decoder follows nested schemas by recursion and makes room for as many list elements as a footer claims. A footer
//! of a few kilobytes could so end the process, by its stack or its memory, which no error could report. This walks over
//! the footer's Thrift compact protocol without keeping anything, and refuses such a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use crate::row::Broken;

/// The deepest nesting that is accepted: that of JSON.
const DEEPEST: usize = 128;

/// Why a footer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// Its bytes make no sense.
    Damaged,
    /// Its columns or its own structures are nested too deeply.
    TooDeep,
}

/// Checks the footer of a Parquet file. Whether it is one, and what else may be wrong with it, is the decoder's to say.
pub(crate) fn check(file: &mut File) -> Result<(), Broken> {
    let footer = match read(file) {
        Ok(Some(footer)) => footer,
        Ok(None) => return Ok(()),
        Err(error) => return Err(Broken::reading(None, &error, false)),
    };
    (Thrift { rest: &footer }).file_metadata().map_err(|refusal| match refusal {
        Refusal::Damaged => Broken::new(None, "its Parquet footer is damaged", crate::columnar::DAMAGED),
        Refusal::TooDeep => {
            let hint = "flatten the nested columns";
            Broken::new(None, format!("its columns are nested more than {DEEPEST} levels deep"), hint)
        }
    })
}

/// The footer's bytes, if the file ends like a Parquet file.
fn read(file: &mut File) -> io::Result<Option<Vec<u8>>> {
    const TAIL: u64 = 8;
    let length = file.seek(SeekFrom::End(0))?;
    if length < TAIL {
        return Ok(None);
    }
    let mut tail = [0; TAIL as usize];
    file.seek(SeekFrom::Start(length - TAIL))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let footer_length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || footer_length > length - TAIL {
        return Ok(None);
    }
    let mut footer = Vec::new();
    file.seek(SeekFrom::Start(length - TAIL - footer_length))?;
    file.take(footer_length).read_to_end(&mut footer)?;
    Ok(Some(footer))
}

/// What is left of a text in the Thrift compact protocol.
struct Thrift<'f> {
    rest: &'f [u8],
}

/// The protocol's types that are told apart here.
mod kind {
    pub(super) const TRUE: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const BYTE: u8 = 3;
    pub(super) const I16: u8 = 4;
    pub(super) const I32: u8 = 5;
    pub(super) const I64: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const BINARY: u8 = 8;
    pub(super) const LIST: u8 = 9;
    pub(super) const SET: u8 = 10;
    pub(super) const MAP: u8 = 11;
    pub(super) const STRUCT: u8 = 12;
}

impl Thrift<'_> {
    /// `FileMetaData`, whose field 2 is the schema: a list of elements, each followed by its children.
    fn file_metadata(&mut self) -> Result<(), Refusal> {
        self.structure(&mut |thrift, field, of| {
            if (field, of) != (2, kind::LIST) {
                return thrift.skip(of, 0);
            }
            let (count, _) = thrift.list()?;
            let mut open: Vec<u64> = Vec::new();
            for _ in 0..count {
                while open.last() == Some(&0) {
                    open.pop();
                }
                if let Some(siblings) = open.last_mut() {
                    *siblings -= 1;
                }
                open.push(thrift.schema_element()?);
                if open.len() > DEEPEST {
                    return Err(Refusal::TooDeep);
                }
            }
            Ok(())
        })
    }

    /// `SchemaElement`: its field 5, the number of its children.
    fn schema_element(&mut self) -> Result<u64, Refusal> {
        let mut children = 0;
        self.structure(&mut |thrift, field, of| {
            if (field, of) != (5, kind::I32) {
                return thrift.skip(of, 0);
            }
            // Zigzag: the even numbers are the positive ones.
            let number = thrift.varint()?;
            children = if number % 2 == 0 { number / 2 } else { 0 };
            Ok(())
        })?;
        Ok(children)
    }

    /// A struct, with each of its fields' number and type.
    fn structure(&mut self, field: &mut dyn FnMut(&mut Self, i64, u8) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut number = 0_i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Ok(());
            }
            number = match header >> 4 {
                0 => {
                    let zigzag = self.varint()?;
                    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
                }
                delta => number.wrapping_add(i64::from(delta)),
            };
            field(self, number, header & 15)?;
        }
    }

    /// A value of a type. Within a struct a truth value is its type, and in a list it is a byte.
    fn skip(&mut self, of: u8, depth: usize) -> Result<(), Refusal> {
        if depth > DEEPEST {
            return Err(Refusal::TooDeep);
        }
        match of {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::BYTE => self.advance(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.advance(8),
            kind::BINARY => {
                let length = self.varint()?;
                self.advance(length)
            }
            kind::LIST | kind::SET => {
                let (count, of) = self.list()?;
                (0..count).try_for_each(|_| self.skip_element(of, depth))
            }
            kind::MAP => {
                let count = self.count()?;
                let types = if count == 0 { 0 } else { self.byte()? };
                (0..count).try_for_each(|_| {
                    self.skip_element(types >> 4, depth)?;
                    self.skip_element(types & 15, depth)
                })
            }
            kind::STRUCT => self.structure(&mut |thrift, _, of| thrift.skip(of, depth + 1)),
            _ => Err(Refusal::Damaged),
        }
    }

    fn skip_element(&mut self, of: u8, depth: usize) -> Result<(), Refusal> {
        match of {
            kind::TRUE | kind::FALSE => self.advance(1),
            of => self.skip(of, depth + 1),
        }
    }

    /// A list's head: how many elements of which type.
    fn list(&mut self) -> Result<(u64, u8), Refusal> {
        let header = self.byte()?;
        let count = match header >> 4 {
            15 => self.count()?,
            count => u64::from(count),
        };
        Ok((count, header & 15))
    }

    /// A number of elements, each of which takes a byte at least.
    fn count(&mut self) -> Result<u64, Refusal> {
        let count = self.varint()?;
        if count > self.rest.len() as u64 { Err(Refusal::Damaged) } else { Ok(count) }
    }

    fn varint(&mut self) -> Result<u64, Refusal> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Refusal::Damaged)
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let (first, rest) = self.rest.split_first().ok_or(Refusal::Damaged)?;
        self.rest = rest;
        Ok(*first)
    }

    fn advance(&mut self, count: u64) -> Result<(), Refusal> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.rest.len()).ok_or(Refusal::Damaged)?;
        self.rest = &self.rest[count..];
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `FileMetaData` of a schema that is a chain of so many groups.
    fn chain(groups: u8) -> Vec<u8> {
        // Field 2, a list of structs of a length of its own; each element is field 5 (one child) or nothing.
        let mut footer = vec![0x29, 0xfc, groups + 1];
        for _ in 0..groups {
            footer.extend([0x55, 0x02, 0x00]);
        }
        footer.extend([0x00, 0x00]);
        footer
    }

    fn check(footer: &[u8]) -> Result<(), Refusal> {
        Thrift { rest: footer }.file_metadata()
    }

    #[test]
    fn a_schema_as_deep_as_json_is_accepted_and_a_deeper_one_is_not() {
        assert_eq!(check(&chain(100)), Ok(()));
        let mut deep = chain(126);
        assert_eq!(check(&deep), Ok(()));
        // 300 groups, so that the length takes two bytes.
        deep.splice(2..3, [0xac, 0x02]);
        deep.splice(4..4, [0x55, 0x02, 0x00].repeat(173));
        assert_eq!(check(&deep), Err(Refusal::TooDeep));
    }

    #[test]
    fn a_footer_that_claims_more_elements_than_it_has_bytes_is_damaged() {
        assert_eq!(check(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]), Err(Refusal::Damaged));
        assert_eq!(check(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]), Err(Refusal::Damaged));
        assert_eq!(check(&[0x18, 0x7f]), Err(Refusal::Damaged));
        assert_eq!(check(&[]), Err(Refusal::Damaged));
    }

    #[test]
    fn structures_within_structures_do_not_exhaust_the_stack() {
        assert_eq!(check(&[0x1c].repeat(1_000_000)), Err(Refusal::TooDeep));
        assert_eq!(check(&[0x19].repeat(1_000_000)), Err(Refusal::TooDeep));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_the_walk(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
