//! How processes begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ef_model::{AttemptClock, CallContext, Digest, Environment, ErrorKind, EvaluatorOutput, Payload};
use ef_plugin::process::ExternalPlugin;
use serde_json::json;

use super::driver::{ask, command, hostile, is_gone, item, make_judge, obedient, process_of, score, shell};

/// Answers the handshake and one `create`, then does something.
fn after_creation(then: &str) -> String {
    let hello = r#"{"jsonrpc":"2.0","id":1,"result":{"protocol_version":1,"plugin":{"name":"sh","version":"1"},"judges":[{"id":"toy.obey","version":"1","determinism":"stochastic"}]}}"#;
    let made = r#"{"jsonrpc":"2.0","id":2,"result":null}"#;
    format!("read l; echo '{hello}'; read l; echo '{made}'; {then}")
}

#[tokio::test]
async fn a_crash_is_transient_for_those_under_way_and_the_plugin_comes_back_with_its_instances() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let before = process_of(&judge, "pid").await;
    let (crashed, other) = tokio::join!(ask(&judge, "exit"), ask(&judge, "never"));
    for error in [crashed.expect_err("crashed"), other.expect_err("crashed too")] {
        assert_eq!((error.kind, &*error.code), (ErrorKind::Transient, "plugin_ended"));
        assert!(error.message.contains("it ended with exit code 3"), "{}", error.message);
    }
    let after = process_of(&judge, "pid").await;
    assert_ne!(before, after);
    plugin.shutdown().await;
    assert!(is_gone(after).await);
}

#[tokio::test]
async fn too_many_crashes_in_a_row_are_the_end_and_answers_between_them_are_not_in_a_row() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    for _ in 0..8 {
        assert_eq!(ask(&judge, "exit").await.expect_err("crashed").kind, ErrorKind::Transient);
        assert_eq!(score(&judge, "good").await, 1.0);
    }
    for _ in 0..5 {
        assert_eq!(ask(&judge, "exit").await.expect_err("crashed").kind, ErrorKind::Transient);
    }
    let error = ask(&judge, "good").await.expect_err("broken");
    assert_eq!((error.kind, &*error.code), (ErrorKind::Permanent, "plugin_broken"));
    insta::assert_snapshot!(error.message, @"plugin `toys` is broken: 5 of its processes in a row gave no answer; the last time it ended with exit code 3 (its standard error is kept with the errors of the run)");
    plugin.shutdown().await;
}

#[tokio::test]
async fn another_version_after_a_restart_is_refused() {
    let (plugin, judge) = obedient(hostile(&["changing"])).await;
    ask(&judge, "exit").await.expect_err("crashed");
    let error = ask(&judge, "good").await.expect_err("refused");
    assert!(error.message.contains("another of its processes provides something else"), "{}", error.message);
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_plugin_whose_files_change_is_not_started_again() {
    let is_changed = Arc::new(AtomicBool::new(false));
    let mut command = hostile(&[]);
    let (seen, digest) = (Arc::clone(&is_changed), command.digest);
    command.measure = Some(Arc::new(move || Ok(if seen.load(Ordering::SeqCst) { Digest::of(b"new") } else { digest })));
    let (plugin, judge) = obedient(command).await;
    ask(&judge, "exit").await.expect_err("crashed");
    is_changed.store(true, Ordering::SeqCst);
    let error = ask(&judge, "good").await.expect_err("refused");
    assert!(error.message.contains("its files have changed since it was found"), "{}", error.message);
    plugin.shutdown().await;
}

#[tokio::test]
async fn what_a_plugin_leaves_behind_ends_with_it() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let child = process_of(&judge, "fork").await;
    plugin.shutdown().await;
    assert!(is_gone(child).await);

    let (plugin, judge) = obedient(hostile(&[])).await;
    let child = process_of(&judge, "fork").await;
    ask(&judge, "exit").await.expect_err("crashed, while its child holds its standard output");
    assert!(is_gone(child).await);
    plugin.shutdown().await;
}

#[tokio::test]
async fn whoever_drops_everything_leaves_no_process_behind() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let (process, child) = (process_of(&judge, "pid").await, process_of(&judge, "fork").await);
    drop((plugin, judge));
    assert!(is_gone(process).await && is_gone(child).await);
}

#[test]
fn the_end_of_the_runtime_leaves_no_process_behind() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (kept, process, child) = runtime.block_on(async {
        let (plugin, judge) = obedient(hostile(&[])).await;
        let (process, child) = (process_of(&judge, "pid").await, process_of(&judge, "fork").await);
        ((plugin, judge), process, child)
    });
    drop(runtime);
    let after = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert!(after.block_on(async { is_gone(process).await && is_gone(child).await }));
    drop(kept);
}

#[tokio::test]
async fn a_plugin_that_will_not_end_is_made_to() {
    let mut stubborn = shell(&after_creation("trap '' TERM; while :; do sleep 1; done"));
    stubborn.grace = Duration::from_millis(50);
    let (plugin, judge) = obedient(stubborn).await;
    let began = Instant::now();
    plugin.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let error = ask(&judge, "good").await.expect_err("ended");
    assert!(error.message.contains("it was shut down"), "{}", error.message);
}

