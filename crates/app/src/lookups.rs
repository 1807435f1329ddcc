//! Lookups that callers share: what one key stands for, asked for by many at a time.
//!
//! Under load a query costs more than the row it finds. Whoever asks while a query is under way is answered by the next one,
//! together with all others who wait. So everybody reads what was committed before he asked, nothing is remembered, and nothing
//! has to be told when something changes.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

use crate::error::{Error, Kind};

/// Keys of one query at most.
const KEYS_MAX: usize = 128;
/// Queries under way at a time.
const QUERIES_AT_ONCE: usize = 2;
/// Callers that wait at most; more are asked to come later.
const WAITING_MAX: usize = 4_096;

/// What is looked up by one kind of key.
pub(crate) struct Lookups<K, V>(Arc<db::Gather<K, Result<Option<V>, Error>>>);

impl<K: Send + 'static, V: Send + 'static> Default for Lookups<K, V> {
    fn default() -> Self {
        Self(Arc::new(db::Gather::new(
            KEYS_MAX,
            QUERIES_AT_ONCE,
            WAITING_MAX,
        )))
    }
}

impl<K, V> Lookups<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// What the key stands for, if anything. `query` is given different keys, and answers what it found by key.
    ///
    /// # Errors
    /// Those of the query, which all who waited for it get.
    pub(crate) async fn find<F, Fut>(&self, key: K, query: F) -> Result<Option<V>, Error>
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<HashMap<K, V>, Error>> + Send,
    {
        let query = Arc::new(query);
        let work = move |keys| {
            let query = Arc::clone(&query);
            async move { answer(keys, &*query).await }
        };
        let found = self.0.hand_in(key, work).await;
        found.unwrap_or_else(|reason| match reason {
            db::NotDone::Busy => Err(Error::new(
                Kind::Unavailable,
                "Too many requests wait for the database. Try again.",
            )),
            db::NotDone::Ended => Err(Error::internal(reason)),
        })
    }
}

async fn answer<K, V, F, Fut>(keys: Vec<K>, query: &F) -> Vec<Result<Option<V>, Error>>
where
    K: Clone + Eq + Hash,
    V: Clone,
    F: Fn(Vec<K>) -> Fut,
    Fut: Future<Output = Result<HashMap<K, V>, Error>>,
{
    let different: HashSet<K> = keys.iter().cloned().collect();
    match query(different.into_iter().collect()).await {
        Ok(found) => keys.iter().map(|key| Ok(found.get(key).cloned())).collect(),
        Err(error) => {
            let others: Vec<_> = keys[1..].iter().map(|_| Err(error.repeated())).collect();
            [Err(error)].into_iter().chain(others).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    /// Lookups of numbers in a table that has the even ones, at a version. A query takes a permit.
    struct Table {
        lookups: Lookups<u32, (u32, usize)>,
        version: Arc<AtomicUsize>,
        queries: Arc<AtomicUsize>,
        permits: Arc<Semaphore>,
    }

    impl Table {
        fn new() -> Self {
            Self {
                lookups: Lookups::default(),
                version: Arc::default(),
                queries: Arc::default(),
                permits: Arc::new(Semaphore::new(0)),
            }
        }

        async fn find(&self, key: u32) -> Result<Option<(u32, usize)>, Error> {
            let (version, queries) = (Arc::clone(&self.version), Arc::clone(&self.queries));
            let permits = Arc::clone(&self.permits);
            let query = move |keys: Vec<u32>| {
                let (version, queries) = (Arc::clone(&version), Arc::clone(&queries));
                let permits = Arc::clone(&permits);
                async move {
                    queries.fetch_add(1, Ordering::SeqCst);
                    let version = version.load(Ordering::SeqCst);
                    permits.acquire().await.map_err(Error::internal)?.forget();
                    if keys.contains(&13) {
                        return Err(Error::new(Kind::Unavailable, "away"));
                    }
                    let even = keys.into_iter().filter(|key| key % 2 == 0);
                    Ok(even.map(|key| (key, (key * 10, version))).collect())
                }
            };
            self.lookups.find(key, query).await
        }
    }

    #[tokio::test]
    async fn those_who_wait_share_the_next_query_and_read_what_was_there_when_they_asked() {
        let table = Table::new();
        let early = table.find(2);
        let late = async {
            while table.queries.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            table.version.store(1, Ordering::SeqCst);
            let all = futures::future::join_all((0..64).map(|number| table.find(number % 8)));
            table.permits.add_permits(1_000);
            all.await
        };
        let (early, late) = tokio::join!(early, late);
        assert_eq!(early.unwrap(), Some((20, 0)));
        for (number, found) in (0..64).map(|number| number % 8).zip(late) {
            let wanted = (number % 2 == 0).then_some((number * 10, 1));
            assert_eq!(found.unwrap(), wanted);
        }
        assert!(table.queries.load(Ordering::SeqCst) < 16);
    }

    #[tokio::test]
    async fn an_error_is_that_of_all_who_asked_together() {
        let table = Table::new();
        table.permits.add_permits(1_000);
        let both = tokio::join!(table.find(13), table.find(13));
        for found in [both.0, both.1] {
            assert_eq!(found.unwrap_err().kind(), Kind::Unavailable);
        }
        assert_eq!(table.find(4).await.unwrap(), Some((40, 0)));
    }
}
