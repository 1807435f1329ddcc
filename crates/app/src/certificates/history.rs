//! What happened to a certificate.

use db::tables::{certificate_history, certificates};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::list::FieldKind::{Date as DateField, Integer, Text};
use crate::web::list::{Field, field, page};
use crate::web::{Date, List, Paging};

use certificate_history::Column as C;

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateOperation)]
pub(crate) struct OperationOutput {
    id: i64,
    operation_start: Date,
    operation_end: Date,
    /// Who did it.
    username: String,
    comment: String,
    /// What was done.
    action: String,
}

const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || {
        Expr::col((certificate_history::Entity, C::Id))
    }),
    field("OperationStart", DateField, || {
        Expr::col((certificate_history::Entity, C::StartedAt))
    }),
    field("OperationEnd", DateField, || {
        Expr::col((certificate_history::Entity, C::EndedAt))
    }),
    field("Username", Text, || {
        Expr::col((certificate_history::Entity, C::Username))
    }),
    field("Comment", Text, || {
        Expr::col((certificate_history::Entity, C::Comment))
    }),
    field("Action", Text, || {
        Expr::col((certificate_history::Entity, C::Action))
    }),
];

/// # Errors
/// 403 without the permission; 404 for an unknown certificate; 400 for a bad sort field or page.
pub(super) async fn of(
    cx: &Cx,
    id: i64,
    paging: &Paging,
    through: Through,
) -> Result<List<OperationOutput>, Error> {
    cx.authorize_certificate(Permission::CertificatesRead, id, through)
        .await?;
    if certificates::Entity::find_by_id(id)
        .one(cx.db().read())
        .await?
        .is_none()
    {
        return Err(Error::not_found("certificate", id));
    }
    let select = certificate_history::Entity::find().filter(C::CertificateId.eq(id));
    let (rows, total) = page(cx, select, paging, FIELDS, "Id", C::Id).await?;
    let items = rows
        .into_iter()
        .map(|row| OperationOutput {
            id: row.id,
            operation_start: Date(row.started_at),
            operation_end: Date(row.ended_at),
            username: row.username,
            comment: row.comment,
            action: row.action,
        })
        .collect();
    Ok(List { items, total })
}