#[tokio::test]
async fn a_plugin_that_stops_listening_or_speaking_is_ended_and_started_again() {
    for (then, what) in [
        ("exec <&-; sleep 60", "it closed its standard input"),
        ("exec >&-; sleep 60", "it closed its standard output"),
    ] {
        let (plugin, judge) = obedient(shell(&after_creation(then))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        let error = ask(&judge, "good").await.expect_err("no answer");
        assert_eq!(error.kind, ErrorKind::Transient);
        assert!(error.message.contains(what), "{}", error.message);
        plugin.shutdown().await;
    }
}

#[tokio::test]
async fn a_plugin_that_does_not_read_holds_nothing_up_but_its_own_calls() {
    let mut deaf = shell(&after_creation("sleep 60"));
    deaf.grace = Duration::from_millis(50);
    let (plugin, judge) = obedient(deaf).await;
    let order = "x".repeat(128 << 10);
    let calls = (0..80).map(|_| tokio::time::timeout(Duration::from_millis(100), ask(&judge, &order)));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_err), "their time is over");
    let began = Instant::now();
    plugin.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn calls_are_spread_over_the_processes() {
    let mut several = hostile(&["max-in-flight", "1"]);
    several.processes = 3;
    let (plugin, judge) = obedient(several).await;
    let calls = (0..6).map(|_| async {
        let (_, process) = tokio::join!(score(&judge, "slow"), process_of(&judge, "pid"));
        process.as_raw()
    });
    let mut processes = futures_util::future::join_all(calls).await;
    processes.sort_unstable();
    processes.dedup();
    assert_eq!(processes.len(), 3);
    plugin.shutdown().await;
}

/// Counts how often it is paused and let go on.
#[derive(Default)]
struct Clock {
    was_paused: AtomicBool,
}

impl AttemptClock for Clock {
    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    fn pause(&self) {
        self.was_paused.store(true, Ordering::SeqCst);
    }

    fn resume(&self) {}
}

#[tokio::test]
async fn a_slow_start_does_not_count_towards_the_time_of_a_call_and_survives_impatience() {
    let (plugin, judge) = obedient(hostile(&["slow-start", "200"])).await;
    ask(&judge, "exit").await.expect_err("crashed");
    for _ in 0..3 {
        let impatient = tokio::time::timeout(Duration::from_millis(50), ask(&judge, "good")).await;
        assert!(impatient.is_err());
    }
    let clock = Arc::new(Clock::default());
    let context = CallContext::new(Instant::now(), 1, 0, 0).with_clock(Arc::clone(&clock) as _);
    let output = EvaluatorOutput::new(Payload::from_text(""));
    judge.judge(&item("good"), &output, &context).await.expect("a verdict");
    assert!(clock.was_paused.load(Ordering::SeqCst));
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_component_that_is_never_made_is_given_up() {
    let mut slow = hostile(&[]);
    slow.start_timeout = Duration::from_millis(300);
    let plugin = ExternalPlugin::new(slow);
    let error = make_judge(&plugin, "toy.obey", json!({"fail": "never"})).await.err().expect("given up");
    assert!(error.to_string().contains("did not answer `create` within 300ms"), "{error}");
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_wrapper_is_put_in_front_of_the_command() {
    let mut wrapped = command("/bin/sh", &["-c", "exit 9"]);
    wrapped.wrapper = ["/bin/sh", "-c", "echo \"$@\" >&2; exec \"$@\"", "launcher"].map(Into::into).to_vec();
    let plugin = ExternalPlugin::new(wrapped);
    let error = plugin.describe().await.expect_err("it ends");
    assert_eq!(error.reason, "it ended with exit code 9 before its handshake: /bin/sh -c exit 9");
}

#[tokio::test]
async fn a_program_is_looked_for_in_its_working_directory_and_not_in_path() {
    let folder = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("program")).expect("a link");
    for (program, reason) in [
        ("program", "it ended with exit code 9 before its handshake"),
        ("sh", "`sh` cannot be started: No such file or directory"),
    ] {
        let mut command = command(program, &["-c", "exit 9"]);
        command.working_directory = Some(folder.path().to_owned());
        let error = ExternalPlugin::new(command).describe().await.expect_err("it ends");
        assert_eq!(error.reason, reason);
    }
}

#[tokio::test]
async fn invariant_8_a_secret_of_its_environment_that_a_plugin_quotes_when_it_does_not_start_is_not_shown() {
    const KEY: &str = "sk-4711-geheim";
    let at_start = "echo \"no such key: $MY_KEY\" >&2; exit 3".to_owned();
    let refused =
        r#"read l; echo '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"bad key '"$MY_KEY"'"}}'; read l"#;
    let printed = "echo \"hello $MY_KEY\"; read l".to_owned();
    let dies = after_creation("").replace(
        "read l; echo '{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":null}'",
        "echo \"$MY_KEY\" >&2; read l; exit 4",
    );
    for script in [at_start, refused.to_owned(), printed, dies] {
        let mut command = shell(&script);
        command.environment = Environment::new([("MY_KEY".to_owned(), KEY.to_owned())]);
        let plugin = ExternalPlugin::new(command);
        let error = match plugin.factories().await {
            Err(error) => error.to_string(),
            Ok(_) => make_judge(&plugin, "toy.obey", json!({})).await.err().expect("it is not made").to_string(),
        };
        assert!(!error.contains(KEY) && error.contains("${MY_KEY}"), "{script}: {error}");
        plugin.shutdown().await;
    }
}
