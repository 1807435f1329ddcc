//! `GET /Audit`, `GET /Audit/{id}`, `GET /Audit/RelatedEntities`

use db::tables::audit_records::{Column, Entity, Model};
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entry::{CATEGORIES, LEVELS, OPERATIONS, named};
use super::places;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, condition, field, page};
use crate::web::{Date, Json, List, Paging, PathId, Query};

/// An audit record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditLogEntry {
    id: i64,
    timestamp: Date,
    message: String,
    /// The MAC of the record, hexadecimal; `Validate` checks it.
    signature: String,
    /// The contract's AuditLogCategory; numbers from 2100 are Chancery's own.
    category: i32,
    /// The contract's AuditLogOperation.
    operation: i32,
    /// 0 information, 1 warning, 2 failure.
    level: i32,
    /// Who did it.
    user: String,
    /// The name of the category.
    entity_type: String,
    /// The thing it was done to, as people know it.
    audit_identifier: String,
    /// The hash of the record's leaf in the audit tree, hexadecimal.
    immutable_identifier: String,
}

impl From<Model> for AuditLogEntry {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            timestamp: Date(row.at),
            message: row.message,
            signature: hex::encode(row.mac),
            category: row.category,
            operation: row.operation,
            level: row.level,
            user: row.actor,
            entity_type: named(CATEGORIES, row.category),
            audit_identifier: row.name,
            immutable_identifier: hex::encode(row.leaf_hash),
        }
    }
}

/// An audit record with all that is in it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditLogDetail {
    #[serde(flatten)]
    entry: AuditLogEntry,
    /// For whom it was done, when that is somebody else.
    on_behalf_of: Option<String>,
    /// From where; null for the server itself.
    address: Option<String>,
    /// The id under which the request stands in the server's log.
    correlation_id: Uuid,
    /// The thing before, JSON; secrets are left out.
    before: Option<String>,
    /// The thing after, JSON; secrets are left out.
    after: Option<String>,
    /// The record's place in the audit tree, from 0; null until the next checkpoint.
    leaf_index: Option<i64>,
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

/// What a query may name.
pub(crate) const FIELDS: &[Field] = &[
    field("Id", FieldKind::Integer(&[]), || column(Column::Id)),
    field("Timestamp", FieldKind::Date, || column(Column::At)),
    field("ActingUser", FieldKind::Folded, || {
        column(Column::ActorFold)
    }),
    field("User", FieldKind::Folded, || column(Column::ActorFold)),
    field("OnBehalfOf", FieldKind::Folded, || {
        column(Column::OnBehalfOfFold)
    }),
    field("Category", FieldKind::Integer(CATEGORIES), || {
        column(Column::Category)
    }),
    field("EntityType", FieldKind::Integer(CATEGORIES), || {
        column(Column::Category)
    }),
    field("Operation", FieldKind::Integer(OPERATIONS), || {
        column(Column::Operation)
    }),
    field("Level", FieldKind::Integer(LEVELS), || {
        column(Column::Level)
    }),
    field("Name", FieldKind::Folded, || column(Column::NameFold)),
    field("AuditIdentifier", FieldKind::Folded, || {
        column(Column::NameFold)
    }),
    field("Message", FieldKind::Text, || column(Column::Message)),
    field("Address", FieldKind::Text, || column(Column::Address)),
    field("CorrelationId", FieldKind::Guid, || {
        column(Column::CorrelationId)
    }),
];

/// The audit records that the query names.
#[utoipa::path(
    get,
    path = "/Audit",
    tag = "AuditLog",
    params(Paging),
    responses((status = 200, body = Vec<AuditLogEntry>, description = "The records; `X-Total-Count` says how many there are")),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<AuditLogEntry>, Error> {
    cx.authorize(Permission::AuditingRead)?;
    entries(&cx, Entity::find(), &paging).await
}

/// The audit records that the query names, and all others about the same things or of the same requests.
#[utoipa::path(
    get,
    path = "/Audit/RelatedEntities",
    tag = "AuditLog",
    params(Paging),
    responses((status = 200, body = Vec<AuditLogEntry>, description = "The records; `X-Total-Count` says how many there are")),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn related(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<AuditLogEntry>, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let query = paging.query()?;
    let query = query.ok_or_else(|| {
        Error::bad_request(
            "QueryString is missing: it names the records that others are related to.",
        )
    })?;
    let matching = condition(&cx, Some(&query), FIELDS)?;
    let of_matching = |columns: &[Column]| {
        Entity::find()
            .select_only()
            .columns(columns.iter().copied())
            .filter(matching.clone())
            .into_query()
    };
    let thing = Expr::tuple([column(Column::Category), column(Column::NameFold)])
        .in_subquery(of_matching(&[Column::Category, Column::NameFold]));
    let request = Column::CorrelationId.in_subquery(of_matching(&[Column::CorrelationId]));
    let select = Entity::find().filter(Condition::any().add(thing).add(request));
    let window = Paging {
        query_string: None,
        ..paging
    };
    entries(&cx, select, &window).await
}

async fn entries(
    cx: &Cx,
    select: Select<Entity>,
    paging: &Paging,
) -> Result<List<AuditLogEntry>, Error> {
    let (rows, total) = page(cx, select, paging, FIELDS, "Id", Column::Id).await?;
    Ok(List {
        items: rows.into_iter().map(AuditLogEntry::from).collect(),
        total,
    })
}

/// One audit record.
#[utoipa::path(
    get,
    path = "/Audit/{id}",
    tag = "AuditLog",
    params(("id" = i64, Path, description = "The record's id")),
    responses((status = 200, body = AuditLogDetail, description = "The record")),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<AuditLogDetail>, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let row = load(&cx, id).await?;
    let leaf_index = places::leaf_of(cx.db().read(), row.chain, row.position).await?;
    Ok(Json(AuditLogDetail {
        on_behalf_of: row.on_behalf_of.clone(),
        address: row.address.clone(),
        correlation_id: row.correlation_id,
        before: row.before.clone(),
        after: row.after.clone(),
        leaf_index,
        entry: row.into(),
    }))
}

pub(super) async fn load(cx: &Cx, id: i64) -> Result<Model, Error> {
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    row.ok_or_else(|| Error::not_found("audit record", id))
}
