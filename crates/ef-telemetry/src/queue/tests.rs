//! When a queue waits, and when it drops.

use std::sync::Arc;
use std::thread;

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
    let queue = queue(8, 4, Duration::ZERO);
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
