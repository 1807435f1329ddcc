//! Roles, read: the list and single ones, each kind of belonging with one query.

use std::collections::HashMap;

use db::tables::{accounts, role_claims, roles};
use sea_orm::sea_query::{Expr, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::wire::{IdentityOutput, RoleOutput};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, permissions, role_grants};
use crate::web::list::FieldKind::{Boolean, Folded, Integer};
use crate::web::list::{Field, field, page};
use crate::web::{List, Paging};

use roles::Column as C;

/// The search reference of the list.
const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || Expr::col((roles::Entity, C::Id))),
    field("Name", Folded, || Expr::col((roles::Entity, C::NameFold))),
    field("Description", Folded, || {
        Func::lower(Expr::col((roles::Entity, C::Description))).into()
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
    let row = super::role_by_id(cx.db().read(), id).await?;
    output(
        cx.db().read(),
        row.ok_or_else(|| Error::not_found("security role", id))?,
    )
    .await
}

/// A role with what belongs to it.
pub(super) async fn output(
    connection: &impl ConnectionTrait,
    row: roles::Model,
) -> Result<RoleOutput, Error> {
    outputs(connection, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("a role was lost while reading it"))
}

async fn outputs(
    connection: &impl ConnectionTrait,
    rows: Vec<roles::Model>,
) -> Result<Vec<RoleOutput>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut grants = role_grants::of_roles(connection, &ids).await?;
    let holders = role_claims::Entity::find()
        .filter(role_claims::Column::RoleId.is_in(ids))
        .order_by_asc(role_claims::Column::ClaimId)
        .all(connection)
        .await?;
    let mut claim_ids: Vec<i64> = holders.iter().map(|holder| holder.claim_id).collect();
    claim_ids.sort_unstable();
    claim_ids.dedup();
    let known = accounts::Entity::find()
        .filter(accounts::Column::ClaimId.is_in(claim_ids))
        .all(connection)
        .await?;
    let known: HashMap<i64, accounts::Model> = known
        .into_iter()
        .map(|account| (account.claim_id, account))
        .collect();
    let mut identities: HashMap<i64, Vec<IdentityOutput>> = HashMap::new();
    for holder in holders {
        if let Some(account) = known.get(&holder.claim_id) {
            identities
                .entry(holder.role_id)
                .or_default()
                .push(IdentityOutput {
                    id: account.id,
                    account_name: account.name.clone(),
                    identity_type: "User",
                    roles: None,
                    valid: !account.disabled,
                    sid: None,
                });
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| RoleOutput {
            permissions: permissions::legacy_names(&grants.remove(&row.id).unwrap_or_default()),
            identities: identities.remove(&row.id).unwrap_or_default(),
            id: row.id,
            name: row.name,
            description: row.description,
            enabled: row.enabled,
            immutable: row.immutable,
            valid: true,
            private: row.private,
            permission_set_id: row.permission_set_id,
        })
        .collect())
}
