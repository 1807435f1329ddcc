//! Local accounts, changed by others: created, given a password, disabled, deleted.

use db::tables::{accounts, claims, role_claims};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, ConnectionTrait, EntityTrait,
    IntoActiveModel, QueryFilter,
};
use serde_json::{Value, json};

use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::error::Error;
use crate::security::identities::roles_of;
use crate::security::permissions::Grant;
use crate::security::{administration, passwords, role_grants, roles};

/// Characters of a name at most.
const NAME_MAX: usize = 200;

/// A new account.
pub(super) struct NewAccount {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) must_change: bool,
    pub(super) roles: Vec<String>,
}

/// Which account.
#[derive(Clone, Debug)]
pub(super) enum Which {
    /// By its id.
    Id(i64),
    /// By its name.
    Name(String),
}

impl Which {
    async fn find(&self, connection: &impl ConnectionTrait) -> Result<accounts::Model, Error> {
        let (found, shown) = match self {
            Self::Id(id) => (
                accounts::Entity::find_by_id(*id).one(connection).await?,
                id.to_string(),
            ),
            Self::Name(name) => (
                accounts::Entity::find()
                    .filter(accounts::Column::NameFold.eq(db::fold(name)))
                    .one(connection)
                    .await?,
                format!("{name:?}"),
            ),
        };
        found.ok_or_else(|| Error::not_found("account", shown))
    }
}

/// Creates an account. Answers its id.
///
/// # Errors
/// 403 without the permission, or for roles that grant what the caller does not hold; 400 for an empty or taken name, a password
/// against the rules, or an unknown role.
pub(super) async fn create(cx: &Cx, given: NewAccount) -> Result<i64, Error> {
    cx.authorize_administration()?;
    let name = checked_name(&given.name)?;
    passwords::check("Password", &given.password, &name)?;
    let hash = passwords::hash(given.password, cx.app().options.password_cost).await?;
    let (must_change, wanted) = (given.must_change, given.roles);
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("accounts.create", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let name_fold = db::fold(&name);
            let taken = accounts::Entity::find()
                .filter(accounts::Column::NameFold.eq(&name_fold))
                .one(tx)
                .await?;
            if let Some(taken) = taken {
                return Err(Error::bad_request(format!(
                    "Name: an account named {:?} already exists.",
                    taken.name
                )));
            }
            let mut role_ids = Vec::new();
            for name in &wanted {
                let role = roles::role_by_name(tx, name).await?;
                let role = role.ok_or_else(|| {
                    Error::bad_request(format!("Roles: there is no role {name:?}."))
                })?;
                if !role_ids.contains(&role.id) {
                    role_ids.push(role.id);
                }
            }
            let granted = role_grants::of_roles(tx, &role_ids).await?;
            let granted: Vec<Grant> = granted.into_values().flatten().collect();
            cx.authorize_giving(&granted)?;
            cx.authorize_joining(tx, &role_ids).await?;
            let claim_id = crate::security::claims::of_new_account(tx, &name, cx.now()).await?;
            let row = accounts::ActiveModel {
                id: ActiveValue::NotSet,
                claim_id: ActiveValue::Set(claim_id),
                name: ActiveValue::Set(name.clone()),
                name_fold: ActiveValue::Set(name_fold),
                password_hash: ActiveValue::Set(hash),
                must_change: ActiveValue::Set(must_change),
                disabled: ActiveValue::Set(false),
                failures: ActiveValue::Set(0),
                locked_until: ActiveValue::Set(None),
                created_at: ActiveValue::Set(cx.now()),
                password_changed_at: ActiveValue::Set(cx.now()),
            };
            let row = row.insert(tx).await?;
            for role_id in role_ids {
                let held = role_claims::ActiveModel {
                    role_id: ActiveValue::Set(role_id),
                    claim_id: ActiveValue::Set(claim_id),
                };
                role_claims::Entity::insert(held)
                    .exec_without_returning(tx)
                    .await?;
            }
            let message = format!("Account {name} was created.");
            let entry = Entry::new(Operation::Created, Category::Account, &name, message);
            let after = record(tx, &row).await?;
            audit::record(tx, &cx, entry.after(after)).await?;
            Ok(row.id)
        })
    })
    .await
}

