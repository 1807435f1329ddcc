//! Roles, changed: created, copied, replaced, deleted. Both versions, and what changes a part of a role, go through here.

use db::tables::{certificates, roles};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};

use super::draft::{Draft, Permissions};
use super::wire::RoleCopy;
use super::{holders, role_by_id, role_by_name};
use crate::application_settings::OwnerPolicy;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::permission_sets::{self, GLOBAL};
use crate::security::permissions::Grant;
use crate::security::{administration, checked_name, claims, role_grants};
use crate::web::Maybe;

/// Characters of a description and an address at most.
const TEXT_MAX: usize = 4_096;

/// A role with what belongs to it.
#[derive(Clone, Debug)]
struct Whole {
    row: roles::Model,
    grants: Vec<Grant>,
    claim_ids: Vec<i64>,
}

/// Creates a role. Answers its id.
///
/// # Errors
/// 403 without the permission, or for what the caller does not hold; 400 for an empty or taken name, for permissions, sets,
/// objects and identities that do not exist, and for permissions outside of the set.
pub(super) async fn create(cx: &Cx, draft: Draft) -> Result<i64, Error> {
    cx.authorize_administration()?;
    check_texts(&draft)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("roles.create", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            insert(tx, &cx, draft).await
        })
    })
    .await
}

/// Creates a role that grants what another one grants. Answers its id.
///
/// # Errors
/// Those of [`create`], and 404 for an unknown role.
pub(super) async fn copy(cx: &Cx, id: i64, request: RoleCopy) -> Result<i64, Error> {
    cx.authorize_administration()?;
    let mut draft = Draft {
        name: Some(request.name),
        description: request.description,
        email_address: request.email_address.map_or(Maybe::Absent, Maybe::Value),
        ..Draft::default()
    };
    check_texts(&draft)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("roles.copy", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let copied = load(tx, id).await?;
            draft
                .description
                .get_or_insert(copied.row.description.clone());
            draft.enabled = Some(copied.row.enabled);
            draft.private = Some(copied.row.private);
            draft.permission_set_id = Some(copied.row.permission_set_id);
            draft.permissions = Permissions::Add(copied.grants);
            insert(tx, &cx, draft).await
        })
    })
    .await
}

async fn insert(tx: &db::Tx, cx: &Cx, draft: Draft) -> Result<i64, Error> {
    let name = checked_name("Name", draft.name.as_deref().unwrap_or_default())?;
    check_unused(tx, &name, None).await?;
    cx.authorize_role_name(tx, &name).await?;
    let set = draft.permission_set_id.filter(|id| !id.is_nil());
    let set = set.unwrap_or(GLOBAL);
    let grants = draft.permissions.apply(&[])?;
    role_grants::check_objects(tx, "Permissions", &grants).await?;
    permission_sets::check_inside(tx, set, &grants).await?;
    cx.authorize_giving(&grants)?;
    let claim_ids = holders::resolve(tx, cx, draft.holders, &[]).await?;
    let row = roles::ActiveModel {
        id: ActiveValue::NotSet,
        name_fold: ActiveValue::Set(db::fold(&name)),
        name: ActiveValue::Set(name),
        description: ActiveValue::Set(draft.description.unwrap_or_default()),
        email_address: ActiveValue::Set(address(draft.email_address, None)),
        enabled: ActiveValue::Set(draft.enabled.unwrap_or(true)),
        private: ActiveValue::Set(draft.private.unwrap_or(false)),
        immutable: ActiveValue::Set(false),
        permission_set_id: ActiveValue::Set(set),
        created_at: ActiveValue::Set(cx.now()),
    };
    let row = row.insert(tx).await?;
    role_grants::replace(tx, row.id, &grants).await?;
    holders::replace(tx, row.id, &claim_ids).await?;
    let role = Whole {
        row,
        grants,
        claim_ids,
    };
    let name = &role.row.name;
    let message = format!("Security role {name} was created.");
    let entry = Entry::new(Operation::Created, Category::SecurityRole, name, message);
    let after = record(tx, &role).await?;
    audit::record(tx, cx, entry.after(after)).await?;
    Ok(role.row.id)
}

