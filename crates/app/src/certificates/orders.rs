//! All certificates in the order of a field that lists are sorted by, kept in memory, and brought up to date with those that changed.
//! Only the database knows the order: it is asked about some certificates at a time.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use db::tables::certificates;
use sea_orm::sea_query::{Expr, Query, QueryStatementBuilder, SimpleExpr};
use sea_orm::{
    Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select,
};

use super::fields::FIELDS;
use super::ids::Ids;
use super::kept::{Entry, Lists, What};
use super::noted::{Changed, View};
use super::sets::{Stop, first_ids, ids, narrow};
use super::sorted::Sorted;
use crate::error::Error;
use crate::web::{Paging, list};

const IS_TEST: bool = cfg!(feature = "testing");
/// Certificates that are put into their places; of more, the order is put together anew.
const PLACED_MAX: usize = if IS_TEST { 5 } else { 200 };
/// Entries that one round of placing compares with, and at least for each certificate.
const PROBES: usize = if IS_TEST { 3 } else { 128 };
const PROBES_EACH: usize = if IS_TEST { 1 } else { 16 };

/// The order of a field.
pub(super) struct Order<'a> {
    view: &'a View,
    /// All certificates, ascending.
    select: Select<certificates::Entity>,
    /// All certificates, descending.
    backwards: Select<certificates::Entity>,
    key: String,
}

impl<'a> Order<'a> {
    /// # Errors
    /// 400 for a sort field that is none.
    pub(super) fn new(view: &'a View, paging: &Paging) -> Result<Self, Error> {
        Self::by(view, paging.sort_field.as_deref().unwrap_or("Id"))
    }

