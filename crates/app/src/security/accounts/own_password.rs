//! Changing the password of one's own account: the one thing that is allowed while a change is due.

use db::tables::accounts;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IntoActiveModel};

use super::wire::PasswordChange;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::{Caller, Cx};
use crate::error::{Error, Kind};
use crate::security::passwords;
use crate::security::sign_in::count_failure;

/// Changes the caller's password.
///
/// # Errors
/// 400 for a caller that is no local account, for an old password that is wrong (which counts like a failed sign-in), and for a
/// new one against the rules or the same as the old one.
pub(super) async fn change(cx: &Cx, request: PasswordChange) -> Result<(), Error> {
    let id = match cx.caller() {
        Caller::Identity(identity) => identity.account_id,
        Caller::System(_) => None,
    };
    let id = id.ok_or_else(|| {
        Error::bad_request(
            "Only a local account has a password here; change yours where you signed in.",
        )
    })?;
    let account = accounts::Entity::find_by_id(id).one(cx.db().read()).await?;
    let account = account.ok_or_else(|| Error::not_found("account", id))?;
    let (old, new) = (request.old_password, request.new_password);
    if account.locked_until.is_some_and(|until| until > cx.now()) {
        return Err(Error::bad_request(
            "The account is locked for a while after wrong passwords. Try again later.",
        ));
    }
    if old.len() > passwords::PASSWORD_OCTETS_MAX
        || !passwords::verify(old.clone().into(), account.password_hash.clone()).await?
    {
        count_failure(cx.app(), id, cx.now()).await?;
        return Err(Error::bad_request("OldPassword: it is wrong."));
    }
    passwords::check("NewPassword", &new, &account.name)?;
    if new == old {
        return Err(Error::bad_request("NewPassword: it is the old one."));
    }
    let hash = passwords::hash(new, cx.app().options.password_cost).await?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("accounts.change_own_password", move |tx| {
        Box::pin(async move {
            let current = accounts::Entity::find_by_id(id).one(tx).await?;
            let current = current.ok_or_else(|| Error::not_found("account", id))?;
            if current.password_hash != account.password_hash {
                return Err(Error::new(
                    Kind::Conflict,
                    "The password was changed by somebody else at the same time.",
                ));
            }
            let name = current.name.clone();
            let mut changed = current.into_active_model();
            changed.password_hash = ActiveValue::Set(hash);
            changed.must_change = ActiveValue::Set(false);
            changed.failures = ActiveValue::Set(0);
            changed.password_changed_at = ActiveValue::Set(cx.now());
            changed.update(tx).await?;
            let message = format!("{name} changed the own password.");
            let entry = Entry::new(Operation::Updated, Category::Account, &name, message);
            audit::record(tx, &cx, entry).await
        })
    })
    .await
}
