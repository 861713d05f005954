//! The variables of the environment, each read in one way, with a note of those that are wrong.

use std::time::Duration;

use ef_model::Environment;

/// A variable whose value cannot be used. The value itself is not told: it may be a secret in the wrong place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The variable.
    pub(crate) variable: String,
    /// What is wrong with it, and what is done instead.
    pub(crate) problem: String,
}

/// Reads variables and keeps what was wrong with them.
pub(crate) struct Source<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl<'a> Source<'a> {
    /// A reader of these variables.
    pub(crate) const fn new(environment: &'a Environment) -> Self {
        Self { environment, problems: Vec::new() }
    }

    /// What was wrong so far; each variable once.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Takes down that a variable is wrong.
    pub(crate) fn complain(&mut self, variable: &str, problem: &str) {
        if !self.problems.iter().any(|known| known.variable == variable) {
            self.problems.push(Problem { variable: variable.to_owned(), problem: problem.to_owned() });
        }
    }

    /// A variable's text. An empty one is as good as none.
    pub(crate) fn text(&self, variable: &str) -> Option<&'a str> {
        self.environment.get(variable).map(|value| value.expose().trim()).filter(|value| !value.is_empty())
    }

    /// The first of the variables that is set, with its name.
    pub(crate) fn first<'v>(&self, variables: &[&'v str]) -> Option<(&'v str, &'a str)> {
        variables.iter().find_map(|variable| Some((*variable, self.text(variable)?)))
    }

    /// A truth value. Whatever is not `true` is false, as the specification has it.
    pub(crate) fn flag(&mut self, variables: &[&str]) -> bool {
        let Some((variable, text)) = self.first(variables) else { return false };
        if text.eq_ignore_ascii_case("true") {
            return true;
        }
        if !text.eq_ignore_ascii_case("false") {
            self.complain(variable, "is neither true nor false; false is used");
        }
        false
    }

    /// A number of milliseconds, at least one.
    pub(crate) fn millis(&mut self, variables: &[&str], default: Duration) -> Duration {
        let Some((variable, text)) = self.first(variables) else { return default };
        match text.parse::<u32>() {
            Ok(millis) if millis > 0 => Duration::from_millis(u64::from(millis)),
            _ => {
                self.complain(variable, &format!("is no number of milliseconds; {} is used", default.as_millis()));
                default
            }
        }
    }

    /// A number of things, from one to a million.
    pub(crate) fn count(&mut self, variable: &str, default: usize) -> usize {
        let Some(text) = self.text(variable) else { return default };
        match text.parse::<usize>() {
            Ok(count @ 1..=1_000_000) => count,
            _ => {
                self.complain(variable, &format!("is no number from 1 to 1000000; {default} is used"));
                default
            }
        }
    }

    /// A list of `key=value`, as W3C baggage writes it. What is no such pair is left out.
    pub(crate) fn pairs(&mut self, variable: &str) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for part in self.text(variable).unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let pair = part.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
            match pair.and_then(|(key, value)| Some((decode(key)?, decode(value)?))) {
                Some((key, value)) if !key.is_empty() => pairs.push((key, value)),
                _ => self.complain(variable, "is no list of key=value; what is none is left out"),
            }
        }
        pairs
    }
}

/// Undoes percent encoding. `None` where it is broken or what comes out is no text.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_wrong_value_is_told_once_by_its_name_and_never_by_its_value() {
        let environment = environment(&[("A", "s3cret"), ("B", "-1"), ("C", "s3cret,k=v"), ("D", "perhaps")]);
        let mut source = Source::new(&environment);
        let second = Duration::from_secs(1);
        assert_eq!(source.millis(&["A"], second), second);
        assert_eq!(source.millis(&["A"], second), second);
        assert_eq!(source.count("B", 5), 5);
        assert_eq!(source.pairs("C"), [("k".to_owned(), "v".to_owned())]);
        assert!(!source.flag(&["D"]));
        let problems = source.into_problems();
        assert_eq!(problems.iter().map(|problem| problem.variable.as_str()).collect::<Vec<_>>(), ["A", "B", "C", "D"]);
        assert!(!format!("{problems:?}").contains("s3cret"));
    }

    #[test]
    fn an_empty_value_is_as_good_as_none() {
        let environment = environment(&[("A", " "), ("B", "2")]);
        let mut source = Source::new(&environment);
        assert_eq!(source.millis(&["A", "B"], Duration::ZERO), Duration::from_millis(2));
        assert!(source.into_problems().is_empty());
    }

    #[test]
    fn percent_encoding_is_undone_or_refused() {
        assert_eq!(decode("a%20b%2C%C3%A4"), Some("a b,ä".to_owned()));
        for broken in ["%", "%2", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_value_whatever_makes_reading_panic(value: String) {
            let environment = environment(&[("A", &value)]);
            let mut source = Source::new(&environment);
            source.millis(&["A"], Duration::ZERO);
            source.count("A", 1);
            source.flag(&["A"]);
            source.pairs("A");
        }
    }
}
