//! What a model says, in no protocol yet.

use std::borrow::Cow;

use super::body::Body;

/// What a model says.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    pub(super) text: Option<Text>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) tokens: Option<Tokens>,
    pub(super) model: Option<Cow<'static, str>>,
    pub(super) finish: Option<Finish>,
    /// Whether a stream ends with an error instead of its end.
    pub(super) breaks_off: bool,
}

/// Its text.
#[derive(Debug, Clone)]
pub(super) enum Text {
    Of(Cow<'static, str>),
    /// So many letters, at least; they are never in memory.
    Letters(u64),
}

/// A tool that it calls.
#[derive(Debug, Clone)]
pub(super) struct ToolCall {
    pub(super) name: Cow<'static, str>,
    /// JSON, if the model is in its right mind.
    pub(super) arguments: String,
}

/// Tokens that a call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens read, those from a cache included.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from a cache.
    pub cached: u64,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It had said everything: `stop`, `end_turn`.
    Stop,
    /// It reached the most tokens that it may write: `length`, `max_tokens`.
    Length,
    /// It calls tools: `tool_calls`, `tool_use`.
    ToolCalls,
    /// It declined, or was kept from answering: `content_filter`, `refusal`.
    Declined,
}

/// Stands for letters in a rendered text, to be replaced by as many as there are.
const LETTERS: &str = "@@letters@@";

impl Message {
    /// Its text as far as it is in memory.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_ref().map(|text| match text {
            Text::Of(text) => text.as_ref(),
            Text::Letters(_) => LETTERS,
        })
    }

    /// Its text in the pieces of a stream, which do not end where words do.
    pub(super) fn deltas(&self) -> Vec<&str> {
        let text = self.text().unwrap_or_default();
        if matches!(self.text, Some(Text::Letters(_))) {
            return vec![text];
        }
        let ends = text.char_indices().map(|(at, _)| at).skip(1).enumerate().filter(|(n, _)| n % 5 == 2);
        let ends: Vec<usize> = ends.map(|(_, at)| at).chain([text.len()]).collect();
        let starts = [0].into_iter().chain(ends.iter().copied());
        let deltas = starts.zip(&ends).map(|(start, &end)| &text[start..end]);
        deltas.filter(|delta| !delta.is_empty()).collect()
    }

    pub(super) fn finish(&self) -> Finish {
        let calls = if self.tool_calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        self.finish.unwrap_or(calls)
    }

    /// The tokens that are told: a quarter of the bytes, where the script says nothing.
    pub(super) fn tokens(&self, request_bytes: usize) -> Tokens {
        let written: usize = self.tool_calls.iter().map(|call| call.arguments.len()).sum();
        let written = written + self.text().map_or(0, str::len);
        let quarter = |bytes: usize| (bytes as u64).div_ceil(4);
        self.tokens.unwrap_or(Tokens { input: quarter(request_bytes), output: quarter(written), cached: 0 })
    }

    /// The body of what was rendered from this message.
    pub(super) fn body(&self, rendered: Vec<u8>) -> Body {
        let Some(Text::Letters(letters)) = self.text else { return Body::of(rendered) };
        let place = rendered.windows(LETTERS.len()).position(|window| window == LETTERS.as_bytes());
        match place {
            Some(at) => Body::around(rendered[..at].to_vec(), letters, rendered[at + LETTERS.len()..].to_vec()),
            None => Body::of(rendered),
        }
    }
}
