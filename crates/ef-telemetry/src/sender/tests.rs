//! How the end goes with collectors that work, and with those that do not.

use std::sync::Mutex;

use super::*;
use crate::settings::{Batching, Signal};

/// A collector, as far as the sender knows.
#[derive(Clone)]
enum Collector {
    Takes { after: Duration },
    Refuses,
    Hangs,
}

struct Fake {
    collector: Collector,
    taken: Arc<Mutex<Vec<u32>>>,
}

impl Export<u32> for Fake {
    async fn export(&self, batch: Vec<u32>) -> OTelSdkResult {
        match self.collector {
            Collector::Takes { after } => {
                tokio::time::sleep(after).await;
                self.taken.lock().expect("no panic").extend(batch);
                Ok(())
            }
            Collector::Refuses => Err(OTelSdkError::InternalFailure("refused".to_owned())),
            Collector::Hangs => std::future::pending().await,
        }
    }
}

/// Sends `count` things in tens, and gives how many arrived, how many are counted as dropped, and how long the end took.
fn send(collector: &Collector, count: u32, elapsed: Duration) -> (usize, u64, Duration) {
    let second = Duration::from_secs(1);
    let batching = Batching { queue: 1000, batch: 10, delay: second, timeout: 30 * second };
    let queue = Arc::new(Queue::new(batching, Instant::now()));
    let outlet = Arc::new(Outlet::new(Signal::Traces, "collector:4318".to_owned()));
    let taken = Arc::new(Mutex::default());
    let fake = Fake { collector: collector.clone(), taken: Arc::clone(&taken) };
    let sender = Sender::start("test", Arc::clone(&queue), outlet, move || Ok(fake)).expect("a thread");
    (0..count).for_each(|item| queue.push(item));
    let begun = Instant::now();
    let dropped = sender.finish(Patience::at_the_end(elapsed, false));
    let arrived = taken.lock().expect("no panic").len();
    (arrived, dropped, begun.elapsed())
}

#[test]
fn the_end_waits_for_as_long_as_sending_goes_well() {
    // Each answer takes less than the end waits for one, and all together more.
    let takes = Collector::Takes { after: Duration::from_millis(40) };
    let (arrived, dropped, took) = send(&takes, 95, Duration::from_secs(1));
    assert_eq!((arrived, dropped), (95, 0));
    assert!(took > Duration::from_millis(300), "{took:?}");
}

#[test]
fn the_end_waits_a_quarter_of_a_second_for_a_collector_that_hangs() {
    let (arrived, dropped, took) = send(&Collector::Hangs, 95, Duration::from_secs(1));
    assert_eq!((arrived, dropped), (0, 95), "what did not arrive is counted");
    assert!(took < Duration::from_millis(2000), "{took:?}");
}

#[test]
fn the_end_does_not_wait_for_a_collector_that_refuses() {
    let (arrived, dropped, took) = send(&Collector::Refuses, 95, Duration::from_secs(100));
    assert_eq!((arrived, dropped), (0, 95), "what did not arrive is counted");
    assert!(took < Duration::from_millis(2000), "{took:?}");
}

#[test]
fn an_exporter_that_cannot_be_made_drops_everything_and_holds_nothing_up() {
    let batching = Batching { queue: 10, batch: 5, delay: Duration::from_secs(1), timeout: Duration::from_secs(1) };
    let queue = Arc::new(Queue::new(batching, Instant::now()));
    let outlet = Arc::new(Outlet::new(Signal::Logs, "collector:4318".to_owned()));
    let make = || Err::<Fake, _>("it cannot be made".to_owned());
    let sender = Sender::start("test", Arc::clone(&queue), outlet, make).expect("a thread");
    (0..100).for_each(|item| queue.push(item));
    assert_eq!(sender.finish(Patience::at_the_end(Duration::from_secs(1), false)), 100);
}

#[test]
fn reasons_quote_nothing_that_a_collector_said() {
    let of = |text: &str| reason(&OTelSdkError::InternalFailure(text.to_owned()));
    assert_eq!(of("TonicTracesClient export failed with gRPC code: Unavailable"), "it answered Unavailable");
    assert_eq!(
        of("x export failed with gRPC code: Unavailable: transport error: tcp connect error: Connection refused"),
        "connection refused"
    );
    assert_eq!(of("x export failed with gRPC code: DeadlineExceeded"), "no answer in time");
    for hostile in ["secret", "gRPC code: s3cret", "gRPC code: my secret: y", "HTTP export failed: secret"] {
        assert!(!of(hostile).contains("cret"), "{hostile}");
    }
}
