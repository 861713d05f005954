//! What judging uses and what it can cost.

use ef_model::{Pricing, Usage};
use ef_testkit::model_server::Tokens;

use super::*;

const PRICE: &str = r#"{"input_usd_per_million_tokens": 2, "output_usd_per_million_tokens": 8}"#;

fn price() -> Value {
    serde_json::from_str(PRICE).expect("JSON")
}

#[tokio::test]
async fn what_all_votes_and_their_retries_used_is_added_up_also_for_an_error() {
    let tokens = Tokens { input: 1000, output: 100, cached: 0 };
    let expected = |calls: u32| Usage {
        cost_usd: Some(f64::from(calls) * (1000.0 * 2.0 + 100.0 * 8.0) / 1e6),
        input_tokens: Some(1000 * u64::from(calls)),
        output_tokens: Some(100 * u64::from(calls)),
    };
    let about = |usage: Usage, calls: u32| {
        let cost = usage.cost_usd.expect("a cost");
        let is_near = (cost - expected(calls).cost_usd.expect("a cost")).abs() < 1e-12;
        is_near && Usage { cost_usd: None, ..usage } == Usage { cost_usd: None, ..expected(calls) }
    };
    let more = json!({"votes": 2, "price": price()});
    let script = giving("pass").first(1, Reply::text("hm")).changed(move |_, reply| reply.using(tokens));
    let verdict = Court::new(script, more.clone()).await.judge("Paris").await.expect("a verdict");
    assert!(about(verdict.usage, 3), "{:?}", verdict.usage);

    let script = Script::always(Reply::text("hm").using(tokens));
    let error = Court::new(script, more).await.error("Paris").await;
    assert!(about(error.usage, 6), "{:?}", error.usage);
}

#[tokio::test]
async fn the_most_that_a_judgment_can_cost_is_never_exceeded() {
    for provider in ["openai", "anthropic"] {
        for structured in ["auto", "never"] {
            let more = json!({"votes": 2, "max_parse_retries": 1, "price": price(), "structured": structured});
            // An answer of the most tokens, of each try; tokens read as the server counts them, with what it adds.
            let script = Script::new(|call| {
                let input = u64::try_from(call.body().len()).expect("a length");
                Reply::text("hm").using(Tokens { input, output: 500, cached: 0 })
            });
            let court = Court::of(provider, script, more).await;
            assert_eq!(court.judge.pricing(), Pricing::Bounded);
            let output = EvaluatorOutput::new(Payload::from_text("Paris, I should say"));
            let most = court.judge.most_usd(&item(), &output);
            let error = court.judge.judge(&item(), &output, &context()).await.expect_err("an error");
            let cost = error.usage.cost_usd.expect("a cost");
            assert!(cost <= most && most < 3.0 * cost, "{cost} of at most {most}");
        }
    }
}

#[tokio::test]
async fn what_bounds_no_cost_is_named() {
    for (more, missing) in [(json!({}), "price"), (json!({"price": price(), "max_tokens": null}), "max_tokens")] {
        let court = Court::new(giving("pass"), more).await;
        let Pricing::Unbounded { missing: said } = court.judge.pricing() else { panic!("{missing}") };
        assert!(said.contains(missing), "{said}");
    }
}
