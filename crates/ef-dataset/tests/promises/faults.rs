//! Hostile datasets end in messages that a person can act on, and that never quote what the rows hold.

use std::fmt::Write as _;

use ef_dataset::{DatasetOptions, Format, open};
use ef_model::{DatasetRow, Digest, ItemField};

use crate::{dataset, file, options, read, render};

/// Each case with its rendering, for one snapshot.
fn cases(format: Format, cases: &[(&str, &[u8])]) -> String {
    let mut text = String::new();
    for (name, bytes) in cases {
        let rendered = render(dataset(*bytes, options(format, [])));
        assert!(!rendered.contains("SECRET"), "{name} shows content:\n{rendered}");
        writeln!(text, "# {name}\n{rendered}").expect("memory");
    }
    text
}

#[test]
fn a_broken_line_costs_only_itself() {
    let deep = format!("{{\"input\":{}1{}}}\n{{\"input\":2}}", "[".repeat(200), "]".repeat(200));
    let text = cases(
        Format::Jsonl,
        &[
            ("no JSON", b"{\"input\":1}\nSECRET\n{\"input\":3}\n"),
            ("blank lines and CRLF", b"\n{\"input\":1}\r\n  \r\n\r\n{\"input\":2}"),
            ("byte order mark", b"\xef\xbb\xbf{\"input\":1}\n"),
            ("invalid UTF-8", b"{\"input\":\"SECRET\xff\"}\n{\"input\":2}\n"),
            ("NUL bytes", b"{\"input\":\"SECRET\0\"}\n\0\n{\"input\":3}\n"),
            ("the same key twice", b"{\"input\":1,\"input\":\"SECRET\"}\n{\"input\":{\"a\":1,\"\\u0061\":2}}\n{\"input\":3}\n"),
            ("lone surrogate", b"{\"input\":\"SECRET\\ud800\"}\n{\"input\":2}\n"),
            ("a number out of range", b"{\"input\":1e400}\n{\"input\":2}\n"),
            ("too deep", deep.as_bytes()),
            ("no objects", b"[1]\n\"SECRET\"\n17\nnull\n{\"input\":5}\n"),
            ("two values in a line", b"{\"input\":1}{\"input\":\"SECRET\"}\n{\"input\":2}\n"),
            ("cut short", b"{\"input\":1}\n{\"input\":\"SECRET"),
            ("a later row with a column more", b"{\"input\":1}\n{\"input\":2,\"label\":\"SECRET\"}\n{\"input\":3}\n"),
            ("a later row without input", b"{\"input\":1}\n{\"item_id\":\"b\"}\n{}\n"),
            (
                "ids",
                b"{\"input\":1,\"item_id\":\"a\"}\n{\"input\":2,\"item_id\":-17}\n{\"input\":3,\"item_id\":1.5}\n\
                  {\"input\":4,\"item_id\":\"\"}\n{\"input\":5,\"item_id\":\"SECRET\\u001b\"}\n{\"input\":6,\"item_id\":[]}\n\
                  {\"input\":7,\"item_id\":null}\n{\"input\":8,\"item_id\":\"\\u00e9\"}\n"
            ),
            (
                "metadata and reference",
                b"{\"input\":null,\"metadata\":{ \"a\":1.0 }}\n{\"input\":2,\"metadata\":null,\"reference_output\":null}\n\
                  {\"input\":3,\"metadata\":[\"SECRET\"]}\n{\"input\":4,\"reference_output\":12345678901234567890.10}\n"
            ),
            ("UTF-16", b"\xff\xfe{\0\"\0"),
            ("nothing", b""),
        ]
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_json_array_is_read_as_far_as_it_goes() {
    let text = cases(
        Format::Json,
        &[
            ("spaces everywhere", b"\xef\xbb\xbf [ {\"input\" : 1} ,\r\n\t{\"input\":\" [{\\\"\\\\\"} ]\n"),
            ("empty array", b"[]"),
            (
                "faulty elements",
                b"[{\"input\":1},\n {\"input\":\n  tru},\n 17, \"SECRET\", {\"input\":1e400}, nope,{\"input\":7}]",
            ),
            ("wrong bracket", b"[{\"input\":1}, {\"input\":[2}, {\"input\":3}]"),
            ("no comma", b"[{\"input\":1}\n {\"input\":\"SECRET\"}]"),
            ("two commas", b"[{\"input\":1},,{\"input\":2}]"),
            ("a comma at the end", b"[{\"input\":1},]"),
            ("a comma at the start", b"[,{\"input\":1}]"),
            ("not closed", b"[{\"input\":1},\n{\"input\":2}\n"),
            ("cut short", b"[{\"input\":1},\n{\"input\":\"SECRET"),
            ("cut short in a word", b"[{\"input\":1}, nul"),
            ("cut short after a comma", b"[{\"input\":1},"),
            ("trailing text", b"[{\"input\":1}]\n[{\"input\":\"SECRET\"}]"),
            ("an object", b"{\"data\": [{\"input\":\"SECRET\"}]}"),
            ("lines", b"{\"input\":1}\n{\"input\":2}\n"),
            ("a word", b"SECRET"),
            ("nothing", b" \n"),
        ],
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_csv_file_is_read_as_far_as_its_quotes_go() {
    let text = cases(
        Format::Csv,
        &[
            (
                "quotes, line ends and empty cells",
                b"\xef\xbb\xbfinput,reference_output\r\n\"a \"\"b\"\",\r\nc\",d\r\n\r\n,\"\"\n5\" pipe,x\ny,z",
            ),
            ("ragged", b"input,item_id\n1,a\nSECRET\n3,c,SECRET,\n4,d\n"),
            ("invalid UTF-8 and NUL", b"input\n\xff\n\0\nok\n"),
            ("a quote that is never closed", b"input,item_id\n1,a\n\"SECRET,b\n3,c\n"),
            ("text after a closing quote", b"input,item_id\n1,a\n\"SECRET\"x,b\n3,c\n"),
            ("the same column twice", b"input,a,a\n1,2,3\n"),
            ("unknown column", b"input,label\n1,SECRET\n"),
            ("no input", b"item_id\nSECRET\n"),
            ("a quote in the header", b"\"input\nSECRET\n"),
            ("header that is not UTF-8", b"input,\xff\n1,2\n"),
            ("header only", b"input"),
            ("semicolons", b"input;reference_output\nSECRET;2\n"),
            ("empty id", b"input,item_id\n1,\n"),
            (
                "metadata as text",
                b"input,metadata\n1,\"{\"\"a\"\": 1.0}\"\n2,\n3,SECRET\n4,[1]\n5,\"{\"\"a\"\":1,\"\"a\"\":2}\"\n",
            ),
            ("nothing", b""),
            ("only line ends", b"\r\n\n"),
        ],
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_row_over_the_limit_is_measured_and_not_kept() {
    let mut text = String::new();
    let row = |length: usize| format!("{{\"input\":\"{}\"}}", "x".repeat(length - 12));
    for (format, bytes) in [
        (Format::Jsonl, format!("{}\n{}\n{}\n{}", row(40), row(41), row(39), row(100))),
        (Format::Json, format!("[{},{},\n{} ,{}]", row(40), row(41), row(39), row(100))),
        (Format::Csv, format!("input\n{}\n{}\n\"{}\"\n{}", "x".repeat(40), "x".repeat(41), "y\n".repeat(30), "z")),
    ] {
        let options = DatasetOptions { max_item_bytes: 40, ..options(format, []) };
        writeln!(text, "# {format}\n{}", render(dataset(bytes, options))).expect("memory");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_faulty_row_carries_the_digest_of_its_bytes() {
    let long = "x".repeat(200_000);
    let lines = format!("nonsense\r\n{long}\n");
    let mut dataset =
        dataset(lines, DatasetOptions { max_item_bytes: 100, ..options(Format::Jsonl, []) }).expect("open");
    let (rows, error) = read(&mut dataset);
    assert!(error.is_none());
    let digests: Vec<_> = rows
        .iter()
        .map(|row| match row {
            DatasetRow::Faulty { fault, .. } => (fault.bytes, fault.sha256),
            DatasetRow::Item(_) => panic!("no row of these is an item"),
        })
        .collect();
    assert_eq!(digests, [(9, Digest::of(b"nonsense\r")), (200_000, Digest::of(long.as_bytes()))]);
}

/// Opens each of these files, and renders what comes of it with the folder's name left out.
fn opened(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shown = folder.path().to_str().expect("a UTF-8 path");
    std::fs::create_dir(folder.path().join("folder.jsonl")).expect("a folder");
    let mut text = String::new();
    for (name, content) in files {
        let path = folder.path().join(name);
        if !name.starts_with("missing") && !path.exists() {
            std::fs::write(&path, content).expect("a file");
        }
        let rendered = render(open(&path, DatasetOptions::default()));
        assert!(rendered.contains(shown), "{name:?}: the message names no file:\n{rendered}");
        assert!(!rendered.contains("SECRET"), "{name:?} shows content:\n{rendered}");
        writeln!(text, "# {name:?}\n{}", rendered.replace(shown, "DIR")).expect("memory");
    }
    text
}

#[test]
fn an_unreadable_file_says_what_to_do() {
    let text = opened(&[
        ("missing.jsonl", ""),
        ("missing", ""),
        ("folder.jsonl", ""),
        ("dev.txt", "SECRET"),
        ("dev.parquet.gz", "SECRET"),
        ("dev.jsonl.gz", "SECRET IN LONGER TEXT"),
        ("dev.jsonl.zst", "SECRET"),
        ("empty.jsonl.gz", ""),
        ("\u{1b}[2J.csv", "label\nSECRET\n"),
    ]);
    insta::assert_snapshot!(text);
}

#[cfg(feature = "parquet")]
#[test]
fn a_file_that_is_no_parquet_says_so() {
    let text = opened(&[
        ("dev.parquet", "SECRET IN LONGER TEXT"),
        ("empty.parquet", ""),
        ("footer.parquet", "PAR1SECRET\x06\0\0\0PAR1"),
    ]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_stream_says_its_format_or_is_told_it() {
    let mut text = String::new();
    for (name, format, bytes) in [
        ("JSONL", None, &b"\n {\"input\":1}\n"[..]),
        ("JSON", None, b"[{\"input\":1}]"),
        ("Parquet", None, b"PAR1..."),
        ("Parquet as told", Some(Format::Parquet), b"PAR1..."),
        ("CSV", None, b"input\n1\n"),
        ("nothing", None, b""),
    ] {
        let options = DatasetOptions { format, ..DatasetOptions::default() };
        writeln!(text, "# {name}\n{}", render(dataset(bytes, options))).expect("memory");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_file_that_does_not_fit_the_mapping_names_the_columns() {
    use ItemField::{Input, ItemId, Metadata, ReferenceOutput};
    let wide: String = (0..30).map(|column| format!("\"c{column}\":1,")).collect();
    let wide = format!("{{{wide}\"{}\\u001b[2J\":1}}", "long".repeat(30));
    let mut text = String::new();
    for (name, fields, line) in [
        ("a column that is not there", &[(Input, "qestion")][..], r#"{"question":"SECRET"}"#),
        ("a path that leads nowhere", &[(Input, "a.c")], r#"{"a":{"b":"SECRET"}}"#),
        ("a path through a string", &[(Input, "a.b")], r#"{"a":"SECRET"}"#),
        ("an optional column that is not there", &[(Input, "q"), (ReferenceOutput, "ref")], r#"{"q":1}"#),
        ("no input", &[(ItemId, "id")], r#"{"id":1,"q":"SECRET"}"#),
        ("many columns", &[(Input, "q")], &wide),
        ("no columns", &[(Input, "q")], "{}"),
        ("metadata that is no object", &[(Input, "q"), (Metadata, "m")], r#"{"q":1,"m":"SECRET"}"#),
        ("metadata with a column's name", &[(Input, "q")], r#"{"q":1,"metadata":{"a":1},"a":"SECRET"}"#),
        ("unknown key", &[], r#"{"input":1,"label":"SECRET"}"#),
        ("no input and no mapping", &[], r#"{"item_id":"SECRET"}"#),
    ] {
        let options = DatasetOptions {
            format: Some(Format::Jsonl),
            fields: fields.iter().map(|(field, column)| (*field, (*column).to_owned())).collect(),
            ..DatasetOptions::default()
        };
        let rendered = render(dataset(format!("broken\n{line}\n"), options));
        assert!(!rendered.contains("SECRET"), "{name} shows content:\n{rendered}");
        writeln!(text, "# {name}\n{rendered}").expect("memory");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn reading_on_after_an_error_gives_the_same_error() {
    let mut dataset = dataset(&b"[{\"input\":1}"[..], options(Format::Json, [])).expect("open");
    let (rows, first) = read(&mut dataset);
    let (none, second) = read(&mut dataset);
    assert_eq!((rows.len(), none.len()), (1, 0));
    assert_eq!(first.expect("an error").message, second.expect("an error").message);
    let (_folder, path) = file("x.json", b"{}");
    let mut dataset = open(&path, DatasetOptions::default()).expect("open");
    assert!(read(&mut dataset).1.is_some());
    assert!(ef_model::ItemSource::digest(&dataset).is_none(), "a dataset that was not read whole has no digest");
}
