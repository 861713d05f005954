//! Files that would hurt a reader that trusts them.

const SPEC: &str = "schema_version: \"1\"\nid: a/b\nversion: 1.0.0\nevaluator: {id: own.e}\njudges: [{id: own.j}]\n";

fn billion_laughs() -> String {
    let mut text = format!("{SPEC}metadata:\n  a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("  a{level}: &a{level} [{uses}]\n"));
    }
    text
}

/// Each with a name and what it is.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let spec = |tail: &str| format!("{SPEC}{tail}").into_bytes();
    let config =
        |value: &str| SPEC.replace("{id: own.e}", &format!("\n  id: own.e\n  config:\n    {value}")).into_bytes();
    let runtime = |fields: &str| spec(&format!("runtime:\n  {fields}\n"));
    let mut binary = SPEC.as_bytes().to_vec();
    binary.extend_from_slice(b"description: caf\xe9\n");
    vec![
        ("an alias bomb", billion_laughs().into_bytes()),
        ("a wide alias bomb", spec(&format!("metadata: {{a: &a x, b: [{}]}}\n", "*a,".repeat(30_000)))),
        (
            "a big value used often",
            spec(&format!("metadata:\n  a: &a [{}]\n  b: [{}]\n", "x,".repeat(500), "*a,".repeat(90))),
        ),
        ("an anchor that holds itself", spec("metadata: &m\n  a: *m\n")),
        ("an unknown anchor", spec("description: *nope\n")),
        ("deep lists", spec(&format!("metadata: {}{}\n", "[".repeat(10_000), "]".repeat(10_000)))),
        ("deep mappings", spec(&format!("metadata: {}\n", "{a: ".repeat(10_000)))),
        ("deep blocks", spec(&(0..600).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>())),
        ("deep dashes", spec(&format!("metadata:\n  {}x\n", "- ".repeat(20_000)))),
        ("a key twice", spec("description: a\nruntime: {}\ndescription: b\n")),
        ("a key twice, far apart", spec(&format!("description: a\n{}description: b\n", "# filler\n".repeat(20_000)))),
        ("a key twice in a config", config("pattern: a\n    other: 1\n    \"pattern\": b")),
        ("a custom tag", spec("description: !secret {}\n")),
        ("a tag of another language", spec("description: !!python/object/apply:os.system [id]\n")),
        ("1e400", runtime("task_timeout_seconds: 1e400")),
        ("infinity", runtime("max_cost_usd: .inf")),
        ("not a number", config("x: [.nan, -.INF]")),
        ("NUL", spec("description: a\0b\n")),
        ("an escape sequence", spec("description: \x1b[2J\x1b[1;1Hgood\n")),
        ("text that runs backwards", spec("descripti\u{202e}on: x\n")),
        ("invalid UTF-8", binary),
        ("UTF-16", SPEC.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("more than 1 MiB", spec(&"# filler\n".repeat(120_000))),
        ("1 MiB of values", spec(&format!("metadata:\n{}", "- a\n".repeat(250_000)))),
        ("1 MiB in one line", spec(&format!("metadata: [{}\n", "ab, ".repeat(250_000)))),
        ("1 MiB of one text", spec(&format!("unknown: \"{}\"\n", "x".repeat(1_000_000)))),
        ("1 MiB in one key", spec(&format!("metadata:\n  ? {}\n  : [1]\n", "x".repeat(1_000_000)))),
        ("1 MiB of dashes", b"-".repeat(1 << 20)),
        ("1 MiB of brackets", b"[".repeat(1 << 20)),
        ("1 MiB of quotes", b"'".repeat(1 << 20)),
        ("1 MiB of colons", b"? ".repeat(1 << 19)),
        ("1 MiB of blanks", b" ".repeat(1 << 20)),
        ("1 MiB of tabs", b"\t".repeat(1 << 20)),
        ("1 MiB of comments", b"#\n".repeat(1 << 19)),
        ("1 MiB of one comment", b"#".repeat(1 << 20)),
        ("1 MiB of anchors", b"&a ".repeat((1 << 20) / 3)),
        ("1 MiB of tags", b"!a ".repeat((1 << 20) / 3)),
        ("1 MiB of one tag", b"!a".repeat(1 << 19)),
        ("1 MiB of documents", b"---\n".repeat(1 << 18)),
        ("1 MiB of directives", b"%YAML 1.2\n".repeat(100_000)),
        ("1 MiB of block text", spec(&format!("x: |\n{}", "  a\n".repeat(250_000)))),
        ("1 MiB of escapes", spec(&format!("x: \"{}\"\n", "\\n".repeat(500_000)))),
        ("unknown fields by the thousand", spec(&(0..20_000).map(|n| format!("field{n}: 1\n")).collect::<String>())),
        ("keys by the thousand, all the same", spec(&"a: 1\n".repeat(20_000))),
        (
            "judges by the thousand",
            SPEC.replace("[{id: own.j}]", &format!("[{}]", "{id: own.j},".repeat(15_000))).into_bytes(),
        ),
        ("an empty file", Vec::new()),
        ("blanks", b" \n\n".to_vec()),
        ("comments", b"# schema_version: 1\n".to_vec()),
        ("null", b"null\n".to_vec()),
        ("two documents", spec("---\nid: other\n")),
        ("a list", b"- schema_version: \"1\"\n".to_vec()),
        ("a text", b"hello\n".to_vec()),
        ("merge keys", spec("runtime:\n  <<: {max_retries: 1}\n")),
        ("an integer in quotes", runtime("max_concurrent: \"3\"")),
        ("an integer with an underscore", runtime("max_concurrent: 1_000")),
        ("an integer with a fraction", runtime("max_concurrent: 4.0")),
        ("an integer beyond all types", runtime("max_items: 123456789012345678901234567890123456789012345678901")),
        ("yes", spec("scoring:\n  metrics: [{name: m, bootstrap: yes}]\n")),
        ("on", spec("scoring:\n  metrics: [{name: m, bootstrap: on}]\n")),
        ("keys that are no texts", config("1: a\n    true: b\n    ~: c\n    [x]: d\n    2.5: e")),
        ("tabs for indentation", spec("runtime:\n\tmax_retries: 1\n")),
        ("a colon in a plain text", spec("description: see: below\n")),
        ("an open quote", spec("description: \"never closed\n")),
        ("an open bracket", spec("metadata: {a: b\n")),
        ("a lone surrogate", br#"{"schema_version": "1", "id": "\ud83d"}"#.to_vec()),
        ("an at sign", spec("description: @home\n")),
        ("a bad escape", spec("description: \"\\d+\"\n")),
        ("a password beside a mistake", runtime("trace_store: postgres://user:hunter2@host/db\n  max_retries: 99")),
        ("a name that moves the cursor", spec("\"a\\u001b[2J\\u202e\": 1\n")),
    ]
}
