//! Figures that dashboards show, each from one query.

use db::tables::certificates;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use super::listing::{Shown, asked, wanted};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Through;
use crate::web::Paging;

const WEEK_MS: i64 = 7 * jobs::DAY_MS;

/// How many certificates are neither revoked nor expired, of a collection or of all. Who may see that was decided before.
///
/// # Errors
/// 400 for an unknown collection.
pub(crate) async fn active(cx: &Cx, through: Through) -> Result<u64, Error> {
    let (paging, shown) = (Paging::default(), Shown::default());
    asked(cx, &paging, through, &shown)
        .await?
        .exact_total()
        .await
}

/// What happens to a certificate, and is counted by when it did.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// Its validity began.
    Issued,
    /// It was revoked, and was not taken back since.
    Revoked,
}

/// How often it happened in each of the `weeks` weeks before `now`, the last one first. Reads the certificates of these weeks
/// alone, by the index of the date. Who may see that was decided before.
///
/// # Errors
/// 400 for an unknown collection.
pub(crate) async fn by_week(
    cx: &Cx,
    what: Happening,
    through: Through,
    now: i64,
    weeks: i64,
) -> Result<Vec<u64>, Error> {
    let date = match what {
        Happening::Issued => certificates::Column::NotBefore,
        Happening::Revoked => certificates::Column::RevokedAt,
    };
    let everything = Shown {
        include_revoked: Some(true),
        include_expired: Some(true),
    };
    let column = Expr::col((certificates::Entity, date));
    let rows: Vec<(i64, i64)> = certificates::Entity::find()
        .select_only()
        .column_as(Expr::val(now).sub(column).div(WEEK_MS), "week")
        .column_as(
            Expr::col((certificates::Entity, certificates::Column::Id)).count(),
            "certificates_in_week",
        )
        .filter(date.gt(now - weeks * WEEK_MS))
        .filter(date.lte(now))
        .filter(wanted(cx, None, through, &everything).await?)
        .group_by(Expr::col("week"))
        .into_tuple()
        .all(cx.db().read())
        .await?;
    let mut counts = vec![0; usize::try_from(weeks).unwrap_or_default()];
    for (week, count) in rows {
        let week = usize::try_from(week)
            .ok()
            .and_then(|week| counts.get_mut(week));
        if let Some(week) = week {
            *week = u64::try_from(count).unwrap_or_default();
        }
    }
    Ok(counts)
}
