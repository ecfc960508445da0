//! Runs queries that wait for other programs in parallel.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

/// The maximum number of parallel queries. They wait rather than compute, so the number of processors does not matter;
/// the limit bounds memory and connections.
const THREADS: usize = 32;

/// Returns the result of `query` for each item, in the order of the items.
pub fn map<T: Sync, R: Send>(items: &[T], query: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut answers = Vec::with_capacity(items.len());
    in_order(items, query, |answer| answers.push(answer));
    answers
}

/// Passes the result of `query` for each item to `take`, in the order of the items. Each result is passed as soon as it
/// and those before it are known.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    query: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(R),
) {
    let (next, query) = (&AtomicUsize::new(0), &query);
    let (sender, answers) = channel();
    std::thread::scope(|scope| {
        for _ in 0..items.len().min(THREADS) {
            let sender = sender.clone();
            scope.spawn(move || {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else {
                        return;
                    };
                    // The receiver lives as long as this scope, unless `take` has panicked.
                    let _ = sender.send((place, query(item)));
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (place, answer) in answers {
            early.insert(place, answer);
            while let Some(answer) = early.remove(&due) {
                take(answer);
                due += 1;
            }
        }
    });
}

/// Runs two queries at the same time, the second one in this thread.
pub fn both<A: Send, B>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B) -> (A, B) {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        match one.join() {
            Ok(one) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn answers_have_the_order_of_the_items() {
        let items: Vec<usize> = (0..1000).collect();
        let doubled: Vec<usize> = items.iter().map(|item| item * 2).collect();
        assert_eq!(map(&items, |item| item * 2), doubled);
        assert_eq!(map(&[], |item: &u8| *item), [0; 0]);
    }

    #[test]
    fn answers_are_passed_on_before_later_ones_are_known() {
        // The second query waits until the answer of the first one has been passed on.
        let passed = Barrier::new(2);
        let mut answers = Vec::new();
        let query = |item: &usize| {
            if *item == 1 {
                passed.wait();
            }
            *item
        };
        in_order(&[0, 1], query, |answer| {
            if answer == 0 {
                passed.wait();
            }
            answers.push(answer);
        });
        assert_eq!(answers, [0, 1]);
    }

    #[test]
    fn two_queries_run_at_the_same_time() {
        // Each query waits for the other.
        let arrived = Barrier::new(2);
        let wait = |answer| {
            arrived.wait();
            answer
        };
        assert_eq!(both(|| wait(1), || wait(2)), (1, 2));
    }

    #[test]
    fn queries_run_in_parallel_up_to_the_limit() {
        // Each query waits until all threads have arrived, so that sequential execution would never finish.
        let all = Barrier::new(THREADS);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        map(&[(); 2 * THREADS], |()| {
            let here = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(here, Ordering::SeqCst);
            all.wait();
            now.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(most.into_inner(), THREADS);
    }
}
