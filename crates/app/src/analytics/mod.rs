//! `/Analytics`: figures about certificates, as dashboards show them. They are counted when they are asked for, so that they are
//! right; nobody sees figures of certificates that he may not read.

use axum::http::Uri;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::certificates::{self, Happening};
use crate::collections;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::query_string::numbers;
use crate::web::{Date, Json, Query};

const NEEDED: Permission = Permission::CertificatesRead;
/// Collections that are counted for one request at most.
const COLLECTIONS_MAX: usize = 100;
/// Weeks that one request asks for at most (reference: `TotalPeriods`).
const WEEKS_MAX: i64 = 52;

/// `/Analytics`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(of_collections))
        .routes(routes!(issuance))
        .routes(routes!(revocation))
}

/// How many certificates of a collection are active.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = AnalyticsAnalyticsCollectionsCountResponse)]
struct CollectionOutput {
    /// 0 stands for all certificates.
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// Neither revoked nor expired.
    #[schema(value_type = i32)]
    count: u64,
}

/// How many certificates of some collections are active: neither revoked nor expired.
#[utoipa::path(
    get, path = "/Analytics/Certificates/Count/Collections", tag = "Analytics",
    params(("CollectionIds" = Option<Vec<i32>>, Query, description = "Certificate collections, 100 at most; 0 for all certificates. Without one the answer is empty")),
    responses((status = 200, body = Vec<CollectionOutput>, description = "The counts, in the order asked for")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn of_collections(cx: Cx, uri: Uri) -> Result<Json<Vec<CollectionOutput>>, Error> {
    counted(&cx, numbers(&uri, "CollectionIds")).await.map(Json)
}

async fn counted(cx: &Cx, ids: Result<Vec<i64>, Error>) -> Result<Vec<CollectionOutput>, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let mut ids = ids?;
    let mut seen = std::collections::HashSet::new();
    ids.retain(|id| seen.insert(*id));
    if ids.len() > COLLECTIONS_MAX {
        return Err(Error::bad_request(format!(
            "CollectionIds: more than {COLLECTIONS_MAX} collections."
        )));
    }
    let places: Vec<Through> = ids.iter().map(|id| Through::new(Some(*id), None)).collect();
    for place in places
        .iter()
        .chain(ids.is_empty().then_some(&Through::System))
    {
        cx.authorize_certificate_list(NEEDED, *place).await?;
    }
    let mut found = Vec::with_capacity(ids.len());
    for (id, place) in ids.into_iter().zip(places) {
        let name = match place {
            Through::System => "All Certificates".into(),
            _ => collections::name(cx.db().read(), "CollectionIds", id).await?,
        };
        let count = certificates::active(cx, place).await?;
        found.push(CollectionOutput { id, name, count });
    }
    Ok(found)
}

/// Which certificates, and how far back.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query)]
struct Asked {
    /// A certificate collection; 0 for all certificates.
    #[param(rename = "collectionId", required = true, value_type = i32)]
    collection_id: Option<i64>,
    /// How many weeks, from 1 to 52.
    #[param(rename = "TotalPeriods", required = true, value_type = i32, minimum = 1, maximum = 52)]
    total_periods: Option<i64>,
}

/// How often something happened in each week.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = AnalyticsAnalyticsCertificateCountWithPeriodResponse)]
struct WeeksOutput {
    /// From when the weeks are counted back: now.
    eval_date: Date,
    periods: Vec<WeekOutput>,
}

/// Seven days.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = AnalyticsAnalyticsPeriodCount)]
struct WeekOutput {
    /// 1 for the seven days up to `EvalDate`, 2 for those before, and so on.
    #[schema(value_type = i32)]
    period: i64,
    eval_date: Date,
    #[schema(value_type = i32)]
    count: u64,
}

/// How many certificates were issued in each of the last weeks, revoked and expired ones too.
#[utoipa::path(
    get, path = "/Analytics/Certificates/Issuance", tag = "Analytics", params(Asked),
    responses((status = 200, body = WeeksOutput, description = "Every week asked for, the last one first")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn issuance(cx: Cx, Query(asked): Query<Asked>) -> Result<Json<WeeksOutput>, Error> {
    weeks(&cx, Happening::Issued, &asked).await.map(Json)
}

/// How many certificates were revoked in each of the last weeks, and still are.
#[utoipa::path(
    get, path = "/Analytics/Certificates/Revocation", tag = "Analytics", params(Asked),
    responses((status = 200, body = WeeksOutput, description = "Every week asked for, the last one first")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn revocation(cx: Cx, Query(asked): Query<Asked>) -> Result<Json<WeeksOutput>, Error> {
    weeks(&cx, Happening::Revoked, &asked).await.map(Json)
}

async fn weeks(cx: &Cx, what: Happening, asked: &Asked) -> Result<WeeksOutput, Error> {
    let through = Through::new(asked.collection_id, None);
    cx.authorize_certificate_list(NEEDED, through).await?;
    if asked.collection_id.is_none() {
        return Err(Error::bad_request(
            "collectionId: a value is required; 0 stands for all certificates.",
        ));
    }
    let weeks = asked.total_periods;
    let weeks = weeks.filter(|weeks| (1..=WEEKS_MAX).contains(weeks));
    let weeks = weeks.ok_or_else(|| {
        Error::bad_request(format!(
            "TotalPeriods: a number from 1 to {WEEKS_MAX} is required."
        ))
    })?;
    let now = cx.now();
    let counts = certificates::by_week(cx, what, through, now, weeks).await?;
    let eval_date = Date(now);
    let periods = (1..).zip(counts).map(|(period, count)| WeekOutput {
        period,
        eval_date,
        count,
    });
    Ok(WeeksOutput {
        eval_date,
        periods: periods.collect(),
    })
}
