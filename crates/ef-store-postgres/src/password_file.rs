//! The password file `.pgpass`, as "The Password File" in Postgres's documentation describes it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use ef_model::Secret;

/// Larger than any password file.
const MAX_BYTES: u64 = 1 << 20;

/// What a password is looked up by.
pub(crate) struct Login<'l> {
    /// Host name, address, or the folder of a socket.
    pub(crate) host: &'l str,
    pub(crate) port: u16,
    pub(crate) database: &'l str,
    pub(crate) user: &'l str,
}

/// What a password file says.
pub(crate) enum Found {
    /// The password.
    Password(Secret),
    /// There is no such file, or no such login in it.
    Nothing,
    /// It is not read, and why not.
    Ignored(String),
}

/// Looks a login up. Like libpq, it does not read a file that others may read.
pub(crate) fn look_up(path: &Path, login: &Login<'_>) -> Found {
    match read(path) {
        Ok(Some(text)) => find(text.expose(), login).map_or(Found::Nothing, Found::Password),
        Ok(None) => Found::Ignored(format!(
            "{} was not read, because others than its owner may read it or it is no plain file (chmod 0600)",
            path.display()
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
        Err(error) => Found::Ignored(format!("{} cannot be read: {}", path.display(), error.kind())),
    }
}

/// The file's text; none where others may read it.
fn read(path: &Path) -> io::Result<Option<Secret>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    #[cfg(unix)]
    let is_private = std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 == 0;
    #[cfg(not(unix))]
    let is_private = true;
    if !is_private || !metadata.is_file() {
        return Ok(None);
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(Some(Secret::new(text)))
}

fn find(text: &str, login: &Login<'_>) -> Option<Secret> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password_of(line, login))
}

/// The password of a line `host:port:database:user:password`, if the line is about the login.
fn password_of(line: &str, login: &Login<'_>) -> Option<Secret> {
    let port = login.port.to_string();
    let is_local = login.host.starts_with('/');
    let mut fields = Fields(line);
    let host = fields.next()?;
    let fits = host == "*" || host == login.host || (is_local && host == "localhost");
    let rest = [port.as_str(), login.database, login.user];
    let fits = rest.into_iter().try_fold(fits, |fits, value| {
        let field = fields.next()?;
        Some(fits && (field == "*" || field == value))
    })?;
    let password = fields.next()?;
    (fits && !password.is_empty()).then(|| Secret::new(password))
}

/// The fields of a line, of which `\:` and `\\` are parts.
struct Fields<'l>(&'l str);

impl Iterator for Fields<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut field = String::new();
        let mut characters = self.0.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                ':' => {
                    self.0 = &self.0[place + 1..];
                    return Some(field);
                }
                '\\' => field.extend(characters.next().map(|(_, escaped)| escaped)),
                other => field.push(other),
            }
        }
        self.0 = "";
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOGIN: Login<'_> = Login { host: "db", port: 5432, database: "evals", user: "ada" };

    fn password(text: &str, login: &Login<'_>) -> Option<String> {
        find(text, login).map(|password| password.expose().clone())
    }

    #[test]
    fn the_first_line_that_fits_gives_the_password() {
        let text = "# db:5432:evals:ada:commented\n\
                    other:5432:evals:ada:a\n\
                    db:1:evals:ada:b\n\
                    db:5432:evals:ada:c\\:c\\\\\n\
                    *:*:*:*:d\n";
        assert_eq!(password(text, &LOGIN).as_deref(), Some("c:c\\"));
        assert_eq!(password(text, &Login { user: "bob", ..LOGIN }).as_deref(), Some("d"));
        assert_eq!(password("localhost:*:*:*:e", &Login { host: "/run/pg", ..LOGIN }).as_deref(), Some("e"));
        assert_eq!(password("localhost:*:*:*:e", &LOGIN), None);
        for broken in ["", ":", "db:5432", "db:5432:evals:ada:", "db:5432:evals:ada", "\\"] {
            assert_eq!(password(broken, &LOGIN), None, "{broken}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_not_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pgpass");
        assert!(matches!(look_up(&path, &LOGIN), Found::Nothing), "there is none");
        std::fs::write(&path, "*:*:*:*:geheim").expect("written");
        for (mode, is_read) in [(0o600, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            match look_up(&path, &LOGIN) {
                Found::Password(password) => assert!(is_read && password.expose() == "geheim"),
                Found::Ignored(why) => assert!(!is_read && why.contains("0600") && !why.contains("geheim")),
                Found::Nothing => panic!("the file was not found"),
            }
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "[a-z:\\\\*#é\\n]{0,40}") {
            let _ = find(&text, &LOGIN);
        }
    }
}
