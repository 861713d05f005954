//! Asking a person who sits at the terminal.

use ef_model::{BoxFuture, ItemId, Payload};

/// What shows a question to a person and waits for the answer. The command line has one where there is a terminal.
pub trait Prompter: Send + Sync {
    /// Asks once. Whether the answer will do is for the judge to say: where it does not, the same question is asked again
    /// with [`Question::problem`]. One question is asked at a time. Dropping the future withdraws the question.
    ///
    /// # Errors
    ///
    /// When nobody can answer.
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, PromptError>>;
}

/// One question about one output.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Question<'a> {
    /// What is asked, with the instructions below it; it holds no payload.
    pub text: &'a str,
    /// What may be answered, such as `"pass" or "fail"`, and how to skip the question.
    pub answers: &'a str,
    /// What was wrong with the answer before this one, if there was one.
    pub problem: Option<&'a str>,
    /// The item.
    pub item_id: &'a ItemId,
    /// Which repeat of the item it is, from 0.
    pub repeat: u32,
    /// The item's input.
    pub input: &'a Payload,
    /// What a good output would be, where the dataset knows.
    pub reference_output: Option<&'a Payload>,
    /// The output to be judged.
    pub output: &'a Payload,
}

/// A person's answer, as it was typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The score: a word, a label or a number; `s` for later, `u` for none.
    pub score: String,
    /// Why, if the person said so.
    pub rationale: Option<String>,
}

impl Answer {
    /// A score without a reason.
    pub fn new(score: impl Into<String>) -> Self {
        Self { score: score.into(), rationale: None }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// The person has gone: the input has ended. The judgment stays pending.
    #[error("nobody is there to answer")]
    Closed,
    /// The question could not be asked.
    #[error("the question could not be asked: {0}")]
    Failed(String),
}
