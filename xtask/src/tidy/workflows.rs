//! What a workflow may do: run actions that cannot change under it, with the least that it needs.
//!
//! Read line by line, and only in the one form that is written here: what stands in another form is refused rather than
//! understood.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let workflows = tree.ending(".yml").filter(|(path, _)| path.starts_with(".github/"));
    workflows.flat_map(|(path, text)| one(path, text)).collect()
}

fn one(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |line: usize, problem: &str, remedy: &str| {
        findings.push(Finding::new(format!("{path}:{line}"), problem, remedy));
    };
    let lines: Vec<&str> = text.lines().map(without_comment).collect();
    let has = |word: &str| lines.iter().any(|line| line.contains(word));
    for (number, (line, whole)) in (1..).zip(lines.iter().zip(text.lines())) {
        if line.contains("uses") && line.contains(':') && !is_pinned(whole) {
            found(
                number,
                "an action that is not pinned to a commit",
                "write `uses: OWNER/NAME@COMMIT # VERSION`, with the commit's 40 digits",
            );
        }
        if line.contains("pull_request_target") || line.contains("workflow_run") {
            let remedy = "use `pull_request`: it has no secrets and a token that may only read";
            found(number, "a trigger that gives strangers' code our rights", remedy);
        }
        if (line.contains("secrets.") || line.contains("secrets[") || line.contains("inherit")) && has("pull_request") {
            found(
                number,
                "a secret in a workflow that runs for pull requests",
                "move the job to a workflow of its own",
            );
        }
    }
    if !lines.iter().zip(lines.iter().skip(1)).any(|(line, next)| grants_little(line, next)) {
        let remedy =
            "write `permissions:` and `  contents: read` at the top level, and more only in the job that needs it";
        found(1, "it does not give up the rights that it does not need", remedy);
    }
    findings
}

/// The line up to a comment. A `#` within quotes is taken for one too: no workflow here has any.
fn without_comment(line: &str) -> &str {
    line.split(" #").next().unwrap_or(line).strip_prefix('#').map_or(line.split(" #").next().unwrap_or(line), |_| "")
}

/// `uses: owner/name@commit # version`.
fn is_pinned(line: &str) -> bool {
    let words = line.trim().trim_start_matches("- ");
    let Some((action, version)) = words.strip_prefix("uses: ").and_then(|words| words.split_once(" # ")) else {
        return false;
    };
    let Some((name, commit)) = action.split_once('@') else { return false };
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit && name.contains('/') && !name.starts_with('.') && version.starts_with('v')
}

fn grants_little(line: &str, next: &str) -> bool {
    line.trim_end() == "permissions: {}" || (line.trim_end() == "permissions:" && next.trim_end() == "  contents: read")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "on:\n  pull_request: # from anybody\npermissions:\n  contents: read\n\njobs:\n  a:\n    steps:\n      \
                        - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1\n      - run: true\n";

    fn found(text: &str) -> Vec<String> {
        let tree = Tree::of(&[(".github/workflows/ci.yml", text)]);
        check(&tree).iter().map(|it| format!("{}: {}", it.place, it.problem)).collect()
    }

    #[test]
    fn a_workflow_of_pinned_actions_and_few_rights_passes() {
        assert_eq!(found(GOOD), [""; 0]);
    }

    #[test]
    fn an_action_that_is_not_pinned_to_a_commit_is_found_in_every_form() {
        let commit = "3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1";
        for pin in
            ["v7", "main", "3d3c42e # v7.0.1", "3d3c42e5aac5ba805825da76410c181273ba90b1", &format!("\"{commit}\"")]
        {
            let problem = ".github/workflows/ci.yml:9: an action that is not pinned to a commit";
            assert_eq!(found(&GOOD.replace(commit, pin)), [problem], "{pin}");
        }
        for form in
            ["{uses: a/b@v1}", "\"uses\": a/b@v1", "uses : a/b@v1", "uses: ./local", "uses: docker://a@sha256:0"]
        {
            assert_eq!(found(&GOOD.replace("run: true", form)).len(), 1, "{form}");
        }
    }

    #[test]
    fn a_secret_where_strangers_code_runs_is_found() {
        let secret = "run: true ${{ secrets.TOKEN }}";
        let problem = ".github/workflows/ci.yml:10: a secret in a workflow that runs for pull requests";
        assert_eq!(found(&GOOD.replace("run: true", secret)), [problem]);
        let pushed = GOOD.replace("pull_request:", "push:");
        assert_eq!(found(&pushed.replace("run: true", secret)), [""; 0]);
        assert_eq!(found(&GOOD.replace("pull_request:", "pull_request_target:")).len(), 1);
    }

    #[test]
    fn rights_that_are_not_given_up_are_found() {
        let problem = ".github/workflows/ci.yml:1: it does not give up the rights that it does not need";
        for rights in ["", "permissions: write-all\n", "permissions:\n  contents: write\n", "  permissions:\n"] {
            assert_eq!(found(&GOOD.replace("permissions:\n  contents: read\n", rights)), [problem], "{rights}");
        }
        assert_eq!(found(&GOOD.replace("permissions:\n  contents: read\n", "permissions: {}\n")), [""; 0]);
    }
}
