//! Secrets: texts that are shown nowhere, and are found again in what others say of them.

use std::ops::Range;

use crate::Redacted;

/// A secret: shown nowhere, serialised nowhere, not even its length.
pub type Secret = Redacted<String>;

impl Secret {
    /// Whether the secret stands in this text: as it is, or with any of its characters escaped as in JSON (also JSON within
    /// JSON), in a string of Rust or Python, or in a URI. An empty secret stands nowhere.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        find(text, self.expose(), 0).is_some()
    }

    /// The text with `replacement` wherever the secret [is](Self::is_in); `None` where it is not. What is UTF-8 stays UTF-8.
    #[must_use]
    pub fn replaced_in(&self, text: &[u8], replacement: &str) -> Option<Vec<u8>> {
        let mut found = find(text, self.expose(), 0)?;
        let mut clean = Vec::with_capacity(text.len());
        let mut done = 0;
        loop {
            clean.extend_from_slice(&text[done..found.start]);
            clean.extend_from_slice(replacement.as_bytes());
            done = found.end;
            match find(text, self.expose(), done) {
                Some(next) => found = next,
                None => break,
            }
        }
        clean.extend_from_slice(&text[done..]);
        Some(clean)
    }
}

/// Where the secret is first, from `from` on.
fn find(text: &[u8], secret: &str, from: usize) -> Option<Range<usize>> {
    let first = *secret.as_bytes().first()?;
    memchr::memchr3_iter(first, b'\\', b'%', &text[from..])
        .map(|start| from + start)
        .find_map(|start| Some(start..match_from(text, secret, start)?))
}

/// Where the secret ends if it begins here.
fn match_from(text: &[u8], secret: &str, start: usize) -> Option<usize> {
    // What looks like an escape may be part of the secret, so that it is compared as it is first.
    if text[start..].starts_with(secret.as_bytes()) {
        return Some(start + secret.len());
    }
    let match_all = |percent| secret.chars().try_fold(start, |at, char| match_char(text, char, at, start, percent));
    // One that holds `%25` is found also where other characters of it are escaped.
    match_all(true).or_else(|| secret.contains('%').then(|| match_all(false)).flatten())
}

/// Where this character of the secret ends if it is here, as it is or escaped. JSON inside of JSON doubles its backslashes, so
/// that any number of them may stand before what is escaped, and for those of the secret.
fn match_char(text: &[u8], char: char, at: usize, start: usize, percent: bool) -> Option<usize> {
    let rest = &text[at..];
    let mut buffer = [0; 4];
    let utf8 = char.encode_utf8(&mut buffer).as_bytes();
    if percent && let Some(length) = match_percent(rest, utf8) {
        return Some(at + length);
    }
    let slashes = count_slashes(rest);
    if slashes == 0 && rest.starts_with(utf8) {
        return Some(at + utf8.len());
    }
    if slashes == 0 && (at == start || text[at - 1] != b'\\') {
        return None;
    }
    let escaped = match_escape(&rest[slashes..], char);
    escaped.or_else(|| (char == '\\').then_some(0)).map(|length| at + slashes + length)
}

/// The length of these bytes with percent escapes (RFC 3986) at the beginning of `rest`.
fn match_percent(rest: &[u8], utf8: &[u8]) -> Option<usize> {
    let is_there = |(escape, byte): (&[u8], &u8)| escape[0] == b'%' && hex(escape.get(1..3)) == Some(u32::from(*byte));
    (rest.len() >= 3 * utf8.len() && rest.chunks(3).zip(utf8).all(is_there)).then_some(3 * utf8.len())
}

/// The length of what stands for the character behind a backslash, at the beginning of `rest`.
fn match_escape(rest: &[u8], char: char) -> Option<usize> {
    let is = |expected: char| (char == expected).then_some(1);
    match *rest.first()? {
        b'u' if rest.get(1) == Some(&b'{') => {
            let end = rest.iter().take("u{10ffff}".len()).position(|byte| *byte == b'}')?;
            (hex(rest.get(2..end)) == Some(char.into())).then_some(end + 1)
        }
        b'u' => match_units(rest, 4, char.encode_utf16(&mut [0; 2]).iter().copied()),
        b'x' => match_units(rest, 2, char.encode_utf8(&mut [0; 4]).bytes().map(u16::from)),
        b'n' => is('\n'),
        b'r' => is('\r'),
        b't' => is('\t'),
        mark @ (b'"' | b'\'' | b'/') => is(mark.into()),
        _ => None,
    }
}