    /// # Errors
    /// 400 for a sort field that is none.
    pub(super) fn by(view: &'a View, field: &str) -> Result<Self, Error> {
        let all = certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id);
        let tie = certificates::Column::Id;
        let paging = Paging {
            sort_field: Some(field.to_owned()),
            ..Paging::default()
        };
        let select = list::sorted(all.clone(), &paging, &FIELDS, "Id", tie)?;
        let backwards = list::sorted_backwards(all, &paging, &FIELDS, "Id", tie)?;
        let key = format!("order {}", select.build(view.cx.db().dialect().backend()));
        Ok(Self {
            view,
            select,
            backwards,
            key,
        })
    }

    fn lists(&self) -> &Lists {
        &self.view.cx.app().certificate_lists
    }

    /// As it is now, if it is kept and little changed.
    ///
    /// # Errors
    /// When what is kept is of a later moment; those of the database.
    pub(super) async fn current(&self) -> Result<Option<Arc<Sorted>>, Stop> {
        let Some(Entry {
            moment: before,
            what: What::Order(order),
        }) = self.lists().find(&self.key)
        else {
            self.lists().miss();
            return Ok(None);
        };
        let order = match self.view.since(before, false).await? {
            Changed::Ids(changed) if self.view.moment.holds(&self.key, before) => {
                self.patched(order, &changed).await?
            }
            Changed::Later => return Err(Stop::Later),
            _ => None,
        };
        match &order {
            Some(order) => self.keep(Arc::clone(order)),
            None => {
                self.lists().forget(&self.key);
                self.lists().miss();
            }
        }
        Ok(order)
    }

    /// A set in this order, if that is kept and has so many that the database, which reads each of the set, takes longer.
    ///
    /// # Errors
    /// As [`Self::current`].
    pub(super) async fn of_few(&self, set: &Ids) -> Result<Option<Vec<u32>>, Stop> {
        let kept = self.lists().find(&self.key);
        match kept.map(|entry| entry.what) {
            Some(What::Order(order)) if order.finds(set) => {}
            _ => return Ok(None),
        }
        let order = self.current().await?;
        Ok(order.and_then(|order| order.few(set)))
    }

    /// Read now, and kept.
    ///
    /// # Errors
    /// When there are more certificates than may be kept; those of the database.
    pub(super) async fn read(&self) -> Result<Arc<Sorted>, Stop> {
        let most = self.lists().ids_max();
        let order = ids(&self.view.snapshot, self.select.clone(), most).await?;
        let order = order.ok_or(Stop::TooMany)?;
        let order = tokio::task::spawn_blocking(|| Arc::new(Sorted::new(order)));
        let order = order.await.map_err(Error::internal)?;
        self.keep(Arc::clone(&order));
        Ok(order)
    }

    /// A part of it from the database, from the other end when it is wanted `descending`.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn part(
        &self,
        descending: bool,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<u32>, Stop> {
        let wanted = match descending {
            false => self.select.clone(),
            true => self.backwards.clone(),
        };
        let part = first_ids(&self.view.snapshot, wanted.offset(skip as u64), limit).await?;
        part.ok_or(Stop::TooMany)
    }

    /// Where those are that have what stands side by side in this order: its two ends are looked for. Nothing where they are not in
    /// what is said to be the order now.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn stretch(
        &self,
        order: &Sorted,
        condition: Condition,
    ) -> Result<Option<Range<usize>>, Stop> {
        let end = |select: &Select<certificates::Entity>| {
            let end = select.clone().filter(condition.clone()).limit(1);
            let end = end.into_query().into_sub_query_statement();
            SimpleExpr::SubQuery(None, Box::new(end))
        };
        let both = Query::select()
            .expr_as(end(&self.select), "first")
            .expr_as(end(&self.backwards), "last")
            .to_owned();
        let row = self.view.snapshot.query_one(&both).await?;
        let row = row.ok_or_else(|| Error::internal("ends without a row"))?;
        let (first, last): (Option<i64>, Option<i64>) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Some(0..0));
        };
        let ends = order.place(first, 0).and_then(|first| {
            let last = order.place(last, first)?;
            Some(first..last + 1)
        });
        match ends {
            Some(stretch) => Ok(Some(stretch)),
            None => {
                // The list is not what the database has: it is read anew.
                self.lists().forget(&self.key);
                self.lists().miss();
                Ok(None)
            }
        }
    }

    fn keep(&self, order: Arc<Sorted>) {
        let (moment, what) = (self.view.moment, What::Order(order));
        self.lists().keep(&self.key, Entry { moment, what });
    }

    /// The same with those that changed in their places, and without those that are gone.
    async fn patched(
        &self,
        order: Arc<Sorted>,
        changed: &[i64],
    ) -> Result<Option<Arc<Sorted>>, Error> {
        let Some(changed) = narrow(changed) else {
            return Ok(None);
        };
        if changed.is_empty() {
            return Ok(Some(order));
        }
        let places = order.places(&changed);
        // Most changes are of something else: then each stands between its neighbours as before.
        if places.len() == changed.len() {
            let mut around: Vec<usize> = places
                .iter()
                .flat_map(|at| at.saturating_sub(1)..Ord::min(at + 2, order.len()))
                .collect();
            around.dedup();
            around.sort_unstable();
            around.dedup();
            let around: Vec<u32> = around.into_iter().map(|at| order[at]).collect();
            if self.among(&around).await? == around {
                return Ok(Some(order));
            }
        }
        let there = self.among(&changed).await?;
        if there.len() > PLACED_MAX {
            return Ok(None);
        }
        self.placed(order.without(&places), &there).await
    }

    /// Those of the ids that there are, in order.
    async fn among(&self, some: &[u32]) -> Result<Vec<u32>, Error> {
        let wanted: Vec<i64> = some.iter().copied().map(i64::from).collect();
        let column = Expr::col((certificates::Entity, certificates::Column::Id));
        let among = list::Among::new(&wanted).holds(self.view.cx.db().dialect(), column);
        let found = ids(
            &self.view.snapshot,
            self.select.clone().filter(among),
            some.len(),
        );
        Ok(found.await?.unwrap_or_default())
    }

    /// Puts ids into a sorted list: some entries of the list are compared with the new ones, which leaves for each a smaller part of
    /// the list, until there is one place.
    async fn placed(&self, list: Sorted, new: &[u32]) -> Result<Option<Arc<Sorted>>, Error> {
        let mut places: Vec<(u32, usize, usize)> =
            new.iter().map(|id| (*id, 0, list.len())).collect();
        let width = |places: &[(u32, usize, usize)]| -> usize {
            places.iter().map(|(_, from, to)| to - from).sum()
        };
        loop {
            let before = width(&places);
            let open: Vec<(usize, usize)> = places
                .iter()
                .filter(|(_, from, to)| from < to)
                .map(|(_, from, to)| (*from, *to))
                .collect();
            if open.is_empty() {
                // `new` is in order.
                let mut done = 0;
                let new = places.iter().map(|(id, at, _)| {
                    done = (*at).clamp(done, list.len());
                    (*id, done)
                });
                let new: Vec<(u32, usize)> = new.collect();
                return Ok(Some(Arc::new(list.with(&new))));
            }
            let each = (PROBES / open.len()).max(PROBES_EACH);
            let mut probes: Vec<usize> = open
                .into_iter()
                .flat_map(|(from, to)| {
                    let step = (to - from).div_ceil(each).max(1);
                    (from + step / 2..to).step_by(step)
                })
                .collect();
            probes.sort_unstable();
            probes.dedup();
            let asked = probes.iter().filter_map(|at| list.get(*at)).chain(new);
            let asked: Vec<u32> = asked.copied().collect();
            let order = self.among(&asked).await?;
            narrowed(&list, &probes, &order, &mut places);
            let is_torn = places.iter().any(|(_, from, to)| from > to);
            if is_torn || width(&places) >= before {
                // The list is not what the database has: it is read anew.
                return Ok(None);
            }
        }
    }
}

/// Narrows the place of each new id by where it stands among the probes.
fn narrowed(list: &[u32], probes: &[usize], order: &[u32], places: &mut [(u32, usize, usize)]) {
    let at: HashMap<u32, usize> = probes
        .iter()
        .filter_map(|at| Some((*list.get(*at)?, *at)))
        .collect();
    let index: HashMap<u32, usize> = places
        .iter()
        .enumerate()
        .map(|(index, place)| (place.0, index))
        .collect();
    let mut from = 0;
    for id in order {
        if let Some(at) = at.get(id) {
            from = at + 1;
        } else if let Some(place) = index.get(id).and_then(|index| places.get_mut(*index)) {
            place.1 = Ord::max(place.1, from);
        }
    }
    let mut to = list.len();
    for id in order.iter().rev() {
        if let Some(at) = at.get(id) {
            to = *at;
        } else if let Some(place) = index.get(id).and_then(|index| places.get_mut(*index)) {
            place.2 = Ord::min(place.2, to);
        }
    }
}
