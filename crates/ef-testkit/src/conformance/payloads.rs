//! Payloads: found by their digests, to the byte.

use ef_model::{Digest, Payload, TaskCommit};

use super::{Backend, append, begun, open};
use crate::{commit, item, record};

/// A payload is there after the append that brought it, whichever run that was.
pub async fn payloads_are_found_by_digest_and_shared_by_runs(backend: &dyn Backend) {
    let store = open(backend).await;
    for run in ["first", "second"] {
        let run = begun(&*store, run).await;
        append(&*store, &run, vec![commit(1), commit(2)]).await;
    }
    let [one, two] = [1, 2].map(|row| item(row).input);
    let absent = Payload::from_text("never stored").digest();
    let found = store.payloads(&[two.digest(), absent, one.digest(), two.digest()]).await.expect("readable");
    assert_eq!(found, [Some(two.clone()), None, Some(one), Some(two)]);
    assert_eq!(store.payloads(&[]).await.expect("readable"), []);
}

/// A question for many is answered in its order.
pub async fn many_payloads_are_given_in_the_order_asked_for(backend: &dyn Backend) {
    const RECORDS: u64 = 700;
    let store = open(backend).await;
    let run = begun(&*store, "many").await;
    append(&*store, &run, (1..=RECORDS).map(commit).collect()).await;
    // 400 and 701 have no common divisor; rows above the last were never stored.
    let asked: Vec<u64> = (1..=RECORDS).map(|step| step * 400 % 701 + u64::from(step % 9 == 0) * 1000).collect();
    let digests: Vec<Digest> = asked.iter().map(|&row| item(row).input.digest()).collect();
    let found = store.payloads(&digests).await.expect("readable");
    let expected: Vec<_> = asked.iter().map(|&row| (row <= RECORDS).then(|| item(row).input)).collect();
    assert!(found == expected, "another payload than the one asked for");
}

/// Bytes are bytes.
pub async fn odd_payloads_survive_to_the_byte(backend: &dyn Backend) {
    survives(
        backend,
        &[
            "\"\\u0000 \\ud83d\\ude00 \u{1f600} \u{202e} e\u{301}\"".to_owned(),
            " {\"a\" :1.10, \"a b\":[1E+2,  12345678901234567890123]}\n".to_owned(),
            "null".to_owned(),
            "\"\"".to_owned(),
            "\t[\r\n]\t".to_owned(),
            "\"\u{10ffff}\u{feff}\u{7f}\u{80}\u{2028}\"".to_owned(),
            "\"\\\\N \\\\. \\\\x00 '; DROP TABLE payloads; --\"".to_owned(),
            "-0.0".to_owned(),
            "1e-400".to_owned(),
            format!("{}{}", "[".repeat(60), "]".repeat(60)),
        ],
    )
    .await;
}

/// Large ones too.
pub async fn a_payload_of_sixteen_mebibytes_survives_to_the_byte(backend: &dyn Backend) {
    const CHARACTERS: usize = (16 << 20) / "é\\n".len();
    survives(backend, &[format!("\"{}\"", "é\\n".repeat(CHARACTERS))]).await;
}

async fn survives(backend: &dyn Backend, texts: &[String]) {
    let store = open(backend).await;
    let run = begun(&*store, "odd").await;
    let payloads: Vec<_> = texts.iter().map(|text| Payload::parse(text.as_str()).expect("strict JSON")).collect();
    let of_row = |(payload, row): (&Payload, u64)| {
        let mut record = record(row);
        record.trace.input = Some(payload.digest());
        TaskCommit::new(record, vec![payload.clone()])
    };
    append(&*store, &run, payloads.iter().zip(1..).map(of_row).collect()).await;
    store.close().await;
    let store = open(backend).await;
    let digests: Vec<_> = payloads.iter().map(Payload::digest).collect();
    let found = store.payloads(&digests).await.expect("readable");
    for (found, text) in found.iter().zip(texts) {
        let found = found.as_ref().map(Payload::expose);
        assert!(found == Some(text), "a payload of {} bytes has changed", text.len());
    }
}
