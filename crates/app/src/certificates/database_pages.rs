//! Pages of the certificate list, and its total, as the database makes them.

use db::tables::certificates;
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, PaginatorTrait, QueryFilter, QuerySelect, Select};

use super::counts;
use super::fields::FIELDS;
use super::ids::Ids;
use super::listing::{meant, shown};
use super::noted::View;
use super::pages::{Asked, FAR};
use super::sets::Stop;
use crate::error::Error;
use crate::web::list;

impl Asked {
    /// A page of few certificates, which the database sorts.
    pub(super) async fn few(
        &self,
        view: &View,
        set: &Ids,
        skip: u64,
        limit: u64,
    ) -> Result<Vec<i64>, Stop> {
        let ids: Vec<i64> = set.ids().collect();
        let column = Expr::col((certificates::Entity, certificates::Column::Id));
        let among = list::Among::new(&ids).holds(self.cx.db().dialect(), column);
        let found = certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id)
            .filter(among);
        let sorted = self.sorted(found, self.paging.descending())?;
        let page = sorted.offset(skip).limit(limit).into_tuple();
        Ok(page.all(&view.snapshot).await?)
    }

    /// Without what is kept.
    pub(super) async fn database_page(
        &self,
        skip: u64,
        limit: u64,
    ) -> Result<(u64, Vec<i64>), Error> {
        let snapshot = self.cx.db().snapshot().await?;
        let descending = self.paging.descending();
        let ids = self.ids(&snapshot).await?;
        let page = self.sorted(ids.clone(), descending)?;
        let total = self.total(&snapshot).await?;
        if skip < FAR || skip < total / 2 {
            let page = page.offset(skip).limit(limit);
            return Ok((total, page.into_tuple().all(&snapshot).await?));
        }
        // From the nearer end.
        let after = Ord::min(skip.saturating_add(limit), total);
        if skip >= after {
            return Ok((total, Vec::new()));
        }
        let page = self.sorted(ids, !descending)?;
        let page = page.offset(total - after).limit(after - skip);
        let mut page: Vec<i64> = page.into_tuple().all(&snapshot).await?;
        page.reverse();
        Ok((total, page))
    }

    /// How many there are. Exact.
    pub(super) async fn total(&self, snapshot: &db::Snapshot) -> Result<u64, Error> {
        let (revoked, expired, now) = (self.revoked, self.expired, self.cx.now());
        // What is counted is what is there now.
        if self.is_counted() && !self.cx.is_past() {
            return counts::total(snapshot, revoked, expired, now).await;
        }
        Ok(self.ids(snapshot).await?.count(snapshot).await?)
    }

    async fn ids(&self, snapshot: &db::Snapshot) -> Result<Select<certificates::Entity>, Error> {
        let shown = shown(self.revoked, self.expired, self.cx.now());
        let query = self.query.as_ref();
        let condition = meant(&self.cx, snapshot, query, self.through, shown).await?;
        Ok(certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id)
            .filter(condition))
    }

    fn sorted(
        &self,
        select: Select<certificates::Entity>,
        descending: bool,
    ) -> Result<Select<certificates::Entity>, Error> {
        let (paging, tie) = (&self.paging, certificates::Column::Id);
        match descending == self.paging.descending() {
            true => list::sorted(select, paging, &FIELDS, "Id", tie),
            false => list::sorted_backwards(select, paging, &FIELDS, "Id", tie),
        }
    }
}
