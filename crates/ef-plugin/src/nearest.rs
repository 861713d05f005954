//! Which known name a mistyped one was meant to be.

/// The candidate that differs least from `name`, if that is little enough to be a slip of the finger: at most a third
/// of its letters. The first of equals.
pub(crate) fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["pattern", "ignore_case", "full_match"];
        assert_eq!(nearest("patern", names), Some("pattern"));
        assert_eq!(nearest("ignorecase", names), Some("ignore_case"));
        assert_eq!(nearest("fullMatch", names), Some("full_match"));
        assert_eq!(nearest("zebra", names), None);
        assert_eq!(nearest("", names), None);
    }
}