/// Changes a role. Of one that ships with the product only the identities can change.
///
/// # Errors
/// 403 without the permission, or for what the caller does not hold; 404 for an unknown id; 400 as for [`create`], for what
/// cannot change, and when no administrator would be left.
pub(in crate::security) async fn change(cx: &Cx, id: i64, draft: Draft) -> Result<(), Error> {
    cx.authorize_administration()?;
    check_texts(&draft)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("roles.change", move |tx| {
        Box::pin(async move {
            let (begun, cx) = administration::begin(tx, &cx).await?;
            let before = load(tx, id).await?;
            let after = changed(tx, &cx, &before, draft).await?;
            if before.row.immutable {
                check_immutable(&before, &after)?;
            }
            check_giving(tx, &cx, &before, &after).await?;
            write(tx, &after).await?;
            begun.administrators_remain(tx).await?;
            let name = &after.row.name;
            let message = format!("Security role {name} was changed.");
            let entry = Entry::new(Operation::Updated, Category::SecurityRole, name, message)
                .before(record(tx, &before).await?)
                .after(record(tx, &after).await?);
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

/// What a role becomes.
async fn changed(tx: &db::Tx, cx: &Cx, before: &Whole, draft: Draft) -> Result<Whole, Error> {
    let mut after = before.clone();
    if let Some(name) = &draft.name {
        let name = checked_name("Name", name)?;
        check_unused(tx, &name, Some(before.row.id)).await?;
        if db::fold(&name) != before.row.name_fold {
            cx.authorize_role_name(tx, &name).await?;
        }
        after.row.name_fold = db::fold(&name);
        after.row.name = name;
    }
    let row = &mut after.row;
    row.description = draft.description.unwrap_or(row.description.clone());
    row.email_address = address(draft.email_address, row.email_address.take());
    row.enabled = draft.enabled.unwrap_or(row.enabled);
    row.private = draft.private.unwrap_or(row.private);
    // Clients that know no set send zeros.
    let set = draft.permission_set_id.filter(|id| !id.is_nil());
    row.permission_set_id = set.unwrap_or(row.permission_set_id);
    after.grants = draft.permissions.apply(&before.grants)?;
    let added = after.grants.iter();
    let added = added.filter(|grant| !before.grants.contains(grant));
    let added: Vec<Grant> = added.cloned().collect();
    role_grants::check_objects(tx, "Permissions", &added).await?;
    permission_sets::check_inside(tx, after.row.permission_set_id, &after.grants).await?;
    after.claim_ids = holders::resolve(tx, cx, draft.holders, &before.claim_ids).await?;
    Ok(after)
}

/// Refuses to give more than the caller holds: to the role what it did not grant, and the role to whom did not hold it.
async fn check_giving(tx: &db::Tx, cx: &Cx, before: &Whole, after: &Whole) -> Result<(), Error> {
    let somebody_new = after
        .claim_ids
        .iter()
        .any(|id| !before.claim_ids.contains(id));
    let joined = somebody_new || after.row.enabled && !before.row.enabled;
    let whole = joined || after.row.permission_set_id != before.row.permission_set_id;
    let given = after.grants.iter();
    let given = given.filter(|grant| whole || !before.grants.iter().any(|had| had.covers(grant)));
    let given: Vec<Grant> = given.cloned().collect();
    cx.authorize_giving(&given)?;
    if joined {
        cx.authorize_joining(tx, &[before.row.id]).await?;
    }
    Ok(())
}

async fn write(tx: &db::Tx, after: &Whole) -> Result<(), Error> {
    let row = after.row.clone();
    let changed = roles::ActiveModel {
        id: ActiveValue::Unchanged(row.id),
        name: ActiveValue::Set(row.name),
        name_fold: ActiveValue::Set(row.name_fold),
        description: ActiveValue::Set(row.description),
        email_address: ActiveValue::Set(row.email_address),
        enabled: ActiveValue::Set(row.enabled),
        private: ActiveValue::Set(row.private),
        permission_set_id: ActiveValue::Set(row.permission_set_id),
        ..Default::default()
    };
    changed.update(tx).await?;
    role_grants::replace(tx, row.id, &after.grants).await?;
    holders::replace(tx, row.id, &after.claim_ids).await
}

/// Deletes a role.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for a role that ships with the product, for one that owns
/// certificates, with their number, and when no administrator would be left.
pub(super) async fn delete(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize_administration()?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("roles.delete", move |tx| {
        Box::pin(async move {
            let (begun, cx) = administration::begin(tx, &cx).await?;
            let role = load(tx, id).await?;
            let name = &role.row.name;
            if role.row.immutable {
                return Err(Error::bad_request(format!(
                    "The security role {name:?} cannot be deleted."
                )));
            }
            let owned = certificates::Entity::find()
                .filter(certificates::Column::OwnerRoleId.eq(id))
                .count(tx)
                .await?;
            if owned != 0 {
                let message = format!(
                    "The security role {name:?} owns {owned} certificate{}; give them another owner first.",
                    if owned == 1 { "" } else { "s" }
                );
                return Err(Error::bad_request(message));
            }
            if OwnerPolicy::load(tx).await?.default_role_id == Some(id) {
                let message = "The security role is the default owner of certificates (application setting \
                               DefaultCertificateOwnerRoleName); choose another one first.";
                return Err(Error::bad_request(message));
            }
            let before = record(tx, &role).await?;
            roles::Entity::delete_by_id(id).exec(tx).await?;
            begun.administrators_remain(tx).await?;
            let message = format!("Security role {name} was deleted.");
            let entry = Entry::new(Operation::Deleted, Category::SecurityRole, name, message);
            audit::record(tx, &cx, entry.before(before)).await
        })
    })
    .await
}

async fn load(tx: &db::Tx, id: i64) -> Result<Whole, Error> {
    let row = role_by_id(tx, id).await?;
    let row = row.ok_or_else(|| Error::not_found("security role", id))?;
    let mut grants = role_grants::of_roles(tx, &[id]).await?;
    let mut holders = claims::holders(tx, &[id]).await?;
    Ok(Whole {
        row,
        grants: grants.remove(&id).unwrap_or_default(),
        claim_ids: holders
            .remove(&id)
            .unwrap_or_default()
            .into_iter()
            .map(|holder| holder.claim.id)
            .collect(),
    })
}

/// A role as audit records show it.
async fn record(tx: &db::Tx, role: &Whole) -> Result<Value, Error> {
    let held = db::tables::claims::Entity::find()
        .filter(db::tables::claims::Column::Id.is_in(role.claim_ids.iter().copied()))
        .all(tx)
        .await?;
    let held: Vec<Value> = held.iter().map(claims::record).collect();
    let grants: Vec<String> = role.grants.iter().map(ToString::to_string).collect();
    let row = &role.row;
    Ok(json!({
        "Id": row.id, "Name": row.name, "Description": row.description, "EmailAddress": row.email_address,
        "Enabled": row.enabled, "Private": row.private, "PermissionSetId": row.permission_set_id,
        "Permissions": grants, "Claims": held,
    }))
}

fn address(given: Maybe<String>, before: Option<String>) -> Option<String> {
    match given {
        Maybe::Absent => before,
        Maybe::Null => None,
        Maybe::Value(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
    }
}

fn check_texts(draft: &Draft) -> Result<(), Error> {
    if let Some(name) = &draft.name {
        checked_name("Name", name)?;
    }
    let address = match &draft.email_address {
        Maybe::Value(text) => Some(text),
        _ => None,
    };
    for (member, text) in [
        ("Description", draft.description.as_ref()),
        ("EmailAddress", address),
    ] {
        if text.is_some_and(|text| text.chars().count() > TEXT_MAX) {
            return Err(Error::bad_request(format!(
                "{member}: longer than {TEXT_MAX} characters."
            )));
        }
    }
    if address.is_some_and(|text| {
        !text.trim().is_empty() && (!text.contains('@') || text.chars().any(char::is_control))
    }) {
        return Err(Error::bad_request(
            "EmailAddress: not an address of the form name@domain.",
        ));
    }
    Ok(())
}

async fn check_unused(tx: &db::Tx, name: &str, own: Option<i64>) -> Result<(), Error> {
    let taken = role_by_name(tx, name)
        .await?
        .filter(|role| Some(role.id) != own);
    match taken {
        Some(role) => Err(Error::bad_request(format!(
            "Name: a security role named {:?} already exists.",
            role.name
        ))),
        None => Ok(()),
    }
}

fn check_immutable(before: &Whole, after: &Whole) -> Result<(), Error> {
    let (old, new) = (&before.row, &after.row);
    let changed: Vec<&str> = [
        ("Name", old.name != new.name),
        ("Description", old.description != new.description),
        ("EmailAddress", old.email_address != new.email_address),
        ("Enabled", old.enabled != new.enabled),
        ("Private", old.private != new.private),
        (
            "PermissionSetId",
            old.permission_set_id != new.permission_set_id,
        ),
        ("Permissions", before.grants != after.grants),
    ]
    .into_iter()
    .filter_map(|(member, changed)| changed.then_some(member))
    .collect();
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "{}: of the security role {:?} only the identities can change.",
        changed.join(", "),
        old.name
    )))
}
