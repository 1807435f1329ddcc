//! Reading store types.

use db::tables::store_types;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::response::StoreTypeResponse;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Json, List, Paging, PathId, Query};

use store_types::{Column, Entity};

const ALLOWED: FieldKind =
    FieldKind::Integer(&[("forbidden", 0), ("optional", 1), ("required", 2)]);

/// What queries may name: the search reference of this list.
const FIELDS: &[Field] = &[
    field("Name", FieldKind::Folded, || Expr::col(Column::NameFold)),
    field("ShortName", FieldKind::Folded, || {
        Expr::col(Column::ShortNameFold)
    }),
    field("StoreType", FieldKind::Integer(&[]), || {
        Expr::col(Column::Id)
    }),
    field("Capability", FieldKind::Text, || {
        Expr::col(Column::Capability)
    }),
    field("PrivateKeyAllowed", ALLOWED, || {
        Expr::col(Column::PrivateKeyAllowed)
    }),
    field("CustomAliasAllowed", ALLOWED, || {
        Expr::col(Column::CustomAliasAllowed)
    }),
];

/// The store types.
#[utoipa::path(get, path = "/CertificateStoreTypes", tag = "CertificateStoreType", params(Paging), responses((status = 200, body = Vec<StoreTypeResponse>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<StoreTypeResponse>, Error> {
    cx.authorize(Permission::StoresRead)?;
    let (rows, total) = page(&cx, Entity::find(), &paging, FIELDS, "Name", Column::Id).await?;
    let items: Result<_, Error> = rows.into_iter().map(StoreTypeResponse::try_from).collect();
    Ok(List {
        items: items?,
        total,
    })
}

/// One store type.
#[utoipa::path(get, path = "/CertificateStoreTypes/{id}", tag = "CertificateStoreType", params(("id" = i32, Path, description = "Its id")), responses((status = 200, body = StoreTypeResponse, description = "It")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<StoreTypeResponse>, Error> {
    cx.authorize(Permission::StoresRead)?;
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    Ok(Json(
        row.ok_or_else(|| Error::not_found("certificate store type", id))?
            .try_into()?,
    ))
}

/// One store type by its short name, or by its name, as an array of one (clients.md 2.6).
#[utoipa::path(get, path = "/CertificateStoreTypes/Name/{name}", tag = "CertificateStoreType", params(("name" = String, Path, description = "Its short name, in any case")), responses((status = 200, body = Vec<StoreTypeResponse>, description = "It, as an array of one")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn get_by_name(
    cx: Cx,
    PathId(name): PathId<String>,
) -> Result<Json<Vec<StoreTypeResponse>>, Error> {
    cx.authorize(Permission::StoresRead)?;
    let fold = db::fold(&name);
    let either = Condition::any()
        .add(Column::ShortNameFold.eq(&fold))
        .add(Column::NameFold.eq(&fold));
    let rows = Entity::find().filter(either).all(cx.db().read()).await?;
    let row = rows
        .iter()
        .find(|row| row.short_name_fold == fold)
        .or(rows.first())
        .cloned();
    let row = row.ok_or_else(|| Error::not_found("certificate store type", format!("{name:?}")))?;
    Ok(Json(vec![row.try_into()?]))
}
