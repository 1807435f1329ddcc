//! `/Security/Audit/Collections/{id}`: which roles hold what on a certificate collection.

use std::collections::BTreeMap;

use db::tables::{role_permissions, roles};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::permissions::{Per, Permission, TABLE};
use super::role_grants::object_names;
use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Json, PathId};

/// What roles hold on a certificate collection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityCollectionAudit)]
struct CollectionAudit {
    /// Id of the collection.
    query_id: i64,
    /// The roles that hold something on it alone.
    access_control_list: Vec<RoleOnCollection>,
    /// All roles.
    assignable_roles: Vec<AssignableRole>,
}

/// What a role holds on a certificate collection.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityCollectionAccess)]
struct RoleOnCollection {
    role_id: i64,
    /// 4 Read, 5 EditMetadata, 7 Recover, 8 Revoke, 41 Delete, 68 ChangeOwner, 69 ImportPrivateKey, 70 Modify.
    area_permissions: Vec<i32>,
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityAssignableRole)]
struct AssignableRole {
    role_id: i64,
    name: String,
}

/// `/Security/Audit/Collections/{id}`.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(collection))
}

/// Which roles hold what on a certificate collection.
#[utoipa::path(
    get, path = "/Security/Audit/Collections/{id}", tag = "Security",
    params(("id" = i64, Path, description = "Id of the collection")),
    responses((status = 200, body = CollectionAudit, description = "All roles, and what they hold")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn collection(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<CollectionAudit>, Error> {
    audit(&cx, id).await.map(Json)
}

async fn audit(cx: &Cx, id: i64) -> Result<CollectionAudit, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let connection = cx.db().read();
    if object_names(connection, Per::Collection, &[id])
        .await?
        .is_empty()
    {
        return Err(Error::not_found("certificate collection", id));
    }
    let paths = TABLE.iter().filter(|row| row.per == Per::Collection);
    let rows = role_permissions::Entity::find()
        .filter(role_permissions::Column::ObjectId.eq(id))
        .filter(role_permissions::Column::Permission.is_in(paths.map(|row| row.path)))
        .all(connection)
        .await?;
    let mut held: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
    for row in rows {
        let number = Permission::of_path(&row.permission).and_then(area_number);
        held.entry(row.role_id).or_default().extend(number);
    }
    let all = roles::Entity::find()
        .order_by_asc(roles::Column::Id)
        .all(connection)
        .await?;
    Ok(CollectionAudit {
        query_id: id,
        access_control_list: held
            .into_iter()
            .map(|(role_id, mut area_permissions)| {
                area_permissions.sort_unstable();
                RoleOnCollection {
                    role_id,
                    area_permissions,
                }
            })
            .collect(),
        assignable_roles: all
            .into_iter()
            .map(|role| AssignableRole {
                role_id: role.id,
                name: role.name,
            })
            .collect(),
    })
}

/// The contract gives the numbers and not their names; examples show 4, 5, 8 and 41 on collections. The rest is ours.
fn area_number(permission: Permission) -> Option<i32> {
    Some(match permission {
        Permission::CertificatesRead => 4,
        Permission::CertificatesMetadataModify => 5,
        Permission::CertificatesRecover => 7,
        Permission::CertificatesRevoke => 8,
        Permission::CertificatesDelete => 41,
        Permission::CertificatesChangeOwner => 68,
        Permission::CertificatesPrivateKeyImport => 69,
        Permission::CollectionsModify => 70,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_on_collections_has_a_number() {
        let mut numbers: Vec<i32> = TABLE
            .iter()
            .filter(|row| row.per == Per::Collection)
            .map(|row| area_number(row.permission).unwrap())
            .collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
