//! Reading fields.

use db::tables::certificate_metadata;
use db::tables::metadata_fields::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::wire::FieldOutput;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Json, List, Paging, PathId, Query};

const TYPES: FieldKind = FieldKind::Integer(&[
    ("string", 1),
    ("integer", 2),
    ("date", 3),
    ("boolean", 4),
    ("multiplechoice", 5),
    ("bigtext", 6),
    ("email", 7),
]);

/// What queries may name: the search reference of this list.
const FIELDS: &[Field] = &[
    field("DisplayOrder", FieldKind::Integer(&[]), || {
        Expr::col(Column::DisplayOrder)
    }),
    field("Name", FieldKind::Folded, || Expr::col(Column::NameFold)),
    field("Id", FieldKind::Integer(&[]), || Expr::col(Column::Id)),
    field("Description", FieldKind::Text, || {
        Expr::col(Column::Description)
    }),
    field("DataType", TYPES, || Expr::col(Column::DataType)),
    field(
        "Enrollment",
        FieldKind::Integer(&[("optional", 0), ("required", 1), ("hidden", 2)]),
        || Expr::col(Column::Enrollment),
    ),
    field("Hint", FieldKind::Text, || Expr::col(Column::Hint)),
    field("DefaultValue", FieldKind::Text, || {
        Expr::col(Column::DefaultValue)
    }),
    field("AllowAPI", FieldKind::Boolean, || {
        Expr::col(Column::AllowApi)
    }),
];

/// The metadata fields, in their order.
#[utoipa::path(get, path = "/MetadataFields", tag = "MetadataField", params(Paging), responses((status = 200, body = Vec<FieldOutput>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/metadata/types/read/"]))))]
pub(super) async fn list(cx: Cx, Query(paging): Query<Paging>) -> Result<List<FieldOutput>, Error> {
    cx.authorize(Permission::MetadataTypesRead)?;
    let (rows, total) = page(
        &cx,
        Entity::find(),
        &paging,
        FIELDS,
        "DisplayOrder",
        Column::Id,
    )
    .await?;
    Ok(List {
        items: rows.into_iter().map(FieldOutput::from).collect(),
        total,
    })
}

/// All of them, in their order.
///
/// # Errors
/// Those of the database.
pub(crate) async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    let rows = Entity::find()
        .order_by_asc(Column::DisplayOrder)
        .order_by_asc(Column::Id);
    Ok(rows.all(connection).await?)
}

/// One metadata field, by its id or by its name.
#[utoipa::path(get, path = "/MetadataFields/{id}", tag = "MetadataField", params(("id" = String, Path, description = "Its id, or its name in any case")), responses((status = 200, body = FieldOutput, description = "It"), (status = 404, body = crate::error::ErrorBody, description = "There is no such field")), extensions(("x-permissions" = json!(["/metadata/types/read/"]))))]
pub(super) async fn one(cx: Cx, PathId(which): PathId<String>) -> Result<Json<FieldOutput>, Error> {
    cx.authorize(Permission::MetadataTypesRead)?;
    let connection = cx.db().read();
    let mut row = match which.parse() {
        Ok(id) => Entity::find_by_id::<i64>(id).one(connection).await?,
        Err(_) => None,
    };
    if row.is_none() {
        let named = Column::NameFold.eq(db::fold(&which));
        row = Entity::find().filter(named).one(connection).await?;
    }
    let row = row.ok_or_else(|| Error::not_found("metadata field", format!("{which:?}")))?;
    Ok(Json(row.into()))
}

/// Whether certificates have values of a metadata field.
#[utoipa::path(get, path = "/MetadataFields/{id}/InUse", tag = "MetadataField", params(("id" = i32, Path, description = "Its id")), responses((status = 200, body = bool, content_type = "application/json", description = "Whether there are any")), extensions(("x-permissions" = json!(["/metadata/types/read/"]))))]
pub(super) async fn in_use(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<bool>, Error> {
    cx.authorize(Permission::MetadataTypesRead)?;
    let connection = cx.db().read();
    let row = Entity::find_by_id(id).one(connection).await?;
    let row = row.ok_or_else(|| Error::not_found("metadata field", id))?;
    is_used(connection, &row).await.map(Json)
}

/// Whether any certificate has a value of the field.
pub(super) async fn is_used(
    connection: &impl ConnectionTrait,
    field: &Model,
) -> Result<bool, Error> {
    let one: Option<i64> = certificate_metadata::Entity::find()
        .select_only()
        .column(certificate_metadata::Column::CertificateId)
        .filter(certificate_metadata::Column::NameFold.eq(&field.name_fold))
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?;
    Ok(one.is_some())
}
