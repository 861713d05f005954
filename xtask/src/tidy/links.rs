//! What the documents point at is there: links between files, the sections and tests that they name, and paths of the
//! repository in code spans and in example commands.

use super::tree::Tree;
use super::{Finding, named_tests};

/// What a path of the repository begins with, where it is not a link.
const REPOSITORY: [&str; 7] = ["crates/", "xtask/", "docs/", "fixtures/", ".cargo/", ".ci/", ".github/"];

/// Documents about the past may name what is gone; their links have to hold all the same.
const HISTORY: [&str; 2] = ["docs/CHANGELOG.md", "docs/decisions/"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (document, text) in tree.ending(".md").filter(|(path, _)| is_document(path)) {
        let history = HISTORY.iter().any(|past| document.starts_with(past));
        for mention in mentions(text) {
            let place = format!("{document}:{}", mention.line);
            match mention.what {
                What::Path(path) if !history && !names_something(tree, path) => {
                    findings.push(Finding::new(place, format!("there is no {path}"), "correct the path"));
                }
                What::Link(target) => {
                    if let Some(problem) = broken(tree, document, target) {
                        findings.push(Finding::new(place, problem, "correct the link"));
                    }
                }
                What::Path(_) => {}
            }
        }
    }
    findings
}

fn is_document(path: &str) -> bool {
    path == "README.md" || path.starts_with("docs/") || (path.starts_with("crates/") && path.ends_with("/README.md"))
}

struct Mention<'a> {
    line: usize,
    what: What<'a>,
}

enum What<'a> {
    Link(&'a str),
    Path(&'a str),
}

/// Everything that a document points at, line by line.
fn mentions(text: &str) -> Vec<Mention<'_>> {
    let mut found = Vec::new();
    // A code span may go on in the next line of its paragraph.
    let mut code = false;
    for (line, words, fenced) in lines(text) {
        code &= !words.trim().is_empty() && !fenced;
        for (at, piece) in words.split('`').enumerate() {
            code ^= at > 0 && !fenced;
            let what: Vec<What<'_>> = if code || fenced { paths(piece).collect() } else { links(piece).collect() };
            found.extend(what.into_iter().map(|what| Mention { line, what }));
        }
    }
    found
}

/// The lines of a document with their numbers, and whether each is within a fenced block.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut fence: Option<&str> = None;
    (1..).zip(text.lines()).filter_map(move |(number, line)| {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            _ => return Some((number, line, fence.is_some())),
        }
        None
    })
}

fn paths(code: &str) -> impl Iterator<Item = What<'_>> {
    let words = code.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | ',' | '='));
    words.filter(|word| REPOSITORY.iter().any(|prefix| word.starts_with(prefix))).map(What::Path)
}

fn links(words: &str) -> impl Iterator<Item = What<'_>> {
    let inline = words.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let attributes =
        ["src=\"", "href=\"", "srcset=\""].into_iter().flat_map(|attribute| words.split(attribute).skip(1));
    let quoted = attributes.filter_map(|rest| rest.split('"').next());
    let definition = words.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target.trim());
    inline.chain(quoted).chain(definition).map(What::Link)
}

/// Whether a path, of which a part may stand for others (`*`, `<name>`, `NNNN`), names something that is there.
fn names_something(tree: &Tree, path: &str) -> bool {
    let path = path.split(['#', ':']).next().unwrap_or(path).trim_end_matches(['.', ';', '/', '…']);
    let certain = path.split('/').take_while(|part| !part.contains(['*', '<', '{', '$']) && !part.contains("NNNN"));
    tree.has(&certain.collect::<Vec<_>>().join("/"))
}

fn broken(tree: &Tree, document: &str, target: &str) -> Option<String> {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| target.starts_with(scheme)) {
        return None;
    }
    let (path, section) = target.split_once('#').map_or((target, None), |(path, section)| (path, Some(section)));
    let path = if path.is_empty() { Some(document.to_owned()) } else { resolved(document, path) };
    let Some(path) = path else { return Some(format!("the link {target} leads out of the repository")) };
    if !tree.has(&path) {
        return Some(format!("the link {target} leads to {path}, which is not there"));
    }
    let section = section?;
    if path.ends_with(".rs") {
        let there = tree.text(&path).is_some_and(|text| named_tests::has(text, section));
        return (!there).then(|| format!("{path} has no test {section}"));
    }
    if !path.ends_with(".md") {
        return None;
    }
    let there = tree.text(&path).is_some_and(|text| sections(text).iter().any(|name| name == section));
    (!there).then(|| format!("{path} has no section #{section}"))
}

