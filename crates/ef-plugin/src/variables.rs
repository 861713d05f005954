//! `${VAR}` in the texts of a config.
//!
//! `${NAME}`, where NAME is a letter or `_` and then letters, digits and `_`, stands for the environment variable of
//! that name. `$${` writes a literal `${`. Everything else that holds a `$` stays as it is: `$x`, `a${2}`, `${a-b}`.
//! Only values are resolved, never keys, and what a variable holds is not looked at again.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use ef_model::{ConfigProblem, CreateError, Environment, Secret};

use crate::masking::Mask;
use crate::problem::child;

/// A config whose variables are resolved, and where they were.
pub struct Resolved {
    /// The config for a factory. It may hold secrets.
    value: Value,
    /// The texts that held a variable.
    places: Vec<Place>,
    /// What they held.
    mask: Mask,
}

/// A text that held at least one variable.
struct Place {
    pointer: String,
    names: Vec<String>,
    text: Secret,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved").field("places", &self.places.len()).finish_non_exhaustive()
    }
}

/// Replaces every `${VAR}` in the config's texts.
///
/// # Errors
///
/// One problem for each variable that is not set, at its place.
pub fn resolve(config: &Map<String, Value>, environment: &Environment) -> Result<Resolved, Vec<ConfigProblem>> {
    let mut resolver = Resolver { environment, places: Vec::new(), problems: Vec::new() };
    let value = resolver.map(config, "");
    let Resolver { places, problems, .. } = resolver;
    if !problems.is_empty() {
        return Err(problems);
    }
    let names: BTreeSet<_> = places.iter().flat_map(|place| &place.names).collect();
    let mask = Mask::new(names.into_iter().filter_map(|name| Some((name.as_str(), environment.get(name)?))));
    Ok(Resolved { value, places, mask })
}

/// Whether this value, or anything in it, may read differently once it is resolved.
pub(crate) fn may_change(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(elements) => elements.iter().any(may_change),
        Value::Object(entries) => entries.values().any(may_change),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl Resolved {
    /// The config for a factory. It may hold secrets.
    #[must_use]
    pub const fn expose(&self) -> &Value {
        &self.value
    }

    /// The same problem, saying which variables the text was made from, if any.
    pub(crate) fn name_variables(&self, problem: ConfigProblem) -> ConfigProblem {
        let names = self.names_near(&problem.pointer);
        if names.is_empty() {
            return problem;
        }
        ConfigProblem { message: format!("{} once {} is filled in", problem.message, names.join(" and ")), ..problem }
    }

    /// The same problem without the value of a variable: what is said of a text that held one, or of what it stands in,
    /// may quote it.
    pub(crate) fn conceal(&self, problem: ConfigProblem) -> ConfigProblem {
        let names = self.names_near(&problem.pointer);
        let quotes =
            self.is_quoted_in(&problem.message) || problem.hint.as_deref().is_some_and(|h| self.is_quoted_in(h));
        if names.is_empty() && !quotes {
            let hint = problem.hint.map(|hint| self.mask.text(&hint).into_owned());
            return ConfigProblem { message: self.mask.text(&problem.message).into_owned(), hint, ..problem };
        }
        let names = if names.is_empty() { self.names_near("") } else { names };
        ConfigProblem {
            message: "refused once its environment variables are filled in".to_owned(),
            hint: Some(format!(
                "check what {} holds; the message is withheld because it may quote it",
                names.join(", ")
            )),
            ..problem
        }
    }

    /// What a factory complains about, without the value of a variable.
    pub(crate) fn conceal_error(&self, error: CreateError) -> CreateError {
        match error {
            CreateError::Config(problems) => {
                CreateError::Config(problems.into_iter().map(|problem| self.conceal(problem)).collect())
            }
            CreateError::Broken(reason) if self.is_quoted_in(&reason) => {
                CreateError::Broken("the reason is withheld because it quotes an environment variable".to_owned())
            }
            CreateError::Broken(reason) => CreateError::Broken(self.mask.text(&reason).into_owned()),
        }
    }

    /// What keeps the values of its variables out of messages; `None` where it held none.
    pub(crate) fn mask(&self) -> Option<&Mask> {
        (!self.places.is_empty()).then_some(&self.mask)
    }

    /// The variables at the pointer, below it and above it.
    fn names_near(&self, pointer: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .places
            .iter()
            .filter(|place| is_within(&place.pointer, pointer) || is_within(pointer, &place.pointer))
            .flat_map(|place| place.names.iter().map(|name| format!("${{{name}}}")))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn is_quoted_in(&self, message: &str) -> bool {
        self.places.iter().any(|place| place.text.is_in(message.as_bytes()))
    }
}

/// Whether the pointer is `ancestor` or points into it.
fn is_within(pointer: &str, ancestor: &str) -> bool {
    pointer.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

struct Resolver<'e> {
    environment: &'e Environment,
    places: Vec<Place>,
    problems: Vec<ConfigProblem>,
}

impl Resolver<'_> {
    fn value(&mut self, value: &Value, pointer: &str) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text, pointer)),
            Value::Array(elements) => {
                let element = |(index, element): (usize, &Value)| self.value(element, &format!("{pointer}/{index}"));
                elements.iter().enumerate().map(element).collect()
            }
            Value::Object(entries) => self.map(entries, pointer),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn map(&mut self, entries: &Map<String, Value>, pointer: &str) -> Value {
        let entry = |(key, value): (&String, &Value)| (key.clone(), self.value(value, &child(pointer, key)));
        entries.iter().map(entry).collect()
    }

    fn text(&mut self, text: &str, pointer: &str) -> String {
        let mut resolved = String::with_capacity(text.len());
        let mut names = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => resolved.push_str(text),
                Piece::Variable(name) => {
                    names.push(name.to_owned());
                    match self.environment.get(name) {
                        Some(value) => resolved.push_str(value.expose()),
                        None => self.problems.push(unset(name, pointer)),
                    }
                }
            }
        }
        if !names.is_empty() {
            self.places.push(Place { pointer: pointer.to_owned(), names, text: Secret::new(resolved.clone()) });
        }
        resolved
    }
}

