//! Several votes that become one score.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::ErrorKind;

use super::*;

/// A model that gives these scores in turn; `Null` stands for an answer that cannot be read.
fn in_turn(scores: &[Value]) -> Script {
    let (scores, next) = (scores.to_vec(), AtomicUsize::new(0));
    Script::new(move |call| match &scores[next.fetch_add(1, Ordering::Relaxed) % scores.len()] {
        Value::Null => Reply::text("hm"),
        Value::String(word) if word == "none" => verdict(call, Value::Null),
        score => verdict(call, score.clone()),
    })
}

async fn decided(scores: Value, more: Value) -> Value {
    let Value::Array(scores) = scores else { panic!("not a list") };
    let mut config = json!({"votes": scores.len(), "max_parse_retries": 0});
    let (Value::Object(all), Value::Object(more)) = (&mut config, more) else { panic!("not maps") };
    all.extend(more);
    match Court::new(in_turn(&scores), config).await.judge("Paris").await {
        Ok(verdict) => serde_json::to_value(verdict.score).expect("JSON"),
        Err(error) => json!(error.code),
    }
}

#[tokio::test]
async fn votes_become_the_majority_or_the_mean() {
    let scale = json!({"scale": {"min": 1, "max": 5}});
    assert_eq!(decided(json!(["pass", "fail", "pass"]), json!({})).await, json!(true));
    assert_eq!(decided(json!(["pass", "fail"]), json!({})).await, json!(false), "a tie goes against the output");
    assert_eq!(decided(json!(["pass", "fail"]), json!({"aggregate": "mean"})).await, json!(0.5));
    assert_eq!(decided(json!([1, 2, 5, 2]), scale.clone()).await, json!(2.5));
    let majority = json!({"scale": {"min": 1, "max": 5}, "aggregate": "majority"});
    assert_eq!(decided(json!([1, 5, 5, 1, 4]), majority).await, json!(1.0));
    let labels = json!({"labels": {"bad": 0, "fair": 0.5, "good": 1}});
    assert_eq!(decided(json!(["bad", "good", "good"]), labels).await, json!({"label": "good", "score": 1.0}));
}

#[tokio::test]
async fn a_score_never_comes_of_fewer_votes_than_it_must_have() {
    assert_eq!(decided(json!(["pass", null, "pass"]), json!({})).await, json!("verdict_missing"));
    assert_eq!(decided(json!(["pass", null, "pass"]), json!({"min_votes": 2})).await, json!(true));
    assert_eq!(decided(json!(["pass", null, null]), json!({"min_votes": 2})).await, json!("verdict_missing"));
    // Votes that decline are answers, but no scores.
    let declining = json!({"allow_unscored": true});
    assert_eq!(decided(json!(["pass", "none", "pass"]), declining.clone()).await, json!(null));
    assert_eq!(decided(json!(["pass", "none", null]), declining).await, json!("verdict_missing"));
    let two = json!({"allow_unscored": true, "min_votes": 2});
    assert_eq!(decided(json!(["pass", "none", "pass"]), two.clone()).await, json!(true));
    assert_eq!(decided(json!(["pass", "none", null]), two).await, json!(null));
}

#[tokio::test]
async fn votes_are_asked_at_the_same_time_each_with_its_seed_and_all_are_kept() {
    let script = giving("pass").delayed(Duration::from_millis(100));
    let court = Court::new(script, json!({"votes": 3, "seed": 20})).await;
    let verdict = court.judge("Paris").await.expect("a verdict");
    let said = json!({"score": "pass", "reasoning": "so it is"});
    assert_eq!(verdict.rationale.map(|why| why.expose_value()), Some(json!({"votes": [said, said, said]})));
    assert_eq!(court.server.counts().most_in_flight, 3);
    let requests = court.server.requests();
    let mut seeds: Vec<_> = requests.iter().filter_map(|request| request.json()["seed"].as_u64()).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [20, 21, 22]);
    assert_eq!(court.judge.requests(), 3);
}

#[tokio::test]
async fn the_failure_that_does_not_go_away_stands_for_all() {
    let script = giving("pass").first(1, Reply::error(500)).first(1, Reply::error(401));
    let error = Court::new(script, json!({"votes": 3})).await.error("Paris").await;
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "http_401"));
    assert!(error.message.starts_with("2 of 3 votes failed: "), "{error}");
    assert!(error.usage.output_tokens.is_some(), "the vote that was given was paid for");
}
