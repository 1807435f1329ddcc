//! What is kept in memory of lists: for what queries ask the set of the ids that have it, for a field to sort by all ids, for one to
//! look for parts in all texts. Each is of a moment, and whoever uses it first asks what changed since (`noted.rs`). The keys of what
//! depends on who asks are the statements themselves, with what the caller may see and who he is in them, so that nobody is answered
//! with another's list.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::ids::Ids;
use super::noted::Moment;
use super::sorted::Sorted;
use super::texts::Texts;
use crate::app::App;

/// What an entry takes besides its key and its ids.
const ENTRY: usize = 128;
/// Lists are put together before somebody waits for them, but then nothing is for so many times as long.
const REST: u32 = if cfg!(feature = "testing") { 0 } else { 8 };

/// Walks that are kept: a few thousand numbers each, of the largest inventories.
const WALKS: usize = 64;
/// Places of sets in orders that are kept.
const HULLS: usize = 256;

/// Everything that is kept.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Octets that all of it may take.
    octets_max: usize,
    kept: Mutex<Kept>,
    walks: Mutex<VecDeque<Walk>>,
    hulls: Mutex<VecDeque<Hull>>,
    /// Whether somebody counts the steps of a walk that nobody waits for.
    is_counting: AtomicBool,
    /// That somebody looked for what is about all certificates, and it was not there.
    missed: AtomicBool,
    /// Whether it was said that all of it is there, or has no room.
    is_said: AtomicBool,
    /// Held by who puts a whole list together: one at a time.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Arc<str>, (u64, Entry)>,
    octets_of_sets: usize,
    octets_of_wholes: usize,
    uses: u64,
    rest_until: Option<Instant>,
    is_preparing: bool,
}

/// Where in an order all of a set stands.
#[derive(Debug)]
struct Hull {
    set: Weak<Ids>,
    order: Weak<Sorted>,
    hull: Range<usize>,
}

/// How many entries of an order are in sets, a number for each step: by this a page in the middle is found without the others.
#[derive(Debug)]
struct Walk {
    sets: Vec<Weak<Ids>>,
    order: Weak<Sorted>,
    steps: Arc<[u32]>,
}

/// What is referred to is never another: its place is not given away as long as something refers to it.
fn is_same<T>(mine: &Weak<T>, other: &Arc<T>) -> bool {
    mine.as_ptr() == Arc::as_ptr(other)
}

impl Walk {
    fn is_of(&self, sets: &[Arc<Ids>], order: &Arc<Sorted>) -> bool {
        let mut both = self.sets.iter().zip(sets);
        is_same(&self.order, order)
            && self.sets.len() == sets.len()
            && both.all(|(mine, other)| is_same(mine, other))
    }
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
    Order(Arc<Sorted>),
    /// All texts of a field.
    Texts(Arc<Texts>),
}

impl Entry {
    /// Whether it is about all certificates, so that it takes long to read.
    fn is_whole(&self) -> bool {
        !matches!(self.what, What::Set(_))
    }

    fn octets(&self, key: &str) -> usize {
        let ids = match &self.what {
            What::Set(ids) => ids.octets(),
            What::Order(order) => order.octets(),
            What::Texts(texts) => texts.octets(),
        };
        ENTRY + key.len() + ids
    }
}

