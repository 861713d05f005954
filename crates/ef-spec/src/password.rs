//! Passwords inside URIs: found, so that they are neither shown nor kept.

use std::ops::Range;

/// The places of the passwords in a text: `scheme://user:HERE@host` and `?password=HERE`. A variable such as
/// `${PGPASSWORD}` is a name and not a password.
pub(crate) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(scheme) = text[from..].find("://") {
        let start = from + scheme + "://".len();
        let end = start
            + text[start..]
                .find(|c: char| c.is_whitespace() || "\"'`<>".contains(c))
                .unwrap_or_else(|| text.len() - start);
        let uri = &text[start..end];
        // The last '@': a password that was not escaped may hold one.
        let host = uri.rfind('@').unwrap_or(0);
        if let Some(colon) = uri[..host].find(':') {
            found.push(start + colon + 1..start + host);
        }
        for (position, name) in uri[host..].match_indices("password=") {
            let value = host + position + name.len();
            let length = uri[value..].find(['&', '#']).unwrap_or_else(|| uri.len() - value);
            found.push(start + value..start + value + length);
        }
        from = end;
    }
    found.retain(|range| !range.is_empty() && !is_variable(&text[range.clone()]));
    found
}

fn is_variable(text: &str) -> bool {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(['$', '{', '}']))
}

/// The URI without its password.
pub(crate) fn removed(uri: &str) -> String {
    let mut rest = uri;
    let mut kept = String::with_capacity(uri.len());
    let mut at = 0;
    for range in find(uri) {
        let piece = &uri[at..range.start];
        kept.push_str(if uri[range.end..].starts_with('@') { piece.trim_end_matches(':') } else { piece });
        at = range.end;
        rest = &uri[at..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_password_is_taken_out_of_a_uri_and_everything_else_stays() {
        for (uri, expected) in [
            ("sqlite:///./runs/x.db", "sqlite:///./runs/x.db"),
            ("postgres://u:s3cret@host/db", "postgres://u@host/db"),
            ("postgres://u:p@ss:w/rd@host:5432/db?x=1", "postgres://u@host:5432/db?x=1"),
            ("postgres://host/db?user=u&password=s3cret&x=1", "postgres://host/db?user=u&password=&x=1"),
            ("postgres://u:${PGPASSWORD}@host/db", "postgres://u:${PGPASSWORD}@host/db"),
            ("postgres://u@host:5432/db", "postgres://u@host:5432/db"),
            ("postgres://u:@host/db", "postgres://u:@host/db"),
            ("no uri: a@b", "no uri: a@b"),
        ] {
            assert_eq!(super::removed(uri), expected);
        }
    }
}