fn unset(name: &str, pointer: &str) -> ConfigProblem {
    ConfigProblem {
        pointer: pointer.to_owned(),
        at_key: false,
        message: format!("the environment variable {name} is not set"),
        hint: Some(format!("set {name}, or write `$${{{name}}}` for the text itself")),
    }
}

#[derive(Debug, PartialEq)]
enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// A text's pieces, in order.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if rest.starts_with("$${") {
            let piece = Piece::Text(&rest[1..3]);
            rest = &rest[3..];
            return Some(piece);
        }
        if let Some(name) = variable_at_start(rest) {
            rest = &rest[name.len() + "${}".len()..];
            return Some(Piece::Variable(name));
        }
        // A `$` that begins nothing is text, together with what follows it up to the next.
        let end = rest.char_indices().skip(1).find(|(_, c)| *c == '$').map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Text(piece))
    })
}

fn variable_at_start(text: &str) -> Option<&str> {
    let after = text.strip_prefix("${")?;
    let length = after.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let name = &after[..length];
    (after[length..].starts_with('}') && name.starts_with(|c: char| !c.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn resolved(text: &str) -> String {
        let environment =
            Environment::new([("A", "1"), ("_b2", "${A}"), ("EMPTY", "")].map(|(k, v)| (k.into(), v.into())));
        let config = Map::from_iter([("x".to_owned(), Value::from(text))]);
        let resolved = resolve(&config, &environment).expect("every variable is set");
        resolved.expose()["x"].as_str().expect("a text").to_owned()
    }

    #[test]
    fn a_variable_is_replaced_and_its_value_not_looked_at_again() {
        assert_eq!(resolved("${A}"), "1");
        assert_eq!(resolved("é${A}${A}é-${_b2}${EMPTY}"), "é11é-${A}");
    }

    #[test]
    fn an_escaped_variable_is_a_text() {
        assert_eq!(resolved("$${A}"), "${A}");
        assert_eq!(resolved("$$${A}$$${"), "$${A}$${");
    }

    #[test]
    fn every_other_dollar_stays_as_it_is() {
        for text in
            ["a${2}", "$x", "$", "$$", "${", "${}", "${A", "${a-b}", "${ A}", "^a{2}$", "é$é", "${é}", "", "$1,000"]
        {
            assert_eq!(resolved(text), text);
        }
    }

    #[test]
    fn keys_are_not_resolved() {
        let config = Map::from_iter([("${A}".to_owned(), json!([1, null, true]))]);
        let resolved = resolve(&config, &Environment::default()).expect("no variable");
        assert_eq!(resolved.expose(), &json!({"${A}": [1, null, true]}));
    }

    #[test]
    fn a_resolved_config_is_not_shown_by_debug() {
        let environment = Environment::new([("A".to_owned(), "hunter2".to_owned())]);
        let config = Map::from_iter([("x".to_owned(), Value::from("${A}"))]);
        let shown = format!("{:?}", resolve(&config, &environment).expect("set"));
        assert_eq!(shown, "Resolved { places: 1, .. }");
    }

    proptest! {
        #[test]
        fn a_text_without_an_opening_stays_as_it_is(text in "[${A-C} é]{0,20}") {
            prop_assume!(!text.contains("${"));
            prop_assert_eq!(resolved(&text), text);
        }

        #[test]
        fn escaping_every_opening_writes_the_text_itself(text in "[{}ABé ]{0,10}(\\$\\{[A-B}é ]{0,5}){0,4}") {
            prop_assume!(!text.contains("$${"));
            prop_assert_eq!(resolved(&text.replace("${", "$${")), text);
        }
    }
}
