//! `DELETE /Certificates/{id}`, `DELETE /Certificates`, `DELETE /Certificates/Query`: out of the inventory, with everything that
//! belongs to it. A revocation stays in the authority's revocation list.

use std::sync::Arc;

use db::tables::{certificate_requests, certificates, store_entries, store_entry_certificates};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;

use super::chosen::{Chosen, ROWS_MAX, refused, title};
use super::{Collection, counts, noted};
use crate::audit::{self, Category, Entry, Operation};
use crate::authorities::{self, KnownAuthority};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::{Permission, Through};
use crate::web::{Body, Date, NoContent, PathId, Query};

const NEEDED: Permission = Permission::CertificatesDelete;

/// Deletes a certificate with its stored key.
#[utoipa::path(
    delete, path = "/Certificates/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 204, description = "It is gone")),
    extensions(("x-permissions" = json!(["/certificates/collections/delete/"])))
)]
pub(super) async fn delete_one(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<NoContent, Error> {
    delete(&cx, Chosen::Ids(vec![id]), "id", collection.through()).await
}

/// Deletes certificates with their stored keys: all or none. Takes 10,000 ids at most.
#[utoipa::path(
    delete, path = "/Certificates", tag = "Certificate", params(Collection),
    request_body = Vec<i64>,
    responses((status = 204, description = "They are gone")),
    extensions(("x-permissions" = json!(["/certificates/collections/delete/"])))
)]
pub(super) async fn delete_several(
    cx: Cx,
    Query(collection): Query<Collection>,
    Body(ids): Body<Option<Vec<i64>>>,
) -> Result<NoContent, Error> {
    let chosen = Chosen::Ids(ids.unwrap_or_default());
    delete(&cx, chosen, "Body", collection.through()).await
}

/// Deletes what a query finds, revoked and expired certificates too: all or none. It may find 10,000 at most.
#[utoipa::path(
    delete, path = "/Certificates/Query", tag = "Certificate", params(Collection),
    request_body = String,
    responses((status = 204, description = "They are gone")),
    extensions(("x-permissions" = json!(["/certificates/collections/delete/"])))
)]
pub(super) async fn delete_found(
    cx: Cx,
    Query(collection): Query<Collection>,
    Body(query): Body<Option<String>>,
) -> Result<NoContent, Error> {
    let chosen = Chosen::Query {
        query: query.unwrap_or_default(),
        revoked: true,
        expired: true,
    };
    delete(&cx, chosen, "Body", collection.through()).await
}

async fn delete(
    cx: &Cx,
    chosen: Chosen,
    place: &str,
    through: Through,
) -> Result<NoContent, Error> {
    let chosen = chosen.authorized(cx, place, NEEDED, through).await?;
    let known = authorities::all(cx.app()).await?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificates.delete", move |tx| {
            Box::pin(async move {
                let rows = chosen.locked(tx, &cx, NEEDED, through).await?;
                check(&rows, &known)?;
                write(tx, &cx, &rows).await
            })
        })
        .await?;
    Ok(NoContent)
}

/// The chains of what was issued here are built from the authorities' certificates.
fn check(rows: &[certificates::Model], known: &[Arc<KnownAuthority>]) -> Result<(), Error> {
    let own = rows
        .iter()
        .filter(|row| authorities::is_own(known, &row.sha256));
    let reasons: Vec<String> = own
        .map(|row| {
            let id = row.id;
            format!("Certificate {id}: it is the certificate of an authority of this server.")
        })
        .collect();
    match reasons.is_empty() {
        true => Ok(()),
        false => Err(refused("deleted", reasons)),
    }
}

async fn write(tx: &db::Tx, cx: &Cx, rows: &[certificates::Model]) -> Result<(), Error> {
    for some in rows.chunks(ROWS_MAX) {
        let ids: Vec<i64> = some.iter().map(|row| row.id).collect();
        let moved = forget_locations(tx, cx, &ids).await?;
        noted::note(tx, moved).await?;
        past::certificates_go(tx, cx, &ids).await?;
        certificate_requests::Entity::update_many()
            .col_expr(
                certificate_requests::Column::CertificateId,
                Expr::val(None::<i64>),
            )
            .filter(certificate_requests::Column::CertificateId.is_in(ids.iter().copied()))
            .exec(tx)
            .await?;
        // Content, names, key, metadata and history go with the row.
        certificates::Entity::delete_many()
            .filter(certificates::Column::Id.is_in(ids))
            .exec(tx)
            .await?;
    }
    noted::note(tx, rows.iter().map(|row| row.id)).await?;
    counts::change(tx, rows.iter().map(|row| (row.into(), -1))).await?;
    match rows {
        [] => Ok(()),
        [row] => audit::record(tx, cx, entry(row)).await,
        _ => audit::record_all(tx, rows.iter().map(|row| (cx, entry(row))).collect()).await,
    }
}

/// An entry of a store without its own certificate is none; of a chain, the rest stays. The next inventory of the store finds
/// again what is still there. Answers the certificates of whose places some went.
async fn forget_locations(tx: &db::Tx, cx: &Cx, ids: &[i64]) -> Result<Vec<i64>, Error> {
    use store_entry_certificates::Column as Link;
    let entries: Vec<i64> = store_entry_certificates::Entity::find()
        .select_only()
        .column(Link::EntryId)
        .filter(Link::CertificateId.is_in(ids.iter().copied()))
        .filter(Link::ChainLevel.eq(0))
        .into_tuple()
        .all(tx)
        .await?;
    past::entries_change(tx, cx, &entries).await?;
    let mut moved: Vec<i64> = Vec::new();
    for some in entries.chunks(ROWS_MAX) {
        let chains = store_entry_certificates::Entity::find()
            .select_only()
            .column(Link::CertificateId)
            .filter(Link::EntryId.is_in(some.iter().copied()))
            .into_tuple::<i64>();
        moved.extend(chains.all(tx).await?);
        store_entries::Entity::delete_many()
            .filter(store_entries::Column::Id.is_in(some.iter().copied()))
            .exec(tx)
            .await?;
    }
    past::places_change(tx, cx, Link::CertificateId.is_in(ids.iter().copied())).await?;
    store_entry_certificates::Entity::delete_many()
        .filter(Link::CertificateId.is_in(ids.iter().copied()))
        .exec(tx)
        .await?;
    Ok(moved)
}

fn entry(row: &certificates::Model) -> Entry {
    Entry::new(
        Operation::Deleted,
        Category::Certificate,
        title(row),
        format!("Certificate {} deleted", row.id),
    )
    .before(json!({
        "Id": row.id,
        "Thumbprint": row.thumbprint,
        "SerialNumber": row.serial_number,
        "IssuedDN": row.subject,
        "IssuerDN": row.issuer,
        "NotAfter": Date(row.not_after).text(),
        "CertState": row.state,
        "OwnerRoleId": row.owner_role_id,
        "HasPrivateKey": row.has_private_key,
    }))
}
