//! When a queue waits, and when it drops.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

const LONG: Duration = Duration::from_secs(60);

fn queue(queue: usize, batch: usize, age: Duration) -> Arc<Queue<u32>> {
    let started = Instant::now().checked_sub(age).expect("the machine has been up for longer");
    Arc::new(Queue::new(Batching { queue, batch, delay: LONG, timeout: LONG }, started))
}

fn dropped(queue: &Queue<u32>) -> u64 {
    queue.state().dropped
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    crate::sender::runtime().expect("a runtime").block_on(future)
}

#[test]
fn what_does_not_fit_is_dropped_and_counted_at_once_while_sending_fails() {
    let queue = queue(4, 2, LONG);
    queue.sent(false);
    let begun = Instant::now();
    (0..10).for_each(|item| queue.push(item));
    assert!(begun.elapsed() < Duration::from_millis(100), "somebody waited for {:?}", begun.elapsed());
    assert_eq!(dropped(&queue), 6);
    assert_eq!(queue.give_up(), 10);
}

#[test]
fn a_producer_waits_for_room_while_sending_goes_well() {
    let queue = queue(4, 2, LONG);
    (0..4).for_each(|item| queue.push(item));
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            thread::sleep(Duration::from_millis(30));
            block_on(queue.next(LONG))
        }
    });
    queue.push(4);
    assert_eq!(consumer.join().expect("no panic"), Some(vec![0, 1]));
    assert_eq!(dropped(&queue), 0);
}

#[test]
fn nobody_waits_for_longer_than_a_fortieth_of_the_time() {
    let queue = queue(1, 1, Duration::from_secs(8));
    let begun = Instant::now();
    (0..1000).for_each(|item| queue.push(item));
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_millis(200), "{waited:?} is less than may be waited");
    assert!(waited < Duration::from_millis(1000), "{waited:?} is more than may be waited");
    assert_eq!(dropped(&queue), 999);
}

#[test]
fn nothing_is_dropped_for_a_collector_that_is_quick_but_slower_than_the_run() {
    let queue = queue(8, 4, LONG);
    // Producers have been held back for more than a fortieth of the time: for one that is not quick they wait no more.
    queue.state().held_for = LONG / 20;
    queue.state().took = [Some(Duration::from_millis(1)); 2];
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            block_on(async {
                let mut given = 0;
                while let Some(batch) = queue.next(Duration::from_millis(1)).await {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    given += batch.len();
                    queue.sent(true);
                }
                given
            })
        }
    });
    for item in 0..400 {
        queue.push(item);
        // The run does something too: it takes somewhat less time than sending.
        if item % 4 == 3 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    queue.close();
    assert_eq!((consumer.join().expect("no panic"), dropped(&queue)), (400, 0));
}

#[test]
fn nobody_waits_for_a_request_that_hangs() {
    let queue = queue(1, 1, LONG);
    queue.push(0);
    assert_eq!(block_on(queue.next(LONG)), Some(vec![0]));
    queue.state().sending_since = Instant::now().checked_sub(Duration::from_secs(1));
    let begun = Instant::now();
    (1..4).for_each(|item| queue.push(item));
    assert!(begun.elapsed() < Duration::from_millis(100));
    assert_eq!(dropped(&queue), 2);
}

#[test]
fn the_end_lets_those_who_wait_go() {
    let queue = queue(1, 1, LONG);
    queue.push(0);
    let producer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || queue.push(1)
    });
    queue.close();
    producer.join().expect("no panic");
    assert_eq!(dropped(&queue), 1);
}

#[test]
fn a_batch_is_given_when_it_is_full_or_due_or_at_the_end() {
    let queue = queue(10, 3, LONG);
    (0..4).for_each(|item| queue.push(item));
    assert_eq!(block_on(queue.next(LONG)), Some(vec![0, 1, 2]), "a full one");
    let begun = Instant::now();
    assert_eq!(block_on(queue.next(Duration::from_millis(20))), Some(vec![3]), "a due one");
    assert!(begun.elapsed() >= Duration::from_millis(20));
    queue.push(4);
    queue.close();
    assert_eq!(block_on(queue.next(LONG)), Some(vec![4]), "the last one");
    assert_eq!(block_on(queue.next(LONG)), None);
}

