//! Values of environment variables, taken out of what others say before it is shown: their names stand there instead, so that
//! a person sees which one is meant. What a server answers, which is stored, is rid of the client's key in ef-client.

use std::borrow::Cow;
use std::fmt;

#[cfg(any(test, all(feature = "process", unix)))]
use ef_model::Environment;
use ef_model::{CallError, Secret};

/// Shorter values are no secrets, and stand in texts by chance.
const SHORTEST: usize = 4;

/// Puts the names of variables in the place of their values.
#[derive(Clone, Default)]
pub(crate) struct Mask {
    /// Longest value first, because one may be a part of another.
    variables: Vec<(String, Secret)>,
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.variables.iter().map(|(name, _)| name)).finish()
    }
}

impl Mask {
    /// A mask over the values of these variables.
    pub(crate) fn new<'v>(variables: impl IntoIterator<Item = (&'v str, &'v Secret)>) -> Self {
        let long = variables.into_iter().filter(|(_, value)| value.expose().len() >= SHORTEST);
        let mut variables: Vec<_> = long.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        variables.sort_by_key(|(_, value)| std::cmp::Reverse(value.expose().len()));
        variables.dedup();
        Self { variables }
    }

    /// A mask over what may be a secret in an environment: all but short values and, where their names do not say that they
    /// are secrets, paths and what every program is given.
    #[cfg(all(feature = "process", unix))]
    pub(crate) fn of_secrets(environment: &Environment) -> Self {
        Self::new(environment.iter().filter(|(name, value)| may_be_secret(name, value.expose())))
    }

    /// This text with the names of the variables in the place of their values.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for (name, value) in &self.variables {
            let name = format!("${{{name}}}");
            if let Some(clean) = value.replaced_in(masked.as_bytes(), &name) {
                masked = Cow::Owned(String::from_utf8_lossy(&clean).into_owned());
            }
            if let Some(at) = beginning_at_the_end(&masked, value.expose()) {
                masked = Cow::Owned(format!("{}{name}…", &masked[..at]));
            }
        }
        masked
    }

    /// This error with a masked message. Its detail stays as it is: that goes to the store alone.
    pub(crate) fn error(&self, error: CallError) -> CallError {
        let code = match self.text(&error.code) {
            Cow::Borrowed(_) => error.code,
            Cow::Owned(_) => "withheld".into(),
        };
        CallError { message: self.text(&error.message).into_owned(), code, ..error }
    }
}

/// Where a text that was cut short ends with the beginning of a value, if it does.
fn beginning_at_the_end(text: &str, value: &str) -> Option<usize> {
    const FEWEST: usize = 8;
    let text = text.strip_suffix('…')?;
    let ends = value.char_indices().map(|(at, _)| at).filter(|at| *at >= FEWEST);
    ends.filter_map(|at| text.strip_suffix(&value[..at])).map(str::len).min()
}

#[cfg(all(feature = "process", unix))]
fn may_be_secret(name: &str, value: &str) -> bool {
    const SECRET: [&str; 7] = ["AUTH", "CRED", "KEY", "PASS", "PWD", "SECRET", "TOKEN"];
    const FEWEST: usize = 8;
    let upper = name.to_ascii_uppercase();
    let is_path = value.starts_with(['/', '.', '~']);
    value.len() >= FEWEST
        && match is_path {
            true => upper != "PWD" && upper != "OLDPWD" && SECRET.iter().any(|word| upper.contains(word)),
            false => !crate::process::is_always_given(name),
        }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(variables: &[(&str, &str)]) -> Mask {
        let environment = Environment::new(variables.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        Mask::new(environment.iter())
    }

    #[test]
    fn a_value_is_replaced_by_its_name_also_where_it_is_escaped() {
        let mask = mask(&[("A", "hunter2"), ("B", "hunter2-and-more"), ("Q", "pass\"\n\u{e9}x"), ("S", "no")]);
        assert_eq!(mask.text("hunter2 hunter2-and-more no"), "${A} ${B} no");
        assert_eq!(mask.text(r#"invalid "pass\"\né""#), r#"invalid "pass\"\né""#, "a part of it is another text");
        assert_eq!(mask.text(r#"invalid "pass\"\néx""#), "invalid \"${Q}\"");
        assert_eq!(mask.text("GET /?key=hunter2%2Dand%2dmore"), "GET /?key=${B}");
        assert!(matches!(mask.text("nothing of it"), Cow::Borrowed("nothing of it")));
        assert!(!format!("{mask:?}").contains("hunter2"));
    }

    #[test]
    fn the_beginning_of_a_value_where_a_text_was_cut_short_is_taken_out_too() {
        let mask = mask(&[("KEY", "0123456789abcdef")]);
        assert_eq!(mask.text("the key 0123456789ab…"), "the key ${KEY}…");
        assert_eq!(mask.text("the key 01234…"), "the key 01234…");
    }

    #[test]
    fn an_error_is_masked_in_message_and_code_and_keeps_the_rest() {
        let mask = mask(&[("KEY", "hunter2")]);
        let error =
            CallError::permanent("bad_hunter2", "no field hunter2").with_detail(ef_model::Payload::from_text("x"));
        let masked = mask.error(error);
        assert_eq!((&*masked.code, masked.message.as_str()), ("withheld", "no field ${KEY}"));
        assert!(masked.detail.is_some());
    }

    #[cfg(all(feature = "process", unix))]
    #[test]
    fn of_an_environment_everything_may_be_secret_but_paths_and_what_all_programs_get() {
        let secret =
            [("MODEL", "sk-0123456789"), ("AWS_SECRET_ACCESS_KEY", "/abc+def/ghi"), ("DB", "postgres://u:p@h/d")];
        let open = [
            ("PATH", "/usr/bin:/bin"),
            ("LANG", "en_US.UTF-8"),
            ("VIRTUAL_ENV", "/home/me/venv"),
            ("LC_ALL", "C.UTF-8.x"),
            ("N", "1"),
        ];
        assert!(secret.iter().all(|(name, value)| may_be_secret(name, value)));
        assert!(!open.iter().any(|(name, value)| may_be_secret(name, value)));
    }

    proptest! {
        #[test]
        fn no_masked_text_holds_a_value(before in ".{0,12}", value in "[a-z\"\\\\é]{4,12}", after in ".{0,12}") {
            prop_assume!(!"${NAME}…".contains(&value) && !before.contains('$') && !after.contains('$'));
            let mask = mask(&[("NAME", &value)]);
            let text = format!("{before}{value}{after}");
            prop_assert!(!mask.text(&text).contains(&value), "{}", mask.text(&text));
        }
    }
}
