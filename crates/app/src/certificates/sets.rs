//! The certificates that a query means, kept in memory as a bit for each id, and brought up to date with those that changed.

use std::sync::Arc;

use db::tables::certificates;
use fixedbitset::FixedBitSet;
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSlice;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    Select,
};
use search::Expression;

use super::kept::{Entry, Lists, What};
use super::listing::shown;
use super::metadata;
use super::noted::{Changed, Moment, View};
use crate::error::Error;
use crate::web::list::{self, Field};

const IS_TEST: bool = cfg!(feature = "testing");
/// Entries of an order that are passed over at a time.
const STEP: usize = if IS_TEST { 3 } else { 4_096 };
/// So many steps are walked without knowing what is in them; beyond, they are counted.
const NEAR: usize = if IS_TEST { 2 } else { 64 };
/// Ids in a word of a set.
const WORD: usize = usize::BITS as usize;
/// Entries that one core looks at in less time than it takes to share them with another.
const SHARED: usize = if IS_TEST { 5 } else { 262_144 };

/// Ids, and how many they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    bits: FixedBitSet,
    count: usize,
}

impl Ids {
    pub(super) fn new(ids: &[u32]) -> Self {
        let is_few = ids.len() <= SHARED;
        let most = match is_few {
            true => ids.iter().max(),
            false => ids.par_iter().max(),
        };
        let length = most.map_or(0, |most| *most as usize + 1);
        let bits = |ids: &[u32]| {
            let mut bits = FixedBitSet::with_capacity(length);
            ids.iter().for_each(|id| bits.insert(*id as usize));
            bits
        };
        let either = |mut all: FixedBitSet, some: FixedBitSet| {
            all.union_with(&some);
            all
        };
        let all = match is_few {
            true => bits(ids),
            false => {
                let parts = ids.par_chunks(each_core(ids.len(), SHARED)).map(bits);
                parts.reduce_with(either).unwrap_or_default()
            }
        };
        Self::from(all)
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn octets(&self) -> usize {
        self.bits.len() / 8
    }

    /// Ascending.
    pub(super) fn ids(&self) -> impl Iterator<Item = i64> {
        self.bits
            .ones()
            .map(|id| i64::try_from(id).unwrap_or(i64::MAX))
    }

    /// Those of `order` that are in it, without so many at the begin, or at the end when it is read `backwards`. `steps` says how many
    /// there are in each step of the order. Nothing where that is not known and they are not near.
    pub(super) fn window(
        &self,
        order: &[u32],
        steps: Option<&[u32]>,
        skip: u64,
        limit: u64,
        backwards: bool,
    ) -> Option<Vec<i64>> {
        let (mut skip, limit) = (
            usize::try_from(skip).unwrap_or(usize::MAX),
            usize::try_from(limit).unwrap_or(usize::MAX),
        );
        let is_in = |id: &&u32| self.contains(**id);
        let mut page = Vec::with_capacity(Ord::min(limit, self.count));
        let count = order.len().div_ceil(STEP);
        for turn in 0..count {
            let index = if backwards { count - 1 - turn } else { turn };
            let step = step(order, index);
            let inside = match steps.and_then(|steps| steps.get(index)) {
                Some(inside) => *inside as usize,
                None if turn >= NEAR => return None,
                None => step.iter().filter(is_in).count(),
            };
            if inside <= skip {
                skip -= inside;
                continue;
            }
            let left = limit - page.len();
            let those = step.iter().filter(is_in).copied().map(i64::from);
            match backwards {
                false => page.extend(those.skip(skip).take(left)),
                true => page.extend(those.rev().skip(skip).take(left)),
            }
            skip = 0;
            if page.len() >= limit {
                break;
            }
        }
        Some(page)
    }

    /// How many are in each step of an order.
    pub(super) fn steps(&self, order: &[u32]) -> Vec<u32> {
        let words = self.words_for(order);
        order
            .chunks(STEP)
            .map(|step| self.inside(step, words.as_ref()))
            .collect()
    }

    /// The same on all cores, for somebody who waits.
    pub(super) fn steps_on_all_cores(&self, order: &[u32]) -> Vec<u32> {
        let words = self.words_for(order);
        order
            .par_chunks(STEP)
            .with_min_len(SHARED / STEP)
            .map(|step| self.inside(step, words.as_ref()))
            .collect()
    }

    fn inside(&self, step: &[u32], words: Option<&FixedBitSet>) -> u32 {
        let may_be = |id: u32, words: &FixedBitSet| words.contains(id as usize / WORD);
        let ids = step.iter();
        match words {
            Some(words) => ids
                .map(|id| u32::from(may_be(*id, words) && self.contains(*id)))
                .sum(),
            None => ids.map(|id| u32::from(self.contains(*id))).sum(),
        }
    }

    /// Which words have any, where most have none: a bit for each word is much nearer to the processor than all words.
    fn words_for(&self, order: &[u32]) -> Option<FixedBitSet> {
        if self.count * WORD >= order.len() {
            return None;
        }
        let all = self.bits.as_slice();
        let mut words = FixedBitSet::with_capacity(all.len());
        words.extend((0..all.len()).filter(|at| all[*at] != 0));
        Some(words)
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        self.bits.contains(id as usize)
    }

    /// Those that are in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self::from(&self.bits & &other.bits)
    }