#[test]
fn every_thing_is_given_once_or_counted_as_dropped() {
    let queue = queue(16, 8, LONG);
    let producers: Vec<_> = (0..4)
        .map(|producer| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || (0..1000).for_each(|item| queue.push(producer * 1000 + item)))
        })
        .collect();
    let consumer = thread::spawn({
        let queue = Arc::clone(&queue);
        move || {
            block_on(async {
                let mut given = Vec::new();
                while let Some(batch) = queue.next(Duration::from_millis(1)).await {
                    assert!(batch.len() <= 8);
                    given.extend(batch);
                    queue.sent(true);
                }
                given
            })
        }
    });
    producers.into_iter().for_each(|producer| producer.join().expect("no panic"));
    queue.close();
    let mut given = consumer.join().expect("no panic");
    let total = given.len() as u64 + dropped(&queue);
    given.sort_unstable();
    given.dedup();
    assert_eq!((total, given.len() as u64 + dropped(&queue)), (4000, 4000));
}

/// A queue that is full, whose producers may wait no more.
fn full(size: usize, batch: usize) -> Arc<Queue<u32>> {
    let queue = queue(size, batch, Duration::ZERO);
    queue.state().held_for = LONG;
    (0..=size).for_each(|item| queue.push(u32::try_from(item).expect("a few")));
    queue
}

#[test]
fn nothing_is_made_that_would_be_dropped_and_it_is_counted_as_dropped() {
    let queue = full(4, 2);
    let gate = queue.gate();
    assert!(!gate.lets_in() && !gate.lets_in());
    assert_eq!(queue.give_up(), 4 + 1 + 2, "what waited, what did not fit, and what was not made");
}

#[test]
fn the_gate_is_open_until_something_is_dropped_and_as_soon_as_there_is_room_again() {
    let queue = queue(4, 2, Duration::ZERO);
    queue.state().held_for = LONG;
    let gate = queue.gate();
    (0..4).for_each(|item| queue.push(item));
    assert!(gate.lets_in(), "full, but perhaps not for long");
    queue.push(4);
    assert!(!gate.lets_in());
    assert_eq!(block_on(queue.next(LONG)), Some(vec![0, 1]));
    assert!(gate.lets_in());
    queue.close();
    assert!(!gate.lets_in(), "it takes no more");
    assert_eq!(block_on(queue.next(LONG)), Some(vec![2, 3]));
    assert!(!gate.lets_in());
}

#[test]
fn while_sending_fails_what_waits_is_tried_before_more_is_made() {
    let queue = full(6, 2);
    let gate = queue.gate();
    queue.sent(false);
    for (batch, is_open) in [(vec![0, 1], false), (vec![2, 3], false), (vec![4, 5], true)] {
        assert_eq!(block_on(queue.next(LONG)), Some(batch));
        assert_eq!(gate.lets_in(), is_open);
        queue.sent(false);
    }
}

#[test]
fn once_sending_succeeds_again_there_is_no_gate() {
    let queue = full(6, 2);
    queue.sent(false);
    assert_eq!(block_on(queue.next(LONG)), Some(vec![0, 1]));
    assert!(!queue.gate().lets_in());
    queue.sent(true);
    assert_eq!(block_on(queue.next(LONG)), Some(vec![2, 3]));
    assert!(queue.gate().lets_in());
}

/// What can happen to a queue.
#[derive(Debug, Clone, Copy)]
enum Step {
    Push,
    Next,
    Sent(bool),
}

proptest! {
    #[test]
    fn whoever_finds_the_gate_shut_can_rely_on_a_batch_that_is_tried(
        size in 1_usize..9,
        batch in 1_usize..9,
        steps in prop::collection::vec(
            prop_oneof![4 => Just(Step::Push), 1 => Just(Step::Next), 1 => any::<bool>().prop_map(Step::Sent)],
            0..60,
        ),
    ) {
        let batch = batch.min(size);
        let queue = queue(size, batch, Duration::ZERO);
        queue.state().held_for = LONG;
        let gate = queue.gate();
        let (mut made, mut taken) = (0, 0);
        for step in steps {
            match step {
                Step::Push => {
                    made += 1;
                    if gate.lets_in() {
                        queue.push(made);
                    }
                }
                Step::Next if queue.state().items.is_empty() => {}
                Step::Next => taken += block_on(queue.next(Duration::ZERO)).expect("it is open").len() as u64,
                Step::Sent(well) => queue.sent(well),
            }
            let waiting = queue.state().items.len();
            prop_assert!(gate.is_open() || waiting >= batch, "{waiting} wait, and the gate is shut for ever");
        }
        prop_assert_eq!(taken + queue.give_up(), u64::from(made), "each is given once or counted as dropped");
    }
}
