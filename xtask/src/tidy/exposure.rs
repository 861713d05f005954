//! Whoever sees the content of a payload or a secret is listed here, with the reason: one more is a decision.

use std::collections::BTreeMap;

use super::Finding;
use super::tree::Tree;

/// What gives the content of a payload or a secret.
const METHODS: [&str; 3] = ["expose", "expose_shared", "expose_value"];

const LIST: &str = "xtask/src/tidy/exposure.rs";

/// The sources that may see content, and why. Tests and examples may, too.
const MAY_SEE: &[(&str, &str)] = &[
    ("crates/ef-cli/src/commands/run.rs", "opens the store by its URI, which may hold a password"),
    ("crates/ef-cli/src/commands/show.rs", "`ef show --payloads` shows payloads"),
    ("crates/ef-cli/src/compose.rs", "fills in the variables of the store's URI"),
    ("crates/ef-cli/src/dry_run.rs", "`ef run --dry-run --payloads` shows what would be sent"),
    ("crates/ef-cli/src/plugins.rs", "finds the user's folder of manifests by a variable"),
    ("crates/ef-cli/src/plugins/candidate.rs", "looks for a program in the folders of PATH"),
    ("crates/ef-cli/src/prompt.rs", "shows a person at the terminal what they are to judge"),
    ("crates/ef-cli/src/queue.rs", "writes the file in which people are asked"),
    ("crates/ef-client/src/clients.rs", "tells endpoints apart by the digest of their key"),
    ("crates/ef-client/src/http_message.rs", "makes a header of a key"),
    ("crates/ef-client/src/prompt.rs", "fills in the template of a prompt"),
    ("crates/ef-client/src/scrub.rs", "looks for keys in order to take them out"),
    ("crates/ef-client/src/transport.rs", "reads the places of certificates from variables"),
    ("crates/ef-client/src/transport/proxy.rs", "reads proxies, and their passwords, from variables"),
    ("crates/ef-evaluators/src/chat/conversation.rs", "says the input to a model"),
    ("crates/ef-evaluators/src/command.rs", "writes the item to a program"),
    ("crates/ef-evaluators/src/command/program.rs", "gives a program its variables"),
    ("crates/ef-evaluators/src/http.rs", "takes the output out of an answer"),
    ("crates/ef-evaluators/src/json_template.rs", "fills the item into the body of a request"),
    ("crates/ef-evaluators/src/output.rs", "its own tests"),
    ("crates/ef-evaluators/src/path.rs", "looks up a field of the item"),
    ("crates/ef-evaluators/src/recorded.rs", "takes the output out of the item"),
    ("crates/ef-judges/src/contains.rs", "a judge"),
    ("crates/ef-judges/src/exact_match.rs", "a judge"),
    ("crates/ef-judges/src/identity.rs", "a judge"),
    ("crates/ef-judges/src/json_schema.rs", "a judge"),
    ("crates/ef-judges/src/text.rs", "the text that judges score"),
    ("crates/ef-metrics/src/cluster.rs", "puts items into groups by their metadata, and keeps the group's digest"),
    ("crates/ef-model/src/payload.rs", "defines it"),
    ("crates/ef-model/src/secret.rs", "looks for a secret in a text"),
    ("crates/ef-plugin/src/contract/checks.rs", "looks for payloads in messages in order to refuse them"),
    ("crates/ef-plugin/src/contract/samples.rs", "its own tests"),
    ("crates/ef-plugin/src/contract/subject.rs", "compares answers, and gives a config to its factory"),
    ("crates/ef-plugin/src/masking.rs", "looks for the values of variables in order to take them out"),
    ("crates/ef-plugin/src/process/answer.rs", "its own tests"),
    ("crates/ef-plugin/src/process/command.rs", "gives a plugin its variables"),
    ("crates/ef-plugin/src/process/failure.rs", "puts what a plugin said into the detail of an error, for the store"),
    ("crates/ef-plugin/src/process/host.rs", "sends a config; quotes a plugin that has not been sent anything"),
    ("crates/ef-plugin/src/process/wire.rs", "writes items and outputs to a plugin"),
    ("crates/ef-plugin/src/python/interpreter.rs", "finds Python by variables"),
    ("crates/ef-plugin/src/python/listing.rs", "gives Python its variables"),
    ("crates/ef-plugin/src/registry.rs", "gives a config to its factory"),
    ("crates/ef-plugin/src/schema.rs", "checks a config against its schema"),
    ("crates/ef-plugin/src/variables.rs", "fills in `${VAR}`"),
    ("crates/ef-store-parquet/src/connect.rs", "reads the credentials of object storage"),
    ("crates/ef-store-parquet/src/segment.rs", "a store"),
    ("crates/ef-store-postgres/src/new_payloads.rs", "a store"),
    ("crates/ef-store-postgres/src/password_file.rs", "finds the password of a login"),
    ("crates/ef-store-postgres/src/target.rs", "logs in"),
    ("crates/ef-store-postgres/src/uri.rs", "reads a URI that may hold a password"),
    ("crates/ef-store-sqlite/src/known.rs", "a store"),
    ("crates/ef-telemetry/src/exporters.rs", "sends the collector the headers that it asks for"),
    ("crates/ef-telemetry/src/settings/source.rs", "reads the settings of telemetry"),
    ("crates/ef-telemetry/src/settings/tests.rs", "its own tests"),
    ("crates/ef-telemetry/src/transport.rs", "reads certificates, keys and proxies"),
    ("crates/ef-testkit/src/conformance/payloads.rs", "a suite of tests"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    judged(tree, MAY_SEE)
}

fn judged(tree: &Tree, may_see: &[(&str, &str)]) -> Vec<Finding> {
    let may_see: BTreeMap<_, _> = may_see.iter().copied().collect();
    let mut findings = Vec::new();
    for (path, text) in tree.sources().filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/")) {
        let first = (1..).zip(text.lines()).find(|(_, line)| exposes(line));
        match (first, may_see.contains_key(path)) {
            (Some((line, _)), false) => findings.push(Finding::new(
                format!("{path}:{line}"),
                "it sees the content of a payload or a secret, and is not on the list of those who may",
                format!(
                    "pass the payload on as it is; if this has to see it (a store, a judge, an evaluator, what makes a request), \
                     make sure that nothing of it reaches a message, a log or a span, cover it in crates/ef-cli/tests/canary, \
                     and add it with the reason to {LIST}"
                ),
            )),
            (None, true) => findings.push(gone(path)),
            _ => {}
        }
    }
    findings.extend(may_see.keys().filter(|path| tree.text(path).is_none()).map(|path| gone(path)));
    findings
}

