//! How many certificates are in collections. A count is exact at its time and stays an estimate after it: it is taken when a
//! collection is saved, and again when somebody asks and it is old. No request waits long for one: counting goes on beside it, and
//! what could not be counted is tried again after all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use db::tables::certificate_collections::{ActiveModel, Column, Entity, Model};
use db::tables::certificates;
use sea_orm::{
    ActiveModelTrait, ActiveValue, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;

use super::membership::depends_on_caller;
use super::reading::readable;
use super::wire::Count;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Date, Json};

/// A count that is younger is answered as it is.
const FRESH_MS: i64 = 15 * 60 * 1_000;
/// How long a request waits for counts.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one collection may take to count.
const COUNT_MAX: Duration = Duration::from_secs(60);
/// Collections counted at a time.
const AT_ONCE: usize = 2;

/// The counting that goes on.
#[derive(Debug)]
pub(crate) struct Counting {
    turns: Arc<Semaphore>,
    /// When counting a collection was begun last, epoch milliseconds, however it ended.
    begun: Mutex<HashMap<i64, i64>>,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            begun: Mutex::default(),
        }
    }
}

impl Counting {
    /// When the collection was counted last, or tried.
    fn tried(&self, row: &Model) -> Option<i64> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        row.last_counted_at.max(begun.get(&row.id).copied())
    }

    /// Whether it is this one's turn to count the collection.
    fn begin(&self, id: i64, now: i64) -> bool {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let known = begun.get(&id).copied();
        let is_ours = known.is_none_or(|at| is_old(at, now));
        if is_ours {
            begun.insert(id, now);
        }
        is_ours
    }
}

fn is_old(at: i64, now: i64) -> bool {
    at <= now - FRESH_MS
}

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

/// How many certificates each collection has that the caller may read. Counts older than 15 minutes are taken anew; what takes
/// longer than two seconds is in a later answer.
#[utoipa::path(get, path = "/CertificateCollections/LastEstimated", tag = "CertificateCollection", responses((status = 200, body = Vec<EstimateOutput>, description = "The counts, and when they were taken")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn last_estimated(cx: Cx) -> Result<Json<Vec<EstimateOutput>>, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    let until = Instant::now() + PATIENCE;
    let mut rows = listed(&cx).await?;
    if count_old(&cx, &rows, until).await {
        rows = listed(&cx).await?;
    }
    for row in rows.iter_mut().filter(|row| depends_on_caller(&row.query)) {
        if let Ok(Some(count)) = timeout_at(until, count(&cx, row)).await {
            (row.last_count, row.last_counted_at) = (count.certificates, count.at);
        }
    }
    let items = rows.into_iter().map(|row| EstimateOutput {
        id: row.id,
        name: row.name,
        estimated_cert_count: row.last_count.unwrap_or_default(),
        last_estimated: row.last_counted_at.map(Date),
    });
    Ok(Json(items.collect()))
}

async fn listed(cx: &Cx) -> Result<Vec<Model>, Error> {
    let rows = readable(cx)
        .order_by_asc(Column::Position)
        .order_by_asc(Column::Id);
    Ok(rows.all(cx.db().read()).await?)
}

/// Has the collections counted whose count is old, those that were tried longest ago first. Answers whether there were any.
async fn count_old(cx: &Cx, rows: &[Model], until: Instant) -> bool {
    let counting = &cx.app().counting;
    let mut old: Vec<(Option<i64>, Model)> = rows
        .iter()
        .filter(|row| !depends_on_caller(&row.query))
        .map(|row| (counting.tried(row), row.clone()))
        .filter(|(tried, _)| tried.is_none_or(|at| is_old(at, cx.now())))
        .collect();
    old.sort_by_key(|(tried, _)| *tried);
    let Ok(turn) = Arc::clone(&counting.turns).try_acquire_owned() else {
        return false;
    };
    if old.is_empty() {
        return false;
    }
    let beside = Cx::system(Arc::clone(cx.app()), "counting certificates");
    let work = tokio::spawn(async move {
        for (_, row) in old {
            if beside.app().counting.begin(row.id, beside.now()) {
                count_and_remember(&beside, &row).await;
            }
        }
        drop(turn);
    });
    // What is not done by then goes on.
    drop(timeout_at(until, work).await);
    true
}

/// Counts a collection that was saved. A query that depends on who asks is counted for the caller and not remembered.
pub(super) async fn counted(cx: &Cx, row: &Model) -> Count {
    let last = Count {
        certificates: row.last_count,
        at: row.last_counted_at,
    };
    if depends_on_caller(&row.query) {
        let found = timeout(PATIENCE, count(cx, row)).await;
        return found.ok().flatten().unwrap_or(last);
    }
    let Ok(turn) = Arc::clone(&cx.app().counting.turns).try_acquire_owned() else {
        return last;
    };
    let (beside, row) = (cx.clone(), row.clone());
    let work = tokio::spawn(async move {
        let count = count_and_remember(&beside, &row).await;
        drop(turn);
        count
    });
    let found = timeout(PATIENCE, work).await;
    found.ok().and_then(Result::ok).flatten().unwrap_or(last)
}

/// Nothing when it cannot be counted: what its query names may be gone, and the database may be busy.
async fn count(cx: &Cx, row: &Model) -> Option<Count> {
    let inside = crate::certificates::condition(cx.db().read(), cx, &row.query)
        .await
        .ok()?;
    let found = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(inside)
        .count(cx.db().read())
        .await;
    Some(Count {
        certificates: i64::try_from(found.ok()?).ok(),
        at: Some(cx.now()),
    })
}

async fn count_and_remember(cx: &Cx, row: &Model) -> Option<Count> {
    let count = timeout(COUNT_MAX, count(cx, row)).await.ok().flatten()?;
    let remembered = ActiveModel {
        id: ActiveValue::Unchanged(row.id),
        last_count: ActiveValue::Set(count.certificates),
        last_counted_at: ActiveValue::Set(count.at),
        ..Default::default()
    };
    let (id, query) = (row.id, row.query.clone());
    let written = cx.db().write("collections.counted", move |tx| {
        Box::pin(async move {
            // Another query may have been saved meanwhile.
            let now = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
            if now.is_some_and(|now| now.query == query) {
                remembered.update(tx).await?;
            }
            Ok::<_, Error>(())
        })
    });
    if let Err(error) = written.await {
        tracing::warn!(%error, collection = row.id, "a count could not be kept");
    }
    Some(count)
}
