//! `POST /Certificates/Revoke` and `POST /Certificates/RevokeAll`: revoke, put on hold, take from hold. What was answered is in the
//! authority's revocation list. What an authority elsewhere revoked is recorded by `revoked_elsewhere`.

use std::sync::Arc;

use db::tables::certificates;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Collection;
use super::chosen::Chosen;
use super::revocation::{Change, NEEDED, Order, all_or_none, write};
use crate::authorities::{self, KnownAuthority};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Through;
use crate::web::{Body, Date, Json, Query};

/// Certificates to revoke.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokeCertificateRequest)]
pub(super) struct RevokeRequest {
    /// Their ids, 10,000 at most.
    certificate_ids: Option<Vec<i64>>,
    /// -1 takes from hold, and so do 7 and 8; 0 unspecified (also when left out), 1 key compromised, 2 authority compromised,
    /// 3 affiliation changed, 4 superseded, 5 cessation of operation, 6 puts on hold, 999 unknown.
    reason: Option<i64>,
    /// Why, for people.
    comment: Option<String>,
    /// Since when: now unless given; not before the certificate begins.
    effective_date: Option<Date>,
    /// A certificate collection; 0 for none.
    collection_id: Option<i64>,
    /// A container of certificate stores; 0 for none.
    container_id: Option<i64>,
    /// Accepted: the list is always published.
    #[serde(rename = "PublishCRL")]
    #[expect(dead_code, reason = "declared by the contract")]
    publish_crl: Option<bool>,
}

/// What to revoke by a query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokeAllCertificatesRequest)]
pub(super) struct RevokeAllRequest {
    /// A query; it may find 10,000 certificates at most.
    query: Option<String>,
    /// As for one certificate.
    reason: Option<i64>,
    /// Why, for people.
    comment: Option<String>,
    /// Since when: now unless given.
    effective_date: Option<Date>,
    /// Also what is revoked already.
    include_revoked: Option<bool>,
    /// Also what has expired.
    include_expired: Option<bool>,
}

/// What was revoked.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevocationResponse)]
pub(super) struct RevocationOutput {
    /// The certificates that are now as asked for.
    revoked_ids: Vec<i64>,
    /// Those that wait for a workflow.
    suspended_certs: Vec<SuspendedOutput>,
}

/// A revocation that waits for a workflow.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SuspendedRevocationResponse)]
pub(super) struct SuspendedOutput {
    cert_id: i64,
    workflow_id: Uuid,
    message: String,
}

/// Revokes certificates, puts them on hold or takes them from it: all or none.
#[utoipa::path(
    post, path = "/Certificates/Revoke", tag = "Certificate", request_body = RevokeRequest,
    responses((status = 200, body = RevocationOutput, description = "They are as asked for")),
    extensions(
        ("x-permissions" = json!(["/certificates/collections/revoke/"])),
        ("x-permissions-or" = json!([["/certificate_stores/revoke/"]]))
    )
)]
pub(super) async fn revoke(
    cx: Cx,
    Body(request): Body<RevokeRequest>,
) -> Result<Json<RevocationOutput>, Error> {
    let through = Through::new(request.collection_id, request.container_id);
    let chosen = Chosen::Ids(request.certificate_ids.unwrap_or_default())
        .authorized(&cx, "CertificateIds", NEEDED, through)
        .await?;
    let order = Order::new(&cx, request.reason, request.comment, request.effective_date)
        .map_err(Error::bad_request)?;
    carry_out(&cx, chosen, order, through).await.map(Json)
}

/// Revokes what a query finds: all or none.
#[utoipa::path(
    post, path = "/Certificates/RevokeAll", tag = "Certificate", params(Collection),
    request_body = RevokeAllRequest,
    responses((status = 200, body = RevocationOutput, description = "They are as asked for")),
    extensions(("x-permissions" = json!(["/certificates/collections/revoke/"])))
)]
pub(super) async fn revoke_all(
    cx: Cx,
    Query(collection): Query<Collection>,
    Body(request): Body<RevokeAllRequest>,
) -> Result<Json<RevocationOutput>, Error> {
    let through = collection.through();
    let chosen = Chosen::Query {
        query: request.query.unwrap_or_default(),
        revoked: request.include_revoked.unwrap_or(false),
        expired: request.include_expired.unwrap_or(false),
    };
    let chosen = chosen.authorized(&cx, "Query", NEEDED, through).await?;
    let order = Order::new(&cx, request.reason, request.comment, request.effective_date)
        .map_err(Error::bad_request)?;
    carry_out(&cx, chosen, order, through).await.map(Json)
}

async fn carry_out(
    cx: &Cx,
    chosen: Chosen,
    order: Order,
    through: Through,
) -> Result<RevocationOutput, Error> {
    let known = authorities::all(cx.app()).await?;
    let cx = cx.clone();
    let revoked_ids = cx
        .db()
        .clone()
        .write("certificates.revoke", move |tx| {
            Box::pin(async move {
                let rows = chosen.locked(tx, &cx, NEEDED, through).await?;
                let changes = changes(&rows, &order, &known, cx.now())?;
                write(tx, &cx, &changes).await?;
                Ok::<_, Error>(rows.iter().map(|row| row.id).collect())
            })
        })
        .await?;
    Ok(RevocationOutput {
        revoked_ids,
        suspended_certs: Vec::new(),
    })
}

fn changes<'a>(
    rows: &'a [certificates::Model],
    order: &'a Order,
    known: &'a [Arc<KnownAuthority>],
    now: i64,
) -> Result<Vec<Change<'a>>, Error> {
    all_or_none(rows, order.participle(), |row| {
        let authority = known
            .iter()
            .find(|authority| row.authority_id == Some(authority.id));
        match authority {
            None => Err("it was issued by none of this server's authorities, so that only its issuer can revoke it".into()),
            Some(_) if authorities::is_own(known, &row.sha256) => {
                Err("it is the certificate of an authority of this server".into())
            }
            Some(authority) => Change::new(row, Some(authority), order, now),
        }
    })
}
