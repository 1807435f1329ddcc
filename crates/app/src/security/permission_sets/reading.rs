//! Permission sets, read.

use db::tables::permission_sets;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::wire::SetOutput;
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::FieldKind::{Folded, Guid};
use crate::web::list::{Field, field, page};
use crate::web::{List, Paging};

use permission_sets::Column as C;

/// The search reference of the list.
const FIELDS: &[Field] = &[
    field("Id", Guid, || Expr::col((permission_sets::Entity, C::Id))),
    field("Name", Folded, || {
        Expr::col((permission_sets::Entity, C::NameFold))
    }),
];

/// A page of sets, by name unless told otherwise.
pub(super) async fn list(cx: &Cx, paging: &Paging) -> Result<List<SetOutput>, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let select = permission_sets::Entity::find();
    let (rows, total) = page(cx, select, paging, FIELDS, "Name", C::Id).await?;
    Ok(List {
        items: outputs(cx.db().read(), rows).await?,
        total,
    })
}

/// The sets of the caller's roles. Everybody may know these.
pub(super) async fn mine(cx: &Cx) -> Result<Vec<SetOutput>, Error> {
    let mut select = permission_sets::Entity::find().order_by_asc(C::NameFold);
    if let Caller::Identity(identity) = cx.caller() {
        let roles = identity.grants.roles().iter();
        let enabled = roles.filter(|role| role.enabled);
        select = select.filter(C::Id.is_in(enabled.map(|role| role.permission_set_id)));
    }
    let rows = select.all(cx.db().read()).await?;
    outputs(cx.db().read(), rows).await
}

/// One set.
pub(super) async fn one(cx: &Cx, id: Uuid) -> Result<SetOutput, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let connection = cx.db().read();
    let row = permission_sets::Entity::find_by_id(id)
        .one(connection)
        .await?;
    output(
        connection,
        row.ok_or_else(|| Error::not_found("permission set", id))?,
    )
    .await
}

pub(super) async fn output(
    connection: &impl ConnectionTrait,
    row: permission_sets::Model,
) -> Result<SetOutput, Error> {
    outputs(connection, vec![row])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("a permission set was lost while reading it"))
}

async fn outputs(
    connection: &impl ConnectionTrait,
    rows: Vec<permission_sets::Model>,
) -> Result<Vec<SetOutput>, Error> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut grants = super::grants_of(connection, &ids).await?;
    let outputs = rows.into_iter().map(|row| SetOutput {
        permissions: grants
            .remove(&row.id)
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect(),
        id: row.id,
        name: row.name,
    });
    Ok(outputs.collect())
}
