//! Markers: texts that stand nowhere by chance, and the forms in which they might get out.

use std::hash::{BuildHasher as _, RandomState};

/// What a marker stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Data that is evaluated.
    Payload,
    /// Something that opens a door.
    Secret,
}

/// A random text, and the place where it was put.
#[derive(Debug, Clone)]
pub(crate) struct Marker {
    pub(crate) place: String,
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// Letters and digits of each half of a marker. A half is looked for by itself, because a message may be cut short.
const HALF: usize = 12;

impl Marker {
    pub(crate) fn new(place: &str, kind: Kind) -> Self {
        Self { place: place.to_owned(), text: random(2 * HALF), kind }
    }
}

/// Letters and digits without a pattern.
fn random(length: usize) -> String {
    const DIGITS: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let drawn = (0..length).map(|index| {
        let hash = RandomState::new().hash_one(index);
        char::from(DIGITS[usize::try_from(hash % DIGITS.len() as u64).expect("a small number")])
    });
    drawn.collect()
}

/// A marker that was found.
#[derive(Debug)]
pub(crate) struct Found<'m> {
    pub(crate) marker: &'m Marker,
    pub(crate) form: &'static str,
    pub(crate) at: usize,
}

/// Looks for many markers at once.
pub(crate) struct Search<'m> {
    /// The forms, by their first bytes.
    forms: Vec<(Vec<u8>, &'static str, &'m Marker)>,
    /// Whether some form begins with these two bytes.
    begins: Vec<bool>,
}

impl<'m> Search<'m> {
    pub(crate) fn new(markers: impl IntoIterator<Item = &'m Marker>) -> Self {
        let mut forms = Vec::new();
        for marker in markers {
            for half in [&marker.text[..HALF], &marker.text[HALF..]] {
                forms.extend(forms_of(half.as_bytes()).into_iter().map(|(form, bytes)| (bytes, form, marker)));
            }
        }
        forms.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut begins = vec![false; 1 << 16];
        for (bytes, ..) in &forms {
            begins[first_two(bytes)] = true;
        }
        Self { forms, begins }
    }

    /// The first marker in these bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Found<'m>> {
        let starts = (0..bytes.len().saturating_sub(1)).filter(|at| self.begins[first_two(&bytes[*at..])]);
        starts.into_iter().find_map(|at| self.find_at(&bytes[at..]).map(|(form, marker)| Found { marker, form, at }))
    }

    fn find_at(&self, rest: &[u8]) -> Option<(&'static str, &'m Marker)> {
        // What begins `rest` sorts right before it, with only other beginnings of it between.
        let end = self.forms.partition_point(|(form, ..)| form.as_slice() <= rest);
        let near = self.forms[..end].iter().rev().take_while(|(form, ..)| form[..2] == rest[..2]);
        near.into_iter().find(|(form, ..)| rest.starts_with(form)).map(|(_, form, marker)| (*form, *marker))
    }
}

fn first_two(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// A text as it is (which is also how JSON and URLs write letters and digits), and as somebody may write it who hides it by
/// accident.
fn forms_of(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let each = |form: fn(u8) -> String| text.iter().map(|byte| form(*byte)).collect::<String>().into_bytes();
    let mut forms = vec![
        ("as it is", text.to_vec()),
        ("reversed", text.iter().rev().copied().collect()),
        ("in hexadecimal digits", each(|byte| format!("{byte:02x}"))),
        ("in capital hexadecimal digits", each(|byte| format!("{byte:02X}"))),
        ("with percent escapes", each(|byte| format!("%{byte:02x}"))),
        ("with capital percent escapes", each(|byte| format!("%{byte:02X}"))),
        ("with JSON escapes", each(|byte| format!("\\u{byte:04x}"))),
        ("with capital JSON escapes", each(|byte| format!("\\u{byte:04X}"))),
        ("as a list of numbers", text.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes()),
    ];
    for before in 0..3 {
        forms.push(("in base64", base64_inside(before, text)));
    }
    forms
}

/// The part of the base64 form of a longer text that `text` alone decides, if so many bytes go before it. Letters and digits
/// never lead to the characters in which the alphabets differ, but for `/` and `_`.
fn base64_inside(before: usize, text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(text.iter().copied()).collect();
    let bit = |at: usize| usize::from(padded[at / 8] >> (7 - at % 8) & 1);
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    (first..last).map(|digit| DIGITS[(0..6).fold(0, |value, at| value << 1 | bit(digit * 6 + at))]).collect()
}

#[test]
fn a_marker_is_found_in_every_form_and_also_where_it_was_cut() {
    let marker = Marker { place: "here".into(), text: "k7Qw9xZ2mN4vB6cT8yR1pL3s".into(), kind: Kind::Payload };
    let search = Search::new([&marker]);
    let base64 = [
        "azdRdzl4WjJtTjR2QjZjVDh5UjFwTDNz",
        "AGs3UXc5eFoybU40dkI2Y1Q4eVIxcEwzcw==",
        "AABrN1F3OXhaMm1ONHZCNmNUOHlSMXBMM3M=",
    ];
    let other = [
        "\"k7Qw9xZ2mN4vB6cT8yR1pL3s\"",
        "… k7Qw9xZ2mN4v",
        "8yR1pL3s3L1pR8yTc6B",
        "6b37517739785a326d4e3476",
        "6B37517739785A326D4E3476",
        "%6b%37%51%77%39%78%5a%32%6d%4e%34%76",
        r"\u006b\u0037\u0051\u0077\u0039\u0078\u005a\u0032\u006d\u004e\u0034\u0076",
        "[107, 55, 81, 119, 57, 120, 90, 50, 109, 78, 52, 118]",
    ];
    let reversed = "v4Nm2Zx9wQ7k";
    for text in base64.iter().chain(&other[..2]).chain(&other[3..]).chain([&reversed]) {
        let found = search.find(format!("before {text} after").as_bytes());
        assert!(found.is_some(), "{text}");
    }
    for text in ["", "k", "k7Qw9xZ2mN4", other[2], "nothing of it"] {
        assert!(search.find(text.as_bytes()).is_none(), "{text}");
    }
}
