//! Answers that are asked for once: whoever wants the same one meanwhile waits for it instead of asking again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

/// Answers by their question. A failed one is not kept: the next who wants it asks again.
pub(super) struct Kept<K, V> {
    cells: Mutex<HashMap<K, Arc<OnceCell<V>>>>,
    at_most: usize,
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    /// Holds up to `at_most` answers, and forgets them all when one more comes.
    pub(super) fn new(at_most: usize) -> Self {
        Self { cells: Mutex::default(), at_most }
    }

    /// The kept answer, or that of `ask`, which at most one caller runs at a time. Where that caller is dropped, one of
    /// those who wait asks in its place.
    pub(super) async fn get<E>(&self, question: K, ask: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let cell = self.cell(question);
        cell.get_or_try_init(|| ask).await.cloned()
    }

    /// Keeps an answer that came on another way.
    pub(super) fn put(&self, question: K, answer: V) {
        // Somebody who asks the same just now gets the same: then one of both is kept.
        let _same = self.cell(question).set(answer);
    }

    fn cell(&self, question: K) -> Arc<OnceCell<V>> {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= self.at_most && !cells.contains_key(&question) {
            cells.clear();
        }
        cells.entry(question).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    async fn answer(asked: &AtomicUsize, answer: Result<u8, u8>) -> Result<u8, u8> {
        asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        answer
    }

    #[tokio::test]
    async fn side_by_side_one_asks_and_all_are_told() {
        let (kept, asked) = (Kept::new(9), AtomicUsize::new(0));
        let ask = || kept.get("latest", answer(&asked, Ok(7)));
        assert_eq!(tokio::join!(ask(), ask(), ask()), (Ok(7), Ok(7), Ok(7)));
        assert_eq!((ask().await, asked.load(Ordering::SeqCst)), (Ok(7), 1));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (kept, asked) = (Kept::new(9), AtomicUsize::new(0));
        assert_eq!(kept.get("a", answer(&asked, Err(1))).await, Err(1));
        assert_eq!(kept.get("a", answer(&asked, Ok(2))).await, Ok(2));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn it_stays_small() {
        let kept = Kept::new(2);
        for question in 0..5_u8 {
            kept.put(question, question);
        }
        assert!(kept.cells.lock().unwrap().len() <= 2);
        assert_eq!(kept.get(4, async { Err::<u8, ()>(()) }).await, Ok(4));
    }
}
