//! `POST /CertificateCollections/{id}/Permissions`: what roles may do with the certificates of a collection.

use db::tables::certificate_collections::Entity;
use sea_orm::EntityTrait;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Per, object_grants};
use crate::web::{Body, NoContent, PathId};

/// What a role may do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CollectionRolePermissions)]
pub(super) struct RolePermissions {
    /// Which role.
    #[schema(value_type = i32)]
    role_id: Option<i64>,
    /// `Read`, `Certificates:Read` or `/certificates/collections/read/`; empty to take all away.
    permissions: Option<Vec<String>>,
}

/// Sets what these roles may do with the certificates of a collection. Other roles keep what they have.
#[utoipa::path(post, path = "/CertificateCollections/{id}/Permissions", tag = "CertificateCollection", params(("id" = i32, Path, description = "Its id")), request_body = Vec<RolePermissions>, responses((status = 204, description = "They are set")), extensions(("x-permissions" = json!(["/security/modify/"]))))]
pub(super) async fn grant(
    cx: Cx,
    PathId(id): PathId<i64>,
    Body(request): Body<Vec<RolePermissions>>,
) -> Result<NoContent, Error> {
    cx.authorize_administration()?;
    let wanted = request
        .into_iter()
        .map(|role| {
            (
                role.role_id.unwrap_or_default(),
                role.permissions.unwrap_or_default(),
            )
        })
        .collect();
    let db = cx.db().clone();
    db.write("collections.grant", move |tx| {
        Box::pin(async move {
            let row = Entity::find_by_id(id).one(tx).await?;
            let row = row.ok_or_else(|| Error::not_found("certificate collection", id))?;
            let change = object_grants::set(tx, &cx, Per::Collection, id, wanted).await?;
            let Some((before, after)) = change else {
                return Ok(NoContent);
            };
            let message = format!(
                "What roles may do with certificate collection {} was changed.",
                row.name
            );
            let entry = Entry::new(
                Operation::Updated,
                Category::CertificateCollection,
                row.name,
                message,
            )
            .before(json!({ "Roles": before }))
            .after(json!({ "Roles": after }));
            audit::record(tx, &cx, entry).await?;
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}
