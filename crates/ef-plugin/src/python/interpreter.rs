//! Which interpreter runs the plugins.

use std::path::{Path, PathBuf};

use ef_model::Environment;

use super::PythonError;

/// A Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    program: PathBuf,
}

impl Interpreter {
    /// The interpreter that is configured, else that of the active virtual environment, else none. The one that happens to
    /// be first on the `PATH` is never taken unless it is named.
    ///
    /// `configured` is a program's name, which is looked for on the environment's `PATH`, or the path of a program or of a
    /// virtual environment, relative to `folder`.
    ///
    /// # Errors
    ///
    /// When the one that is configured or active is not there.
    pub fn find(
        configured: Option<&Path>,
        folder: &Path,
        environment: &Environment,
    ) -> Result<Option<Self>, PythonError> {
        if let Some(named) = configured {
            let is_name = named.components().count() == 1 && !folder.join(named).is_dir();
            let found = match is_name {
                true => on_path(named, environment),
                false => program_at(&folder.join(named)),
            };
            let missing = || PythonError::NoInterpreter { path: named.to_owned(), origin: "named in ef.toml" };
            return found.map(|program| Some(Self { program })).ok_or_else(missing);
        }
        let active = environment.get("VIRTUAL_ENV").filter(|folder| !folder.expose().is_empty());
        let Some(active) = active else { return Ok(None) };
        let path = PathBuf::from(active.expose());
        match program_at(&path) {
            Some(program) => Ok(Some(Self { program })),
            None => Err(PythonError::NoInterpreter { path, origin: "named by VIRTUAL_ENV" }),
        }
    }

    /// The interpreter's path. Not resolved: in a virtual environment it is a link whose place is what counts.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }
}

/// A program, or that of a virtual environment's folder.
fn program_at(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return ["bin/python3", "bin/python"].iter().map(|name| path.join(name)).find(|program| program.is_file());
    }
    path.is_file().then(|| path.to_owned())
}

fn on_path(name: &Path, environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH")?;
    std::env::split_paths(path.expose())
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn environment(variables: &[(&str, &Path)]) -> Environment {
        let text = |path: &Path| path.to_str().expect("a text").to_owned();
        Environment::new(variables.iter().map(|(name, value)| ((*name).to_owned(), text(value))))
    }

    fn folder_with(programs: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for program in programs {
            let path = folder.path().join(program);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, "").expect("a file");
        }
        folder
    }

    #[test]
    fn the_interpreter_on_the_path_is_taken_only_when_named() {
        let folder = folder_with(&["usr/python3"]);
        let environment = environment(&[("PATH", &folder.path().join("usr"))]);
        let find = |named| Interpreter::find(named, folder.path(), &environment).expect("no error");
        assert_eq!(find(None), None);
        let found = find(Some(Path::new("python3"))).expect("an interpreter");
        assert_eq!(found.program(), folder.path().join("usr/python3"));
    }

    #[test]
    fn what_is_configured_goes_before_what_is_active() {
        let folder = folder_with(&["venv/bin/python", "other/bin/python3", "my/python"]);
        let environment = environment(&[("VIRTUAL_ENV", &folder.path().join("venv"))]);
        let find = |named: Option<&str>| {
            let found = Interpreter::find(named.map(Path::new), folder.path(), &environment).expect("no error");
            found.expect("an interpreter").program().strip_prefix(folder.path()).expect("within").to_owned()
        };
        assert_eq!(find(None), Path::new("venv/bin/python"));
        assert_eq!(find(Some("other")), Path::new("other/bin/python3"));
        assert_eq!(find(Some("./my/python")), Path::new("my/python"));
    }

    #[test]
    fn an_interpreter_that_is_not_there_is_an_error_that_says_who_named_it() {
        let folder = folder_with(&[]);
        let none = Environment::default();
        let error = Interpreter::find(Some(Path::new("gone/python")), folder.path(), &none).expect_err("an error");
        insta::assert_snapshot!(error, @"there is no Python interpreter at gone/python (named in ef.toml)");
        let environment = environment(&[("VIRTUAL_ENV", Path::new("/gone"))]);
        let error = Interpreter::find(None, folder.path(), &environment).expect_err("an error");
        insta::assert_snapshot!(error, @"there is no Python interpreter at /gone (named by VIRTUAL_ENV)");
    }
}
