//! How many certificates are in collections. A count is exact at its time and stays an estimate after it: it is taken when a
//! collection is saved, and again when somebody asks and it is old. It never holds up a change, and never takes long: what cannot
//! be counted in time keeps its last count.

use std::time::Duration;

use db::tables::certificate_collections::{ActiveModel, Column, Entity, Model};
use db::tables::certificates;
use sea_orm::{
    ActiveModelTrait, ActiveValue, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::reading::readable;
use super::wire::Count;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Date, Json};

/// A count that is younger is answered as it is.
const FRESH_MS: i64 = 15 * 60 * 1_000;
/// Collections counted in one request at most, the oldest counts first.
const COUNTED_MAX: usize = 8;
/// How long one collection may take to count.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many certificates a collection has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionEstimate)]
pub(super) struct EstimateOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// Revoked and expired ones among them; 0 when that was never counted.
    #[schema(value_type = i32)]
    estimated_cert_count: i64,
    /// When they were counted; null when they never were.
    last_estimated: Option<Date>,
}

/// How many certificates each collection has that the caller may read. Counts older than 15 minutes are taken anew, eight of them
/// in one request.
#[utoipa::path(get, path = "/CertificateCollections/LastEstimated", tag = "CertificateCollection", responses((status = 200, body = Vec<EstimateOutput>, description = "The counts, and when they were taken")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn last_estimated(cx: Cx) -> Result<Json<Vec<EstimateOutput>>, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    let mut rows = readable(&cx)
        .order_by_asc(Column::Position)
        .order_by_asc(Column::Id)
        .all(cx.db().read())
        .await?;
    let mut old: Vec<usize> = (0..rows.len())
        .filter(|index| {
            let at = rows.get(*index).and_then(|row| row.last_counted_at);
            at.is_none_or(|at| at <= cx.now() - FRESH_MS)
        })
        .collect();
    old.sort_by_key(|index| rows.get(*index).and_then(|row| row.last_counted_at));
    old.truncate(COUNTED_MAX);
    for index in old {
        let Some(row) = rows.get_mut(index) else {
            continue;
        };
        let count = counted(&cx, row).await?;
        (row.last_count, row.last_counted_at) = (count.certificates, count.at);
    }
    let items = rows.into_iter().map(|row| EstimateOutput {
        id: row.id,
        name: row.name,
        estimated_cert_count: row.last_count.unwrap_or_default(),
        last_estimated: row.last_counted_at.map(Date),
    });
    Ok(Json(items.collect()))
}

/// Counts a collection and remembers it. A query that depends on who asks is counted for the caller and not remembered.
///
/// # Errors
/// Those of the database.
pub(super) async fn counted(cx: &Cx, row: &Model) -> Result<Count, Error> {
    let last = Count {
        certificates: row.last_count,
        at: row.last_counted_at,
    };
    let Ok(inside) = crate::certificates::condition(cx, &row.query) else {
        // Saved when it was good; what it names may be gone since.
        return Ok(last);
    };
    let counting = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(inside)
        .count(cx.db().read());
    let Ok(count) = tokio::time::timeout(PATIENCE, counting).await else {
        return Ok(last);
    };
    let count = Count {
        certificates: i64::try_from(count?).ok(),
        at: Some(cx.now()),
    };
    if depends_on_caller(&row.query) {
        return Ok(count);
    }
    let remembered = ActiveModel {
        id: ActiveValue::Unchanged(row.id),
        last_count: ActiveValue::Set(count.certificates),
        last_counted_at: ActiveValue::Set(count.at),
        ..Default::default()
    };
    let (id, query) = (row.id, row.query.clone());
    cx.db()
        .clone()
        .write("collections.counted", move |tx| {
            Box::pin(async move {
                // Another query may have been saved meanwhile.
                let now = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
                if now.is_some_and(|now| now.query == query) {
                    remembered.update(tx).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(count)
}

fn depends_on_caller(query: &str) -> bool {
    query.to_ascii_uppercase().contains("%ME")
}
