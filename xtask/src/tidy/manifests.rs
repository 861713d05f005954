//! Every version and every lint is decided once, in the workspace's manifest.

use super::Finding;
use super::metadata::Metadata;
use super::tree::Tree;

pub(super) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let manifests = tree.ending("Cargo.toml").filter(|(path, _)| is_member(path));
    let mut findings: Vec<Finding> = manifests.flat_map(|(path, text)| one(path, text)).collect();
    for member in metadata.crates() {
        let readme = format!("crates/{}/README.md", member.name);
        if tree.text(&readme).is_none_or(|text| text.trim().is_empty()) {
            findings.push(Finding::new(readme, "there is none", "say what the crate is for, with an example"));
        }
    }
    findings
}

fn is_member(path: &str) -> bool {
    let is_crate = path.starts_with("crates/") && path.matches('/').count() == 2;
    is_crate || ["fuzz/Cargo.toml", "xtask/Cargo.toml"].contains(&path)
}

fn one(path: &str, text: &str) -> Vec<Finding> {
    let entries = entries(text);
    let mut findings = Vec::new();
    for entry in entries.iter().filter(|entry| names_a_dependency(&entry.table)) {
        if !inherits(entry, &entries) {
            let place = format!("{path}:{}", entry.line);
            let problem = format!("{} has a version of its own", dependency(entry));
            let remedy = "put the version into [workspace.dependencies] and say `workspace = true` here";
            let finding = Finding::new(place, problem, remedy);
            if findings.iter().all(|it: &Finding| it.problem != finding.problem) {
                findings.push(finding);
            }
        }
    }
    if !entries.iter().any(|entry| entry.table == "lints" && entry.key == "workspace" && entry.value == "true") {
        findings.push(Finding::new(path, "it has lints of its own, or none", "add `[lints]` with `workspace = true`"));
    }
    findings
}

/// One `key = value` of a manifest.
struct Entry {
    line: usize,
    table: String,
    key: String,
    value: String,
}

/// The entries of a manifest. Enough of TOML for the manifests that cargo's users write: tables, and values that may go
/// on over several lines within brackets.
fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut table = String::new();
    let mut depth = 0;
    for (line, words) in (1..).zip(text.lines()) {
        let words = words.split(" #").next().unwrap_or(words).trim();
        if words.is_empty() || words.starts_with('#') {
            continue;
        }
        let inside = depth > 0;
        let header = words.strip_prefix('[').filter(|_| !inside);
        if let Some(name) = header {
            table = name.trim_start_matches('[').trim_end_matches(']').trim().to_owned();
            continue;
        }
        depth += words.matches(['[', '{']).count();
        depth = depth.saturating_sub(words.matches([']', '}']).count());
        if let (true, Some(last)) = (inside, entries.last_mut()) {
            last.value.push_str(words);
        } else if let Some((key, value)) = words.split_once('=') {
            entries.push(Entry { line, table: table.clone(), key: key.trim().into(), value: value.trim().into() });
        }
    }
    entries
}

/// Whether the table lists dependencies, or is itself about one.
fn names_a_dependency(table: &str) -> bool {
    table.split('.').any(|part| matches!(part, "dependencies" | "dev-dependencies" | "build-dependencies"))
}

/// The dependency that an entry is about: its key, or the last part of its table's name.
fn dependency(entry: &Entry) -> &str {
    let own_table = entry.table.rsplit_once("dependencies.").map(|(_, name)| name);
    own_table.unwrap_or_else(|| entry.key.split('.').next().unwrap_or(&entry.key))
}

fn inherits(entry: &Entry, entries: &[Entry]) -> bool {
    let here = |other: &&Entry| other.table == entry.table && dependency(other) == dependency(entry);
    entries.iter().filter(here).any(|other| {
        let value: String = other.value.split_whitespace().collect();
        let key = other.key.split('.').next_back().unwrap_or(&other.key);
        (key == "workspace" && value == "true") || (value.starts_with('{') && value.contains("workspace=true"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "[lints]\nworkspace = true\n";

    fn problems(manifest: &str) -> Vec<String> {
        let found = one("crates/ef-a/Cargo.toml", manifest);
        found.into_iter().map(|finding| format!("{}: {}", finding.place, finding.problem)).collect()
    }

    #[test]
    fn a_manifest_that_inherits_everything_passes() {
        let manifest = format!(
            "[package]\nversion.workspace = true\n{LINTS}[features]\ndefault = [\n  \"a\",\n]\n[dependencies]\n\
             # A word.\na = {{ workspace = true }}\nb.workspace = true\nc = {{ features = [\n  \"x\",\n], workspace=true }}\n\
             [target.'cfg(unix)'.dependencies.d]\nworkspace = true\nfeatures = [\"y\"]\n"
        );
        assert_eq!(problems(&manifest), [""; 0]);
    }

    #[test]
    fn a_version_in_a_member_is_found_in_every_form() {
        let manifest = format!(
            "{LINTS}[dependencies]\na = \"1\"\nb = {{ version = \"1\" }}\nc.path = \"../c\"\n\
             [dev-dependencies.d]\nversion = \"2\"\nfeatures = []\n[build-dependencies]\ne = {{ features = [\n\"x\" ] }}\n"
        );
        let expected = [(4, "a"), (5, "b"), (6, "c"), (8, "d"), (11, "e")]
            .map(|(line, name)| format!("crates/ef-a/Cargo.toml:{line}: {name} has a version of its own"));
        assert_eq!(problems(&manifest), expected);
    }

    #[test]
    fn a_member_without_the_lints_of_the_workspace_is_found() {
        let expected = ["crates/ef-a/Cargo.toml: it has lints of its own, or none"];
        assert_eq!(problems("[package]\n[lints.rust]\nunsafe_code = \"allow\"\n"), expected);
    }

    #[test]
    fn a_crate_without_a_readme_is_found() {
        let found =
            check(&Tree::of(&[("crates/ef-b/README.md", "# ef-b")]), &Metadata::of(&[("ef-a", &[]), ("ef-b", &[])]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "crates/ef-a/README.md");
    }
}