impl Lists {
    pub(crate) fn new(octets_max: usize) -> Self {
        Self {
            octets_max,
            kept: Mutex::default(),
            walks: Mutex::default(),
            hulls: Mutex::default(),
            is_counting: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            is_said: AtomicBool::new(false),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Ids that one entry may have: two orders fit beside each other.
    pub(super) fn ids_max(&self) -> usize {
        self.share(true) / 2 / size_of::<u32>()
    }

    /// Octets that what is about all certificates may take, or sets: many sets do not drive out what takes far longer to read.
    fn share(&self, are_whole: bool) -> usize {
        match are_whole {
            true => self.octets_max / 4 * 3,
            false => self.octets_max / 4,
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<Entry> {
        let mut kept = self.lock();
        kept.uses += 1;
        let now = kept.uses;
        let (used, entry) = kept.entries.get_mut(key)?;
        *used = now;
        Some(entry.clone())
    }

    /// Says that something was missed that is about all certificates.
    pub(super) fn miss(&self) {
        self.missed.store(true, Ordering::Relaxed);
    }

    /// Whether something was missed since the last time.
    pub(super) fn missed(&self) -> bool {
        self.missed.swap(false, Ordering::Relaxed)
    }

    /// Says once, to who runs the server, that all was put together that has room, so that any page is fast now, or that orders have none.
    pub(super) fn say(&self, have_room: bool) {
        if self.is_said.swap(true, Ordering::Relaxed) {
            return;
        }
        let is_left_out =
            |entry: &Entry| matches!(&entry.what, What::Texts(texts) if !texts.is_whole());
        let (octets, is_all) = {
            let kept = self.lock();
            let has_all = !kept.entries.values().any(|(_, entry)| is_left_out(entry));
            (kept.octets_of_wholes, have_room && has_all)
        };
        if is_all {
            tracing::info!(octets, "all that certificates are listed by is in memory");
        } else {
            tracing::info!(
                octets,
                "not all that certificates are listed by has room in memory: page_memory_mb sets how much there is"
            );
        }
    }

    /// Keeps it, in place of what of its kind was not used for longest.
    pub(super) fn keep(&self, key: &str, entry: Entry) {
        let (mine, is_whole) = (entry.octets(key), entry.is_whole());
        let share = self.share(is_whole);
        let mut kept = self.lock();
        kept.forget(key);
        if mine > share {
            return;
        }
        while *kept.octets(is_whole) + mine > share {
            let same = |(_, (_, other)): &(&Arc<str>, &(u64, Entry))| other.is_whole() == is_whole;
            let oldest = kept.entries.iter().filter(same);
            let oldest = oldest.min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| Arc::clone(key)) else {
                return;
            };
            kept.forget(&oldest);
        }
        kept.uses += 1;
        let now = kept.uses;
        *kept.octets(is_whole) += mine;
        kept.entries.insert(key.into(), (now, entry));
    }

    pub(super) fn forget(&self, key: &str) {
        self.lock().forget(key);
    }

    /// Whether so many orders of so many certificates fit.
    pub(super) fn has_room(&self, orders: usize, certificates: usize) -> bool {
        let each = Sorted::octets_of(certificates);
        orders.saturating_mul(each) <= self.share(true)
    }

    /// Octets that more of what is about all certificates may take without driving out any of it.
    pub(super) fn room(&self) -> usize {
        let mut kept = self.lock();
        let taken = *kept.octets(true);
        self.share(true).saturating_sub(taken)
    }

    /// How many of what is in all of the sets each step of an order has, if somebody counted them.
    pub(super) fn steps(&self, sets: &[Arc<Ids>], order: &Arc<Sorted>) -> Option<Arc<[u32]>> {
        let walks = self.walks();
        let walk = walks.iter().find(|walk| walk.is_of(sets, order))?;
        Some(Arc::clone(&walk.steps))
    }

    /// Keeps what was counted, until as many others are as there is room for.
    pub(super) fn keep_steps(&self, sets: &[Arc<Ids>], order: &Arc<Sorted>, steps: Arc<[u32]>) {
        let walk = Walk {
            sets: sets.iter().map(Arc::downgrade).collect(),
            order: Arc::downgrade(order),
            steps,
        };
        let mut walks = self.walks();
        walks.retain(|other| !other.is_of(sets, order) && other.order.strong_count() > 0);
        walks.truncate(WALKS - 1);
        walks.push_front(walk);
    }

    /// The part of an order in which all are that are in each of the sets, as far as it is known.
    pub(super) fn hull(&self, sets: &[Arc<Ids>], order: &Arc<Sorted>) -> Range<usize> {
        let hulls = self.hulls();
        let of_order = hulls.iter().filter(|hull| is_same(&hull.order, order));
        let known = of_order.filter(|hull| sets.iter().any(|set| is_same(&hull.set, set)));
        known.fold(0..order.len(), |both, one| {
            let begin = Ord::max(both.start, one.hull.start);
            begin..Ord::max(begin, Ord::min(both.end, one.hull.end))
        })
    }

    /// Keeps that all of a set is in this part of an order, until either is another.
    pub(super) fn keep_hull(&self, set: &Arc<Ids>, order: &Arc<Sorted>, hull: Range<usize>) {
        if hull == (0..order.len()) {
            return;
        }
        let mut hulls = self.hulls();
        hulls.retain(|other| {
            let is_known = is_same(&other.set, set) && is_same(&other.order, order);
            !is_known && other.set.strong_count() > 0 && other.order.strong_count() > 0
        });
        hulls.truncate(HULLS - 1);
        let (set, order) = (Arc::downgrade(set), Arc::downgrade(order));
        hulls.push_front(Hull { set, order, hull });
    }

    fn hulls(&self) -> MutexGuard<'_, VecDeque<Hull>> {
        self.hulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walks(&self) -> MutexGuard<'_, VecDeque<Walk>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// That something is put together which nobody waits for: one at a time, and not all the time.
pub(super) struct Preparing {
    app: Arc<App>,
    began: Instant,
    worked: Duration,
}

impl Preparing {
    /// Nothing while somebody else does so, or after he did.
    pub(super) fn begin(app: &Arc<App>) -> Option<Self> {
        let began = Instant::now();
        let mut kept = app.certificate_lists.lock();
        if kept.is_preparing || kept.rest_until.is_some_and(|until| until > began) {
            return None;
        }
        kept.is_preparing = true;
        Some(Self {
            app: Arc::clone(app),
            began,
            worked: Duration::ZERO,
        })
    }

    /// Rests as long as it worked since the last time.
    pub(super) async fn rest(&mut self) {
        let worked = self.began.elapsed();
        self.worked += worked;
        tokio::time::sleep(worked).await;
        self.began = Instant::now();
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        let worked = self.worked + self.began.elapsed();
        let rest = Ord::max(worked, Duration::from_millis(1)) * REST;
        let mut kept = self.app.certificate_lists.lock();
        kept.is_preparing = false;
        kept.rest_until = Instant::now().checked_add(rest);
    }
}

/// That the steps of a walk are counted which nobody waits for: one walk at a time.
pub(super) struct Counting(Arc<App>);

impl Counting {
    /// Nothing while somebody else does so.
    pub(super) fn begin(app: &Arc<App>) -> Option<Self> {
        let is_counting = &app.certificate_lists.is_counting;
        let is_mine = !is_counting.swap(true, Ordering::AcqRel);
        is_mine.then(|| Self(Arc::clone(app)))
    }

    /// Counts them, unless somebody who waited did, and keeps them.
    pub(super) fn count(self, sets: &[Arc<Ids>], all: &Ids, order: &Arc<Sorted>) {
        let lists = &self.0.certificate_lists;
        if lists.steps(sets, order).is_none() {
            lists.keep_steps(sets, order, order.counts(all).into());
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0
            .certificate_lists
            .is_counting
            .store(false, Ordering::Release);
    }
}

impl Kept {
    fn forget(&mut self, key: &str) {
        if let Some((key, (_, entry))) = self.entries.remove_entry(key) {
            *self.octets(entry.is_whole()) -= entry.octets(&key);
        }
    }

    fn octets(&mut self, are_whole: bool) -> &mut usize {
        match are_whole {
            true => &mut self.octets_of_wholes,
            false => &mut self.octets_of_sets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(ids: Vec<u32>) -> Arc<Sorted> {
        Arc::new(Sorted::new(ids))
    }

    #[test]
    fn steps_are_those_of_the_same_sets_and_order() {
        let lists = Lists::new(12_000);
        let set = |ids: &[u32]| Arc::new(Ids::new(ids));
        let (one, other, order) = (set(&[1]), set(&[1, 2]), sorted(vec![1, 2]));
        let list = |sets: &[&Arc<Ids>]| sets.iter().copied().cloned().collect::<Vec<_>>();
        let known = |sets: &[&Arc<Ids>], order: &Arc<Sorted>| {
            lists.steps(&list(sets), order).map(|steps| steps[0])
        };
        let keep = |sets: &[&Arc<Ids>], order: &Arc<Sorted>, step: u32| {
            lists.keep_steps(&list(sets), order, vec![step].into());
        };
        assert_eq!(known(&[&one], &order), None);
        keep(&[&one], &order, 1);
        keep(&[&one, &other], &order, 2);
        assert_eq!(known(&[&one], &order), Some(1));
        assert_eq!(known(&[&one, &other], &order), Some(2));
        assert_eq!(known(&[&other], &order), None);
        assert_eq!(known(&[&one], &sorted(vec![1, 2])), None);
        assert_eq!(known(&[&set(&[1])], &order), None);
        let more: Vec<Arc<Ids>> = (0..WALKS - 1).map(|_| set(&[1])).collect();
        more.iter().for_each(|set| keep(&[set], &order, 3));
        assert_eq!(known(&[&one, &other], &order), Some(2));
        assert_eq!(known(&[&one], &order), None);
        assert_eq!(lists.walks().len(), WALKS);
        keep(&[&one, &other], &order, 4);
        assert_eq!(known(&[&one, &other], &order), Some(4));
        assert_eq!(lists.walks().len(), WALKS);
    }

    #[test]
    fn what_is_in_several_sets_is_in_all_of_their_parts_of_an_order() {
        let lists = Lists::new(12_000);
        let set = |ids: &[u32]| Arc::new(Ids::new(ids));
        let (one, other, order) = (set(&[1]), set(&[1, 2]), sorted(vec![0; 100]));
        let hull = |sets: &[&Arc<Ids>], order: &Arc<Sorted>| {
            lists.hull(&sets.iter().copied().cloned().collect::<Vec<_>>(), order)
        };
        assert_eq!(hull(&[&one, &other], &order), 0..100);
        lists.keep_hull(&one, &order, 10..30);
        lists.keep_hull(&other, &order, 20..60);
        assert_eq!(hull(&[&one], &order), 10..30);
        assert_eq!(hull(&[&one, &other], &order), 20..30);
        assert_eq!(hull(&[&set(&[1])], &order), 0..100);
        assert_eq!(hull(&[&one], &sorted(vec![0; 7])), 0..7);
        lists.keep_hull(&other, &order, 40..41);
        assert!(hull(&[&one, &other], &order).is_empty());
        lists.keep_hull(&set(&[3]), &order, 1..2);
        lists.keep_hull(&one, &order, 10..31);
        assert_eq!(hull(&[&one], &order), 10..31);
        // What is not there any more, what says nothing and what is known already take no place.
        assert_eq!(lists.hulls().len(), 2);
        let more: Vec<Arc<Ids>> = (0..HULLS).map(|_| set(&[3])).collect();
        more.iter()
            .for_each(|set| lists.keep_hull(set, &order, 1..2));
        lists.keep_hull(&other, &order, 0..100);
        assert_eq!(hull(&[&one], &order), 0..100);
        assert_eq!(lists.hulls().len(), HULLS);
    }

    #[test]
    fn what_is_kept_fits_and_the_longest_unused_goes_first() {
        let moment = Moment {
            mark: 1,
            end: 1,
            running: 0,
            others: 0,
            at: 0,
            until: 0,
        };
        let list = |count: usize| Entry {
            moment,
            what: What::Order(sorted(vec![0; count])),
        };
        let lists = Lists::new(12_000);
        lists.keep("a", list(1_000));
        lists.keep("b", list(1_000));
        assert!(lists.find("a").is_some());
        lists.keep("c", list(lists.ids_max() - 100));
        assert!(lists.find("b").is_none());
        assert!(lists.find("a").is_some() && lists.find("c").is_some());
        // Sets have a part of their own.
        for number in 0..100 {
            let set = Entry {
                moment,
                what: What::Set(Arc::new(Ids::new(&[7]))),
            };
            lists.keep(&format!("set {number}"), set);
        }
        assert!(lists.find("set 0").is_none() && lists.find("set 99").is_some());
        assert!(lists.find("a").is_some() && lists.find("c").is_some());
        let kept = lists.lock();
        assert!(kept.octets_of_wholes <= 9_000 && kept.octets_of_sets <= 3_000);
        assert!(kept.octets_of_sets > 2_500);
        drop(kept);
        for key in ["a", "c"] {
            lists.forget(key);
        }
        assert_eq!(lists.lock().octets_of_wholes, 0);
    }
}
