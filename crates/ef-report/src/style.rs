//! How a report is dressed.

/// How a report is dressed. By default it has no colour and no limit of width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether to use ANSI colours.
    pub color: bool,
    /// The terminal's width in columns, where there is a terminal. Tables wrap to it; identities are not cut.
    pub width: Option<u16>,
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Uneasy,
    Heading,
}

impl Style {
    pub(crate) fn paint(self, text: &str, tone: Tone) -> String {
        if !self.color || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::Bad => 31,
            Tone::Uneasy => 33,
            Tone::Heading => 1,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
