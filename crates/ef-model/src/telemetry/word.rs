//! Codes and labels that somebody else has chosen: a server, a plugin, a judge. Whoever chooses them may have put a sentence
//! or a piece of data there, so they are told only where they look like what they should be.

/// What is told in the place of a code or a label that does not look like one.
pub const OTHER: &str = "_OTHER";

/// The most bytes of a code.
const LONGEST_CODE: usize = 64;
/// The most bytes of a label.
const LONGEST_LABEL: usize = 32;

/// Whether this looks like a code: 1 to 64 ASCII letters, digits, `_`, `-` and `.`.
#[must_use]
pub fn is_code(text: &str) -> bool {
    is_word(text, LONGEST_CODE)
}

/// This code as it may be told: itself where it [looks like one](is_code), else [`OTHER`].
#[must_use]
pub fn code(text: &str) -> &str {
    if is_code(text) { text } else { OTHER }
}

/// The label of a score as it may be told: itself where it has at most 32 bytes, begins with an ASCII letter and otherwise
/// looks like a code, else [`OTHER`]. A number alone is no label: it may be that of a card or a telephone.
#[must_use]
pub fn label(text: &str) -> &str {
    let begins = text.starts_with(|first: char| first.is_ascii_alphabetic());
    if begins && is_word(text, LONGEST_LABEL) { text } else { OTHER }
}

fn is_word(text: &str, longest: usize) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=longest).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn invariant_8_a_label_or_a_code_that_may_be_data_is_not_told() {
        let sentence = "the customer Alice wrote";
        for text in ["", sentence, "alice@example.org", "4111111111111111", "a\nb", "ä", &"x".repeat(33)] {
            assert_eq!(label(text), OTHER, "{text:?}");
        }
        for text in ["", sentence, "alice@example.org", "{\"a\":1}", &"x".repeat(65)] {
            assert_eq!(code(text), OTHER, "{text:?}");
        }
    }

    #[test]
    fn what_looks_like_a_code_or_a_label_is_told_as_it_is() {
        let longest = "x".repeat(64);
        for text in ["http_503", "rate-limit.exceeded", "503", &longest] {
            assert_eq!(code(text), text);
        }
        let longest = "x".repeat(32);
        for text in ["partly_correct", "B2", &longest] {
            assert_eq!(label(text), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_told_of_a_label_is_short_and_of_few_characters(text in "\\PC{0,40}|[a-zA-Z0-9_.-]{0,40}") {
            let told = label(&text);
            prop_assert!(told == OTHER || (told == text && told.len() <= LONGEST_LABEL));
            let is_plain = told.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
            prop_assert!(is_plain, "{}", told);
        }
    }
}
