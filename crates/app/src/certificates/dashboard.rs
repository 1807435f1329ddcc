//! `GET /Chancery/Certificates/Counts`: how many certificates there are of each kind, from counts that are kept along with every
//! change, so that they are as fast on ten million certificates as on ten.

use db::tables::authorities;
use sea_orm::{EntityTrait, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::counts;
use super::wire;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{Permission, Through};
use crate::web::{Json, Query};

/// Days ahead that certificates are counted for.
const WINDOWS: [i64; 6] = [7, 30, 60, 90, 180, 365];

/// What else to count.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Wanted {
    /// Count the certificates of each collection too. A count is taken from the table the first time after a change.
    include_collections: Option<bool>,
}

/// How many certificates there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCounts)]
pub(super) struct CountsOutput {
    /// All in the inventory, revoked and expired ones too.
    total: i64,
    /// Of each state, of all.
    states: Vec<StateCount>,
    /// Of each authority, of all; those that none of ours issued under null.
    authorities: Vec<AuthorityCount>,
    /// Of each type of key, of all.
    key_types: Vec<KeyTypeCount>,
    /// By when those that are not revoked expire.
    expiry: ExpiryCounts,
    /// In each collection, neither revoked nor expired, if asked for.
    collections: Option<Vec<CollectionCount>>,
}

/// A state.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStateCount)]
struct StateCount {
    cert_state: i32,
    cert_state_string: String,
    count: i64,
}

/// An authority.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateAuthorityCount)]
struct AuthorityCount {
    certificate_authority_id: Option<i64>,
    /// Host and logical name.
    certificate_authority_name: Option<String>,
    count: i64,
}

/// A type of key.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateKeyTypeCount)]
struct KeyTypeCount {
    key_type_string: String,
    count: i64,
}

/// By when certificates expire.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateExpiryCounts)]
struct ExpiryCounts {
    /// Expired.
    expired: i64,
    /// Not expired.
    valid: i64,
    /// Of the valid ones, those that expire until the end (UTC) of the day so many days ahead; each window has those of the ones before.
    windows: Vec<ExpiryCount>,
}

/// A number of days.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateExpiryCount)]
struct ExpiryCount {
    days: i64,
    count: i64,
}

/// A collection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionCount)]
struct CollectionCount {
    collection_id: i64,
    name: String,
    count: i64,
}

/// How many certificates there are by state, authority, type of key and expiry. Exact at the time of the answer.
#[utoipa::path(
    get, path = "/Chancery/Certificates/Counts", tag = "ChanceryCertificates", params(Wanted),
    responses((status = 200, body = CountsOutput, description = "The counts")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn counts(
    cx: Cx,
    Query(wanted): Query<Wanted>,
) -> Result<Json<CountsOutput>, Error> {
    cx.authorize(Permission::CertificatesRead)?;
    let mut counts = read(&cx).await?;
    if wanted.include_collections == Some(true) {
        counts.collections = Some(of_collections(&cx).await?);
    }
    Ok(Json(counts))
}

/// Reads what it is counted from, so that the database has it in memory when somebody asks: rows of a large inventory drive it out.
pub(super) async fn keep_near(cx: &Cx) {
    if let Err(error) = read(cx).await {
        tracing::warn!(%error, "certificates could not be counted");
    }
}

/// All of one moment.
async fn read(cx: &Cx) -> Result<CountsOutput, Error> {
    let snapshot = cx.db().snapshot().await?;
    let [by_state, by_authority, by_key_type] = counts::each(&snapshot).await?;
    let names: Vec<(i64, String, String)> = authorities::Entity::find()
        .select_only()
        .columns([
            authorities::Column::Id,
            authorities::Column::HostName,
            authorities::Column::LogicalName,
        ])
        .into_tuple()
        .all(&snapshot)
        .await?;
    let expiry = counts::expiring(&snapshot, &WINDOWS, cx.now()).await?;
    let number = |number: i64| i32::try_from(number).unwrap_or_default();
    Ok(CountsOutput {
        total: by_state.values().sum(),
        states: by_state
            .into_iter()
            .map(|(state, count)| StateCount {
                cert_state: number(state),
                cert_state_string: wire::state_text(number(state)),
                count,
            })
            .collect(),
        authorities: by_authority
            .into_iter()
            .map(|(id, count)| AuthorityCount {
                certificate_authority_id: (id != 0).then_some(id),
                certificate_authority_name: names
                    .iter()
                    .find(|(known, _, _)| *known == id)
                    .map(|(_, host, name)| format!("{host}\\{name}")),
                count,
            })
            .collect(),
        key_types: by_key_type
            .into_iter()
            .map(|(key_type, count)| KeyTypeCount {
                key_type_string: wire::key_type_text(number(key_type)),
                count,
            })
            .collect(),
        expiry: ExpiryCounts {
            expired: expiry.expired,
            valid: expiry.valid,
            windows: WINDOWS
                .into_iter()
                .zip(expiry.windows)
                .map(|(days, count)| ExpiryCount { days, count })
                .collect(),
        },
        collections: None,
    })
}

/// The totals that the lists of the collections have.
async fn of_collections(cx: &Cx) -> Result<Vec<CollectionCount>, Error> {
    let mut all = Vec::new();
    for (id, name) in crate::collections::known(cx).await? {
        let count = match super::figures::active(cx, Through::new(Some(id), None)).await {
            Ok(count) => i64::try_from(count).unwrap_or(i64::MAX),
            Err(error) if matches!(error.kind(), Kind::Internal | Kind::Unavailable) => {
                return Err(error);
            }
            // One whose query names what is gone has nothing inside.
            Err(_) => continue,
        };
        all.push(CollectionCount {
            collection_id: id,
            name,
            count,
        });
    }
    Ok(all)
}