/// The path that a link of a document leads to, from the root; `None` where it leaves the repository.
fn resolved(document: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    if link.starts_with('/') {
        parts.clear();
    }
    for part in link.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// The names by which a document's headings can be linked to, as code hosts make them.
fn sections(text: &str) -> Vec<String> {
    let headings = lines(text).filter(|(_, line, fenced)| !fenced && line.starts_with('#'));
    let mut names: Vec<String> = Vec::new();
    for (_, heading, _) in headings {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let copies = names.iter().filter(|other| **other == name).count();
        names.push(if copies == 0 { name } else { format!("{name}-{copies}") });
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(document: &str, text: &str) -> Vec<String> {
        let files = [
            (document, text),
            ("crates/ef-a/src/lib.rs", "#[test]\nfn it_holds() {}\nfn no_test() {}\n"),
            ("docs/spec.md", "# The Spec\n## What `ef run` reads, exactly\n```\n# no heading\n```\n"),
            ("fixtures/a.yaml", ""),
            ("README.md", "# eval-fabric"),
        ];
        let tree = Tree::of(if document == "README.md" { &files[..4] } else { &files });
        check(&tree).into_iter().map(|finding| format!("{}: {}", finding.place, finding.problem)).collect()
    }

    #[test]
    fn what_is_there_passes() {
        let text = "`crates/ef-a/src/lib.rs` and `crates/ef-*/src`, [spec](spec.md), [top](../README.md#eval-fabric)\n\
                    [`part`](spec.md#what-ef-run-reads-exactly), [out](https://example.org/a), [self](#here)\n\
                    # Here\n```console\n$ ef run fixtures/a.yaml --dataset ../elsewhere/x.jsonl\n[no](link.md)\n```\n\
                    [x]: spec.md\n[test](../crates/ef-a/src/lib.rs#it_holds)\n<img src=\"../fixtures/a.yaml\">\n";
        assert_eq!(found("docs/architecture.md", text), [""; 0]);
    }

    #[test]
    fn a_path_in_code_that_is_not_there_is_found() {
        let text = "See `crates/ef-a/src/gone.rs:12`.\n\nAnd `a\ncrates/ef-gone/*/x`.";
        let expected = [
            "docs/architecture.md:1: there is no crates/ef-a/src/gone.rs:12",
            "docs/architecture.md:4: there is no crates/ef-gone/*/x",
        ];
        assert_eq!(found("docs/architecture.md", text), expected);
    }

    #[test]
    fn an_example_command_that_names_a_missing_file_is_found() {
        let text = "```sh\nef run fixtures/b.yaml --dataset=fixtures/a.yaml\n```";
        assert_eq!(found("README.md", text), ["README.md:2: there is no fixtures/b.yaml"]);
    }

    #[test]
    fn a_link_to_nothing_is_found_in_every_form() {
        let text =
            "[a](gone.md) [b](../../shared/x)\n[c]: gone.svg\n<img src=\"gone.png\">\n`[d`](spec.md#gone) [e](#gone)";
        let expected = [
            "docs/a.md:1: the link gone.md leads to docs/gone.md, which is not there",
            "docs/a.md:1: the link ../../shared/x leads out of the repository",
            "docs/a.md:2: the link gone.svg leads to docs/gone.svg, which is not there",
            "docs/a.md:3: the link gone.png leads to docs/gone.png, which is not there",
            "docs/a.md:4: docs/spec.md has no section #gone",
            "docs/a.md:4: docs/a.md has no section #gone",
        ];
        assert_eq!(found("docs/a.md", text), expected);
    }

    #[test]
    fn a_link_to_a_test_that_is_not_there_is_found() {
        let text = "[test](../crates/ef-a/src/lib.rs#it_held) [test](../crates/ef-a/src/lib.rs#no_test)";
        let expected = [
            "docs/SECURITY.md:1: crates/ef-a/src/lib.rs has no test it_held",
            "docs/SECURITY.md:1: crates/ef-a/src/lib.rs has no test no_test",
        ];
        assert_eq!(found("docs/SECURITY.md", text), expected);
    }

    #[test]
    fn a_document_about_the_past_may_name_what_is_gone_but_not_link_to_it() {
        let text = "`crates/ef-gone` was here. [why](gone.md)";
        let expected =
            ["docs/decisions/0001-a.md:1: the link gone.md leads to docs/decisions/gone.md, which is not there"];
        assert_eq!(found("docs/decisions/0001-a.md", text), expected);
    }
}
