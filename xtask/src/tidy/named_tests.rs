//! Tests by their names.

/// Whether a source has a test of that name.
pub(super) fn has(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let heads = lines.iter().enumerate().filter(|(_, line)| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.starts_with(&head)
    });
    let has_attribute = |(at, _): (usize, &&str)| {
        let above = lines[..at].iter().rev();
        above.take_while(|line| line.starts_with("#[") || line.starts_with("//")).any(|line| is_test(line))
    };
    // A suite for several implementations: a macro makes a test of each function that it lists.
    let suite = source.contains("fn $promise()");
    heads.into_iter().any(has_attribute) || (suite && !name.is_empty() && lines.contains(&name))
}

fn is_test(attribute: &str) -> bool {
    attribute == "#[test]" || attribute.starts_with("#[tokio::test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_a_function_with_the_attribute() {
        let source = "#[test]\n#[should_panic]\nfn one() {}\nfn two() {}\nproptest! {\n    #[test]\n    /// Words.\n    fn \
                      three(x in 0..3) {}\n}\n#[tokio::test(flavor = \"x\")]\nasync fn four() {}\n// fn five()\n";
        for name in ["one", "three", "four"] {
            assert!(has(source, name), "{name}");
        }
        for name in ["two", "five", "on", "one()", "gone", ""] {
            assert!(!has(source, name), "{name}");
        }
    }

    #[test]
    fn what_the_macro_of_a_suite_lists_is_a_test() {
        let list = "    one\n    two\n";
        let suite = format!(
            "macro_rules! suite {{\n{list}    #[test]\n    fn $promise() {{}}\n}}\npub async fn three() {{}}\n"
        );
        assert!(has(&suite, "one") && has(&suite, "two"));
        assert!(!has(&suite, "three") && !has(&suite, "") && !has(list, "one"));
    }
}
