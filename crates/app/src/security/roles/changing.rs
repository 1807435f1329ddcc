//! Roles, changed: created, replaced, deleted.

use db::tables::{accounts, certificates, role_claims, roles};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::reading;
use super::wire::{IdentityInput, RoleCreation, RoleOutput, RoleUpdate};
use super::{role_by_id, role_by_name};
use crate::application_settings::OwnerPolicy;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::permission_sets::GLOBAL as GLOBAL_PERMISSION_SET;
use crate::security::{Grant, Permission, changed, permissions, role_grants};

/// Characters of a role's name at most.
const NAME_MAX: usize = 256;

/// Creates a role.
///
/// # Errors
/// 403 without the permission; 400 for an empty or taken name, and for permissions, sets and accounts that do not exist.
pub(super) async fn create(cx: &Cx, request: RoleCreation) -> Result<RoleOutput, Error> {
    cx.authorize(Permission::SecurityModify)?;
    let name = checked_name(&request.name)?;
    check_set(request.permission_set_id)?;
    let paths = checked_permissions(request.permissions.unwrap_or_default())?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("roles.create", move |tx| {
            Box::pin(async move {
                check_unused(tx, &name, None).await?;
                let holders = holders(tx, request.identities.unwrap_or_default()).await?;
                let row = roles::ActiveModel {
                    id: ActiveValue::NotSet,
                    name: ActiveValue::Set(name.clone()),
                    name_fold: ActiveValue::Set(db::fold(&name)),
                    description: ActiveValue::Set(request.description),
                    email_address: ActiveValue::Set(None),
                    enabled: ActiveValue::Set(request.enabled.unwrap_or(true)),
                    private: ActiveValue::Set(request.private.unwrap_or(false)),
                    immutable: ActiveValue::Set(false),
                    permission_set_id: ActiveValue::Set(GLOBAL_PERMISSION_SET),
                    created_at: ActiveValue::Set(cx.now()),
                };
                let row = row.insert(tx).await?;
                role_grants::check_objects(tx, "Permissions", &paths).await?;
                role_grants::replace(tx, row.id, &paths).await?;
                replace_holders(tx, row.id, &holders).await?;
                let output = reading::output(tx, row).await?;
                let entry = Entry::new(
                    Operation::Created,
                    Category::SecurityRole,
                    &name,
                    format!("Security role {name} was created."),
                )
                .after(record(&output));
                audit::record(tx, &cx, entry).await?;
                changed(tx).await?;
                Ok(output)
            })
        })
        .await
}

/// Replaces a role. Of one that ships with the product only the identities can change, and one has to remain.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 as for [`create`], and for what cannot change.
pub(super) async fn replace(cx: &Cx, request: RoleUpdate) -> Result<RoleOutput, Error> {
    cx.authorize(Permission::SecurityModify)?;
    let name = checked_name(&request.name)?;
    check_set(request.permission_set_id)?;
    let paths = request
        .permissions
        .clone()
        .map(checked_permissions)
        .transpose()?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("roles.replace", move |tx| {
            Box::pin(async move {
                let row = role_by_id(tx, request.id).await?;
                let row = row.ok_or_else(|| Error::not_found("security role", request.id))?;
                let before = reading::output(tx, row.clone()).await?;
                if row.immutable {
                    check_immutable(&before, &request, &name, paths.as_deref())?;
                } else {
                    check_unused(tx, &name, Some(row.id)).await?;
                }
                if let Some(identities) = request.identities {
                    let holders = holders(tx, identities).await?;
                    if row.immutable && !holders.iter().any(|account| !account.disabled) {
                        let message = format!(
                            "Identities: the role {:?} needs an account that can sign in.",
                            row.name
                        );
                        return Err(Error::bad_request(message));
                    }
                    replace_holders(tx, row.id, &holders).await?;
                }
                let mut after = row.clone();
                if !row.immutable {
                    if let Some(paths) = &paths {
                        role_grants::check_objects(tx, "Permissions", paths).await?;
                        role_grants::replace(tx, row.id, paths).await?;
                    }
                    let changed = roles::ActiveModel {
                        id: ActiveValue::Unchanged(row.id),
                        name: ActiveValue::Set(name.clone()),
                        name_fold: ActiveValue::Set(db::fold(&name)),
                        description: ActiveValue::Set(request.description),
                        enabled: ActiveValue::Set(request.enabled.unwrap_or(row.enabled)),
                        private: ActiveValue::Set(request.private.unwrap_or(row.private)),
                        ..Default::default()
                    };
                    after = changed.update(tx).await?;
                }
                let output = reading::output(tx, after).await?;
                let entry = Entry::new(
                    Operation::Updated,
                    Category::SecurityRole,
                    &name,
                    format!("Security role {name} was changed."),
                )
                .before(record(&before))
                .after(record(&output));
                audit::record(tx, &cx, entry).await?;
                changed(tx).await?;
                Ok(output)
            })
        })
        .await
}

