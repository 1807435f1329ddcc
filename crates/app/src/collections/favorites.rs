//! What a caller has in the navigation.

use std::collections::HashSet;

use db::tables::certificate_collections::{Column, Entity};
use db::tables::collection_favorites;
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::reading::readable;
use super::{authorize, unknown};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Body, Json, NoContent, PathId};

const NEEDED: Permission = Permission::CertificatesRead;

/// Whose favorites they are: the identity with its provider, folded.
pub(super) fn holder(cx: &Cx) -> String {
    match cx.caller() {
        Caller::Identity(identity) => {
            db::fold(&format!("{}\\{}", identity.provider, identity.subject))
        }
        Caller::System(_) => String::new(),
    }
}

/// The ids of the caller's favorites.
///
/// # Errors
/// Those of the database.
pub(super) async fn of_caller(
    connection: &impl ConnectionTrait,
    cx: &Cx,
) -> Result<HashSet<i64>, Error> {
    let ids: Vec<i64> = collection_favorites::Entity::find()
        .select_only()
        .column(collection_favorites::Column::CollectionId)
        .filter(collection_favorites::Column::Holder.eq(holder(cx)))
        .into_tuple()
        .all(connection)
        .await?;
    Ok(ids.into_iter().collect())
}

/// Makes a collection a favorite of the caller, or none.
///
/// # Errors
/// Those of the database.
pub(super) async fn set(tx: &db::Tx, cx: &Cx, id: i64, favorite: bool) -> Result<(), Error> {
    collection_favorites::Entity::delete_many()
        .filter(collection_favorites::Column::Holder.eq(holder(cx)))
        .filter(collection_favorites::Column::CollectionId.eq(id))
        .exec(tx)
        .await?;
    if favorite {
        let row = collection_favorites::ActiveModel {
            collection_id: ActiveValue::Set(id),
            holder: ActiveValue::Set(holder(cx)),
        };
        collection_favorites::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Whether it is to be in the navigation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionFavoriteRequest)]
pub(super) struct FavoriteRequest {
    /// Whether the caller has it in the navigation.
    #[schema(value_type = bool)]
    show_in_navigator: Option<bool>,
}

/// Puts a collection into the caller's navigation, or takes it out.
#[utoipa::path(put, path = "/CertificateCollections/{id}/Favorite", tag = "CertificateCollection", params(("id" = i32, Path, description = "Its id")), request_body = FavoriteRequest, responses((status = 204, description = "Done")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn favorite(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<FavoriteRequest>,
) -> Result<NoContent, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let wanted = request
        .show_in_navigator
        .ok_or_else(|| Error::bad_request("ShowInNavigator: a value is required."))?;
    let db = cx.db().clone();
    db.write("collections.favorite", move |tx| {
        Box::pin(async move {
            let row = Entity::find_by_id(id).one(tx).await?;
            let row = row.ok_or_else(|| unknown(&cx, NEEDED, id))?;
            authorize(&cx, NEEDED, id)?;
            if of_caller(tx, &cx).await?.contains(&id) == wanted {
                return Ok(NoContent);
            }
            set(tx, &cx, id, wanted).await?;
            let what = if wanted { "put into" } else { "taken out of" };
            let message = format!(
                "Certificate collection {} was {what} the navigation.",
                row.name
            );
            let entry = Entry::new(
                Operation::Updated,
                Category::CertificateCollection,
                row.name,
                message,
            )
            .before(json!({ "Favorite": !wanted }))
            .after(json!({ "Favorite": wanted }));
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}

/// A collection in the navigation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCollectionNavItem)]
pub(super) struct NavigationOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
}

/// What the caller has in the navigation and may read, in the order of collections.
#[utoipa::path(get, path = "/CertificateCollections/NavItems", tag = "CertificateCollection", responses((status = 200, body = Vec<NavigationOutput>, description = "The collections")), extensions(("x-permissions" = json!(["/certificates/collections/read/"]))))]
pub(super) async fn navigation(cx: Cx) -> Result<Json<Vec<NavigationOutput>>, Error> {
    cx.authorize_somewhere(NEEDED)?;
    let connection = cx.db().read();
    let favorites = of_caller(connection, &cx).await?;
    let rows = readable(&cx)
        .filter(Column::Id.is_in(favorites))
        .order_by_asc(Column::Position)
        .order_by_asc(Column::Id)
        .all(connection)
        .await?;
    let items = rows.into_iter().map(|row| NavigationOutput {
        id: row.id,
        name: row.name,
    });
    Ok(Json(items.collect()))
}
