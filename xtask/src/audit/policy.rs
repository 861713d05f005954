//! The rules in `deny.toml` give their reasons: each ban, and each exception with a day on which it is looked at again.

use std::process::Command;

use super::advisories::date;
use crate::step::{self, Failure};

/// What every exception has to say, before a date.
const AGAIN: &str = "look again ";

/// Today's date, as in `2026-08-20`, UTC.
pub(super) fn today() -> Result<String, Failure> {
    let today = step::text(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    Ok(today.trim().to_owned())
}

/// Finds bans and exceptions without a reason, and exceptions whose day has come.
pub(super) fn check(policy: &str, today: &str) -> Result<(), Failure> {
    let mut problems = Vec::new();
    let mut list = "";
    let mut comment = String::new();
    for (number, line) in (1..).zip(policy.lines().map(str::trim)) {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
            continue;
        }
        if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('{')) {
            list = if value.trim() == "[" { key.trim() } else { "" };
            if is_judged(key.trim()) && !matches!(value.trim(), "[" | "[]") {
                problems.push(format!("deny.toml:{number}: write each entry of `{}` on a line of its own", key.trim()));
            }
        } else if line.starts_with([']', '[']) {
            list = "";
        } else if is_judged(list) && !line.is_empty() {
            problems.extend(problem(list, line, &comment, today).map(|what| format!("deny.toml:{number}: {what}")));
        }
        comment.clear();
    }
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join("\n"))) }
}

fn is_judged(list: &str) -> bool {
    matches!(list, "ignore" | "exceptions" | "skip" | "skip-tree" | "deny" | "allow-git" | "clarify")
}

fn problem(list: &str, entry: &str, comment: &str, today: &str) -> Option<String> {
    let reason = entry.split_once("reason = \"").map_or(comment, |(_, reason)| reason);
    if reason.trim().is_empty() {
        return Some("it gives no reason: add `reason = \"…\"`, or a comment above it".to_owned());
    }
    if list == "deny" {
        return None;
    }
    match reason.split(AGAIN).nth(1).and_then(date) {
        None => Some(format!("the exception has no end: say `{AGAIN}YYYY-MM-DD` in its reason")),
        Some(day) if day < today => Some(format!(
            "the exception was to be looked at again on {day}: is it still needed? Drop it, or set a new day"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(policy: &str) -> String {
        check(policy, "2026-11-22").err().map(|failure| failure.message).unwrap_or_default()
    }

    #[test]
    fn reasons_with_a_day_that_is_still_to_come_pass() {
        let policy = "[advisories]\nignore = [\n  { id = \"X-1\", reason = \"not reached; look again 2026-11-22\" },\n]\n\
                      [bans]\ndeny = [\n  { crate = \"a\", reason = \"archived\" },\n]\n\
                      [licenses]\nallow = [\"MIT\"]\nexceptions = [\n  # Only at build time.\n  # look again 2027-01-01\n  \
                      { allow = [\"X\"], crate = \"b\" },\n]\nclarify = []\n";
        assert_eq!(problems(policy), "");
    }

    #[test]
    fn an_entry_without_a_reason_is_found() {
        let found = problems("deny = [\n  { crate = \"a\" },\n]\nignore = [\n  \"X-1\",\n]\n");
        assert_eq!(found.matches("it gives no reason").count(), 2, "{found}");
        assert!(found.starts_with("deny.toml:2: "), "{found}");
    }

    #[test]
    fn an_exception_without_an_end_is_found() {
        let found = problems("ignore = [\n  { id = \"X-1\", reason = \"never mind\" },\n]\n");
        assert_eq!(found, "deny.toml:2: the exception has no end: say `look again YYYY-MM-DD` in its reason");
    }

    #[test]
    fn an_exception_whose_day_is_past_is_found() {
        let found = problems("skip = [\n  { crate = \"a\", reason = \"soon; look again 2026-11-21\" },\n]\n");
        assert!(found.contains("looked at again on 2026-11-21"), "{found}");
    }

    #[test]
    fn entries_that_share_a_line_with_their_list_are_refused() {
        let found = problems("ignore = [\"X-1\"]\n");
        assert_eq!(found, "deny.toml:1: write each entry of `ignore` on a line of its own");
    }

    #[test]
    fn our_own_rules_give_their_reasons() {
        let policy = step::read_text(&step::root().join("deny.toml")).expect("there are rules");
        assert!(policy.contains(AGAIN), "this test reads the wrong file");
        check(&policy, "0000-00-00").expect("each has a reason and a day");
    }
}
