//! Pages of the certificate list, and its total.
//!
//! A page is a window of those certificates that a query means, in the order that is asked for. Both are kept in memory, apart: the ids
//! that a comparison means as a set (`sets.rs`, `members.rs`), and for a field that lists are sorted by all ids in its order
//! (`orders.rs`). Where both are there, any page of any query in any order is a walk over the one that asks the other. What is kept
//! is brought up to date before each use (`noted.rs`): an answer is always that of the moment. As long as an order is not there the
//! database is asked for its begin, or to sort those that are few, and it is put together after the answer.

use std::sync::Arc;
use std::time::Duration;

use search::Expression;
use tokio::sync::watch;

use super::fields::{FIELDS, SAVED};
use super::ids::{Ids, has_far, has_near, walk};
use super::kept::{Counting, Lists, Preparing};
use super::noted::{Changed, View};
use super::orders::Order;
use super::sets::{Set, Stop};
use super::sorted::Sorted;
use super::{dashboard, members, texts};
use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Through;
use crate::web::Paging;

/// Small in tests, so that a handful of certificates goes all the ways.
const IS_TEST: bool = cfg!(feature = "testing");
/// From how many entries on a page is looked for in an order that is kept.
pub(super) const FAR: u64 = if IS_TEST { 6 } else { 1_000 };
/// So many the database sorts for a page.
const FEW: usize = if IS_TEST { 4 } else { 2_000 };
/// So many it sorts even when their order is kept, unless that finds each of them: they are far apart there.
const FEWER: usize = if IS_TEST { 2 } else { 200 };
/// Entries at the begin of an order that the database is asked for, twice as many each time.
const BEGIN: usize = if IS_TEST { 2 } else { 4_096 };
const TIMES: u32 = 5;
/// How long after a page what another one needs is counted, so that those that are asked for one after another have the cores.
const AFTER_PAGE: Duration = Duration::from_millis(if IS_TEST { 0 } else { 100 });
/// How long a server that starts has for other things.
const AFTER_START: Duration = Duration::from_secs(1);
/// After how long what is kept is brought up to date whether somebody asks or not: little may change until then.
const AGAIN: Duration = Duration::from_secs(60);
/// How long it is looked whether many certificates change.
const CALM: Duration = Duration::from_secs(5);
/// How often what others keep may be of a later moment.
const TRIES: usize = 5;

/// The certificates of a list.
struct Members {
    /// What all of them are in.
    parts: Vec<Arc<Ids>>,
    all: Arc<Ids>,
}

impl Members {
    /// Those that are in each part.
    fn of(parts: Vec<Arc<Ids>>) -> Self {
        let both = |all: Arc<Ids>, set: Arc<Ids>| Arc::new(all.and(&set));
        let all = parts.iter().cloned().reduce(both).unwrap_or_default();
        Self { parts, all }
    }
}

/// The certificates that a list has.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) cx: Cx,
    pub(super) query: Option<Expression>,
    pub(super) through: Through,
    /// Revoked ones too.
    pub(super) revoked: bool,
    /// Expired ones too.
    pub(super) expired: bool,
    pub(super) paging: Paging,
}

