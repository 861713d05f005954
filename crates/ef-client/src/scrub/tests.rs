//! Whatever way a secret is written, it does not come back.

use proptest::prelude::*;

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
    let json_twice = serde_json::Value::from(json.as_str()).to_string();
    let unicode: String = KEY.chars().map(|c| format!("\\u{:04X}", c as u32)).collect();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let slashed = KEY.replace('\\', "\\\\").replace('/', "\\/").replace('"', "\\\"");
    assert_eq!(scrubbed(&format!("Bearer {KEY}!")), "Bearer [redacted]!");
    assert_eq!(scrubbed(&json), r#""[redacted]""#);
    assert!(scrubbed(&json_twice).contains("[redacted]"), "{}", scrubbed(&json_twice));
    assert_eq!(scrubbed(&unicode), "[redacted]");
    assert_eq!(scrubbed(&percent), "[redacted]");
    assert_eq!(scrubbed(&slashed), "[redacted]");
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

proptest! {
    #[test]
    fn no_secret_survives_in_any_mixture(
        secret in "[ -~]{8,20}",
        before in "[\\\\%a-z\"u0]{0,20}",
        after in "[\\\\%a-z\"u0]{0,20}",
        forms in prop::collection::vec(0..3_u8, 20),
    ) {
        prop_assume!(!REPLACEMENT.contains(&secret));
        let written: String = secret.bytes().zip(forms).map(|(byte, form)| match form {
            // A backslash that stands as it is would escape what follows.
            0 if byte != b'\\' => char::from(byte).to_string(),
            1 => format!("%{byte:02X}"),
            _ => format!("\\u{byte:04x}"),
        }).collect();
        let mut text = format!("{before} {written} {after}");
        Scrubber::new(Some(&Secret::new(secret.clone()))).text(&mut text);
        prop_assert!(text.contains(REPLACEMENT), "{text}");
        prop_assert!(!text.contains(&secret));
    }

    #[test]
    fn what_holds_no_secret_stays_as_it_is(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let scrubber = Scrubber::new(Some(&Secret::new("a secret that is not in there".to_owned())));
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(scrubber.bytes(bytes.clone()), bytes);
    }
}