fn gone(path: &str) -> Finding {
    Finding::new(LIST, format!("{path} is listed and exposes nothing any more"), "take it off the list")
}

/// Whether a line of code calls one of the methods, or names it as a function.
fn exposes(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or(line);
    METHODS.iter().flat_map(|method| code.match_indices(method).map(move |(at, _)| (at, method.len()))).any(
        |(at, length)| {
            let is_called = code[..at].ends_with('.') || code[..at].ends_with("::");
            let ends = !code[at + length..].starts_with(|next: char| next.is_alphanumeric() || next == '_');
            is_called && ends
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY: &[(&str, &str)] = &[("crates/a/src/store.rs", "a store"), ("crates/a/src/gone.rs", "it did once")];

    #[test]
    fn invariant_8_a_source_that_sees_content_without_being_listed_is_found() {
        let tree = Tree::of(&[
            ("crates/a/src/store.rs", "let text = payload.expose();\n"),
            ("crates/a/src/gone.rs", "//! Once it called payload.expose().\n"),
            ("crates/a/src/new.rs", "//! New.\nlet all = payloads.map(Payload::expose_value);\n"),
            ("crates/a/src/chained.rs", "let text = payload\n    .expose_shared();\n"),
            ("crates/a/src/other.rs", "let risk = the.exposed(); expose(); fn expose_value() {}\n"),
            ("crates/a/tests/test.rs", "payload.expose();\n"),
        ]);
        let found = judged(&tree, MAY);
        let places: Vec<_> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["crates/a/src/chained.rs:2", LIST, "crates/a/src/new.rs:2"], "{found:?}");
        assert!(found[2].remedy.contains("canary"), "{found:?}");
    }

    #[test]
    fn what_is_listed_and_not_there_is_found() {
        let found = judged(&Tree::of(&[("crates/a/src/store.rs", "x.expose()")]), MAY);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn every_listed_source_has_a_reason() {
        assert!(MAY_SEE.iter().all(|(path, why)| path.contains("/src/") && !why.is_empty()));
        assert!(MAY_SEE.is_sorted(), "sorted by path, so that none is there twice unseen");
    }
}
