//! What roles grant, as it is stored: the same rows for both versions of the interface.

use std::collections::HashMap;

use db::tables::{
    certificate_collections, permission_set_permissions, role_permissions, roles, store_containers,
};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use super::changed;
use super::permissions::{Grant, Per, TABLE};
use crate::error::Error;

/// What each of these roles grants, sorted.
///
/// # Errors
/// Those of the database.
pub(crate) async fn of_roles(
    connection: &impl ConnectionTrait,
    role_ids: &[i64],
) -> Result<HashMap<i64, Vec<Grant>>, Error> {
    let rows = role_permissions::Entity::find()
        .filter(role_permissions::Column::RoleId.is_in(role_ids.iter().copied()))
        .order_by_asc(role_permissions::Column::Permission)
        .order_by_asc(role_permissions::Column::ObjectId)
        .all(connection)
        .await?;
    let mut grants: HashMap<i64, Vec<Grant>> = HashMap::new();
    for row in rows {
        let grant = stored(row.permission, row.object_id);
        grants.entry(row.role_id).or_default().push(grant);
    }
    for grants in grants.values_mut() {
        grants.sort();
    }
    Ok(grants)
}

/// A grant from the two columns that hold it.
pub(crate) fn stored(path: String, object_id: i64) -> Grant {
    Grant {
        path,
        object_id: (object_id != 0).then_some(object_id),
    }
}

/// Makes a role grant exactly this.
///
/// # Errors
/// Those of the database.
pub(crate) async fn replace(tx: &db::Tx, role_id: i64, grants: &[Grant]) -> Result<(), Error> {
    role_permissions::Entity::delete_many()
        .filter(role_permissions::Column::RoleId.eq(role_id))
        .exec(tx)
        .await?;
    for grant in grants {
        let row = role_permissions::ActiveModel {
            role_id: ActiveValue::Set(role_id),
            permission: ActiveValue::Set(grant.path.clone()),
            object_id: ActiveValue::Set(grant.object_id.unwrap_or_default()),
        };
        role_permissions::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Refuses grants on collections, containers and PAM providers that do not exist.
///
/// # Errors
/// 400 naming each.
pub(crate) async fn check_objects(
    connection: &impl ConnectionTrait,
    member: &str,
    grants: &[Grant],
) -> Result<(), Error> {
    let mut reasons = Vec::new();
    for (per, noun) in [
        (Per::Collection, "certificate collection"),
        (Per::Container, "certificate store container"),
        (Per::PamProvider, "PAM provider"),
    ] {
        let ids: Vec<i64> = grants
            .iter()
            .filter(|grant| grant.per() == per)
            .filter_map(|grant| grant.object_id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        let known = object_names(connection, per, &ids).await?;
        reasons.extend(
            grants
                .iter()
                .filter(|grant| grant.per() == per)
                .filter(|grant| {
                    grant
                        .object_id
                        .is_some_and(|object_id| !known.contains_key(&object_id))
                })
                .map(|grant| {
                    let id = grant.object_id.unwrap_or_default();
                    format!("{member}: there is no {noun} {id} ({grant}).")
                }),
        );
    }
    match reasons.as_slice() {
        [] => Ok(()),
        [one] => Err(Error::bad_request(one.clone())),
        _ => Err(Error::bad_parts(
            format!("{member}: some objects do not exist."),
            reasons,
        )),
    }
}

/// The names of those of these objects that exist.
///
/// # Errors
/// Those of the database.
pub(crate) async fn object_names(
    connection: &impl ConnectionTrait,
    per: Per,
    ids: &[i64],
) -> Result<HashMap<i64, String>, Error> {
    let ids = ids.iter().copied();
    let found: Vec<(i64, String)> = match per {
        Per::Collection => {
            certificate_collections::Entity::find()
                .select_only()
                .columns([
                    certificate_collections::Column::Id,
                    certificate_collections::Column::Name,
                ])
                .filter(certificate_collections::Column::Id.is_in(ids))
                .into_tuple()
                .all(connection)
                .await?
        }
        Per::Container => {
            store_containers::Entity::find()
                .select_only()
                .columns([store_containers::Column::Id, store_containers::Column::Name])
                .filter(store_containers::Column::Id.is_in(ids))
                .into_tuple()
                .all(connection)
                .await?
        }
        // There are none yet.
        Per::PamProvider | Per::System => Vec::new(),
    };
    Ok(found.into_iter().collect())
}

/// Removes every grant on an object that is about to be deleted, from roles and from permission sets, so that a later object
/// of the same id begins without any. Answers the names of the roles that lost something, for the record of the deletion.
///
/// # Errors
/// Those of the database.
pub(crate) async fn forget_object(tx: &db::Tx, per: Per, id: i64) -> Result<Vec<String>, Error> {
    let paths: Vec<&str> = TABLE
        .iter()
        .filter(|row| row.per == per)
        .map(|row| row.path)
        .collect();
    let rows = role_permissions::Entity::find()
        .filter(role_permissions::Column::ObjectId.eq(id))
        .filter(role_permissions::Column::Permission.is_in(paths.iter().copied()))
        .all(tx)
        .await?;
    let names: Vec<String> = roles::Entity::find()
        .select_only()
        .column(roles::Column::Name)
        .filter(roles::Column::Id.is_in(rows.iter().map(|row| row.role_id)))
        .order_by_asc(roles::Column::Id)
        .into_tuple()
        .all(tx)
        .await?;
    let removed = role_permissions::Entity::delete_many()
        .filter(role_permissions::Column::ObjectId.eq(id))
        .filter(role_permissions::Column::Permission.is_in(paths.iter().copied()))
        .exec(tx)
        .await?;
    let narrowed = permission_set_permissions::Entity::delete_many()
        .filter(permission_set_permissions::Column::ObjectId.eq(id))
        .filter(permission_set_permissions::Column::Permission.is_in(paths))
        .exec(tx)
        .await?;
    if removed.rows_affected + narrowed.rows_affected != 0 {
        changed(tx).await?;
    }
    Ok(names)
}