/// Deletes a role.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for a role that ships with the product, and for one that owns
/// certificates, with their number.
pub(super) async fn delete(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("roles.delete", move |tx| {
            Box::pin(async move {
                let row = role_by_id(tx, id).await?.ok_or_else(|| Error::not_found("security role", id))?;
                if row.immutable {
                    return Err(Error::bad_request(format!("The security role {:?} cannot be deleted.", row.name)));
                }
                let owned =
                    certificates::Entity::find().filter(certificates::Column::OwnerRoleId.eq(id)).count(tx).await?;
                if owned != 0 {
                    let message = format!(
                        "The security role {:?} owns {owned} certificate{}; give them another owner first.",
                        row.name,
                        if owned == 1 { "" } else { "s" }
                    );
                    return Err(Error::bad_request(message));
                }
                if OwnerPolicy::load(tx).await?.default_role_id == Some(id) {
                    let message = "The security role is the default owner of certificates (application setting \
                                   DefaultCertificateOwnerRoleName); choose another one first.";
                    return Err(Error::bad_request(message));
                }
                let name = row.name.clone();
                let before = reading::output(tx, row).await?;
                roles::Entity::delete_by_id(id).exec(tx).await?;
                let entry = Entry::new(Operation::Deleted, Category::SecurityRole, &name, format!("Security role {name} was deleted."))
                    .before(record(&before));
                audit::record(tx, &cx, entry).await?;
                changed(tx).await
            })
        })
        .await
}

fn record(role: &RoleOutput) -> Value {
    let holders: Vec<&str> = role
        .identities
        .iter()
        .map(|identity| identity.account_name.as_str())
        .collect();
    json!({
        "Id": role.id, "Name": role.name, "Description": role.description, "Enabled": role.enabled,
        "Private": role.private, "Permissions": role.permissions, "Identities": holders,
    })
}

fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(Error::bad_request(format!(
            "Name: has to be 1 to {NAME_MAX} characters of text."
        )));
    }
    Ok(name.to_owned())
}

/// Clients that know no set send a GUID of zeros.
fn check_set(id: Option<Uuid>) -> Result<(), Error> {
    match id.filter(|id| !id.is_nil() && *id != GLOBAL_PERMISSION_SET) {
        Some(id) => Err(Error::bad_request(format!(
            "PermissionSetId: there is no permission set {id}."
        ))),
        None => Ok(()),
    }
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

fn check_immutable(
    before: &RoleOutput,
    request: &RoleUpdate,
    name: &str,
    paths: Option<&[Grant]>,
) -> Result<(), Error> {
    let mut changed = Vec::new();
    let mut same = |member: &str, same: bool| {
        if !same {
            changed.push(member.to_owned());
        }
    };
    same("Name", name == before.name);
    same("Description", request.description == before.description);
    same(
        "Enabled",
        request
            .enabled
            .is_none_or(|enabled| enabled == before.enabled),
    );
    same(
        "Private",
        request
            .private
            .is_none_or(|private| private == before.private),
    );
    same(
        "Permissions",
        paths.is_none_or(|paths| permissions::legacy_names(paths) == before.permissions),
    );
    if changed.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{}: of the security role {:?} only the identities can change.",
        changed.join(", "),
        before.name
    );
    Err(Error::bad_request(message))
}

