//! Reads a whole list page by page: the first page says how many there are, the rest come side by side.
//!
//! Airflow clamps a page at 100 without saying so, and the task instance list of 2.x answers everything at once whatever
//! page was asked for. So the size of a page is what came, never what was asked for.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Result;

/// Pages under way at once.
const SIDE_BY_SIDE: usize = 8;

/// One answer of a list.
pub(super) struct Page<T> {
    pub items: Vec<T>,
    /// `total_entries`: length of the whole list, as of this answer.
    pub total: usize,
}

/// The whole list. `fetch` reads the page at an offset, `key` tells two items apart. Where the list moved while it was
/// read (an item came twice, one is missing, the total changed) it is read once more from the start. `None` where it
/// moved then as well: an item may have slipped between two pages, so nothing may be concluded from it.
pub(super) async fn all<T, K, F, Fut>(fetch: F, key: impl Fn(&T) -> K) -> Result<Option<Vec<T>>>
where
    K: Hash,
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    for _ in 0..2 {
        if let Some(items) = once(&fetch, &key).await? {
            return Ok(Some(items));
        }
    }
    Ok(None)
}

/// One reading from the start; `None` where the list moved meanwhile.
async fn once<T, K, F, Fut>(fetch: &F, key: &impl Fn(&T) -> K) -> Result<Option<Vec<T>>>
where
    K: Hash,
    F: Fn(usize) -> Fut,
    Fut: Future<Output = Result<Page<T>>>,
{
    let Page { mut items, total } = fetch(0).await?;
    let size = items.len();
    let mut moved = size == 0 && total > 0;
    if size > 0 && size < total {
        let mut rest = stream::iter((size..total).step_by(size)).map(fetch).buffered(SIDE_BY_SIDE);
        while let Some(page) = rest.try_next().await? {
            moved |= page.total != total;
            items.extend(page.items);
        }
    }
    // Hashes and not the keys: of ten thousand items the names would be held twice. Should two ever collide, the list
    // counts as moved and is read again.
    let hasher = RandomState::new();
    let different: HashSet<u64> = items.iter().map(|item| hasher.hash_one(key(item))).collect();
    moved |= different.len() != total || items.len() != total;
    Ok((!moved).then_some(items))
}