    /// Those that are in it alone.
    pub(super) fn without(&self, other: &Self) -> Self {
        let mut bits = self.bits.clone();
        bits.difference_with(&other.bits);
        Self::from(bits)
    }

    /// Those that are in either.
    pub(super) fn or(&self, other: &Self) -> Self {
        Self::from(&self.bits | &other.bits)
    }

    /// Whether of those that `changed` just those are in it that are in it `now`.
    fn agrees(&self, changed: &[i64], now: &[u32]) -> bool {
        let before = changed.iter().filter(|id| {
            let id = u32::try_from(**id);
            id.is_ok_and(|id| self.contains(id))
        });
        before.count() == now.len() && now.iter().all(|id| self.contains(*id))
    }

    /// Without `changed`, and with those of them that are in it now.
    fn patched(&self, changed: &[i64], now: &[u32]) -> Self {
        let mut bits = self.bits.clone();
        for id in changed {
            if let Some(id) = usize::try_from(*id).ok().filter(|id| *id < bits.len()) {
                bits.remove(id);
            }
        }
        for id in now {
            bits.grow_and_insert(*id as usize);
        }
        Self::from(bits)
    }
}

/// How many of all each core has, `least` at least.
pub(super) fn each_core(all: usize, least: usize) -> usize {
    all.div_ceil(rayon::current_num_threads()).max(least)
}

/// Whether it is so long that [`Ids::window`] may not find all of it without steps.
pub(super) fn has_far(order: &[u32]) -> bool {
    order.len() > NEAR * STEP
}

fn step(order: &[u32], index: usize) -> &[u32] {
    let from = index * STEP;
    &order[from..Ord::min(from + STEP, order.len())]
}

impl From<FixedBitSet> for Ids {
    fn from(bits: FixedBitSet) -> Self {
        let count = bits.count_ones(..);
        Self { bits, count }
    }
}

/// Why there is no answer from what is kept.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody else has brought something to a later moment than the one that is looked at.
    Later,
    /// Somebody else puts together what is missing.
    Busy,
    /// It is more than may be kept.
    TooMany,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<db::Error> for Stop {
    fn from(error: db::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<sea_orm::DbErr> for Stop {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Error(error.into())
    }
}

/// What the certificates of a set have in common.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// This expression over these fields.
    Query(&'a Expression, &'static [Field]),
    /// That lists show them: whether revoked ones too, and expired ones.
    Shown(bool, bool),
}

/// A set that is kept, or will be.
pub(super) struct Set<'a> {
    view: &'a View,
    of: Of<'a>,
    key: String,
}

impl<'a> Set<'a> {
    /// # Errors
    /// 400 for a bad query; those of the database.
    pub(super) async fn of_query(
        view: &'a View,
        query: &'a Expression,
        fields: &'static [Field],
    ) -> Result<Self, Stop> {
        let of = Of::Query(query, fields);
        // Statements with what they compare with: the same for those only who ask for the same.
        let statement = select(of.condition(view).await?).build(view.cx.db().dialect().backend());
        let key = format!("set {statement}");
        Ok(Self { view, of, key })
    }

    /// Those that lists show.
    pub(super) fn shown(view: &'a View, revoked: bool, expired: bool) -> Self {
        Self {
            view,
            of: Of::Shown(revoked, expired),
            key: format!("shown {revoked} {expired}"),
        }
    }

