//! Pages of the certificate list, found by an index alone, from whichever end is nearer.

use db::tables::certificates;
use sea_orm::{ConnectionTrait, PaginatorTrait, QuerySelect, Select};

use super::counts;
use super::fields::FIELDS;
use crate::error::Error;
use crate::web::{Paging, list};

/// From how many entries on a page is looked for from the nearer end.
pub(super) const FAR: u64 = 1_000;

/// The certificates that a list has.
pub(super) struct Asked {
    pub(super) ids: Select<certificates::Entity>,
    /// Whether revoked and expired ones are in it, of a list whose total is kept.
    pub(super) kept: Option<(bool, bool)>,
    pub(super) now: i64,
}

impl Asked {
    /// How many there are. Exact.
    pub(super) async fn total(&self, connection: &impl ConnectionTrait) -> Result<u64, Error> {
        match self.kept {
            Some((revoked, expired)) => counts::total(connection, revoked, expired, self.now).await,
            None => Ok(self.ids.clone().count(connection).await?),
        }
    }

    /// The ids of a page.
    pub(super) async fn page(
        &self,
        connection: &impl ConnectionTrait,
        paging: &Paging,
        skip: u64,
        limit: u64,
    ) -> Result<Vec<i64>, Error> {
        let (ids, tie) = (self.ids.clone(), certificates::Column::Id);
        let page = list::sorted(ids, paging, &FIELDS, "Id", tie)?
            .offset(skip)
            .limit(limit);
        Ok(page.into_tuple().all(connection).await?)
    }

    /// The same, in half the steps at most. `total` is of the same moment.
    pub(super) async fn far_page(
        &self,
        connection: &impl ConnectionTrait,
        paging: &Paging,
        skip: u64,
        limit: u64,
        total: u64,
    ) -> Result<Vec<i64>, Error> {
        if skip < total / 2 {
            return self.page(connection, paging, skip, limit).await;
        }
        let (ids, tie) = (self.ids.clone(), certificates::Column::Id);
        // Checked also when the page lies beyond the end.
        let backwards = list::sorted_backwards(ids, paging, &FIELDS, "Id", tie)?;
        let after = Ord::min(skip.saturating_add(limit), total);
        if skip >= after {
            return Ok(Vec::new());
        }
        let page = backwards.offset(total - after).limit(after - skip);
        let mut page: Vec<i64> = page.into_tuple().all(connection).await?;
        page.reverse();
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sea_orm::EntityTrait;

    use super::*;
    use crate::app::{App, Options};

    #[tokio::test]
    async fn a_page_seen_from_the_end_is_the_same_page() {
        let fresh = db::testing::sqlite().await;
        let keyring = secrets::KeyRing::generate().unwrap();
        let folder = std::env::temp_dir();
        let options = Options::new(fresh.address().to_owned(), folder, keyring);
        let app: Arc<App> = App::open(options).await.unwrap();
        let connection = app.db().read();
        let asked = Asked {
            ids: certificates::Entity::find()
                .select_only()
                .column(certificates::Column::Id),
            kept: None,
            now: app.clock.now(),
        };
        let total = asked.total(connection).await.unwrap();
        assert!(total >= 3, "the authorities' own");
        for field in ["Id", "CN", "KeySize"] {
            for (skip, limit) in [(0, 2), (1, 2), (2, 1), (2, 9), (total, 3), (90, 1)] {
                let paging = Paging {
                    sort_field: Some(field.into()),
                    ..Paging::default()
                };
                let page = asked.page(connection, &paging, skip, limit).await.unwrap();
                let far = asked.far_page(connection, &paging, skip, limit, total);
                assert_eq!(far.await.unwrap(), page, "{field} {skip} {limit}");
            }
        }
    }
}
