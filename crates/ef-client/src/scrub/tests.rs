//! A key does not come back. In which forms it is found is tested where it is looked for, in ef-model.

use super::*;

const KEY: &str = r#"sk-live/a"b\c+0123456789"#;

fn scrubbed(text: &str) -> String {
    let mut text = text.to_owned();
    Scrubber::new(Some(&Secret::new(KEY.to_owned()))).text(&mut text);
    text
}

#[test]
fn a_secret_is_removed_however_it_is_escaped() {
    let json = serde_json::Value::from(KEY).to_string();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(scrubbed(&format!("Bearer {KEY}!")), "Bearer [redacted]!");
    assert_eq!(scrubbed(&json), r#""[redacted]""#);
    assert_eq!(scrubbed(&percent), "[redacted]");
    assert_eq!(scrubbed(&format!("{KEY}{KEY} {KEY}")), "[redacted][redacted] [redacted]");
}

#[test]
fn a_placeholder_is_no_secret() {
    let scrubber = Scrubber::new(Some(&Secret::new("EMPTY".to_owned())));
    let mut text = "the list is EMPTY".to_owned();
    scrubber.text(&mut text);
    assert_eq!(text, "the list is EMPTY");
}

#[test]
fn a_secret_that_a_cut_goes_through_leaves_nothing_behind() {
    let scrubber = Scrubber::new(Some(&Secret::new(KEY.to_owned())));
    let text = format!("{}{KEY} and more", "x".repeat(300));
    for most in 290..340 {
        let seen: Bytes = text.as_bytes()[..=most.min(text.len() - 1)].to_vec().into();
        let kept = String::from_utf8_lossy(&scrubber.beginning(seen, most)).into_owned();
        assert!(!kept.contains("sk-"), "{most}: {kept}");
        assert!(kept.len() <= most);
    }
}

#[test]
fn headers_are_scrubbed_too() {
    let mut headers = HeaderMap::new();
    headers.insert("x-echo", HeaderValue::from_static("Bearer 0123456789abcdef"));
    Scrubber::new(Some(&Secret::new("0123456789abcdef".to_owned()))).headers(&mut headers);
    assert_eq!(headers["x-echo"], "Bearer [redacted]");
}
