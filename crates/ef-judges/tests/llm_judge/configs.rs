//! Configs that do not fit, and what a judge says of itself.

use std::fmt::Write as _;

use ef_model::Determinism;

use super::*;

async fn problems(config: Value) -> String {
    let Err(LookupError::Config(problems)) = create(&config, &Environment::default()).await else {
        panic!("taken: {config}")
    };
    let mut text = format!("{config}\n");
    for problem in problems {
        let at = if problem.at_key { "key " } else { "" };
        let _ = writeln!(text, "    {at}{}: {}", problem.pointer, problem.message);
        if let Some(hint) = problem.hint {
            let _ = writeln!(text, "        {hint}");
        }
    }
    text
}

/// A config with these further settings.
fn config(more: Value) -> Value {
    let mut config = json!({"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "m"});
    let (Value::Object(all), Value::Object(more)) = (&mut config, more) else { panic!("not maps") };
    all.extend(more);
    config
}

#[tokio::test]
async fn a_config_that_does_not_fit_says_where_and_what_to_do() {
    let mut text = String::new();
    for config in [
        json!({}),
        json!({"provider": "openai", "model": "m", "criterion": "c"}),
        json!({"provider": "bard", "model": "m", "criterion": "c"}),
        config(json!({})),
        config(json!({"criterion": " "})),
        config(json!({"criterion": "c", "criterium": "d", "temprature": 0})),
        config(json!({"criterion": "c", "labels": ["a", "b"], "scale": {"min": 1, "max": 5}})),
        config(json!({"criterion": "c", "labels": ["only"]})),
        config(json!({"criterion": "c", "labels": ["a", "A"]})),
        config(json!({"criterion": "c", "labels": {"a": "1", "b": 2}})),
        config(json!({"criterion": "c", "labels": ["a", "b\n"]})),
        config(json!({"criterion": "c", "scale": {"min": 5, "max": 1}})),
        config(json!({"criterion": "c", "scale": {"min": 0.5, "max": 1, "integer": true}})),
        config(json!({"criterion": "c", "scale": {"max": 5, "step": 1}})),
        config(json!({"criterion": "c", "votes": 0, "min_votes": 2, "max_parse_retries": 11})),
        config(json!({"criterion": "c", "votes": 2, "min_votes": 3})),
        config(json!({"criterion": "c", "labels": ["a", "b"], "aggregate": "mean"})),
        config(json!({"criterion": "c", "provider": "anthropic", "seed": 1})),
        config(json!({"template": "{{ output"})),
        config(json!({"template": "Is this right?\n{% if x %}"})),
        config(json!({"template": "{{ outptu }} {{ inptu }} {{ range(3) }}"})),
        config(json!({"template": "{{ output }} {{ reference_output }}", "reference": "none"})),
        config(json!({"template": "{{ output | shout }}"})),
    ] {
        text.push_str(&problems(config).await);
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn sampling_is_repeatable_only_at_temperature_zero_with_a_seed() {
    for (more, determinism) in [
        (json!({}), Determinism::Stochastic),
        (json!({"temperature": 0}), Determinism::Stochastic),
        (json!({"seed": 1}), Determinism::Stochastic),
        (json!({"seed": 1, "temperature": 0.1}), Determinism::Stochastic),
        (json!({"seed": 1, "temperature": 0}), Determinism::SamplingDeterministic),
        (json!({"seed": 1, "temperature": 0, "votes": 3}), Determinism::SamplingDeterministic),
        (json!({"provider": "anthropic", "max_tokens": 9, "temperature": 0}), Determinism::Stochastic),
    ] {
        let mut config = config(more);
        config["criterion"] = json!("c");
        let judge = create(&config, &Environment::default()).await.expect("a judge");
        assert_eq!(judge.determinism(), determinism, "{config}");
        assert!(judge.is_costly());
        assert_eq!(judge.model(), Some("m"));
        assert!(judge.inquiry().is_none());
    }
}

#[tokio::test]
async fn the_version_holds_the_digest_of_the_prompt() {
    let version = async |more: Value| {
        let judge = create(&config(more), &Environment::default()).await.expect("a judge");
        (judge.identity().version.clone(), judge.identity().digest)
    };
    let (first, first_digest) = version(json!({"criterion": "c"})).await;
    let digits = first.strip_prefix("1.0.0+prompt.").expect("a version with a prompt");
    assert!(digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    assert_eq!(version(json!({"criterion": "c", "votes": 3, "temperature": 1})).await.0, first, "the same prompt");
    for other in [
        json!({"criterion": "d"}),
        json!({"template": "{{ output }}"}),
        json!({"criterion": "c", "labels": ["a", "b"]}),
    ] {
        let (version, digest) = version(other).await;
        assert!(version != first && digest != first_digest, "{version}");
    }
}

#[tokio::test]
async fn a_key_is_taken_from_its_variable_and_named_where_it_is_missing() {
    let server = ModelServer::start(giving("pass").with_key("sk-secret"));
    let config = json!({
        "provider": "openai", "base_url": server.openai_url(), "model": "m", "criterion": "c", "api_key_env": "JUDGE_KEY",
    });
    let Err(LookupError::Config(problems)) = create(&config, &Environment::default()).await else { panic!("taken") };
    assert_eq!(problems[0].pointer, "/api_key_env");
    assert!(problems[0].message.contains("JUDGE_KEY"), "{problems:?}");

    let environment = Environment::new([("JUDGE_KEY".to_owned(), "sk-secret".to_owned())]);
    let judge = create(&config, &environment).await.expect("a judge");
    let output = EvaluatorOutput::new(Payload::from_text("Paris"));
    let verdict = judge.judge(&item(), &output, &context()).await.expect("a verdict");
    assert_eq!(verdict.score, Some(true.into()));
}