/// The paths to store, each once, without those that a shorter one covers.
fn checked_permissions(given: Vec<String>) -> Result<Vec<Grant>, Error> {
    let mut paths = Vec::new();
    let mut unknown = Vec::new();
    for text in given {
        let grants = Grant::parse(&text);
        if grants.is_empty() {
            unknown.push(format!("Permissions: there is no permission {text:?}."));
        }
        paths.extend(grants);
    }
    match unknown.as_slice() {
        [] => {}
        [one] => return Err(Error::bad_request(one.clone())),
        _ => {
            return Err(Error::bad_parts(
                "Permissions: some of them do not exist.",
                unknown,
            ));
        }
    }
    Ok(permissions::distinct(paths))
}

/// The accounts that a request names, each once.
async fn holders(
    tx: &db::Tx,
    identities: Vec<IdentityInput>,
) -> Result<Vec<accounts::Model>, Error> {
    let mut found: Vec<accounts::Model> = Vec::new();
    let mut unknown = Vec::new();
    for identity in identities {
        let name = identity.account_name.unwrap_or_default();
        if name.trim().is_empty() {
            let sid = identity.sid.unwrap_or_default();
            unknown.push(format!(
                "Identities: AccountName is needed{}.",
                if sid.is_empty() {
                    ""
                } else {
                    "; SID names no local account"
                }
            ));
            continue;
        }
        match account(tx, &name).await? {
            Some(account) if found.iter().any(|other| other.id == account.id) => {}
            Some(account) => found.push(account),
            None => unknown.push(format!("Identities: there is no account {name:?}.")),
        }
    }
    match unknown.as_slice() {
        [] => Ok(found),
        [one] => Err(Error::bad_request(one.clone())),
        _ => Err(Error::bad_parts(
            "Identities: some accounts do not exist.",
            unknown,
        )),
    }
}

/// The account of a name in any of the forms that sign-in takes; the whole name comes first.
async fn account(tx: &db::Tx, name: &str) -> Result<Option<accounts::Model>, Error> {
    let whole = db::fold(name);
    let short = whole
        .rsplit('\\')
        .next()
        .and_then(|name| name.split('@').next())
        .unwrap_or_default()
        .to_owned();
    let wanted = [whole.clone(), short];
    let found = accounts::Entity::find()
        .filter(accounts::Column::NameFold.is_in(wanted))
        .all(tx)
        .await?;
    Ok(found
        .into_iter()
        .max_by_key(|account| account.name_fold == whole))
}

async fn replace_holders(
    tx: &db::Tx,
    role_id: i64,
    holders: &[accounts::Model],
) -> Result<(), Error> {
    role_claims::Entity::delete_many()
        .filter(role_claims::Column::RoleId.eq(role_id))
        .exec(tx)
        .await?;
    for account in holders {
        let row = role_claims::ActiveModel {
            role_id: ActiveValue::Set(role_id),
            claim_id: ActiveValue::Set(account.claim_id),
        };
        role_claims::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_become_paths_without_the_covered_ones() {
        let given = [
            "Certificates:Read",
            "/certificate_stores/",
            "CertificateStoreManagement:Read",
            "certificates:read",
        ];
        let paths = checked_permissions(given.map(str::to_owned).to_vec()).unwrap();
        assert_eq!(
            paths,
            ["/certificate_stores/", "/certificates/collections/read/"].map(Grant::system)
        );
        let refused = checked_permissions(vec!["No:Such".into(), "/nothing/".into()]).unwrap_err();
        assert!(
            refused
                .failed()
                .iter()
                .any(|reason| reason.contains("No:Such")),
            "{refused}"
        );
        assert_eq!(refused.failed().len(), 2);
    }

    #[test]
    fn sets_and_names() {
        assert!(check_set(None).is_ok() && check_set(Some(Uuid::nil())).is_ok());
        assert!(check_set(Some(GLOBAL_PERMISSION_SET)).is_ok());
        assert!(check_set(Some(Uuid::max())).is_err());
        assert_eq!(checked_name(" Owners ").unwrap(), "Owners");
        assert!(checked_name("  ").is_err() && checked_name("a\nb").is_err());
    }
}
