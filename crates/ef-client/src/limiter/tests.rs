//! The limiter in simulated time.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::*;

const ROUND_TRIP: Duration = Duration::from_millis(50);

fn limiter(ceiling: u32) -> Arc<Limiter> {
    Arc::new(Limiter::new(Arc::new(AtomicU32::new(ceiling))))
}

/// Runs in time that passes only while everyone waits.
fn simulate<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without I/O").block_on(future)
}

/// A server that refuses, from time to time, and counts.
struct Server {
    begin: Instant,
    calls: AtomicUsize,
    refused: AtomicUsize,
    most_at_once: AtomicU32,
    now: AtomicU32,
}

impl Server {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            calls: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            most_at_once: AtomicU32::new(0),
            now: AtomicU32::new(0),
        })
    }

    /// Answers after a round trip; within the last second of every four it refuses.
    async fn call(&self) -> Result<(), ()> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_at_once.fetch_max(now, Ordering::Relaxed);
        sleep(ROUND_TRIP).await;
        self.now.fetch_sub(1, Ordering::Relaxed);
        let is_refused = self.begin.elapsed().as_millis() % 4000 >= 3000;
        self.refused.fetch_add(usize::from(is_refused), Ordering::Relaxed);
        if is_refused { Err(()) } else { Ok(()) }
    }
}

/// So many tasks make so many calls that have to succeed, each again a second later where the server says so.
async fn storm(tasks: usize, calls: usize, retry_after: Option<Duration>) -> Arc<Server> {
    let (limiter, server) = (limiter(u32::try_from(tasks).expect("few")), Server::new());
    let left = Arc::new(AtomicUsize::new(calls));
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let (limiter, server, left) = (Arc::clone(&limiter), Arc::clone(&server), Arc::clone(&left));
        running.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                loop {
                    let permit = limiter.acquire().await;
                    if server.call().await.is_ok() {
                        permit.succeed();
                        break;
                    }
                    permit.reject(retry_after);
                    drop(permit);
                    sleep(retry_after.unwrap_or(Duration::from_millis(500))).await;
                }
            }
        });
    }
    running.join_all().await;
    server
}