    /// As it is now, if it is kept and little changed.
    ///
    /// # Errors
    /// When what is kept is of a later moment; those of the database.
    pub(super) async fn current(&self) -> Result<Option<Arc<Ids>>, Stop> {
        let Some(Entry {
            moment: before,
            what: What::Set(set),
        }) = self.lists().find(&self.key)
        else {
            return Ok(None);
        };
        let view = self.view;
        let by_time = matches!(self.of, Of::Shown(_, false));
        let changed = match view.since(before, by_time).await? {
            Changed::Ids(changed) if view.moment.holds(&self.key, before) => changed,
            Changed::Later => return Err(Stop::Later),
            _ => {
                self.lists().forget(&self.key);
                return Ok(None);
            }
        };
        if changed.is_empty() {
            self.keep(Arc::clone(&set));
            return Ok(Some(set));
        }
        let among = certificates::Column::Id.is_in(changed.iter().copied());
        let now = select(self.of.condition(view).await?).filter(among);
        let Some(now) = ids(&view.snapshot, now, changed.len()).await? else {
            return Ok(None);
        };
        let set = match set.agrees(&changed, &now) {
            true => set,
            false => Arc::new(set.patched(&changed, &now)),
        };
        self.keep(Arc::clone(&set));
        Ok(Some(set))
    }

    /// Reads it; nothing where it is more than `most`.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn read(&self, most: usize) -> Result<Option<Arc<Ids>>, Stop> {
        let view = self.view;
        let Of::Query(query, fields) = self.of else {
            return self.take(self.of.condition(view).await?, most).await;
        };
        let (snapshot, cx) = (&view.snapshot, &view.cx);
        let among = super::among(snapshot, cx, Some(query)).await?;
        let among = among.as_ref();
        if let Expression::Comparison(comparison) = query
            && let Some(mut keys) = metadata::keys(snapshot, cx, comparison, fields, among).await?
        {
            // What names a certificate is there only as long as that is: it need not be looked for too.
            keys.limit(most.saturating_add(1) as u64);
            let found = db::integers(snapshot, keys, "certificate_id").await?;
            // Of more, some may be the same.
            if found.len() <= most {
                return Ok(narrow(&found).map(|found| self.took(&found)));
            }
        }
        let condition = metadata::condition(snapshot, cx, Some(query), fields, among).await?;
        self.take(condition, most).await
    }

    /// Reads it all.
    ///
    /// # Errors
    /// When it is more than may be kept; those of the database.
    pub(super) async fn read_all(&self) -> Result<Arc<Ids>, Stop> {
        let set = self.read(self.lists().ids_max()).await?;
        set.ok_or(Stop::TooMany)
    }

    /// Reads it all, which is among these.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn read_among(&self, few: &Ids) -> Result<Arc<Ids>, Stop> {
        let set = self.take(self.among(few).await?, few.len()).await?;
        set.ok_or(Stop::TooMany)
    }

    /// Those of these that are in it. They are not kept.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn of_few(&self, few: &Ids) -> Result<Arc<Ids>, Stop> {
        let condition = self.among(few).await?;
        let found = ids(&self.view.snapshot, select(condition), few.len()).await?;
        Ok(Arc::new(Ids::new(&found.ok_or(Stop::TooMany)?)))
    }

    async fn among(&self, few: &Ids) -> Result<Condition, Stop> {
        let view = self.view;
        let few: Vec<i64> = few.ids().collect();
        let among = list::Among::new(&few);
        let condition = match self.of {
            Of::Query(query, fields) => {
                let (query, among) = (Some(query), Some(&among));
                metadata::condition(&view.snapshot, &view.cx, query, fields, among).await?
            }
            Of::Shown(..) => self.of.condition(view).await?,
        };
        let column = Expr::col((certificates::Entity, certificates::Column::Id));
        let among = among.holds(view.cx.db().dialect(), column);
        Ok(Condition::all().add(among).add(condition))
    }

    async fn take(&self, condition: Condition, most: usize) -> Result<Option<Arc<Ids>>, Stop> {
        let found = ids(&self.view.snapshot, select(condition), most).await?;
        Ok(found.map(|found| self.took(&found)))
    }

    fn took(&self, found: &[u32]) -> Arc<Ids> {
        let set = Arc::new(Ids::new(found));
        self.keep(Arc::clone(&set));
        set
    }

    /// Keeps what it is at the moment of the view.
    pub(super) fn keep(&self, set: Arc<Ids>) {
        self.keep_of(self.view.moment, set);
    }

    /// Keeps what it was at a moment.
    pub(super) fn keep_of(&self, moment: Moment, set: Arc<Ids>) {
        let what = What::Set(set);
        self.lists().keep(&self.key, Entry { moment, what });
    }

    fn lists(&self) -> &Lists {
        &self.view.cx.app().certificate_lists
    }
}