/// What lists need of all certificates.
#[derive(Clone, Copy)]
enum Whole {
    /// Their order by a field.
    Order(&'static str),
    /// Their texts of a field.
    Texts(&'static str),
}

/// Puts together what lists and dashboards need soon after a start, and keeps it up to date, so that nobody who asks waits for it.
pub(crate) async fn prepare(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let cx = Cx::system(Arc::clone(app), "lists");
    let first = Asked {
        cx,
        query: None,
        through: Through::System,
        revoked: false,
        expired: false,
        paging: Paging::default(),
    };
    let work = async {
        tokio::time::sleep(AFTER_START).await;
        loop {
            dashboard::keep_near(&first.cx).await;
            if let Some(preparing) = Preparing::begin(app) {
                first.clone().prepared(preparing).await;
            }
            tokio::time::sleep(AGAIN).await;
            while first.many_are_coming().await {}
        }
    };
    tokio::select! {
        () = work => {}
        _ = shutdown.changed() => {}
    }
}

impl Asked {
    /// The total, and the ids of the page.
    ///
    /// # Errors
    /// 400 for an unknown collection, a bad query, and a sort field or page that is none; those of the database.
    pub(super) async fn page(&self) -> Result<(u64, Vec<i64>), Error> {
        let page = self.shortest_page().await;
        if self.lists().missed() {
            self.prepare();
        }
        page
    }

    /// The same, by the shortest way there is.
    async fn shortest_page(&self) -> Result<(u64, Vec<i64>), Error> {
        let (skip, limit) = self.paging.window()?;
        // Nothing of the past is kept.
        let tries = if self.cx.is_past() { 0 } else { TRIES };
        let mut turn = None;
        for _ in 0..tries {
            match self.kept_page(skip, limit, turn.is_some()).await {
                Ok(Some(page)) => return Ok(page),
                Ok(None) | Err(Stop::TooMany) => break,
                Err(Stop::Later) => {}
                // Without a snapshot in hand, which others may need.
                Err(Stop::Busy) => turn = Some(self.lists().turn.lock().await),
                Err(Stop::Error(error)) => return Err(error),
            }
        }
        drop(turn);
        self.database_page(skip, limit).await
    }

    /// Only the total.
    ///
    /// # Errors
    /// 400 for an unknown collection and a bad query; those of the database.
    pub(super) async fn exact_total(&self) -> Result<u64, Error> {
        if !self.is_counted() {
            for _ in 0..TRIES {
                let view = View::open(&self.cx).await?;
                match self.members(&view).await {
                    Ok(members) => return Ok(members.all.len() as u64),
                    Err(Stop::TooMany) => break,
                    Err(Stop::Later | Stop::Busy) => {}
                    Err(Stop::Error(error)) => return Err(error),
                }
            }
        }
        let snapshot = self.cx.db().snapshot().await?;
        self.total(&snapshot).await
    }

    /// From what is kept. Nothing where the database is asked more easily.
    async fn kept_page(
        &self,
        skip: u64,
        limit: u64,
        has_turn: bool,
    ) -> Result<Option<(u64, Vec<i64>)>, Stop> {
        let view = View::open(&self.cx).await?;
        let order = Order::new(&view, &self.paging)?;
        if self.is_counted() && skip < FAR {
            // What everybody asks first, and the database has counted.
            let all = Set::shown(&view, self.revoked, self.expired);
            if all.current().await?.is_none() {
                self.lists().miss();
                return Ok(None);
            }
        }
        let members = self.members(&view).await?;
        let set = &members.all;
        let total = set.len() as u64;
        if skip >= total {
            return Ok(Some((total, Vec::new())));
        }
        if set.len() <= FEWER {
            let page = match order.of_few(set).await? {
                Some(sorted) => self.window(sorted, skip, limit),
                None => self.few(&view, set, skip, limit).await?,
            };
            return Ok(Some((total, page)));
        }
        if let Some(ids) = order.current().await? {
            let page = self.part(&ids, &members, skip, limit).await?;
            return Ok(Some((total, page)));
        }
        if set.len() <= FEW {
            return Ok(Some((total, self.few(&view, set, skip, limit).await?)));
        }
        if skip < FAR
            && let Some(page) = self.begin(&order, set, skip, limit).await?
        {
            return Ok(Some((total, page)));
        }
        let ids = self.whole(&order, has_turn).await?;
        let page = self.part(&ids, &members, skip, limit).await?;
        Ok(Some((total, page)))
    }

    /// A page of a few, which ascend.
    fn window(&self, mut few: Vec<u32>, skip: u64, limit: u64) -> Vec<i64> {
        if self.paging.descending() {
            few.reverse();
        }
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let page = few.into_iter().skip(count(skip)).take(count(limit));
        page.map(i64::from).collect()
    }

    /// Whether how many there are is counted all along.
    pub(super) fn is_counted(&self) -> bool {
        self.query.is_none() && matches!(self.through, Through::System)
    }

    /// Those that are meant and shown.
    async fn members(&self, view: &View) -> Result<Members, Stop> {
        let mut parts = Vec::new();
        if let Some(query) = &self.query {
            parts.push(members::of_query(view, query, &FIELDS).await?);
        }
        if let Through::Collection(id) = self.through
            && let Some(query) = crate::collections::query(&view.snapshot, id).await?
        {
            parts.push(members::of_query(view, &query, &SAVED).await?);
        }
        let few = parts.iter().find(|part| part.len() <= members::FEW);
        let shown = Set::shown(view, self.revoked, self.expired);
        match (shown.current().await?, few) {
            _ if self.revoked && self.expired && !parts.is_empty() => {}
            (Some(shown), _) => parts.push(shown),
            (None, Some(few)) => parts.push(shown.of_few(few).await?),
            (None, None) => {
                parts.push(members::shown(view, self.revoked, self.expired).await?);
            }
        }
        Ok(Members::of(parts))
    }

    /// A window of what is kept, which is not beyond its end.
    async fn part(
        &self,
        order: &Arc<Sorted>,
        members: &Members,
        skip: u64,
        limit: u64,
    ) -> Result<Vec<i64>, Error> {
        let set = &members.all;
        let total = set.len() as u64;
        let until = Ord::min(skip.saturating_add(limit), total);
        let descending = self.paging.descending();
        // From the nearer end.
        let is_near = skip <= total - until;
        let passed = if is_near { skip } else { total - until };
        let backwards = descending == is_near;
        let limit = until - skip;
        let counted = |counts: &[u32]| order.window(set, counts, passed, limit, backwards);
        let lists = self.lists();
        let where_all_are = &order[lists.hull(&members.parts, order)];
        let is_sparse = order.is_sparse(set);
        let near = || {
            if is_sparse && !has_near(where_all_are, set, passed + limit) {
                return None;
            }
            let steps = walk(where_all_are, None, backwards);
            set.window(steps, passed, limit, backwards)
        };
        let mut page = if let Some(counts) = lists.steps(&members.parts, order) {
            counted(&counts)
        } else if let Some(page) = near() {
            if total > until && has_far(where_all_are) && !is_sparse {
                self.count_steps(order, members);
            }
            page
        } else if is_sparse {
            counted(&order.counts(set))
        } else {
            let (all, ids) = (Arc::clone(set), Arc::clone(order));
            let counts = tokio::task::spawn_blocking(move || ids.counts(&all));
            let counts: Arc<[u32]> = counts.await.map_err(Error::internal)?.into();
            lists.keep_steps(&members.parts, order, Arc::clone(&counts));
            counted(&counts)
        };
        if !is_near {
            page.reverse();
        }
        Ok(page)
    }

    /// Counts what each step of the order has, soon: who sees a page may ask for one that is far from it.
    fn count_steps(&self, order: &Arc<Sorted>, members: &Members) {
        // Nobody waits for it: what comes meanwhile is counted when it is asked for.
        let Some(counting) = Counting::begin(self.cx.app()) else {
            return;
        };
        let (order, parts) = (Arc::clone(order), members.parts.clone());
        let set = Arc::clone(&members.all);
        tokio::spawn(async move {
            tokio::time::sleep(AFTER_PAGE).await;
            tokio::task::spawn_blocking(move || {
                counting.count(&parts, &set, &order);
            });
        });
    }

    /// A page near the begin of an order that is not kept. Nothing where too little of the begin is in the set.
    async fn begin(
        &self,
        order: &Order<'_>,
        set: &Ids,
        skip: u64,
        limit: u64,
    ) -> Result<Option<Vec<i64>>, Stop> {
        let after = Ord::min(skip.saturating_add(limit), set.len() as u64);
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let (mut found, mut passed) = (Vec::new(), 0);
        for time in 0..TIMES {
            let some = BEGIN << time;
            let ids = order.part(self.paging.descending(), passed, some).await?;
            passed += some;
            found.extend(ids.into_iter().filter(|id| set.contains(*id)));
            if found.len() >= after {
                let page = found[skip..after].iter().copied().map(i64::from);
                return Ok(Some(page.collect()));
            }
        }
        Ok(None)
    }

    /// The whole order, put together now, by who has the turn.
    async fn whole(&self, order: &Order<'_>, has_turn: bool) -> Result<Arc<Sorted>, Stop> {
        let turn = match has_turn {
            true => None,
            false => Some(self.lists().turn.try_lock().map_err(|_| Stop::Busy)?),
        };
        // It may have been just before.
        let ids = match order.current().await? {
            Some(ids) => ids,
            None => order.read().await?,
        };
        drop(turn);
        Ok(ids)
    }

    /// Puts together what is not there yet for who asks next: this list, and what any list may need of all certificates.
    fn prepare(&self) {
        if let Some(preparing) = Preparing::begin(self.cx.app()) {
            tokio::spawn(self.clone().prepared(preparing));
        }
    }

    async fn prepared(self, mut preparing: Preparing) {
        if let Err(Stop::Error(error)) = self.put_together(&mut preparing).await {
            tracing::warn!(%error, "a list could not be put together");
        }
    }

    async fn put_together(&self, preparing: &mut Preparing) -> Result<(), Stop> {
        let mine = self.paging.sort_field.as_deref().unwrap_or("Id");
        let count = self.put_order_together(mine).await?;
        let view = View::open(&self.cx).await?;
        // What cannot be put together now does not keep the rest from it.
        if let Err(error @ Stop::Error(_)) = self.members(&view).await {
            return Err(error);
        }
        drop(view);
        let sortable = || FIELDS.iter().filter(|field| field.sortable);
        if !self.lists().has_room(sortable().count(), count) {
            self.lists().say(false);
            return Ok(());
        }
        let orders = sortable().map(|field| Whole::Order(field.name));
        let texts = texts::FIELDS.into_iter().map(Whole::Texts);
        let mut left: Vec<Whole> = orders.chain(texts).collect();
        // Who is in the way is gone soon.
        for _ in 0..TRIES {
            let mut passed_over = Vec::new();
            for whole in left {
                preparing.rest().await;
                let done = match whole {
                    Whole::Order(field) => self.put_order_together(field).await.map(|_| ()),
                    Whole::Texts(field) => {
                        let view = View::open(&self.cx).await?;
                        texts::put_together(&view, field).await
                    }
                };
                match done {
                    Err(Stop::Later | Stop::Busy) => passed_over.push(whole),
                    Ok(()) | Err(Stop::TooMany) => {}
                    Err(error) => return Err(error),
                }
            }
            if passed_over.is_empty() {
                self.lists().say(true);
                break;
            }
            left = passed_over;
        }
        Ok(())
    }

    /// Whether so many certificates change that what is put together now would soon have to be put together anew, while it is in the way
    /// of who changes them. Takes a while.
    async fn many_are_coming(&self) -> bool {
        let Ok(before) = View::open(&self.cx).await.map(|view| view.moment) else {
            return false;
        };
        tokio::time::sleep(CALM).await;
        match View::open(&self.cx).await {
            Ok(view) => matches!(view.since(before, false).await, Ok(Changed::Unknown)),
            Err(_) => false,
        }
    }

    /// Answers of how many certificates the order is.
    async fn put_order_together(&self, field: &str) -> Result<usize, Stop> {
        // Without a snapshot in hand, which others may need.
        let _turn = self.lists().turn.lock().await;
        let view = View::open(&self.cx).await?;
        let order = Order::by(&view, field)?;
        match order.current().await? {
            Some(ids) => Ok(ids.len()),
            None => Ok(order.read().await?.len()),
        }
    }

    fn lists(&self) -> &Lists {
        &self.cx.app().certificate_lists
    }
}
