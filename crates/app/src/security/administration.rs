//! The rules of every change of roles, claims, permission sets and accounts: who may make one, what nobody can give, and what
//! always remains.

use db::tables::{accounts, role_claims, role_permissions, roles};
use sea_orm::sea_query::Query;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};

use super::decide::{Grants, Target};
use super::permission_sets::GLOBAL;
use super::permissions::{Grant, Permission};
use super::sign_in::changed;
use crate::cx::{Caller, Cx};
use crate::error::Error;

impl Cx {
    /// Refuses callers who may not change roles, claims, permission sets and accounts: that takes `/security/modify/` by a role
    /// in the permission set Global (command-behaviour.md B.13), since who could do it from a smaller set would soon hold the
    /// whole system.
    ///
    /// # Errors
    /// 403 in the words that clients look for, or naming the permission set.
    pub(crate) fn authorize_administration(&self) -> Result<(), Error> {
        self.authorize(Permission::SecurityModify)?;
        let Caller::Identity(identity) = self.caller() else {
            return Ok(());
        };
        let global = identity.grants.roles().iter();
        let global = global
            .filter(|role| role.permission_set_id == GLOBAL)
            .cloned();
        if Grants::new(global.collect()).allow(Permission::SecurityModify, Target::System) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "User {} holds {} by no role of the permission set Global, which changes of security need.",
            self.caller_name(),
            Permission::SecurityModify.entry().display
        )))
    }

    /// Refuses to give what the caller does not hold.
    ///
    /// # Errors
    /// 403 naming it.
    pub(crate) fn authorize_giving(&self, grants: &[Grant]) -> Result<(), Error> {
        let Caller::Identity(identity) = self.caller() else {
            return Ok(());
        };
        let missing: Vec<String> = grants
            .iter()
            .filter(|grant| !identity.grants.hold(grant))
            .map(ToString::to_string)
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "User {} cannot give what it does not hold itself: {}.",
            self.caller_name(),
            missing.join(", ")
        )))
    }
}

/// Proof that a change of security has begun, and how many administrators there were then.
#[derive(Debug)]
pub(crate) struct Begun {
    administrators: u64,
}

/// Begins a change of security. The first thing in its transaction: it moves the generation of what is granted, and thereby
/// waits for every other such change, so that no two of them can each leave the other's last administrator.
///
/// # Errors
/// Those of the database.
pub(crate) async fn begin(tx: &db::Tx) -> Result<Begun, Error> {
    changed(tx).await?;
    Ok(Begun {
        administrators: administrators(tx).await?,
    })
}

impl Begun {
    /// Refuses a change after which nobody is left who may do everything and can sign in without any other system.
    ///
    /// # Errors
    /// 400.
    pub(crate) async fn administrators_remain(&self, tx: &db::Tx) -> Result<(), Error> {
        if self.administrators != 0 && administrators(tx).await? == 0 {
            return Err(Error::bad_request(
                "This would leave no administrator: an enabled local account has to hold an enabled role that grants /.",
            ));
        }
        Ok(())
    }
}

/// Enabled local accounts that hold an enabled role with everything. Claims of other providers do not count: whether anybody
/// can still sign in with one is not ours to know.
async fn administrators(tx: &db::Tx) -> Result<u64, Error> {
    let everything = Query::select()
        .column(role_permissions::Column::RoleId)
        .from(role_permissions::Entity)
        .and_where(role_permissions::Column::Permission.eq("/"))
        .and_where(role_permissions::Column::ObjectId.eq(0))
        .to_owned();
    let enabled = Query::select()
        .column(roles::Column::Id)
        .from(roles::Entity)
        .and_where(roles::Column::Enabled.eq(true))
        .and_where(roles::Column::Id.in_subquery(everything))
        .to_owned();
    let claims = Query::select()
        .column(role_claims::Column::ClaimId)
        .from(role_claims::Entity)
        .and_where(role_claims::Column::RoleId.in_subquery(enabled))
        .to_owned();
    Ok(accounts::Entity::find()
        .filter(accounts::Column::Disabled.eq(false))
        .filter(accounts::Column::ClaimId.in_subquery(claims))
        .count(tx)
        .await?)
}
