//! What the judge that asks a person promises.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ef_judges::{Answer, PromptError, Prompter, Question, human_factory};
use ef_model::{
    AttemptClock, BoxFuture, CallContext, Determinism, Environment, ErrorKind, EvalItem, EvaluatorOutput, ItemId,
    Judge, Payload, Score, Verdict,
};
use ef_plugin::{LookupError, Registry};
use ef_testkit::context;
use serde_json::{Value, json};

async fn create(config: Value, prompter: Option<Arc<dyn Prompter>>) -> Result<Arc<dyn Judge>, LookupError> {
    let mut registry = Registry::new();
    registry.register_judge(human_factory(prompter)).expect("a built-in's schema is valid");
    let Value::Object(config) = config else { panic!("not a map: {config}") };
    registry.create_judge(&"eval_fabric.human".parse().expect("an id"), &config, &Environment::default()).await
}

async fn judge(judge: &Arc<dyn Judge>, context: &CallContext) -> Result<Verdict, ef_model::CallError> {
    let item = EvalItem {
        item_id: ItemId::new("dev:1").expect("an id"),
        row: 1,
        input: Payload::from_text("in"),
        reference_output: None,
        metadata: None,
    };
    judge.judge(&item, &EvaluatorOutput::new(Payload::from_text("out")), context).await
}

/// A person who types these lines, and notes what they are asked.
#[derive(Default)]
struct Person {
    lines: Mutex<Vec<Result<Answer, PromptError>>>,
    seen: Mutex<Vec<String>>,
    asked_at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Person {
    fn typing(lines: &[&str]) -> Arc<Self> {
        let lines = lines.iter().rev().map(|line| Ok(Answer::new(*line))).collect();
        Arc::new(Self { lines: Mutex::new(lines), ..Self::default() })
    }
}

impl Prompter for Person {
    fn ask<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Answer, PromptError>> {
        Box::pin(async move {
            let at_once = self.asked_at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
            let Question { text, answers, problem, .. } = question;
            self.seen.lock().expect("a list").push(format!("{text} [{answers}] {}", problem.unwrap_or("")));
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.asked_at_once.fetch_sub(1, Ordering::SeqCst);
            self.lines.lock().expect("a list").pop().unwrap_or(Err(PromptError::Closed))
        })
    }
}

#[tokio::test]
async fn a_question_for_later_leaves_the_judgment_pending_and_says_what_to_ask() {
    let config = json!({"question": "Is it kind?", "instructions": "Read it twice.", "scale": {"min": 0, "max": 1}});
    let made = create(config, None).await.expect("a judge");
    assert_eq!(judge(&made, &context()).await.expect("a verdict"), Verdict::pending());
    assert_eq!((made.determinism(), made.is_costly(), made.model()), (Determinism::Stochastic, false, None));
    let inquiry = made.inquiry().expect("an inquiry");
    assert_eq!(inquiry.question(), "Is it kind?\n\nRead it twice.");
    assert_eq!(inquiry.answer_schema(), json!({"type": ["number", "null"], "minimum": 0.0, "maximum": 1.0}));
}

#[tokio::test]
async fn an_answer_that_comes_later_is_held_to_what_may_be_answered() {
    let labels = json!({"question": "q", "labels": {"bad": 0, "good": 1}});
    let listed = json!({"question": "q", "labels": ["safe", "unsafe"]});
    for (config, answer, recorded) in [
        (json!({"question": "q"}), json!("pass"), Some(json!(true))),
        (json!({"question": "q"}), json!("fail"), Some(json!(false))),
        (json!({"question": "q"}), json!(null), Some(json!(null))),
        (json!({"question": "q"}), json!(true), None),
        (json!({"question": "q"}), json!("Pass"), None),
        (labels.clone(), json!("good"), Some(json!({"label": "good", "score": 1.0}))),
        (labels, json!(1), None),
        (listed.clone(), json!("safe"), Some(json!("safe"))),
        (listed, json!("the patient's name"), None),
        (json!({"question": "q", "scale": {"min": 1, "max": 5}}), json!(3.5), Some(json!(3.5))),
        (json!({"question": "q", "scale": {"min": 1, "max": 5}}), json!(5.1), None),
        (json!({"question": "q", "scale": {"min": 1, "max": 5}}), json!("3"), None),
        (json!({"question": "q", "scale": {"min": 1, "max": 5, "integer": true}}), json!(3.5), None),
    ] {
        let made = create(config.clone(), None).await.expect("a judge");
        let inquiry = made.inquiry().expect("an inquiry");
        let why = Some(Payload::from_text("because"));
        match (inquiry.verdict(&answer, why.clone()), recorded) {
            (Ok(verdict), Some(recorded)) => {
                assert_eq!(serde_json::to_value(&verdict.score).expect("JSON"), recorded, "{config} {answer}");
                assert_eq!((verdict.rationale, verdict.is_pending), (why, false));
            }
            (Err(error), None) => {
                assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, "score_invalid"));
                assert!(!error.message.contains("patient"), "{error}");
            }
            (made, expected) => panic!("{config} {answer}: {made:?} instead of {expected:?}"),
        }
    }
}

