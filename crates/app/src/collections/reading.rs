//! Reading collections: those that the caller may read, and no others.

use db::tables::certificate_collections::{Column, Entity, Model};
use db::tables::collection_favorites;
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query as SqlQuery};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait, Select};
use serde::Serialize;
use utoipa::ToSchema;

use super::wire::{CollectionOutput, ListedOutput};
use super::{authorize, favorites, unknown};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Reach};
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Json, List, Paging, PathId, Query};

const NEEDED: Permission = Permission::CertificatesRead;

/// What queries may name: the search reference of this list (command-behaviour.md B.8).
pub(crate) const FIELDS: &[Field] = &[
    field("Name", FieldKind::Folded, || {
        Expr::col((Entity, Column::NameFold))
    }),
    field("Id", FieldKind::Integer(&[]), || {
        Expr::col((Entity, Column::Id))
    }),
    field("Query", FieldKind::Text, || {
        Expr::col((Entity, Column::Query))
    }),
    field("Content", FieldKind::Text, || {
        Expr::col((Entity, Column::Query))
    }),
    field("Description", FieldKind::Text, || {
        Expr::col((Entity, Column::Description))
    }),
    field("DuplicationField", FieldKind::Integer(&[]), || {
        Expr::col((Entity, Column::DuplicationField))
    }),
    field("ShowOnDashboard", FieldKind::Boolean, || {
        Expr::col((Entity, Column::ShowOnDashboard))
    }),
    field("Favorite", FieldKind::Boolean, || {
        Expr::col(("favorite_of_caller", "collection_id")).is_not_null()
    }),
    field("Position", FieldKind::Integer(&[]), || {
        Expr::col((Entity, Column::Position))
    }),
];

/// The collections that the caller may read, beside what he has in the navigation.
pub(super) fn readable(cx: &Cx) -> Select<Entity> {
    let favorites = SqlQuery::select()
        .column(collection_favorites::Column::CollectionId)
        .from(collection_favorites::Entity)
        .and_where(collection_favorites::Column::Holder.eq(favorites::holder(cx)))
        .to_owned();
    let mut select = match cx.reach(NEEDED) {
        Reach::All => Entity::find(),
        Reach::Objects(ids) => Entity::find().filter(Column::Id.is_in(ids)),
    };
    QueryTrait::query(&mut select).join_subquery(
        JoinType::LeftJoin,
        favorites,
        "favorite_of_caller",
        Expr::col(("favorite_of_caller", "collection_id")).equals((Entity, Column::Id)),
    );
    select
}

/// The certificate collections that the caller may read.
#[utoipa::path(get, path = "/CertificateCollections", tag = "CertificateCollection", params(Paging), responses((status = 200, body = Vec<CollectionOutput>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<CollectionOutput>, Error> {
    let (rows, total) = read(&cx, &paging).await?;
    let items = rows
        .into_iter()
        .map(|(row, favorite)| CollectionOutput::new(row, favorite));
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// The certificate collections that the caller may read, in short.
#[utoipa::path(get, path = "/CertificateCollections/CollectionList", tag = "CertificateCollection", params(Paging), responses((status = 200, body = Vec<ListedOutput>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn collection_list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<ListedOutput>, Error> {
    let (rows, total) = read(&cx, &paging).await?;
    let items = rows
        .into_iter()
        .map(|(row, favorite)| ListedOutput::new(row, favorite));
    Ok(List {
        items: items.collect(),
        total,
    })
}

async fn read(cx: &Cx, paging: &Paging) -> Result<(Vec<(Model, bool)>, u64), Error> {
    cx.authorize_somewhere(NEEDED)?;
    let (rows, total) = page(cx, readable(cx), paging, FIELDS, "Name", Column::Id).await?;
    let favorites = favorites::of_caller(cx.db().read(), cx).await?;
    let rows = rows.into_iter().map(|row| {
        let favorite = favorites.contains(&row.id);
        (row, favorite)
    });
    Ok((rows.collect(), total))
}

/// One certificate collection, by its id or by its name.
#[utoipa::path(get, path = "/CertificateCollections/{id}", tag = "CertificateCollection", params(("id" = String, Path, description = "Its id, or its name in any case")), responses((status = 200, body = CollectionOutput, description = "It"), (status = 404, body = crate::error::ErrorBody, description = "There is no such collection")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn one(
    cx: Cx,
    PathId(which): PathId<String>,
) -> Result<Json<CollectionOutput>, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let connection = cx.db().read();
    let mut row = match which.parse() {
        Ok(id) => Entity::find_by_id::<i64>(id).one(connection).await?,
        Err(_) => None,
    };
    if row.is_none() {
        let named = Column::NameFold.eq(db::fold(&which));
        row = Entity::find().filter(named).one(connection).await?;
    }
    let row = row.ok_or_else(|| unknown(&cx, NEEDED, format!("{which:?}")))?;
    authorize(&cx, NEEDED, row.id)?;
    let favorites = favorites::of_caller(connection, &cx).await?;
    let favorite = favorites.contains(&row.id);
    Ok(Json(CollectionOutput::new(row, favorite)))
}

/// A place in the order of collections.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionOrder)]
pub(super) struct OrderOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// From 1.
    #[schema(value_type = i32)]
    order: i64,
}

/// Id and name of the collections that the caller may read.
///
/// # Errors
/// Those of the database.
pub(crate) async fn known(cx: &Cx) -> Result<Vec<(i64, String)>, Error> {
    let rows = readable(cx).order_by_asc(Column::Id).all(cx.db().read());
    Ok(rows
        .await?
        .into_iter()
        .map(|row| (row.id, row.name))
        .collect())
}

/// The order in which collections stand in navigation and dashboards: that of their making.
#[utoipa::path(get, path = "/CertificateCollections/CollectionOrdering", tag = "CertificateCollection", responses((status = 200, body = Vec<OrderOutput>, description = "The collections that the caller may read")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn ordering(cx: Cx) -> Result<Json<Vec<OrderOutput>>, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let rows = readable(&cx)
        .order_by_asc(Column::Position)
        .order_by_asc(Column::Id)
        .all(cx.db().read())
        .await?;
    let items = (1..).zip(rows).map(|(order, row)| OrderOutput {
        id: row.id,
        name: row.name,
        order,
    });
    Ok(Json(items.collect()))
}
