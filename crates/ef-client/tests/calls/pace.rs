//! Limits in simulated time: storms, fairness, recovery.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use ef_model::AttemptClock;
use ef_testkit::model_server::{Reply, RetryAfter, Script};
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn endpoints_of_one_origin_and_key_share_a_limit_and_others_do_not() {
    let server = ModelServer::start(Script::echo().delayed(Duration::from_millis(20)));
    let clients = clients();
    clients.limit_to(2);
    assert!(clients.limits().is_empty(), "nobody was called yet");
    let mut running = JoinSet::new();
    for path in ["", "/echo"] {
        for credential in [Some(key()), Some(Secret::new("another key".to_owned()))] {
            let base = format!("{}{path}", server.base_url());
            let endpoint = clients.endpoint(&base, credential.as_ref()).expect("an address");
            for _ in 0..5 {
                let endpoint = endpoint.clone();
                running
                    .spawn(async move { endpoint.send(HttpRequest::post("/echo", "x"), &context()).await.map(drop) });
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
    let limits = clients.limits();
    let waiting: Vec<_> = limits.iter().map(|view| (view.in_flight, view.limit, view.waiting)).collect();
    assert_eq!(waiting, [(2, 2, 8), (2, 2, 8)]);
    assert_eq!(limits[0].host, server.address().to_string());
    running.join_all().await.into_iter().for_each(|sent| sent.expect("an echo"));
    assert_eq!(server.counts().most_in_flight, 4);
    assert!(clients.limits().iter().all(|view| (view.in_flight, view.waiting) == (0, 0)));
}

/// A clock that tells whether it was paused.
#[derive(Default)]
struct Watched {
    paused: AtomicI32,
    was_paused: AtomicBool,
}

impl AttemptClock for Watched {
    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    fn pause(&self) {
        self.paused.fetch_add(1, Ordering::Relaxed);
        self.was_paused.store(true, Ordering::Relaxed);
    }

    fn resume(&self) {
        self.paused.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_attempts_clock_stands_still_while_a_call_waits_for_its_turn_and_only_then() {
    let server = ModelServer::start(Script::echo().delayed(Duration::from_millis(20)));
    let clients = clients();
    clients.limit_to(1);
    let endpoint = plain(&clients, &server);
    let send = |clock: &Arc<Watched>| {
        let (endpoint, context) = (endpoint.clone(), context().with_clock(Arc::clone(clock) as Arc<dyn AttemptClock>));
        tokio::spawn(async move { endpoint.send(request(), &context).await.map(drop) })
    };
    let (first, second) = (Arc::default(), Arc::default());
    let calls = [send(&first), send(&second)];
    for call in calls {
        call.await.expect("no panic").expect("an echo");
    }
    assert!(!first.was_paused.load(Ordering::Relaxed));
    assert!(second.was_paused.load(Ordering::Relaxed));
    assert_eq!(second.paused.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_wait_that_is_asked_for_holds_the_whole_endpoint_back() {
    let server = ModelServer::start(Script::echo().first(1, Reply::rate_limited(RetryAfter::Millis(300))).recording());
    let clients = clients();
    let endpoint = plain(&clients, &server);
    endpoint.send(request(), &context()).await.expect_err("refused");
    assert!(clients.limits()[0].held_until.is_some());
    let begin = Instant::now();
    endpoint.send(request(), &context()).await.expect("after the wait");
    assert!(begin.elapsed() >= Duration::from_millis(290), "{:?}", begin.elapsed());
    assert_eq!(server.counts().calls, 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_gives_its_place_back() {
    let server = ModelServer::start(Script::echo().when(|call| call.number() < 3, Reply::hang()));
    let clients = clients();
    clients.limit_to(3);
    let endpoint = plain(&clients, &server);
    let mut hanging = JoinSet::new();
    for _ in 0..5 {
        let endpoint = endpoint.clone();
        hanging.spawn(async move { endpoint.send(request(), &context()).await.map(drop) });
    }
    while server.counts().calls < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    hanging.shutdown().await;
    endpoint.send(request(), &context()).await.expect("there is room again");
    assert_eq!(clients.limits()[0].in_flight, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_costs_no_more_than_half_of_the_needed_calls_and_loses_none() {
    const CALLS: u64 = 1_500;
    let calm = Script::echo().delayed(Duration::from_millis(20));
    // A quarter of the time everything is refused.
    let server = ModelServer::start(calm.changed(|call, reply| match call.at().as_millis() as u64 % 400 {
        within @ 100..200 => Reply::rate_limited(RetryAfter::Millis(200 - within)),
        _ => reply,
    }));
    let clients = clients();
    clients.limit_to(128);
    let mut running = JoinSet::new();
    for _ in 0..128 {
        let endpoint = plain(&clients, &server);
        running.spawn(async move {
            let mut done = 0;
            while done < CALLS / 128 {
                match endpoint.send(request(), &context()).await {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert!(error.kind.is_retryable(), "{error}");
                        tokio::time::sleep(error.retry_after.unwrap_or(Duration::from_millis(50))).await;
                    }
                }
            }
            done
        });
    }
    let done: u64 = running.join_all().await.into_iter().sum();
    let counts = server.counts();
    assert!(counts.of_status(429) > 0, "there was a storm");
    assert!(counts.calls * 2 <= done * 3, "{} calls for {done}", counts.calls);
}
