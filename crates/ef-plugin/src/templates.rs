//! What a new plugin begins with: a judge that works, a test of it, and a spec that uses it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The languages that there are templates for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python 3.9 or later, nothing but its standard library.
    Python,
    /// A crate with serde_json.
    Rust,
    /// Node.js 18 or later, no packages.
    Node,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Python, Self::Rust, Self::Node];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Node => "node",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|language| language.as_str() == text)
            .ok_or_else(|| format!("there is no template for {text:?}, only for python, rust and node"))
    }
}

/// A name that no plugin can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a plugin's name is 2 to 40 of a-z, 0-9 and '-', begins with a letter, and has no '-' at its end or twice in a row; \
     `{0}` is not"
)]
pub struct NameError(String);

/// The template's files for a plugin of this name, such as `acme-polite`: paths relative to its folder, and texts.
///
/// # Errors
///
/// When the name cannot be that of a package, a module and a component in every language.
pub fn files(language: Language, name: &str) -> Result<Vec<(PathBuf, String)>, NameError> {
    if !is_name(name) {
        return Err(NameError(name.to_owned()));
    }
    let module = name.replace('-', "_");
    let fill = |text: &str| text.replace("{{name}}", name).replace("{{module}}", &module);
    let own = match language {
        Language::Python => PYTHON,
        Language::Rust => RUST,
        Language::Node => NODE,
    };
    Ok(own.iter().chain(SHARED).map(|(path, text)| (PathBuf::from(fill(path)), fill(text))).collect())
}

fn is_name(name: &str) -> bool {
    (2..=40).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && !name.contains("--")
}

type Files = &'static [(&'static str, &'static str)];

const SHARED: Files = &[
    ("spec.yaml", include_str!("../templates/shared/spec.yaml")),
    ("dataset.jsonl", include_str!("../templates/shared/dataset.jsonl")),
];

const PYTHON: Files = &[
    ("README.md", include_str!("../templates/python/README.md")),
    ("ef.toml", include_str!("../templates/python/ef.toml")),
    ("pyproject.toml", include_str!("../templates/python/pyproject.toml")),
    ("{{module}}.py", include_str!("../templates/python/plugin.py")),
    ("tests/test_{{module}}.py", include_str!("../templates/python/tests/test_plugin.py")),
    (".gitignore", "__pycache__/\n*.egg-info/\nbuild/\n/.venv/\n/runs/\n"),
];

// Not named `Cargo.toml` here: cargo would leave its whole folder out of this crate's package.
const RUST: Files = &[
    ("README.md", include_str!("../templates/rust/README.md")),
    ("ef.toml", include_str!("../templates/rust/ef.toml")),
    ("Cargo.toml", include_str!("../templates/rust/manifest.toml")),
    ("src/main.rs", include_str!("../templates/rust/src/main.rs")),
    ("tests/protocol.rs", include_str!("../templates/rust/tests/protocol.rs")),
    (".gitignore", "/target/\n/runs/\n"),
];

const NODE: Files = &[
    ("README.md", include_str!("../templates/node/README.md")),
    ("ef.toml", include_str!("../templates/node/ef.toml")),
    ("package.json", include_str!("../templates/node/package.json")),
    ("plugin.mjs", include_str!("../templates/node/plugin.mjs")),
    ("test/plugin.test.mjs", include_str!("../templates/node/test/plugin.test.mjs")),
    (".gitignore", "node_modules/\n/runs/\n"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_every_place_that_it_is_put_in() {
        for good in ["polite", "acme-polite", "x2"] {
            for language in Language::ALL {
                for (path, text) in files(language, good).expect("a good name") {
                    assert!(!text.contains("{{") && !path.to_string_lossy().contains('{'), "{}", path.display());
                }
            }
        }
        for bad in ["", "a", "Polite", "acme_polite", "2x", "-x", "x-", "a--b", "../x", "a b", "é2"] {
            assert!(files(Language::Python, bad).is_err(), "{bad:?}");
        }
        insta::assert_snapshot!(files(Language::Node, "../x").expect_err("no name"), @"a plugin's name is 2 to 40 of a-z, 0-9 and '-', begins with a letter, and has no '-' at its end or twice in a row; `../x` is not");
    }

    #[test]
    fn every_language_is_known_by_its_name() {
        for language in Language::ALL {
            assert_eq!(language.to_string().parse(), Ok(language));
        }
        insta::assert_snapshot!("cobol".parse::<Language>().expect_err("none"), @r#"there is no template for "cobol", only for python, rust and node"#);
    }
}
