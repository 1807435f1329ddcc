//! What roles may do with one collection or container, read and set from the side of the object.

use std::collections::{BTreeMap, BTreeSet};

use db::tables::{role_permissions, roles};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};

use super::permission_sets::check_inside;
use super::permissions::{Entry, Grant, Per, TABLE};
use super::{administration, changed, role_by_id, role_grants};
use crate::cx::Cx;
use crate::error::Error;

/// What a role may do with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleOnObject {
    /// The role.
    pub(crate) role_id: i64,
    /// Its name.
    pub(crate) name: String,
    /// The last parts of the version 1 names: `Read`, `Schedule`, `EditMetadata`.
    pub(crate) permissions: Vec<&'static str>,
}

/// The rows of the table that can be limited to such an object.
fn rows(per: Per) -> impl Iterator<Item = &'static Entry> {
    TABLE.iter().filter(move |row| row.per == per)
}

/// How a permission is called where the object is said already: `Read` of `Certificates:Read`. Each has its own among those of
/// one kind of object but the one that changes collections themselves, which is called by what it is about.
pub(crate) fn short_name(row: &Entry) -> &'static str {
    let legacy = row.legacy.first().copied().unwrap_or_default();
    legacy.split_once(':').map_or(legacy, |(_, name)| name)
}

/// The permission on such an object that a text stands for: `Read`, `Certificates:Read`, or a path with or without the object.
pub(crate) fn named(per: Per, id: i64, text: &str) -> Option<&'static Entry> {
    let text = text.trim();
    rows(per).find(|row| {
        let path = text.to_ascii_lowercase();
        let path = path.trim_end_matches('/');
        short_name(row).eq_ignore_ascii_case(text)
            || row
                .legacy
                .iter()
                .any(|legacy| legacy.eq_ignore_ascii_case(text))
            || path == row.path.trim_end_matches('/')
            || path == format!("{}{id}", row.path)
    })
}

/// The roles that may do something with the object by a grant on it, in the order of their ids.
///
/// # Errors
/// Those of the database.
pub(crate) async fn of_object(
    connection: &impl ConnectionTrait,
    per: Per,
    id: i64,
) -> Result<Vec<RoleOnObject>, Error> {
    let granted = role_permissions::Entity::find()
        .filter(role_permissions::Column::ObjectId.eq(id))
        .filter(role_permissions::Column::Permission.is_in(rows(per).map(|row| row.path)))
        .all(connection)
        .await?;
    let mut paths: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for row in granted {
        paths.entry(row.role_id).or_default().insert(row.permission);
    }
    let found = roles::Entity::find()
        .filter(roles::Column::Id.is_in(paths.keys().copied()))
        .order_by_asc(roles::Column::Id)
        .all(connection)
        .await?;
    let roles = found.into_iter().map(|role| {
        let paths = paths.remove(&role.id).unwrap_or_default();
        RoleOnObject {
            role_id: role.id,
            name: role.name,
            permissions: rows(per)
                .filter(|row| paths.contains(row.path))
                .map(short_name)
                .collect(),
        }
    });
    Ok(roles.collect())
}

