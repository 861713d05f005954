//! People who judge where judges leave it to them.

use ef_model::{ItemId, Usage, Verdict};

use super::{Chance, components};

/// What people are asked, and what they say.
#[derive(Debug, Clone, Copy)]
pub struct People {
    /// Where it is drawn from.
    pub chance: Chance,
    /// How many of a hundred judgments are left to them.
    pub percent: u64,
    /// Whether they are there and say it at once; else the judgment is pending.
    pub are_there: bool,
}

impl People {
    /// Whether this judgment is left to them.
    #[must_use]
    pub fn are_asked(&self, judge: &str, item_id: &ItemId, repeat: u32) -> bool {
        self.about(judge, item_id, repeat).of("asked").percent(self.percent)
    }

    /// What they say.
    #[must_use]
    pub fn verdict(&self, judge: &str, item_id: &ItemId, repeat: u32) -> Verdict {
        components::verdict(self.about(judge, item_id, repeat), Usage::UNKNOWN)
    }

    fn about(&self, judge: &str, item_id: &ItemId, repeat: u32) -> Chance {
        self.chance.of(judge).of(item_id.as_str()).at(u64::from(repeat))
    }
}
