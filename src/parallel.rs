//! The same work on many things at the same time.

use std::num::NonZero;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

/// How many cores this process may use: to find out takes a dozen system calls.
static CORES: LazyLock<usize> = LazyLock::new(|| thread::available_parallelism().map_or(1, NonZero::get));

/// Works on each item, on at most `threads` of the cores that this process may use, and returns the results in order.
///
/// # Errors
/// The first failure by the order of the items, with its number; what comes behind it may not have been worked on.
pub fn map<I, R: Send, E: Send>(
    items: I,
    threads: usize,
    work: impl Fn(I::Item) -> Result<R, E> + Sync,
) -> Result<Vec<R>, (usize, E)>
where
    I: IntoIterator<IntoIter: ExactSizeIterator + Send>,
{
    map_with(items, threads, || (), |(), item| work(item))
}

/// Does the same with something that each thread makes once, and takes from one item to the next.
///
/// # Errors
/// As for [`map`].
pub fn map_with<I, S, R: Send, E: Send>(
    items: I,
    threads: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, I::Item) -> Result<R, E> + Sync,
) -> Result<Vec<R>, (usize, E)>
where
    I: IntoIterator<IntoIter: ExactSizeIterator + Send>,
{
    let items = items.into_iter();
    let threads = match threads.min(items.len()) {
        0 | 1 => 1,
        wanted => wanted.min(*CORES),
    };
    // None once an item failed.
    let left = Mutex::new(Some(items.enumerate()));
    let left = || left.lock().unwrap_or_else(PoisonError::into_inner);
    let worker = || {
        let mut done = Vec::new();
        let mut own = start();
        loop {
            let taken = left().as_mut().and_then(Iterator::next);
            let Some((number, item)) = taken else { return done };
            let result = work(&mut own, item);
            if result.is_err() {
                // Every item before this one has been taken by now, so the first failure is found.
                *left() = None;
            }
            done.push((number, result));
        }
    };
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut done = worker();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(number, result)| result.map_err(|error| (number, error))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<usize> = (0..1000).collect();
        for threads in [0, 1, 2, 8] {
            assert_eq!(
                map(&items, threads, |item| Ok::<_, ()>(item * 2)),
                Ok((0..1000).map(|item| item * 2).collect())
            );
        }
        assert_eq!(map(&[], 8, |(): &()| Ok::<_, ()>(())), Ok(vec![]));
    }

    #[test]
    fn the_first_failure_counts() {
        let items: Vec<usize> = (0..1000).collect();
        for _ in 0..50 {
            let slow = |item: &usize| match item {
                300 => {
                    thread::sleep(std::time::Duration::from_micros(200));
                    Err(*item)
                }
                301.. => Err(*item),
                _ => Ok(()),
            };
            assert_eq!(map(&items, 4, slow), Err((300, 300)));
        }
    }
}
