//! The certificates that a query means, kept in memory as a set of ids (`ids.rs`), and brought up to date with those that changed.

use std::sync::Arc;

use db::tables::certificates;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    Select,
};
use search::Expression;

use super::ids::Ids;
use super::kept::{Entry, Lists, What};
use super::listing::shown;
use super::metadata;
use super::noted::{Changed, Moment, View};
use crate::error::Error;
use crate::web::list::{self, Field};

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
