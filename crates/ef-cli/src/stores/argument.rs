//! A store's URI as an argument of a command that is shown.

use super::DEFAULT;

/// What a next command needs to find the same store: nothing for the one that is used where none is named. The URI is
/// as it was written, but for a password: a `${VAR}` in it is for the shell to fill in, and its value is not shown.
pub(crate) fn argument(uri: &str) -> String {
    if ef_store_sqlite::path_of(uri).is_some_and(|path| Some(path) == ef_store_sqlite::path_of(DEFAULT)) {
        return String::new();
    }
    format!(" --store {}", quoted(&ef_spec::without_password(uri)))
}

/// A URI as one word of a shell.
pub(super) fn quoted(uri: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/.:_-+@%,=".contains(c);
    match uri.chars().all(plain) {
        true => uri.to_owned(),
        false if uri.chars().all(|c| plain(c) || "${}?&".contains(c)) && is_for_the_shell(uri) => format!("\"{uri}\""),
        false => format!("'{}'", uri.replace('\'', r"'\''")),
    }
}

/// Whether there is a variable in it, which a shell fills in between double quotes alone.
fn is_for_the_shell(uri: &str) -> bool {
    uri.contains("${")
}

#[cfg(test)]
mod tests {
    use super::argument;

    #[test]
    fn a_uri_is_one_word_of_a_shell_and_has_no_password() {
        for (uri, expected) in [
            ("sqlite://", ""),
            ("sqlite:///./runs/runs.db", ""),
            ("sqlite:///srv/runs.db", " --store sqlite:///srv/runs.db"),
            ("sqlite://a b.db", " --store 'sqlite://a b.db'"),
            ("sqlite://it's.db", r" --store 'sqlite://it'\''s.db'"),
            ("sqlite://${HOME}/x.db", " --store \"sqlite://${HOME}/x.db\""),
            ("postgres://me:hunter2@host/db", " --store postgres://me@host/db"),
            ("postgres://me:${PGPASSWORD}@host/db", " --store \"postgres://me:${PGPASSWORD}@host/db\""),
            ("postgres://host/db?user=me&password=hunter2", " --store 'postgres://host/db?user=me&password='"),
            ("s3://b/p?format=parquet", " --store 's3://b/p?format=parquet'"),
            (
                "s3://b/p?secret_access_key=hunter2&format=parquet",
                " --store 's3://b/p?secret_access_key=&format=parquet'",
            ),
        ] {
            assert_eq!(argument(uri), expected);
        }
    }
}
