//! Text from outside, made safe to look at.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// The text with everything escaped that could move a terminal's cursor, change its colours or reorder what is read:
/// control characters, line separators, bidirectional controls, invisible tags and the byte order mark, each as
/// `\u{…}` or its short form (`\n`, `\t`, `\r`).
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_treacherous) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_treacherous(char) {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

fn is_treacherous(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The text in exactly `width` columns: cut with `…` where it is longer, filled with spaces where it is shorter.
pub(crate) fn fit(text: &str, width: usize, align: Align) -> String {
    let mut shown = Cow::Borrowed(text);
    if text.width() > width {
        shown = Cow::Owned(cut(text, width));
    }
    let fill = " ".repeat(width.saturating_sub(shown.width()));
    match align {
        Align::Left => format!("{shown}{fill}"),
        Align::Right => format!("{fill}{shown}"),
    }
}

/// At most `width` columns of a text, the last of them `…`.
pub(crate) fn cut(text: &str, width: usize) -> String {
    let mut end = 0;
    for (at, char) in text.char_indices() {
        let next = at + char.len_utf8();
        if text[..next].width() + 1 > width {
            break;
        }
        end = next;
    }
    format!("{}…", &text[..end])
}

/// Which side a column leans to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_move_the_cursor_is_escaped() {
        assert_eq!(visible("a\u{1b}[2Jb"), r"a\u{1b}[2Jb");
        assert_eq!(visible("\r\n\t\u{9b}"), r"\r\n\t\u{9b}");
        assert_eq!(visible("evil\u{202e}txt"), r"evil\u{202e}txt");
        assert!(matches!(visible("plain – é 日本 👩‍🚀"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_fitted_text_takes_its_columns_and_no_more() {
        assert_eq!(fit("abc", 5, Align::Left), "abc  ");
        assert_eq!(fit("abc", 5, Align::Right), "  abc");
        assert_eq!(fit("abcdef", 5, Align::Left), "abcd…");
        assert_eq!(fit("日本語", 5, Align::Left), "日本…");
        assert_eq!(fit("日本語", 4, Align::Left), "日… ");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_columns(text in "\\PC{0,40}", width in 1_usize..30) {
            prop_assert_eq!(fit(&text, width, Align::Left).width(), width);
        }

        #[test]
        fn no_control_character_gets_through(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(is_treacherous));
        }
    }
}
