//! `POST /Chancery/Certificates/Revocations`: records what authorities elsewhere have revoked, as the manager that these certificates
//! come from knows it. Nothing is published: the lists are theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use db::tables::certificates;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chosen::Chosen;
use super::owner::ReachedThrough;
use super::revocation::{Change, NEEDED, Order, all_or_none, write};
use crate::authorities::{self, KnownAuthority};
use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Date, Json, Query};

/// What authorities elsewhere have revoked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokedElsewhereRequest)]
pub(super) struct RevokedElsewhereRequest {
    /// A certificate each, 10,000 at most.
    revocations: Option<Vec<RevokedElsewhere>>,
}

/// What has become of a certificate at its authority.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokedElsewhere)]
struct RevokedElsewhere {
    /// Its id here.
    certificate_id: Option<i64>,
    /// As for `POST /Certificates/Revoke`.
    reason: Option<i64>,
    /// Why, for people.
    comment: Option<String>,
    /// Since when: now unless given.
    effective_date: Option<Date>,
}

/// What was recorded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RevokedElsewhereResponse)]
pub(super) struct RevokedElsewhereOutput {
    /// The certificates of which something new was recorded; the others were so already.
    recorded_ids: Vec<i64>,
}

/// Records what authorities elsewhere have revoked, put on hold or taken from it: all or none.
#[utoipa::path(
    post, path = "/Chancery/Certificates/Revocations", tag = "Chancery", params(ReachedThrough),
    request_body = RevokedElsewhereRequest,
    responses((status = 200, body = RevokedElsewhereOutput, description = "They are as their authorities say")),
    extensions(
        ("x-permissions" = json!(["/certificates/collections/revoke/"])),
        ("x-permissions-or" = json!([["/certificate_stores/revoke/"]]))
    )
)]
pub(super) async fn record(
    cx: Cx,
    Query(through): Query<ReachedThrough>,
    Body(request): Body<RevokedElsewhereRequest>,
) -> Result<Json<RevokedElsewhereOutput>, Error> {
    let through = through.into();
    let told = request.revocations.unwrap_or_default();
    // One without an id is none that exists, and is refused below by its place.
    let ids = told.iter().map(|one| one.certificate_id.unwrap_or(0));
    let chosen = Chosen::Ids(ids.collect())
        .authorized(&cx, "Revocations", NEEDED, through)
        .await?;
    let orders = orders(&cx, told)?;
    let known = authorities::all(cx.app()).await?;
    let recorded_ids = cx
        .db()
        .clone()
        .write("certificates.revoked_elsewhere", move |tx| {
            Box::pin(async move {
                let rows = chosen.locked(tx, &cx, NEEDED, through).await?;
                let changes = changes(&rows, &orders, &known, cx.now())?;
                write(tx, &cx, &changes).await?;
                Ok::<_, Error>(changes.iter().map(Change::id).collect())
            })
        })
        .await?;
    Ok(Json(RevokedElsewhereOutput { recorded_ids }))
}

/// What is to become of each certificate, by its id.
fn orders(cx: &Cx, told: Vec<RevokedElsewhere>) -> Result<BTreeMap<i64, Order>, Error> {
    let mut orders = BTreeMap::new();
    for (index, one) in told.into_iter().enumerate() {
        let place = |what: String| Error::bad_request(format!("Revocations[{index}].{what}"));
        let Some(id) = one.certificate_id else {
            return Err(place("CertificateId: it is missing.".into()));
        };
        let order = Order::new(cx, one.reason, one.comment, one.effective_date).map_err(place)?;
        if orders.insert(id, order).is_some() {
            return Err(place(format!("CertificateId: {id} is named twice.")));
        }
    }
    Ok(orders)
}

fn changes<'a>(
    rows: &'a [certificates::Model],
    orders: &'a BTreeMap<i64, Order>,
    known: &[Arc<KnownAuthority>],
    now: i64,
) -> Result<Vec<Change<'a>>, Error> {
    all_or_none(rows, "recorded as their authorities say", |row| {
        if is_own(known, row) {
            return Err(
                "it belongs to this server's authorities, which POST /Certificates/Revoke asks"
                    .into(),
            );
        }
        match orders.get(&row.id) {
            Some(order) => Change::new(row, None, order, now),
            None => Ok(None),
        }
    })
}

/// Whether this server itself says what is revoked: its own authorities issued it, or it is one of theirs.
fn is_own(known: &[Arc<KnownAuthority>], row: &certificates::Model) -> bool {
    known
        .iter()
        .any(|authority| row.authority_id == Some(authority.id))
        || authorities::is_own(known, &row.sha256)
}
