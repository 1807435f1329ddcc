//! What is kept in memory of lists: for what queries ask the set of the ids that have it, for a field to sort by all ids. Each is of a moment, and whoever
//! uses it first asks what changed since (`noted.rs`). Keys are the statements themselves, with what the caller may see and who he is in
//! them, so that nobody is answered with another's list.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::noted::Moment;
use super::sets::Ids;

/// What an entry takes besides its key and its ids.
const ENTRY: usize = 128;
/// Lists are put together before somebody asks for a later page, but for no more than one part in so many of the time.
const REST: u32 = 8;

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Octets that all of it may take.
    octets_max: usize,
    kept: Mutex<Kept>,
    /// Held by who puts a whole list together: one at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Arc<str>, (u64, Entry)>,
    octets: usize,
    uses: u64,
    rest_until: Option<Instant>,
    is_preparing: bool,
}

/// What is kept under one key.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) moment: Moment,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Which they are.
    Set(Arc<Ids>),
    /// All certificates, sorted.
    Order(Arc<Vec<u32>>),
}

impl Entry {
    fn octets(&self, key: &str) -> usize {
        let ids = match &self.what {
            What::Set(ids) => ids.octets(),
            What::Order(ids) => ids.len() * size_of::<u32>(),
        };
        ENTRY + key.len() + ids
    }
}

impl Lists {
    pub(crate) fn new(octets_max: usize) -> Self {
        Self {
            octets_max,
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Ids that one entry may have: two orders fit beside each other, and some sets.
    pub(super) fn ids_max(&self) -> usize {
        self.octets_max / 3 / size_of::<u32>()
    }

    pub(super) fn find(&self, key: &str) -> Option<Entry> {
        let mut kept = self.lock();
        kept.uses += 1;
        let now = kept.uses;
        let (used, entry) = kept.entries.get_mut(key)?;
        *used = now;
        Some(entry.clone())
    }

    /// Keeps it, in place of what was not used for longest.
    pub(super) fn keep(&self, key: &str, entry: Entry) {
        let mut kept = self.lock();
        let mine = entry.octets(key);
        kept.forget(key);
        if mine > self.octets_max {
            return;
        }
        while kept.octets + mine > self.octets_max {
            let oldest = kept.entries.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| Arc::clone(key)) else {
                return;
            };
            kept.forget(&oldest);
        }
        kept.uses += 1;
        let now = kept.uses;
        kept.octets += mine;
        kept.entries.insert(key.into(), (now, entry));
    }

    pub(super) fn forget(&self, key: &str) {
        self.lock().forget(key);
    }

    /// Whether something may be put together that nobody waits for; then it is under way until `prepared`.
    pub(super) fn prepares(&self) -> bool {
        let mut kept = self.lock();
        let is_rested = kept.rest_until.is_none_or(|until| until <= Instant::now());
        let begins = is_rested && !kept.is_preparing;
        kept.is_preparing |= begins;
        begins
    }

    /// After so much work for nobody who waits.
    pub(super) fn prepared(&self, work: Duration) {
        let mut kept = self.lock();
        kept.is_preparing = false;
        kept.rest_until = Instant::now().checked_add(work * REST);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, key: &str) {
        if let Some((key, (_, entry))) = self.entries.remove_entry(key) {
            self.octets -= entry.octets(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_fits_and_the_longest_unused_goes_first() {
        let moment = Moment {
            mark: 1,
            end: 1,
            running: 0,
            others: 0,
            at: 0,
        };
        let list = |count: usize| Entry {
            moment,
            what: What::Order(Arc::new(vec![0; count])),
        };
        let lists = Lists::new(12_000);
        lists.keep("a", list(lists.ids_max()));
        lists.keep("b", list(lists.ids_max()));
        assert!(lists.find("a").is_some());
        lists.keep("c", list(lists.ids_max()));
        assert!(lists.find("b").is_none());
        assert!(lists.find("a").is_some() && lists.find("c").is_some());
        assert!(lists.lock().octets <= 12_000);
        lists.forget("a");
        lists.forget("c");
        assert_eq!(lists.lock().octets, 0);
    }
}
