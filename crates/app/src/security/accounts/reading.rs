//! Local accounts, read.

use db::tables::accounts;
use sea_orm::EntityTrait;
use sea_orm::sea_query::Expr;

use super::wire::AccountOutput;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::security::identities::roles_of;
use crate::security::roles::wire::RoleName;
use crate::web::list::FieldKind::{Boolean, Date as DateField, Folded, Integer};
use crate::web::list::{Field, field, page};
use crate::web::{Date, List, Paging};

use accounts::Column as C;

/// The search reference of the list.
const FIELDS: &[Field] = &[
    field("Id", Integer(&[]), || Expr::col((accounts::Entity, C::Id))),
    field("ClaimId", Integer(&[]), || {
        Expr::col((accounts::Entity, C::ClaimId))
    }),
    field("Name", Folded, || {
        Expr::col((accounts::Entity, C::NameFold))
    }),
    field("Disabled", Boolean, || {
        Expr::col((accounts::Entity, C::Disabled))
    }),
    field("MustChangePassword", Boolean, || {
        Expr::col((accounts::Entity, C::MustChange))
    }),
    field("LockedUntil", DateField, || {
        Expr::col((accounts::Entity, C::LockedUntil))
    }),
    field("CreatedAt", DateField, || {
        Expr::col((accounts::Entity, C::CreatedAt))
    }),
    field("PasswordChangedAt", DateField, || {
        Expr::col((accounts::Entity, C::PasswordChangedAt))
    }),
];

/// A page of accounts, by name unless told otherwise.
pub(super) async fn list(cx: &Cx, paging: &Paging) -> Result<List<AccountOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let select = accounts::Entity::find();
    let (rows, total) = page(cx, select, paging, FIELDS, "Name", C::Id).await?;
    Ok(List {
        items: outputs(cx, rows).await?,
        total,
    })
}

/// One account.
pub(super) async fn one(cx: &Cx, id: i64) -> Result<AccountOutput, Error> {
    cx.authorize(Permission::SecurityRead)?;
    after(cx, id).await
}

/// An account that the caller just changed.
pub(super) async fn after(cx: &Cx, id: i64) -> Result<AccountOutput, Error> {
    let row = accounts::Entity::find_by_id(id).one(cx.db().read()).await?;
    let row = row.ok_or_else(|| Error::not_found("account", id))?;
    outputs(cx, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("an account was lost while reading it"))
}

async fn outputs(cx: &Cx, rows: Vec<accounts::Model>) -> Result<Vec<AccountOutput>, Error> {
    let claim_ids: Vec<i64> = rows.iter().map(|row| row.claim_id).collect();
    let mut held = roles_of(cx.db().read(), &claim_ids).await?;
    let now = cx.now();
    let outputs = rows.into_iter().map(|row| AccountOutput {
        roles: held
            .remove(&row.claim_id)
            .unwrap_or_default()
            .into_iter()
            .map(|role| RoleName {
                id: role.id,
                name: role.name,
            })
            .collect(),
        id: row.id,
        claim_id: row.claim_id,
        name: row.name,
        disabled: row.disabled,
        must_change_password: row.must_change,
        locked_until: row.locked_until.filter(|until| *until > now).map(Date),
        created_at: Date(row.created_at),
        password_changed_at: Date(row.password_changed_at),
    });
    Ok(outputs.collect())
}
