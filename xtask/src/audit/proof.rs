//! The proof that an audit can fail: a workspace with one dependency of each kind that has to be refused. It runs before
//! every audit, by the same program, rules and advisories, and an audit that lets one of them through is none.

use serde_json::Value;

use super::advisories::Advisories;
use super::{Deny, Format};
use crate::step::{self, Failure, cargo};

const WORKSPACE: &str = "fixtures/audit";

/// What has to be refused: the kind of the refusal, the crate, and words that the refusal has to hold.
const REFUSED: [(&str, &str, &str); 4] = [
    ("vulnerability", "smallvec", "cargo update -p smallvec"),
    ("yanked", "cfg-if", "cargo update -p cfg-if"),
    ("unmaintained", "fxhash", "RUSTSEC-2025-0057"),
    ("unlicensed", "fixture-parser", "fixture-parser"),
];

/// The crate that each path of a refusal has to lead to.
const ROOT: &str = "fixture-app";

/// Audits the workspace that has to be refused.
pub(super) fn run(deny: &Deny, advisories: &Advisories, offline: bool) -> Result<(), Failure> {
    let manifest = step::root().join(WORKSPACE).join("Cargo.toml");
    let mut fetch = cargo(["fetch", "--locked", "--quiet", "--manifest-path"]);
    fetch.arg(&manifest).args(offline.then_some("--offline"));
    step::text(&mut fetch).map_err(|failure| {
        Failure::new(format!(
            "{failure}\n    the crates of {WORKSPACE} are not at hand, without which nothing shows that an audit can \
             fail: nothing was audited. Run `cargo xtask audit` once with the network"
        ))
    })?;
    let output = step::output(&mut deny.check(&manifest, advisories, Format::Json))?;
    let found = String::from_utf8_lossy(&output.stderr);
    if !found.lines().any(|line| message(line, "summary").is_some()) {
        let said: Vec<String> = found.lines().map(|line| message(line, "log").unwrap_or(line.to_owned())).collect();
        return Err(Failure::new(format!(
            "cargo-deny could not judge, nothing was audited. It said:\n    {}\n    Offline, this is where the \
             advisories were never fetched, or more than 30 days ago: run `cargo xtask audit` once with the network, or \
             give a copy with --advisory-db DIR",
            said.join("\n    ")
        )));
    }
    let missing = missing(&found);
    if output.status.success() || !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Failure::new(format!(
            "the audit let through what it has to refuse ({missing}), so what it says about this workspace means \
             nothing. Run `cargo deny --manifest-path {WORKSPACE}/Cargo.toml check` to see why"
        )));
    }
    let kinds = REFUSED.map(|(kind, ..)| kind).join(", ");
    eprintln!("    proof: {WORKSPACE} is refused, as it must be ({kinds})");
    Ok(())
}

/// The message of a line of cargo-deny's, if it is of this type.
fn message(line: &str, kind: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["type"] == kind).then(|| line["fields"]["message"].as_str().unwrap_or_default().to_owned())
}

/// What should have been refused and was not, or not with the crate, the path to it and what to do.
fn missing(found: &str) -> Vec<String> {
    let diagnostics: Vec<Value> = found.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let refused = |(kind, name, words): &(&str, &str, &str)| {
        diagnostics.iter().map(|diagnostic| &diagnostic["fields"]).any(|fields| {
            let graph = &fields["graphs"][0];
            let text = format!("{} {}", fields["message"], fields["notes"]);
            fields["severity"] == "error"
                && fields["code"] == *kind
                && graph["Krate"]["name"] == *name
                && leads_to_root(graph)
                && text.contains(words)
        })
    };
    REFUSED.iter().filter(|expected| !refused(expected)).map(|(kind, name, _)| format!("{kind} {name}")).collect()
}

/// Whether a graph of dependents, from a crate upwards, ends at the root.
fn leads_to_root(graph: &Value) -> bool {
    let parents = graph["parents"].as_array().map_or(&[][..], Vec::as_slice);
    graph["Krate"]["name"] == ROOT || parents.iter().any(leads_to_root)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn diagnostic(kind: &str, name: &str, words: &str, severity: &str, root: &str) -> String {
        let root = json!({"Krate": {"name": root}});
        let graph = json!({"Krate": {"name": name}, "parents": [{"Krate": {"name": "between"}, "parents": [root]}]});
        json!({"type": "diagnostic", "fields": {
            "code": kind, "severity": severity, "message": words, "notes": [], "graphs": [graph],
        }})
        .to_string()
    }

    fn all(severity: &str, root: &str) -> String {
        REFUSED.map(|(kind, name, words)| diagnostic(kind, name, words, severity, root)).join("\n")
    }

    #[test]
    fn a_refusal_of_each_kind_is_a_proof() {
        assert_eq!(missing(&all("error", ROOT)), [""; 0]);
    }

    #[test]
    fn what_cargo_deny_says_of_itself_is_no_finding() {
        let line = r#"{"type": "log", "fields": {"level": "ERROR", "message": "stale"}}"#;
        assert_eq!(message(line, "log").as_deref(), Some("stale"));
        assert_eq!(message(line, "summary"), None);
        assert_eq!(message("text", "summary"), None);
    }

    #[test]
    fn a_warning_or_a_refusal_without_the_path_is_no_proof() {
        assert_eq!(missing(&all("warning", ROOT)).len(), REFUSED.len());
        assert_eq!(missing(&all("error", "elsewhere")).len(), REFUSED.len());
        assert_eq!(missing("not JSON\n").len(), REFUSED.len());
        let without_what_to_do = all("error", ROOT).replace("cargo update -p smallvec", "never mind");
        assert_eq!(missing(&without_what_to_do), ["vulnerability smallvec"]);
    }

    #[test]
    fn what_has_to_be_refused_is_in_the_fixture() {
        let lock = step::read_text(&step::root().join(WORKSPACE).join("Cargo.lock")).expect("there is a lock file");
        for (_, name, _) in REFUSED {
            assert!(lock.contains(&format!("name = \"{name}\"")), "{name}");
        }
        assert!(lock.contains(&format!("name = \"{ROOT}\"")));
    }
}
