//! Numbers that are drawn from a seed and the name of what they are for.

/// A place to draw from. Drawing changes nothing: the same place gives the same number, and what is drawn for one thing
/// does not depend on what was drawn for others before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(u64);

impl Chance {
    /// The chance of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// A place of its own for what has this name.
    #[must_use]
    pub fn of(self, name: &str) -> Self {
        name.bytes().fold(self.at(name.len() as u64), |chance, byte| chance.at(u64::from(byte)))
    }

    /// A place of its own for the one of this number.
    #[must_use]
    pub const fn at(self, number: u64) -> Self {
        Self(mix(self.0.rotate_left(17) ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// A number below `limit`; 0 below nothing.
    #[must_use]
    pub const fn below(self, limit: u64) -> u64 {
        if limit == 0 { 0 } else { mix(self.0) % limit }
    }

    /// True so many times in a hundred.
    #[must_use]
    pub const fn percent(self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// The number itself.
    #[must_use]
    pub const fn number(self) -> u64 {
        mix(self.0)
    }
}

/// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_gives_the_same_number_every_time_and_places_differ() {
        let seed = Chance::new(1);
        assert_eq!(seed.of("delay").at(3).below(1000), seed.of("delay").at(3).below(1000));
        let drawn: std::collections::BTreeSet<_> = (0..1000).map(|n| seed.of("delay").at(n).number()).collect();
        assert_eq!(drawn.len(), 1000);
        assert_ne!(seed.of("ab").of("c"), seed.of("a").of("bc"));
    }

    #[test]
    fn percentages_are_about_right() {
        let hits = (0..10_000).filter(|&n| Chance::new(7).at(n).percent(20)).count();
        assert!((1800..2200).contains(&hits), "{hits} of 10000 at 20 %");
    }
}
