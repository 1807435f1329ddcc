//! Roles, read: the list and single ones, each kind of belonging with one query.

use db::tables::roles;
use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, EntityTrait};

use super::wire::{HolderName, IdentityOutput, RoleOutput};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::claims::Holder;
use crate::security::{Permission, claims, permissions, role_grants};
use crate::web::list::FieldKind::{Boolean, Folded, Guid, Integer, Text};
use crate::web::list::{Field, field, page};
use crate::web::{List, Paging};

use roles::Column as C;

/// The search reference of the list.
pub(super) const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || Expr::col((roles::Entity, C::Id))),
    field("Name", Folded, || Expr::col((roles::Entity, C::NameFold))),
    field("Description", Text, || {
        Expr::col((roles::Entity, C::Description))
    }),
    field("EmailAddress", Text, || {
        Expr::col((roles::Entity, C::EmailAddress))
    }),
    field("PermissionSetId", Guid, || {
        Expr::col((roles::Entity, C::PermissionSetId))
    }),
    field("Enabled", Boolean, || {
        Expr::col((roles::Entity, C::Enabled))
    }),
    field("Private", Boolean, || {
        Expr::col((roles::Entity, C::Private))
    }),
    field("Immutable", Boolean, || {
        Expr::col((roles::Entity, C::Immutable))
    }),
];

/// A page of roles, by name unless told otherwise.
///
/// # Errors
/// 403 without the permission; 400 for a bad query, sort field or page.
pub(super) async fn list(cx: &Cx, paging: &Paging) -> Result<List<RoleOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let (rows, total) = page(cx, roles::Entity::find(), paging, FIELDS, "Name", C::Id).await?;
    Ok(List {
        items: outputs(cx.db().read(), rows).await?,
        total,
    })
}

/// One role.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id.
pub(super) async fn one(cx: &Cx, id: i64) -> Result<RoleOutput, Error> {
    cx.authorize(Permission::SecurityRead)?;
    after(cx, id).await
}

/// A role that the caller just changed.
///
/// # Errors
/// 404 when somebody deleted it meanwhile.
pub(super) async fn after(cx: &Cx, id: i64) -> Result<RoleOutput, Error> {
    let connection = cx.db().read();
    let row = super::role_by_id(connection, id).await?;
    let row = row.ok_or_else(|| Error::not_found("security role", id))?;
    outputs(connection, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("a role was lost while reading it"))
}

/// Who holds a role.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id.
pub(super) async fn holder_names(cx: &Cx, id: i64) -> Result<Vec<HolderName>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    holder_names_after(cx, id).await
}

/// Who holds a role that the caller just changed.
///
/// # Errors
/// 404 for an unknown id.
pub(super) async fn holder_names_after(cx: &Cx, id: i64) -> Result<Vec<HolderName>, Error> {
    let connection = cx.db().read();
    let row = super::role_by_id(connection, id).await?;
    row.ok_or_else(|| Error::not_found("security role", id))?;
    let mut holders = claims::holders(connection, &[id]).await?;
    let names = holders.remove(&id).unwrap_or_default();
    let names = names.into_iter().map(|holder| HolderName {
        id: holder.claim.id,
        name: holder.name().to_owned(),
    });
    Ok(names.collect())
}

async fn outputs(
    connection: &impl ConnectionTrait,
    rows: Vec<roles::Model>,
) -> Result<Vec<RoleOutput>, Error> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut grants = role_grants::of_roles(connection, &ids).await?;
    let mut holders = claims::holders(connection, &ids).await?;
    let outputs = rows.into_iter().map(|row| RoleOutput {
        permissions: permissions::legacy_names(&grants.remove(&row.id).unwrap_or_default()),
        identities: holders
            .remove(&row.id)
            .unwrap_or_default()
            .iter()
            .map(identity)
            .collect(),
        id: row.id,
        name: row.name,
        description: row.description,
        enabled: row.enabled,
        immutable: row.immutable,
        valid: true,
        private: row.private,
        permission_set_id: row.permission_set_id,
    });
    Ok(outputs.collect())
}

fn identity(holder: &Holder) -> IdentityOutput {
    IdentityOutput {
        id: holder.claim.id,
        account_name: holder.name().to_owned(),
        identity_type: holder.kind(),
        roles: None,
        valid: holder.valid(),
        sid: None,
    }
}
