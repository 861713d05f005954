//! Store URIs of the scheme `sqlite`.

use std::path::PathBuf;

/// The file that a `sqlite://` URI names, or `None` for a URI of another scheme.
///
/// What follows `sqlite://` is the path as it is, without percent-decoding: `sqlite://runs.db` and `sqlite:///./runs.db`
/// are relative, `sqlite:///srv/runs.db` is absolute, and a bare `sqlite://` is `./runs/runs.db`.
#[must_use]
pub fn path_of(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("sqlite://")?;
    let path = match path {
        "" | "/" => "./runs/runs.db",
        _ if path.starts_with("/./") || path.starts_with("/../") => &path[1..],
        _ => path,
    };
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_scheme_is_the_path() {
        let cases = [
            ("sqlite://", Some("./runs/runs.db")),
            ("sqlite:///", Some("./runs/runs.db")),
            ("sqlite://x.db", Some("x.db")),
            ("sqlite:///./x.db", Some("./x.db")),
            ("sqlite:///../x.db", Some("../x.db")),
            ("sqlite:///srv/x y%20.db", Some("/srv/x y%20.db")),
            ("postgres://host/db", None),
            ("x.db", None),
        ];
        for (uri, path) in cases {
            assert_eq!(path_of(uri), path.map(PathBuf::from), "{uri}");
        }
    }
}
