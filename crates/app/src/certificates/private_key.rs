//! `DELETE /Certificates/PrivateKey` and `DELETE /Certificates/PrivateKey/{id}`: stored keys are destroyed, certificates stay.

use db::tables::{certificate_keys, certificates};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

use super::chosen::{Chosen, ROWS_MAX, title};
use super::{Collection, noted, stored};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::{Permission, Through};
use crate::web::{Body, NoContent, PathId, Query};

const NEEDED: Permission = Permission::CertificatesDelete;

/// Destroys the stored key of a certificate. One that has none stays as it is.
#[utoipa::path(
    delete, path = "/Certificates/PrivateKey/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 204, description = "It has no stored key")),
    extensions(("x-permissions" = json!(["/certificates/collections/delete/"])))
)]
pub(super) async fn delete_key(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<NoContent, Error> {
    delete(&cx, vec![id], "id", collection.through()).await
}

/// Destroys the stored keys of certificates: all or none. Takes 10,000 ids at most.
#[utoipa::path(
    delete, path = "/Certificates/PrivateKey", tag = "Certificate", params(Collection),
    request_body = Vec<i64>,
    responses((status = 204, description = "They have no stored keys")),
    extensions(("x-permissions" = json!(["/certificates/collections/delete/"])))
)]
pub(super) async fn delete_keys(
    cx: Cx,
    Query(collection): Query<Collection>,
    Body(ids): Body<Option<Vec<i64>>>,
) -> Result<NoContent, Error> {
    delete(&cx, ids.unwrap_or_default(), "Body", collection.through()).await
}

async fn delete(cx: &Cx, ids: Vec<i64>, place: &str, through: Through) -> Result<NoContent, Error> {
    let chosen = Chosen::Ids(ids)
        .authorized(cx, place, NEEDED, through)
        .await?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificates.delete_private_key", move |tx| {
            Box::pin(async move {
                let mut rows = chosen.locked(tx, &cx, NEEDED, through).await?;
                rows.retain(|row| row.has_private_key);
                write(tx, &cx, &rows).await
            })
        })
        .await?;
    Ok(NoContent)
}

async fn write(tx: &db::Tx, cx: &Cx, rows: &[certificates::Model]) -> Result<(), Error> {
    for some in rows.chunks(ROWS_MAX) {
        let ids: Vec<i64> = some.iter().map(|row| row.id).collect();
        past::certificates_change(tx, cx, &ids).await?;
        certificate_keys::Entity::delete_many()
            .filter(certificate_keys::Column::CertificateId.is_in(ids.iter().copied()))
            .exec(tx)
            .await?;
        certificates::Entity::update_many()
            .col_expr(certificates::Column::HasPrivateKey, Expr::val(false))
            .filter(certificates::Column::Id.is_in(ids))
            .exec(tx)
            .await?;
    }
    noted::note(tx, rows.iter().map(|row| row.id)).await?;
    let lines = rows
        .iter()
        .map(|row| stored::history_row(cx, row.id, "Private Key Deleted", ""));
    db::insert_all(tx, lines).await?;
    let entry = |row: &certificates::Model| {
        let message = format!("The stored private key of certificate {} deleted", row.id);
        Entry::new(
            Operation::DeletedPrivateKey,
            Category::Certificate,
            title(row),
            message,
        )
        .before(json!({ "HasPrivateKey": true }))
        .after(json!({ "HasPrivateKey": false }))
    };
    match rows {
        [] => Ok(()),
        [row] => audit::record(tx, cx, entry(row)).await,
        _ => audit::record_all(tx, rows.iter().map(|row| (cx, entry(row))).collect()).await,
    }
}
