//! Permission sets, changed.

use db::tables::{permission_sets, roles};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use uuid::Uuid;

use super::wire::{SetCreation, SetOutput, SetUpdate};
use super::{GLOBAL, outside, reading, replace_grants};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::permission_strings::{read, refuse};
use crate::security::{administration, checked_name, role_grants};

/// Creates a set.
///
/// # Errors
/// 403 without the permission; 400 for an empty or taken name, and for strings that are no permission or overlap.
pub(super) async fn create(cx: &Cx, request: SetCreation) -> Result<SetOutput, Error> {
    cx.authorize_administration()?;
    let name = checked_name("Name", &request.name)?;
    let grants = read("Permissions", &request.permissions)?.without_overlap("Permissions")?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("permission_sets.create", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let taken = permission_sets::Entity::find()
                .filter(permission_sets::Column::NameFold.eq(db::fold(&name)))
                .one(tx)
                .await?;
            if let Some(taken) = taken {
                return Err(Error::bad_request(format!(
                    "Name: a permission set named {:?} already exists.",
                    taken.name
                )));
            }
            role_grants::check_objects(tx, "Permissions", &grants).await?;
            let row = permission_sets::ActiveModel {
                id: ActiveValue::Set(cx.guid()),
                name: ActiveValue::Set(name.clone()),
                name_fold: ActiveValue::Set(db::fold(&name)),
                created_at: ActiveValue::Set(cx.now()),
            };
            let row = row.insert(tx).await?;
            replace_grants(tx, row.id, &grants).await?;
            let output = reading::output(tx, row).await?;
            let message = format!("Permission set {name} was created.");
            let entry = Entry::new(Operation::Created, Category::PermissionSet, &name, message);
            audit::record(tx, &cx, entry.after(record(&output))).await?;
            Ok(output)
        })
    })
    .await
}

/// Replaces the permissions of a set.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for the set Global, for strings that are no permission or overlap,
/// and when a role in the set holds something else, naming the role.
pub(super) async fn update(cx: &Cx, request: SetUpdate) -> Result<SetOutput, Error> {
    cx.authorize_administration()?;
    let grants = read("Permissions", &request.permissions)?.without_overlap("Permissions")?;
    let (cx, id) = (cx.clone(), request.id);
    let db = cx.db().clone();
    db.write("permission_sets.update", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let row = changeable(tx, id).await?;
            role_grants::check_objects(tx, "Permissions", &grants).await?;
            refuse(
                "Permissions",
                "roles of the set hold something else",
                outside_roles(tx, id, &grants).await?,
            )?;
            let before = reading::output(tx, row.clone()).await?;
            replace_grants(tx, id, &grants).await?;
            let output = reading::output(tx, row).await?;
            let message = format!("Permission set {} was changed.", output.name);
            let entry = Entry::new(
                Operation::Updated,
                Category::PermissionSet,
                &output.name,
                message,
            );
            let entry = entry.before(record(&before)).after(record(&output));
            audit::record(tx, &cx, entry).await?;
            Ok(output)
        })
    })
    .await
}

/// Deletes a set.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for the set Global, and for a set that roles are in.
pub(super) async fn delete(cx: &Cx, id: Uuid) -> Result<(), Error> {
    cx.authorize_administration()?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("permission_sets.delete", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let row = changeable(tx, id).await?;
            let users = roles_in(tx, id).await?;
            if !users.is_empty() {
                let names: Vec<&str> = users
                    .iter()
                    .take(20)
                    .map(|role| role.name.as_str())
                    .collect();
                return Err(Error::bad_request(format!(
                    "The permission set {:?} is in use by {} role{}: {}.",
                    row.name,
                    users.len(),
                    if users.len() == 1 { "" } else { "s" },
                    names.join(", ")
                )));
            }
            let before = reading::output(tx, row).await?;
            permission_sets::Entity::delete_by_id(id).exec(tx).await?;
            let message = format!("Permission set {} was deleted.", before.name);
            let entry = Entry::new(
                Operation::Deleted,
                Category::PermissionSet,
                &before.name,
                message,
            );
            audit::record(tx, &cx, entry.before(record(&before))).await
        })
    })
    .await
}

async fn changeable(tx: &db::Tx, id: Uuid) -> Result<permission_sets::Model, Error> {
    let row = permission_sets::Entity::find_by_id(id).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("permission set", id))?;
    if id == GLOBAL {
        return Err(Error::bad_request(format!(
            "The permission set {:?} can be neither changed nor deleted.",
            row.name
        )));
    }
    Ok(row)
}

async fn roles_in(tx: &db::Tx, id: Uuid) -> Result<Vec<roles::Model>, Error> {
    Ok(roles::Entity::find()
        .filter(roles::Column::PermissionSetId.eq(id))
        .order_by_asc(roles::Column::Id)
        .all(tx)
        .await?)
}

/// What roles of the set grant that would not be in it.
async fn outside_roles(
    tx: &db::Tx,
    id: Uuid,
    held: &[crate::security::Grant],
) -> Result<Vec<String>, Error> {
    let roles = roles_in(tx, id).await?;
    let ids: Vec<i64> = roles.iter().map(|role| role.id).collect();
    let grants = role_grants::of_roles(tx, &ids).await?;
    let mut reasons = Vec::new();
    for role in roles {
        let granted = grants.get(&role.id).map(Vec::as_slice).unwrap_or_default();
        let lost: Vec<String> = outside(held, granted).map(ToString::to_string).collect();
        if !lost.is_empty() {
            reasons.push(format!(
                "Permissions: the role {:?} of this set holds {}.",
                role.name,
                lost.join(", ")
            ));
        }
    }
    Ok(reasons)
}

fn record(set: &SetOutput) -> Value {
    json!({ "Id": set.id, "Name": set.name, "Permissions": set.permissions })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Grant;

    #[test]
    fn a_set_holds_what_it_holds_for_every_object() {
        let grants = |paths: &[&str]| -> Vec<Grant> {
            paths
                .iter()
                .filter_map(|path| Grant::parse_path(path))
                .collect()
        };
        let set = grants(&["/certificate_stores/read/", "/pam/read/2/", "/security/"]);
        let inside = grants(&[
            "/certificate_stores/read/7/",
            "/pam/read/2/",
            "/security/read/",
        ]);
        assert_eq!(outside(&set, &inside).count(), 0);
        let other = grants(&["/certificate_stores/", "/pam/read/", "/pam/read/3/", "/"]);
        assert_eq!(outside(&set, &other).count(), 4);
    }
}
