//! The bridge's modules, and the command line that starts it.

use std::ffi::OsString;

/// What the interpreter runs: it makes modules of the arguments.
const BOOT: &str = include_str!("../../python/boot.py");

/// Every module's name, with a slash at the end where it is a package, and its source.
const MODULES: [(&str, &str); 18] = [
    ("ef_bridge/", include_str!("../../python/ef_bridge/__init__.py")),
    ("ef_bridge.components", include_str!("../../python/ef_bridge/components.py")),
    ("ef_bridge.failures", include_str!("../../python/ef_bridge/failures.py")),
    ("ef_bridge.listing", include_str!("../../python/ef_bridge/listing.py")),
    ("ef_bridge.main", include_str!("../../python/ef_bridge/main.py")),
    ("ef_bridge.records", include_str!("../../python/ef_bridge/records.py")),
    ("ef_bridge.server", include_str!("../../python/ef_bridge/server.py")),
    ("ef_bridge.values", include_str!("../../python/ef_bridge/values.py")),
    ("ef_bridge.workers", include_str!("../../python/ef_bridge/workers.py")),
    ("eval_fabric/", include_str!("../../python/eval_fabric/__init__.py")),
    ("eval_fabric.errors", include_str!("../../python/eval_fabric/errors.py")),
    ("eval_fabric.evaluators/", include_str!("../../python/eval_fabric/evaluators/__init__.py")),
    ("eval_fabric.evaluators.rate_limit", include_str!("../../python/eval_fabric/evaluators/rate_limit.py")),
    ("eval_fabric.evaluators.retry", include_str!("../../python/eval_fabric/evaluators/retry.py")),
    ("eval_fabric.judges/", include_str!("../../python/eval_fabric/judges/__init__.py")),
    ("eval_fabric.judges.builtin", include_str!("../../python/eval_fabric/judges/builtin.py")),
    ("eval_fabric.models", include_str!("../../python/eval_fabric/models.py")),
    ("eval_fabric.registry", include_str!("../../python/eval_fabric/registry.py")),
];

/// The interpreter's arguments for one of the bridge's commands, `list` or `serve`, with its options.
pub(super) fn arguments(command: &str, options: &serde_json::Value) -> Vec<OsString> {
    let modules = MODULES.iter().flat_map(|(name, source)| [*name, *source]);
    let fixed = ["-c", BOOT].into_iter().chain(modules).chain(["--", command]);
    fixed.map(OsString::from).chain([OsString::from(options.to_string())]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_module_of_the_bridge_is_embedded() {
        let mut expected = BTreeSet::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
        let mut folders = vec![root.join("ef_bridge"), root.join("eval_fabric")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "py") {
                    let name = path.strip_prefix(&root).expect("within").with_extension("");
                    let name = name.to_str().expect("ASCII").replace('/', ".");
                    expected.insert(match name.strip_suffix(".__init__") {
                        Some(package) => format!("{package}/"),
                        None => name,
                    });
                }
            }
        }
        let embedded: BTreeSet<_> = MODULES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(embedded, expected);
    }

    #[test]
    fn each_argument_is_shorter_than_the_kernel_allows() {
        // Linux: 128 KiB for one argument.
        for argument in arguments("serve", &serde_json::json!({})) {
            assert!(argument.len() < 64 << 10);
        }
    }
}
