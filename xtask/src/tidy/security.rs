//! What docs/SECURITY.md claims is kept by a test. That the test is there is checked with all other links.

use super::Finding;
use super::tree::Tree;

const DOCUMENT: &str = "docs/SECURITY.md";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let claims = claims(tree.text(DOCUMENT).unwrap_or_default());
    if claims.is_empty() {
        let remedy = "state each claim in a row of a table whose last column is `test`";
        return vec![Finding::new(DOCUMENT, "it makes no claims", remedy)];
    }
    let bare = claims.into_iter().filter(|claim| !claim.test.contains(".rs#"));
    bare.map(|claim| {
        Finding::new(
            format!("{DOCUMENT}:{}", claim.line),
            "a claim without the test that keeps it",
            "link it as [test](../path/to/file.rs#name_of_the_test), or do not claim it",
        )
    })
    .collect()
}

struct Claim<'t> {
    line: usize,
    test: &'t str,
}

/// The rows of all tables whose last column is called `test`.
fn claims(text: &str) -> Vec<Claim<'_>> {
    let mut claims = Vec::new();
    let mut table: Option<&str> = None;
    for (line, words) in (1..).zip(text.lines()) {
        let Some(row) = words.strip_prefix('|') else {
            table = None;
            continue;
        };
        let last = row.trim_end().trim_end_matches('|').rsplit('|').next().unwrap_or_default().trim();
        let is_rule = row.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
        match table {
            None => table = Some(last),
            Some("test") if !is_rule => claims.push(Claim { line, test: last }),
            Some(_) => {}
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        check(&Tree::of(&[(DOCUMENT, text)])).iter().map(|it| format!("{}: {}", it.place, it.problem)).collect()
    }

    #[test]
    fn a_claim_without_a_test_is_found() {
        let text = "| claim | test |\n|---|---|\n| a | [test](../a.rs#b) |\n| b | trust us |\n\n| word | meaning |\n|---|---|\n\
                    | c | d |\n";
        assert_eq!(found(text), ["docs/SECURITY.md:4: a claim without the test that keeps it"]);
    }

    #[test]
    fn a_document_without_claims_is_found() {
        assert_eq!(found("We are very secure.\n"), ["docs/SECURITY.md: it makes no claims"]);
        assert_eq!(check(&Tree::of(&[])).len(), 1);
    }
}