/// Gives an account a new password and unlocks it.
///
/// # Errors
/// 403 without the permission, or when the account holds what the caller does not; 404 for an unknown account; 400 for a
/// password against the rules, and for the one it has.
pub(super) async fn reset_password(
    cx: &Cx,
    which: Which,
    password: String,
    must_change: bool,
) -> Result<(), Error> {
    cx.authorize_administration()?;
    let account = which.find(cx.db().read()).await?;
    // First: what follows says something about the password that the account has.
    cx.authorize_letting_in(cx.db().read(), itself(&account))
        .await?;
    passwords::check("Password", &password, &account.name)?;
    // Not in the transaction: it takes time.
    if passwords::verify(password.clone().into(), account.password_hash).await? {
        return Err(Error::bad_request(
            "Password: it is the one that the account has.",
        ));
    }
    let hash = passwords::hash(password, cx.app().options.password_cost).await?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("accounts.reset_password", move |tx| {
        Box::pin(async move {
            let (_, cx) = administration::begin(tx, &cx).await?;
            let account = which.find(tx).await?;
            cx.authorize_letting_in(tx, itself(&account)).await?;
            let name = account.name.clone();
            let before = record(tx, &account).await?;
            let mut changed = account.into_active_model();
            changed.password_hash = ActiveValue::Set(hash);
            changed.must_change = ActiveValue::Set(must_change);
            changed.failures = ActiveValue::Set(0);
            changed.locked_until = ActiveValue::Set(None);
            changed.password_changed_at = ActiveValue::Set(cx.now());
            let account = changed.update(tx).await?;
            let message = format!("The password of {name} was reset.");
            let entry = Entry::new(Operation::Updated, Category::Account, &name, message)
                .before(before)
                .after(record(tx, &account).await?);
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

/// Keeps an account from signing in, or lets it sign in again.
///
/// # Errors
/// 403 without the permission, or for letting in an account that holds what the caller does not; 404 for an unknown account;
/// 400 for the last administrator.
pub(super) async fn set_disabled(cx: &Cx, which: Which, disabled: bool) -> Result<(), Error> {
    cx.authorize_administration()?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("accounts.set_disabled", move |tx| {
        Box::pin(async move {
            let (begun, cx) = administration::begin(tx, &cx).await?;
            let account = which.find(tx).await?;
            if account.disabled == disabled {
                return Ok(());
            }
            if !disabled {
                cx.authorize_letting_in(tx, itself(&account)).await?;
            }
            let name = account.name.clone();
            let before = record(tx, &account).await?;
            let mut changed = account.into_active_model();
            changed.disabled = ActiveValue::Set(disabled);
            let account = changed.update(tx).await?;
            begun.administrators_remain(tx).await?;
            let what = if disabled { "disabled" } else { "enabled" };
            let message = format!("The account {name} was {what}.");
            let entry = Entry::new(Operation::Updated, Category::Account, &name, message)
                .before(before)
                .after(record(tx, &account).await?);
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

/// Deletes an account with its claim.
///
/// # Errors
/// 403 without the permission; 404 for an unknown id; 400 for one's own account and for the last administrator.
pub(super) async fn delete(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize_administration()?;
    if let Caller::Identity(identity) = cx.caller()
        && identity.account_id == Some(id)
    {
        return Err(Error::bad_request("Nobody can delete the own account."));
    }
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("accounts.delete", move |tx| {
        Box::pin(async move {
            let (begun, cx) = administration::begin(tx, &cx).await?;
            let account = Which::Id(id).find(tx).await?;
            let before = record(tx, &account).await?;
            accounts::Entity::delete_by_id(id).exec(tx).await?;
            claims::Entity::delete_by_id(account.claim_id)
                .exec(tx)
                .await?;
            begun.administrators_remain(tx).await?;
            let name = &account.name;
            let message = format!("The account {name} was deleted.");
            let entry = Entry::new(Operation::Deleted, Category::Account, name, message);
            audit::record(tx, &cx, entry.before(before)).await
        })
    })
    .await
}

/// The claim that stands for an account.
fn itself(account: &accounts::Model) -> Condition {
    Condition::all().add(claims::Column::Id.eq(account.claim_id))
}

/// An account as audit records show it: without its password.
async fn record(tx: &db::Tx, account: &accounts::Model) -> Result<Value, Error> {
    let held = roles_of(tx, &[account.claim_id]).await?;
    let held: Vec<String> = held.into_values().flatten().map(|role| role.name).collect();
    Ok(json!({
        "Id": account.id, "Name": account.name, "Disabled": account.disabled,
        "MustChangePassword": account.must_change, "Roles": held,
    }))
}

fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    if db::fold(name).is_empty()
        || name.chars().count() > NAME_MAX
        || name.chars().any(char::is_control)
        || name.contains([':', '\\'])
    {
        return Err(Error::bad_request(format!(
            "Name: has to be 1 to {NAME_MAX} characters of text, none of them a colon or a backslash."
        )));
    }
    Ok(name.to_owned())
}
