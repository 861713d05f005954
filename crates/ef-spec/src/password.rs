//! Passwords inside URIs: found, so that they are neither shown nor kept.

use std::ops::Range;

/// The text with stars in the place of each password, and of the same length in bytes.
pub(crate) fn masked(mut text: String) -> String {
    for range in find(&text) {
        let stars = "*".repeat(range.len());
        text.replace_range(range, &stars);
    }
    text
}

/// A store's URI without its password: what may be shown and kept of it. Everything else stays as it is.
///
/// A password is what stands between a user and `@`, or in a parameter whose name says so, such as `password` or
/// `secret_access_key`. A variable such as `${PGPASSWORD}` is a name and not a password.
#[must_use]
pub fn without_password(uri: &str) -> String {
    let Some((scheme, _)) = uri.split_once(MARK) else { return uri.to_owned() };
    let mut rest = uri;
    let mut kept = String::with_capacity(uri.len());
    let mut at = 0;
    for range in of_uri(uri, scheme.len() + MARK.len()) {
        let piece = &uri[at..range.start];
        kept.push_str(if uri[range.end..].starts_with('@') { piece.trim_end_matches(':') } else { piece });
        at = range.end;
        rest = &uri[at..];
    }
    kept.push_str(rest);
    kept
}

/// What stands between a URI's scheme and the rest of it.
const MARK: &str = "://";
/// What the name of a parameter has in it that holds a secret, in small letters.
const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "pwd", "secret", "token", "access_key", "account_key", "credential", "signature"];

/// The places of the passwords of all URIs in a text: `scheme://user:HERE@host` and `?password=HERE`.
fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(scheme) = text[from..].find(MARK) {
        let start = from + scheme + MARK.len();
        let end = start + length(&text[..from + scheme], &text[start..]);
        found.extend(of_uri(&text[..end], start));
        from = end;
    }
    found
}

/// The length of the URI that `rest` begins with. A password may hold any character, so that only the quote with which
/// the URI begins ends it; without one a blank does, and where a text begins with the URI, the end of its line.
fn length(before: &str, rest: &str) -> usize {
    let scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let close = match before.trim_end_matches(scheme).chars().next_back() {
        Some(quote @ ('"' | '\'' | '`')) => quote,
        Some('<') => '>',
        None => '\n',
        _ => return rest.find(char::is_whitespace).unwrap_or(rest.len()),
    };
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let doubled = c == '\'' && characters.peek().is_some_and(|(_, next)| *next == '\'');
        if (c == '\\' && close == '"') || (close == '\'' && doubled) {
            characters.next();
        } else if c == close || c == '\n' {
            return at;
        }
    }
    rest.len()
}

/// The places of the passwords of one URI, which begins behind its scheme at `start` and ends with the text. A variable
/// such as `${PGPASSWORD}` is a name and not a password.
fn of_uri(text: &str, start: usize) -> Vec<Range<usize>> {
    let uri = &text[start..];
    let mut found = Vec::new();
    // The last '@': a password that was not escaped may hold one.
    let host = uri.rfind('@').unwrap_or(0);
    if let Some(colon) = uri[..host].find(':') {
        found.push(start + colon + 1..start + host);
    }
    let mut from = host;
    while let Some(equals) = uri[from..].find('=') {
        let value = from + equals + 1;
        let name = &uri[from..value - 1];
        let name = &name[name.rfind(['?', '&', ';', '/']).map_or(0, |mark| mark + 1)..];
        let end = value + uri[value..].find(['&', '#']).unwrap_or_else(|| uri.len() - value);
        // A name that is encoded may be any.
        if name.contains('%') || SECRET_NAMES.iter().any(|secret| name.to_ascii_lowercase().contains(secret)) {
            found.push(start + value..start + end);
            from = end;
        } else {
            from = value;
        }
    }
    found.retain(|range| !range.is_empty() && !is_variable(&text[range.clone()]));
    found
}

fn is_variable(text: &str) -> bool {
    text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).is_some_and(|name| !name.contains(['$', '{', '}']))
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
            ("postgres://host/db?password=password=s3cret", "postgres://host/db?password="),
            ("postgres://host/db?sslmode=require&PASSWORD=s3cret", "postgres://host/db?sslmode=require&PASSWORD="),
            ("postgres://host/db?pass%77ord=s3cret&x=1", "postgres://host/db?pass%77ord=&x=1"),
            ("postgres://host/db?sslpassword=s3cret#x", "postgres://host/db?sslpassword=#x"),
            ("s3://b/p?format=parquet&secret_access_key=a/b+c=&x=1", "s3://b/p?format=parquet&secret_access_key=&x=1"),
            ("s3://b/p?aws_session_token=s3cret", "s3://b/p?aws_session_token="),
            ("s3://b/p=q?format=parquet&endpoint=http%3A%2F%2Fh", "s3://b/p=q?format=parquet&endpoint=http%3A%2F%2Fh"),
            ("postgres://host/db?password=${PGPASSWORD}", "postgres://host/db?password=${PGPASSWORD}"),
            ("postgres://u:${PGPASSWORD}@host/db", "postgres://u:${PGPASSWORD}@host/db"),
            ("postgres://u@host:5432/db", "postgres://u@host:5432/db"),
            ("postgres://u:@host/db", "postgres://u:@host/db"),
            ("postgres://u:a<b'c \"d@host/db", "postgres://u@host/db"),
            ("no uri: a@b", "no uri: a@b"),
        ] {
            assert_eq!(super::without_password(uri), expected);
        }
    }

    #[test]
    fn a_password_in_a_text_is_masked_to_the_quote_or_blank_that_ends_its_uri() {
        for (text, expected) in [
            ("postgres://u:s3 cret@h/db", "postgres://u:*******@h/db"),
            ("a: postgres://u:s3cret@h/db, b: x@y", "a: postgres://u:******@h/db, b: x@y"),
            ("a: 'postgres://u:s3\"cr et@h/db', b: x@y", "a: 'postgres://u:********@h/db', b: x@y"),
            ("a: 'postgres://u:it''s@h/db'", "a: 'postgres://u:*****@h/db'"),
            (r#"{"a":"postgres://u:s\"3'cret@h/db","b":"x@y"}"#, r#"{"a":"postgres://u:*********@h/db","b":"x@y"}"#),
            ("<postgres://u:s'3@h>, x@y, http://h:80/ z@y", "<postgres://u:***@h>, x@y, http://h:80/ z@y"),
            ("\"postgres://u:never closed\nb: x@y", "\"postgres://u:never closed\nb: x@y"),
        ] {
            assert_eq!(super::masked(text.to_owned()), expected);
        }
    }
}