#[tokio::test]
async fn the_schema_of_answers_says_what_is_accepted() {
    for config in [
        json!({"question": "q"}),
        json!({"question": "q", "labels": ["a", "b"]}),
        json!({"question": "q", "labels": {"a": 0, "b": 1}}),
        json!({"question": "q", "scale": {"min": 1, "max": 5}}),
        json!({"question": "q", "scale": {"min": 0, "max": 100, "integer": true}}),
        json!({"question": "q", "scale": {"min": 1, "max": 5, "integer": true}}),
    ] {
        let made = create(config.clone(), None).await.expect("a judge");
        let inquiry = made.inquiry().expect("an inquiry");
        let schema = jsonschema::validator_for(&inquiry.answer_schema()).expect("a schema");
        let numbers = [0.0, 0.5, 1.0, 5.0, 5.5, 100.0, 101.0, -1.0].map(Value::from);
        let words = ["pass", "fail", "a", "b", "c", "1"].map(Value::from);
        for answer in numbers.into_iter().chain(words).chain([json!(null), json!(true), json!([1]), json!({})]) {
            assert_eq!(schema.is_valid(&answer), inquiry.verdict(&answer, None).is_ok(), "{config} {answer}");
        }
    }
}

#[tokio::test]
async fn at_the_terminal_an_answer_that_will_not_do_is_asked_for_again() {
    let person = Person::typing(&["4", "what?", " PASS "]);
    let made =
        create(json!({"question": "Is it kind?", "ask": "terminal"}), Some(person.clone())).await.expect("a judge");
    assert_eq!(judge(&made, &context()).await.expect("a verdict"), Verdict::scored(true));
    let answers = r#""pass" or "fail"; s leaves it for later, u gives no score"#;
    let again = format!("Is it kind? [{answers}] that is none of the answers");
    assert_eq!(*person.seen.lock().expect("a list"), [format!("Is it kind? [{answers}] "), again.clone(), again]);
}

#[tokio::test]
async fn a_person_may_skip_a_question_or_give_no_score_or_go_away() {
    let config = json!({"question": "q", "ask": "terminal", "scale": {"min": 1, "max": 5}});
    for (line, expected) in [
        ("s", Verdict::pending()),
        ("U", Verdict::unscored()),
        ("4.5", Verdict { score: Score::number(4.5), ..Verdict::unscored() }),
    ] {
        let made = create(config.clone(), Some(Person::typing(&[line]))).await.expect("a judge");
        assert_eq!(judge(&made, &context()).await.expect("a verdict"), expected, "{line}");
    }
    let made = create(config.clone(), Some(Person::typing(&[]))).await.expect("a judge");
    assert_eq!(judge(&made, &context()).await.expect("a verdict"), Verdict::pending(), "nobody is there");

    let broken = Person::default();
    broken.lines.lock().expect("a list").push(Err(PromptError::Failed("no such terminal".to_owned())));
    let made = create(config, Some(Arc::new(broken))).await.expect("a judge");
    let error = judge(&made, &context()).await.expect_err("an error");
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "prompt_failed"));
}

#[tokio::test]
async fn why_is_kept_with_the_score() {
    let person = Person::default();
    let answer = Answer { score: "f".to_owned(), rationale: Some("rude".to_owned()) };
    person.lines.lock().expect("a list").push(Ok(answer));
    let made = create(json!({"question": "q", "ask": "terminal"}), Some(Arc::new(person))).await.expect("a judge");
    let verdict = judge(&made, &context()).await.expect("a verdict");
    assert_eq!(verdict.rationale, Some(Payload::from_text("rude")));
}

/// Counts how many have paused it.
#[derive(Default)]
struct Clock(AtomicUsize);

impl AttemptClock for Clock {
    fn deadline(&self) -> Instant {
        Instant::now()
    }

    fn pause(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn resume(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn one_question_is_asked_at_a_time_with_the_clocks_of_all_paused() {
    let person = Person::typing(&["p"; 8]);
    let factory = human_factory(Some(person.clone()));
    let config = json!({"question": "q", "ask": "terminal"});
    let mut judges = Vec::new();
    for _ in 0..8 {
        judges.push(factory.create(&config, &Environment::default()).await.expect("a judge"));
    }
    let clock = Arc::new(Clock::default());
    let contexts: Vec<_> = judges.iter().map(|_| context().with_clock(clock.clone())).collect();
    let asked = judges.iter().zip(&contexts).map(|(made, context)| judge(made, context));
    let all = futures_util::future::join_all(asked);
    let (verdicts, paused) = tokio::join!(all, async {
        tokio::task::yield_now().await;
        clock.0.load(Ordering::SeqCst)
    });
    assert!(verdicts.iter().all(|verdict| verdict.as_ref().is_ok_and(|verdict| verdict.score == Some(true.into()))));
    assert_eq!(person.most_at_once.load(Ordering::SeqCst), 1);
    assert_eq!((paused, clock.0.load(Ordering::SeqCst)), (8, 0));
}

#[tokio::test]
async fn a_config_that_does_not_fit_says_where_and_what_to_do() {
    let person = || -> Option<Arc<dyn Prompter>> { Some(Person::typing(&[])) };
    for (config, prompter, pointer, message) in [
        (json!({}), None, "", "the field `question` is missing"),
        (json!({"question": " "}), None, "/question", "there is no question"),
        (json!({"question": "q", "ask": "later"}), None, "/ask", "not one of the allowed values"),
        (json!({"question": "q", "ask": "terminal"}), None, "/ask", "there is no terminal to ask at"),
        (
            json!({"question": "q", "ask": "terminal", "labels": ["s", "t"]}),
            person(),
            "/labels",
            "at the terminal `s` and `u` mean something else than a label",
        ),
        (json!({"question": "q", "labels": ["a"]}), None, "/labels", "fewer than 2 values"),
    ] {
        let Err(LookupError::Config(problems)) = create(config.clone(), prompter).await else { panic!("{config}") };
        assert_eq!((problems[0].pointer.as_str(), problems[0].message.as_str()), (pointer, message), "{config}");
    }
    assert!(create(json!({"question": "q", "labels": ["s", "t"]}), person()).await.is_ok(), "a label in a file");
}
