//! Every direct dependency is pinned to a range of compatible versions, from a registry. That the ranges stand in one
//! place, the workspace's manifest, is tidy's to check.

use crate::packages::{Dependency, Packages};

/// What is wrong with the dependencies of the workspace's members, a line each.
pub(super) fn findings(packages: &Packages) -> Vec<String> {
    let mut findings: Vec<String> = packages
        .members()
        .flat_map(|member| {
            let problems = member.dependencies.iter().filter_map(|dependency| Some((dependency, problem(dependency)?)));
            problems.map(|(dependency, problem)| format!("{}: {} {problem}", member.name, dependency.name))
        })
        .collect();
    findings.sort();
    findings.dedup();
    findings
}

fn problem(dependency: &Dependency) -> Option<String> {
    let req = dependency.req.as_str();
    match dependency.source.as_deref() {
        // A member of the workspace; cargo itself refuses another folder when the crate is packed.
        None if dependency.path.is_some() => None,
        Some(source) if !source.starts_with("registry+") && !source.starts_with("sparse+") => {
            Some("comes from outside a registry, where what a version means can change".to_owned())
        }
        _ if !is_compatible(req) => Some(format!("may be any of `{req}`: name a version, such as \"1.2\"")),
        _ => None,
    }
}

/// Whether a requirement ends before the next incompatible version, or earlier.
fn is_compatible(req: &str) -> bool {
    let bounded = |comparator: &str| comparator.trim_start().starts_with(['^', '=', '~', '<']);
    !req.contains('*') && req.split(',').any(bounded)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(req: &str, source: Option<&str>, path: Option<&str>) -> Vec<String> {
        let dependency = json!({"name": "b", "req": req, "source": source, "path": path});
        let member = json!({"id": "a", "name": "a", "version": "1.0.0", "dependencies": [dependency]});
        let packages = json!({"packages": [member], "workspace_members": ["a"], "target_directory": ""});
        findings(&serde_json::from_value(packages).expect("it has the shape of cargo's metadata"))
    }

    const REGISTRY: Option<&str> = Some("registry+https://example.org/index");

    #[test]
    fn a_compatible_range_from_a_registry_passes() {
        for req in ["^1", "^0.3", "=2.1.1", "~1.2", ">=1.2, <2"] {
            assert_eq!(found(req, REGISTRY, None), [""; 0], "{req}");
        }
        assert_eq!(found("*", None, Some("crates/b")), [""; 0]);
    }

    #[test]
    fn a_range_without_an_end_is_found() {
        for req in ["*", "1.*", ">=1", ">1.2"] {
            let expected = format!("a: b may be any of `{req}`: name a version, such as \"1.2\"");
            assert_eq!(found(req, REGISTRY, None), [expected]);
        }
    }

    #[test]
    fn a_dependency_on_a_git_repository_is_found() {
        let found = found("^1", Some("git+https://example.org/b"), None);
        assert_eq!(found, ["a: b comes from outside a registry, where what a version means can change"]);
    }
}
