//! What every enrollment goes by, remembered as long as nobody changes it: whoever does moves the generation of security in the same
//! transaction (`generation.rs`), and every request has read that generation when it signed in. So a change counts at once in every
//! server on the same database, and nothing is read that was read before.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cx::{Caller, Cx};
use crate::error::Error;

/// Things remembered of a kind at most.
const REMEMBERED_MAX: usize = 1_000;

/// What is remembered by one kind of key.
pub(crate) struct Remembered<K, V>(Mutex<Known<K, V>>);

/// All of one generation.
struct Known<K, V> {
    generation: i64,
    values: HashMap<K, V>,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            generation: 0,
            values: HashMap::new(),
        }))
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// What the key stands for, if anything: what is remembered of the caller's generation, or what `query` answers.
    ///
    /// # Errors
    /// Those of the query.
    pub(crate) async fn find<Fut>(
        &self,
        cx: &Cx,
        key: K,
        query: impl FnOnce() -> Fut,
    ) -> Result<Option<V>, Error>
    where
        Fut: Future<Output = Result<Option<V>, Error>>,
    {
        let Caller::Identity(identity) = cx.caller() else {
            // It has read no generation.
            return query().await;
        };
        {
            let known = self.known();
            if known.generation == identity.generation
                && let Some(value) = known.values.get(&key)
            {
                return Ok(Some(value.clone()));
            }
        }
        // Read after the generation, so that it is of it or newer: if newer, nobody who signs in from now on takes it for his.
        let found = query().await?;
        let mut known = self.known();
        if identity.generation > known.generation || known.values.len() >= REMEMBERED_MAX {
            known.values.clear();
            known.generation = known.generation.max(identity.generation);
        }
        if identity.generation == known.generation
            && let Some(value) = &found
        {
            known.values.insert(key, value.clone());
        }
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, Known<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