/// The length of these units, each as so many hexadecimal digits behind the letter that `rest` begins with; the further ones
/// have a backslash before them, as the first has.
fn match_units(rest: &[u8], digits: usize, units: impl Iterator<Item = u16>) -> Option<usize> {
    let letter = rest.first()?;
    units.enumerate().try_fold(0, |at, (index, unit)| {
        let from = if index == 0 { 0 } else { at + count_slashes(&rest[at..]) };
        let is_there = (index == 0 || from > at)
            && rest.get(from) == Some(letter)
            && hex(rest.get(from + 1..from + 1 + digits)) == Some(unit.into());
        is_there.then_some(from + 1 + digits)
    })
}

fn count_slashes(rest: &[u8]) -> usize {
    rest.iter().take_while(|byte| **byte == b'\\').count()
}

fn hex(digits: Option<&[u8]>) -> Option<u32> {
    digits?.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIDDEN: &str = "[redacted]";

    fn replaced(secret: &str, text: &str) -> String {
        let replaced = Secret::new(secret.to_owned()).replaced_in(text.as_bytes(), HIDDEN);
        replaced.map_or_else(|| text.to_owned(), |clean| String::from_utf8(clean).expect("what was UTF-8 stays it"))
    }

    fn json(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }

    #[test]
    fn a_secret_is_found_however_it_is_escaped() {
        for secret in [r#"sk-live/a"b\c+0123456789"#, "pa%25ss\t'wörd\n😀", r"domain\\user\name", "100%sure", r"\\host"]
        {
            let utf16: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect();
            let percent: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let bytes: String = secret.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
            let in_json = json(secret);
            for (form, written) in [
                ("as it is", secret.to_owned()),
                ("JSON", in_json[1..in_json.len() - 1].to_owned()),
                ("JSON with slashes", in_json[1..in_json.len() - 1].replace('/', "\\/")),
                ("JSON of UTF-16", utf16),
                ("Rust", secret.escape_debug().to_string()),
                ("Rust in ASCII", secret.escape_default().to_string()),
                ("percent escapes", percent),
                ("bytes", bytes),
            ] {
                let text = format!("Bearer {written}!{written}");
                assert_eq!(replaced(secret, &text), "Bearer [redacted]![redacted]", "{form}: {written}");
            }
            let twice = json(&in_json);
            assert!(replaced(secret, &twice).contains(HIDDEN), "{twice}");
        }
    }

    #[test]
    fn an_empty_secret_stands_nowhere() {
        assert_eq!(replaced("", "anything \\ % at all"), "anything \\ % at all");
        assert!(!Secret::new(String::new()).is_in(b""));
    }

    #[test]
    fn a_part_of_a_secret_is_another_text() {
        for text in ["0123456", "\\u0030123456", "%30123456", "\\", "%", "%3", "\\u", "\\u{", "\\u{30", "\\x3"] {
            assert_eq!(replaced("01234567", text), text);
        }
    }

    proptest! {
        #[test]
        fn no_secret_survives_in_any_mixture(
            secret in "[ -~é😀]{4,20}",
            before in "[\\\\%a-z\"u0]{0,20}",
            after in "[\\\\%a-z\"u0]{0,20}",
            forms in prop::collection::vec(0..5_u8, 20),
        ) {
            prop_assume!(!HIDDEN.contains(&secret));
            let written: String = secret.chars().zip(forms).map(|(char, form)| match form {
                // As they are, these would begin an escape of what follows.
                0 if !matches!(char, '\\' | '%') => char.to_string(),
                1 => char.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect(),
                2 => char.to_string().bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
                3 => format!("\\u{{{:x}}}", u32::from(char)),
                _ => char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
            }).collect();
            let clean = replaced(&secret, &format!("{before} {written} {after}"));
            prop_assert!(clean.contains(HIDDEN), "{clean}");
            prop_assert!(!clean.contains(&secret));
        }

        #[test]
        fn any_secret_is_found_as_it_is(secret in "\\PC{1,20}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let text = format!("{before}{secret}{after}");
            prop_assert!(Secret::new(secret).is_in(text.as_bytes()));
        }

        #[test]
        fn what_holds_no_secret_stays_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let secret = Secret::new("a secret that is not in there".to_owned());
            prop_assert_eq!(secret.replaced_in(&bytes, HIDDEN), None);
        }
    }
}
