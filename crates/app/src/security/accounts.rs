//! Local accounts: what the machine's owner does with them. (Their interface for people comes with identities.)

use std::sync::Arc;

use db::tables::{accounts, role_claims};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
};

use super::{changed, claims, passwords, roles};
use crate::app::App;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;

/// Creates an account that holds the named roles. Answers its id.
///
/// # Errors
/// 400 for an empty or taken name, a password against the rules, or an unknown role; 403 without the permission.
pub async fn create(
    cx: &Cx,
    name: &str,
    password: String,
    role_names: &[String],
) -> Result<i64, Error> {
    cx.authorize(Permission::SecurityModify)?;
    let name = name.trim().to_owned();
    if name.is_empty() || name.len() > 200 || name.contains([':', '\\']) {
        return Err(Error::bad_request(
            "An account's name has 1 to 200 characters, none of them a colon or a backslash.",
        ));
    }
    passwords::check(&password)?;
    let password_hash = passwords::hash(password, cx.app().options.password_cost).await?;
    let (cx, role_names) = (cx.clone(), role_names.to_vec());
    let db = cx.db().clone();
    db.write("accounts.create", move |tx| {
        Box::pin(async move {
            let taken = accounts::Entity::find()
                .filter(accounts::Column::NameFold.eq(db::fold(&name)))
                .one(tx)
                .await?;
            if taken.is_some() {
                return Err(Error::bad_request(format!(
                    "An account named {name:?} already exists."
                )));
            }
            let claim_id = claims::of_new_account(tx, &name, cx.now()).await?;
            let row = accounts::ActiveModel {
                id: ActiveValue::NotSet,
                claim_id: ActiveValue::Set(claim_id),
                name: ActiveValue::Set(name.clone()),
                name_fold: ActiveValue::Set(db::fold(&name)),
                password_hash: ActiveValue::Set(password_hash),
                must_change: ActiveValue::Set(false),
                disabled: ActiveValue::Set(false),
                failures: ActiveValue::Set(0),
                locked_until: ActiveValue::Set(None),
                created_at: ActiveValue::Set(cx.now()),
                password_changed_at: ActiveValue::Set(cx.now()),
            };
            let account_id = row.insert(tx).await?.id;
            for role_name in &role_names {
                let role = roles::role_by_name(tx, role_name).await?;
                let role = role.ok_or_else(|| {
                    Error::bad_request(format!("There is no role {role_name:?}."))
                })?;
                let held = role_claims::ActiveModel {
                    role_id: ActiveValue::Set(role.id),
                    claim_id: ActiveValue::Set(claim_id),
                };
                role_claims::Entity::insert(held)
                    .exec_without_returning(tx)
                    .await?;
            }
            let entry = Entry::new(
                Operation::Created,
                Category::Account,
                &name,
                format!("Account {name} was created."),
            )
            .after(serde_json::json!({ "Name": name, "Roles": role_names }));
            audit::record(tx, &cx, entry).await?;
            changed(tx).await?;
            Ok(account_id)
        })
    })
    .await
}

/// Gives an account a new password and unlocks it.
///
/// # Errors
/// 404 for an unknown name, 400 for a password against the rules, 403 without the permission.
pub async fn reset_password(cx: &Cx, name: &str, password: String) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    passwords::check(&password)?;
    let password_hash = passwords::hash(password, cx.app().options.password_cost).await?;
    let (cx, name) = (cx.clone(), name.trim().to_owned());
    let db = cx.db().clone();
    db.write("accounts.reset_password", move |tx| {
        Box::pin(async move {
            let found = accounts::Entity::find()
                .filter(accounts::Column::NameFold.eq(db::fold(&name)))
                .one(tx)
                .await?;
            let account = found.ok_or_else(|| Error::not_found("account", format!("{name:?}")))?;
            let mut changed = account.into_active_model();
            changed.password_hash = ActiveValue::Set(password_hash);
            changed.failures = ActiveValue::Set(0);
            changed.locked_until = ActiveValue::Set(None);
            changed.password_changed_at = ActiveValue::Set(cx.now());
            changed.update(tx).await?;
            let entry = Entry::new(
                Operation::Updated,
                Category::Account,
                &name,
                format!("The password of {name} was reset."),
            );
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

/// Whether any account exists; a new installation has none.
///
/// # Errors
/// Those of the database.
pub async fn any(app: &Arc<App>) -> Result<bool, Error> {
    Ok(accounts::Entity::find()
        .one(app.db().read())
        .await?
        .is_some())
}

/// Whether there is an account of this name.
///
/// # Errors
/// Those of the database.
pub async fn exists(app: &Arc<App>, name: &str) -> Result<bool, Error> {
    let found = accounts::Entity::find()
        .filter(accounts::Column::NameFold.eq(db::fold(name)))
        .one(app.db().read())
        .await?;
    Ok(found.is_some())
}

/// Keeps an account from signing in, or lets it sign in again.
///
/// # Errors
/// 404 for an unknown name, 403 without the permission.
pub async fn set_disabled(cx: &Cx, name: &str, disabled: bool) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    let (cx, name) = (cx.clone(), name.trim().to_owned());
    let db = cx.db().clone();
    db.write("accounts.set_disabled", move |tx| {
        Box::pin(async move {
            let found = accounts::Entity::find()
                .filter(accounts::Column::NameFold.eq(db::fold(&name)))
                .one(tx)
                .await?;
            let account = found.ok_or_else(|| Error::not_found("account", format!("{name:?}")))?;
            if account.disabled == disabled {
                return Ok(());
            }
            let mut changed = account.into_active_model();
            changed.disabled = ActiveValue::Set(disabled);
            changed.update(tx).await?;
            let what = if disabled { "disabled" } else { "enabled" };
            let message = format!("The account {name} was {what}.");
            let entry = Entry::new(Operation::Updated, Category::Account, &name, message)
                .before(serde_json::json!({ "Disabled": !disabled }))
                .after(serde_json::json!({ "Disabled": disabled }));
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}

/// A password that is hard to guess and easy to type: 24 letters and digits in groups.
pub fn random_password() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    // The greatest multiple of 55 that an octet reaches is 220: each letter is as likely as the others.
    let letter = || {
        loop {
            let mut octet = zeroize::Zeroizing::new([0_u8]);
            aws_lc_rs::rand::fill(&mut *octet).expect("the operating system gives randomness");
            if octet[0] < 220 {
                break char::from(LETTERS[usize::from(octet[0]) % LETTERS.len()]);
            }
        }
    };
    std::iter::repeat_with(letter).take(24).enumerate().fold(
        String::new(),
        |mut text, (index, letter)| {
            if index > 0 && index % 6 == 0 {
                text.push('-');
            }
            text.push(letter);
            text
        },
    )
}