#[test]
fn a_storm_that_says_when_to_come_back_costs_few_calls() {
    let server = simulate(storm(1024, 200_000, Some(Duration::from_secs(1))));
    let calls = server.calls.load(Ordering::Relaxed);
    assert!(server.refused.load(Ordering::Relaxed) > 500, "there was a storm");
    assert!(calls < 210_000, "{calls} calls for 200,000");
    assert!(server.begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_storm_that_does_not_say_costs_no_more_than_half_of_what_is_needed() {
    let server = simulate(storm(1024, 200_000, None));
    let calls = server.calls.load(Ordering::Relaxed);
    assert!(calls < 300_000, "{calls} calls for 200,000");
    assert!(server.begin.elapsed() < Duration::from_secs(40), "{:?}", server.begin.elapsed());
}

#[test]
fn nobody_gets_more_than_the_ceiling_and_a_new_ceiling_holds_at_once() {
    simulate(async {
        let server = storm(100, 5_000, None).await;
        assert!(server.most_at_once.load(Ordering::Relaxed) <= 100);

        let ceiling = Arc::new(AtomicU32::new(3));
        let limiter = Arc::new(Limiter::new(Arc::clone(&ceiling)));
        let three: Vec<_> = (0..3).map(|_| limiter.try_acquire().expect("room for three")).collect();
        assert!(limiter.try_acquire().is_none());
        let mut fourth = Box::pin(limiter.acquire());
        assert!(tokio::time::timeout(ROUND_TRIP, &mut fourth).await.is_err());
        ceiling.store(4, Ordering::Relaxed);
        limiter.wake();
        drop(fourth.await);
        ceiling.store(1, Ordering::Relaxed);
        drop(three);
        let _one = limiter.try_acquire().expect("room for one");
        assert!(limiter.try_acquire().is_none());
    });
}

#[test]
fn the_limit_doubles_in_a_round_trip_until_the_first_refusal() {
    simulate(async {
        let limiter = limiter(1000);
        let mut limits = Vec::new();
        for _ in 0..5 {
            limits.push(round_trip(&limiter));
        }
        assert_eq!(limits, [16, 32, 64, 128, 256]);
        // All that were on their way when it is refused are refused for the same reason.
        let refused: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
        refused.iter().for_each(|permit| permit.reject(None));
        drop(refused);
        assert_eq!(round_trip(&limiter), 256);
        assert_eq!(round_trip(&limiter), 271, "from now on by a sixteenth of 256");
        assert_eq!(round_trip(&limiter), 287);
    });
}

/// As many calls as there may be, all answered.
fn round_trip(limiter: &Arc<Limiter>) -> usize {
    let permits: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
    let limit = permits.len();
    permits.into_iter().for_each(Permit::succeed);
    limit
}

#[test]
fn a_server_that_was_away_gets_its_calls_back_in_a_few_round_trips() {
    let limiter = limiter(1000);
    for _ in 0..6 {
        round_trip(&limiter);
    }
    for _ in 0..20 {
        let refused: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
        refused.iter().for_each(|permit| permit.reject(None));
    }
    let limits: Vec<_> = (0..10).map(|_| round_trip(&limiter)).collect();
    assert_eq!(limits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 500]);
}

#[test]
fn a_limit_that_is_not_made_use_of_does_not_grow() {
    let limiter = limiter(1000);
    for _ in 0..1000 {
        limiter.try_acquire().expect("nothing else is in flight").succeed();
    }
    assert_eq!(limiter.view(String::new()).limit, 16);
}

#[test]
fn a_wait_that_is_asked_for_holds_everyone_back_and_then_a_few_go_first() {
    simulate(async {
        let limiter = limiter(1000);
        for _ in 0..4 {
            round_trip(&limiter);
        }
        let begin = Instant::now();
        let permit = limiter.try_acquire().expect("there is room");
        let before = Arc::clone(&limiter);
        let full: Vec<_> = std::iter::from_fn(|| limiter.try_acquire()).collect();
        // This one waits for a turn already, and does not see the refusal itself.
        let waiting = tokio::spawn(async move { before.acquire().await });
        tokio::task::yield_now().await;
        permit.reject(Some(Duration::from_secs(2)));
        drop(permit);
        // What is answered now was asked before.
        full.into_iter().for_each(Permit::succeed);
        assert!(limiter.try_acquire().is_none());
        assert!(limiter.view(String::new()).held_until.is_some());
        drop(waiting.await);
        assert_eq!(begin.elapsed().as_secs(), 2);
        let first = round_trip(&limiter);
        assert!(first <= 17, "{first} at once");
        assert!(limiter.view(String::new()).held_until.is_none());
    });
}

#[test]
fn turns_come_in_the_order_in_which_they_were_asked_for() {
    simulate(async {
        let limiter = limiter(1);
        let held = limiter.acquire().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut running = JoinSet::new();
        for number in 0..100 {
            let (limiter, order) = (Arc::clone(&limiter), Arc::clone(&order));
            running.spawn(async move {
                let _permit = limiter.acquire().await;
                order.lock().expect("nobody panics").push(number);
            });
            tokio::task::yield_now().await;
        }
        drop(held);
        running.join_all().await;
        assert!(order.lock().expect("nobody panics").iter().copied().eq(0..100));
    });
}

#[derive(Debug, Clone)]
struct Caller {
    arrives_ms: u64,
    takes_ms: u64,
    /// After how long it gives up, waiting or calling.
    gives_up_ms: u64,
    is_refused: bool,
    asked_to_wait_ms: Option<u64>,
}

fn callers() -> impl Strategy<Value = Vec<Caller>> {
    let caller = (0..200_u64, 0..60_u64, 1..400_u64, any::<bool>(), prop::option::of(0..50_u64)).prop_map(
        |(arrives_ms, takes_ms, gives_up_ms, is_refused, asked_to_wait_ms)| Caller {
            arrives_ms,
            takes_ms,
            gives_up_ms,
            is_refused,
            asked_to_wait_ms,
        },
    );
    prop::collection::vec(caller, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever gives up, whatever is refused: no turn is lost, none is given twice, and the one who stays gets one.
    #[test]
    fn no_turn_is_lost_whoever_leaves(callers in callers(), ceiling in 1..8_u32) {
        let (most, left) = simulate(async {
            let limiter = limiter(ceiling);
            let in_flight = Arc::new(AtomicU32::new(0));
            let most = Arc::new(AtomicU32::new(0));
            let mut running = JoinSet::new();
            for caller in callers {
                let (limiter, in_flight, most) = (Arc::clone(&limiter), Arc::clone(&in_flight), Arc::clone(&most));
                running.spawn(async move {
                    let ms = Duration::from_millis;
                    sleep(ms(caller.arrives_ms)).await;
                    let call = async {
                        let permit = limiter.acquire().await;
                        let _counted = Counted::new(&in_flight, &most);
                        sleep(ms(caller.takes_ms)).await;
                        if caller.is_refused { permit.reject(caller.asked_to_wait_ms.map(ms)) } else { permit.succeed() }
                    };
                    let _ = tokio::time::timeout(ms(caller.gives_up_ms), call).await;
                });
            }
            running.join_all().await;
            // The last one waits as long as it takes. Simulated time would run on for ever if nobody woke it.
            let last = tokio::time::timeout(Duration::from_secs(3600), limiter.acquire()).await;
            let has_turn = last.is_ok();
            drop(last);
            let view = limiter.view(String::new());
            (most.load(Ordering::Relaxed), (has_turn, view.in_flight, view.waiting))
        });
        prop_assert!(most <= ceiling);
        prop_assert_eq!(left, (true, 0, 0));
    }
}

/// One call in flight.
struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn new(in_flight: &'a AtomicU32, most: &AtomicU32) -> Self {
        most.fetch_max(in_flight.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        Self(in_flight)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
