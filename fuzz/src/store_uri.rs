//! Store URIs: what follows the scheme is the path, and a password goes nowhere.

use ef_spec::parse;
use serde_json::json;

use crate::spec::{ascii, report};

/// Takes the bytes as the URI of a store.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(uri) = std::str::from_utf8(bytes) else { return false };
    password_is_not_kept(uri);
    is_a_path(uri)
}

fn is_a_path(uri: &str) -> bool {
    let path = ef_store_sqlite::path_of(uri);
    assert_eq!(path.is_some(), uri.starts_with("sqlite://"), "the scheme decides");
    let Some(path) = path else { return false };
    let path = path.to_str().expect("a path from a text is a text");
    assert!(!path.is_empty());
    assert!(matches!(uri, "sqlite://" | "sqlite:///") || uri.ends_with(path), "what follows the scheme is the path");
    let again = ef_store_sqlite::path_of(&format!("sqlite://{path}"));
    assert_eq!(again.as_deref(), Some(path.as_ref()), "a path that is shown as a URI names the same file");
    true
}

/// A spec with this URI keeps it without its password, and no report of a mistake beside it shows one.
fn password_is_not_kept(uri: &str) {
    let mut document = json!({
        "schema_version": "1", "id": "a", "version": "1.0.0", "evaluator": {"id": "a.b"}, "judges": [{"id": "a.c"}],
        "runtime": {"trace_store": uri},
    });
    let password = password(uri);
    if let Ok(loaded) = parse("fuzz.json", ascii(&document).as_bytes()) {
        assert_eq!(loaded.spec.runtime.trace_store, uri, "it is used as it is written");
        let kept = loaded.spec.to_value()["runtime"]["trace_store"].to_string();
        assert!(password.is_none_or(|password| !kept.contains(password)), "it is kept");
    }
    let Some(password) = password else { return };
    document["runtime"]["max_retries"] = 99.into();
    document["runtime"]["on_failure"] = uri.into();
    document["judges"][0]["name"] = uri.into();
    document["scoring"] = json!({"metrics": [{"name": uri, "from": uri}, {"name": uri}]});
    document["metadata"] = json!({uri: 1});
    document[uri] = uri.into();
    let Err(errors) = parse("fuzz.json", ascii(&document).as_bytes()) else { return };
    for problem in errors.problems() {
        let report = report(problem);
        assert!(!report.contains(password), "it is shown: {report}");
    }
}

/// The password of a URI, where it is long enough to be told from everything else and is no `${VAR}`.
fn password(uri: &str) -> Option<&str> {
    const TOLD_APART: usize = 8;
    let (scheme, rest) = uri.split_once("://")?;
    let (user, host) = rest.rsplit_once('@')?;
    let (user, password) = user.split_once(':')?;
    let plain = password.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"$".contains(&byte));
    let elsewhere = [":", ""].iter().any(|colon| format!("{scheme}://{user}{colon}@{host}").contains(password));
    let is_scheme = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_line = !uri.contains('\n');
    (plain && is_scheme && is_line && !elsewhere && password.len() >= TOLD_APART).then_some(password)
}