impl Of<'_> {
    /// Without what is only there to be faster: what is kept goes by it.
    async fn condition(self, view: &View) -> Result<Condition, Error> {
        let View {
            cx,
            snapshot,
            moment,
            ..
        } = view;
        match self {
            Of::Query(query, fields) => {
                metadata::condition(snapshot, cx, Some(query), fields, None).await
            }
            Of::Shown(revoked, expired) => Ok(shown(revoked, expired, moment.at)),
        }
    }
}

fn select(condition: Condition) -> Select<certificates::Entity> {
    certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(condition)
}

/// The ids that a select answers; nothing where they are more than `most`, or too great to be kept.
///
/// # Errors
/// Those of the database.
pub(super) async fn ids(
    connection: &impl ConnectionTrait,
    select: Select<certificates::Entity>,
    most: usize,
) -> Result<Option<Vec<u32>>, Error> {
    let some = first_ids(connection, select, most.saturating_add(1)).await?;
    Ok(some.filter(|ids| ids.len() <= most))
}

/// The first ids that a select answers, in its order; nothing where one is beyond four thousand million: then nothing is kept.
///
/// # Errors
/// Those of the database.
pub(super) async fn first_ids(
    connection: &impl ConnectionTrait,
    select: Select<certificates::Entity>,
    limit: usize,
) -> Result<Option<Vec<u32>>, Error> {
    let first = select.limit(limit as u64).into_query();
    Ok(narrow(&db::integers(connection, first, "id").await?))
}

/// Ids as they are kept.
pub(super) fn narrow(ids: &[i64]) -> Option<Vec<u32>> {
    ids.iter().map(|id| u32::try_from(*id).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_window_has_what_is_inside_in_the_order_given_from_either_end() {
        let order: Vec<u32> = (0..100).map(|number| number * 37 % 101).collect();
        let inside: Vec<u32> = order.iter().copied().filter(|id| id % 3 != 1).collect();
        let set = Ids::new(&inside);
        assert_eq!(set.len(), inside.len());
        let steps = set.steps(&order);
        assert_eq!(set.steps_on_all_cores(&order), steps);
        let many: Vec<u32> = (0..1_000).rev().collect();
        for some in [
            vec![],
            vec![0],
            vec![63, 64, 999],
            vec![500; 2],
            many.clone(),
        ] {
            let (set, some) = (Ids::new(&some), HashSet::<u32>::from_iter(some));
            let inside = |step: &[u32]| step.iter().filter(|id| some.contains(id)).count() as u32;
            let counted: Vec<u32> = many.chunks(STEP).map(inside).collect();
            assert_eq!(set.steps(&many), counted);
            assert_eq!(set.steps_on_all_cores(&many), counted);
        }
        assert_eq!(steps.iter().sum::<u32>() as usize, inside.len());
        for (skip, limit) in [(0, 1), (0, 100), (5, 10), (60, 50), (66, 4), (99, 9)] {
            let forwards: Vec<i64> = inside.iter().copied().map(i64::from).collect();
            let backwards = forwards.iter().rev().copied();
            let (skip_by, some) = (skip as u64, limit as u64);
            let ahead: Vec<i64> = forwards.iter().copied().skip(skip).take(limit).collect();
            let back: Vec<i64> = backwards.skip(skip).take(limit).collect();
            for steps in [None, Some(steps.as_slice())] {
                for (backwards, wanted) in [(false, &ahead), (true, &back)] {
                    match set.window(&order, steps, skip_by, some, backwards) {
                        Some(page) => assert_eq!(page, *wanted),
                        None => assert!(steps.is_none() && order.len() > NEAR * STEP),
                    }
                }
            }
        }
    }

    #[test]
    fn what_changed_is_in_it_if_it_is_in_it_now() {
        let set = Ids::new(&[1, 5, 9]).patched(&[5, 9, 7, 200, -1], &[9, 7, 200]);
        assert_eq!(set.ids().collect::<Vec<_>>(), [1, 7, 9, 200]);
        assert_eq!(set.len(), 4);
        assert!(set.agrees(&[1, 5, -1, 200], &[1, 200]));
        assert!(!set.agrees(&[1, 5], &[1, 5]) && !set.agrees(&[1, 7], &[1]));
    }
}