/// Makes these roles grant exactly this on the object; others keep what they grant. Answers what all roles granted on it before
/// and grant now, as audit records show it, or nothing when that is the same.
///
/// # Errors
/// 400 for an unknown role or permission, a role that cannot change and a permission outside a role's permission set; 403 for
/// what would raise the caller's own rights.
pub(crate) async fn set(
    tx: &db::Tx,
    cx: &Cx,
    per: Per,
    id: i64,
    wanted: Vec<(i64, Vec<String>)>,
) -> Result<Option<(Value, Value)>, Error> {
    let (_, cx) = administration::begin(tx, cx).await?;
    let before = of_object(tx, per, id).await?;
    for (role_id, names) in wanted {
        let role = role_by_id(tx, role_id).await?.ok_or_else(|| {
            Error::bad_request(format!("RoleId: there is no security role {role_id}."))
        })?;
        if role.immutable {
            return Err(Error::bad_request(format!(
                "RoleId: the security role {:?} has every permission and cannot change.",
                role.name
            )));
        }
        let mut grants = BTreeSet::new();
        for name in &names {
            let row = named(per, id, name).ok_or_else(|| {
                let known: Vec<&str> = rows(per).map(short_name).collect();
                Error::bad_request(format!(
                    "Permissions: {name:?} is none of {}.",
                    known.join(", ")
                ))
            })?;
            grants.insert(Grant {
                path: row.path.to_owned(),
                object_id: Some(id),
            });
        }
        check(tx, &cx, &role, grants.iter().cloned().collect()).await?;
        role_permissions::Entity::delete_many()
            .filter(role_permissions::Column::RoleId.eq(role_id))
            .filter(role_permissions::Column::ObjectId.eq(id))
            .filter(role_permissions::Column::Permission.is_in(rows(per).map(|row| row.path)))
            .exec(tx)
            .await?;
        for grant in grants {
            insert(tx, role_id, grant.path, id).await?;
        }
    }
    let after = of_object(tx, per, id).await?;
    if after == before {
        return Ok(None);
    }
    Ok(Some((shown(&before), shown(&after))))
}

/// A role can only grant what its permission set has, and nobody gives what he does not hold.
async fn check(tx: &db::Tx, cx: &Cx, role: &roles::Model, grants: Vec<Grant>) -> Result<(), Error> {
    let mut held = role_grants::of_roles(tx, &[role.id]).await?;
    let held = held.remove(&role.id).unwrap_or_default();
    let added: Vec<Grant> = grants
        .iter()
        .filter(|grant| !held.iter().any(|held| held.covers(grant)))
        .cloned()
        .collect();
    cx.authorize_giving(&added)?;
    check_inside(tx, role.permission_set_id, &grants).await
}

/// Gives every role on another object what it has on this one. Answers the names of the roles.
///
/// # Errors
/// Those of the database.
pub(crate) async fn copy(tx: &db::Tx, per: Per, from: i64, to: i64) -> Result<Vec<String>, Error> {
    let granted = role_permissions::Entity::find()
        .filter(role_permissions::Column::ObjectId.eq(from))
        .filter(role_permissions::Column::Permission.is_in(rows(per).map(|row| row.path)))
        .all(tx)
        .await?;
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    for row in granted {
        insert(tx, row.role_id, row.permission, to).await?;
    }
    changed(tx).await?;
    let roles = of_object(tx, per, to).await?;
    Ok(roles.into_iter().map(|role| role.name).collect())
}

async fn insert(tx: &db::Tx, role_id: i64, path: String, object_id: i64) -> Result<(), Error> {
    let row = role_permissions::ActiveModel {
        role_id: ActiveValue::Set(role_id),
        permission: ActiveValue::Set(path),
        object_id: ActiveValue::Set(object_id),
    };
    role_permissions::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn shown(roles: &[RoleOnObject]) -> Value {
    roles
        .iter()
        .map(|role| json!({ "Role": role.name, "Permissions": role.permissions }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_unique_for_each_kind_of_object() {
        for per in [Per::Collection, Per::Container, Per::PamProvider] {
            let names: Vec<&str> = rows(per).map(short_name).collect();
            let distinct: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(distinct.len(), names.len(), "{names:?}");
        }
    }

    #[test]
    fn every_way_to_name_a_permission() {
        let path = |text: &str| named(Per::Container, 3, text).map(|row| row.path);
        for text in [
            "Schedule",
            "schedule",
            "CertificateStoreManagement:Schedule",
            "/certificate_stores/schedule/",
            "/certificate_stores/schedule",
            "/certificate_stores/schedule/3/",
        ] {
            assert_eq!(path(text), Some("/certificate_stores/schedule/"), "{text}");
        }
        for text in ["", "Delete", "/certificate_stores/schedule/4/", "/"] {
            assert_eq!(path(text), None, "{text}");
        }
    }
}
