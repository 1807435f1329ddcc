//! The rules of every change of roles, claims, permission sets and accounts: who may make one, what nobody can give, and what
//! always remains.

use std::collections::HashSet;
use std::sync::Arc;

use db::tables::{
    accounts, certificates, claims, identity_providers, role_claims, role_permissions, roles,
    templates,
};
use sea_orm::sea_query::Query;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
};

use super::decide::{Grants, Target};
use super::permission_sets::GLOBAL;
use super::permissions::{Grant, Permission};
use super::sign_in::changed;
use super::{population, role_grants};
use crate::cx::{Caller, Cx, Identity};
use crate::error::{Error, Kind};
use crate::generation::Generation;

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

    fn holds_everything(&self) -> bool {
        self.authorize_giving(&[Grant::system("/")]).is_ok()
    }

    /// Refuses a name that a template lists among its allowed requesters, to who does not hold everything: whoever holds the role
    /// of that name can enroll.
    ///
    /// # Errors
    /// 403.
    pub(crate) async fn authorize_role_name(
        &self,
        connection: &impl ConnectionTrait,
        name: &str,
    ) -> Result<(), Error> {
        if self.holds_everything() || !requesters(connection).await?.contains(&db::fold(name)) {
            return Ok(());
        }
        Err(Error::forbidden(format!(
            "User {} cannot give what it does not hold itself: templates let holders of the security role {name:?} enroll.",
            self.caller_name()
        )))
    }

    /// Refuses to let somebody hold roles that the caller does not hold and that come with more than their permissions:
    /// certificates that they own, templates that let them enroll.
    ///
    /// # Errors
    /// 403 naming one.
    pub(crate) async fn authorize_joining(
        &self,
        connection: &impl ConnectionTrait,
        role_ids: &[i64],
    ) -> Result<(), Error> {
        let foreign = role_ids.iter().copied().filter(|id| !self.holds_role(*id));
        let foreign: Vec<i64> = foreign.collect();
        if foreign.is_empty() || self.holds_everything() {
            return Ok(());
        }
        let requesters = requesters(connection).await?;
        let found = roles::Entity::find()
            .filter(roles::Column::Id.is_in(foreign))
            .all(connection)
            .await?;
        for role in found {
            let owned = certificates::Entity::find()
                .filter(certificates::Column::OwnerRoleId.eq(role.id))
                .one(connection);
            let what = if requesters.contains(&role.name_fold) {
                "lets its holders enroll with templates"
            } else if owned.await?.is_some() {
                "owns certificates"
            } else {
                continue;
            };
            return Err(Error::forbidden(format!(
                "User {} cannot give what it does not hold itself: the security role {:?}, which {what}.",
                self.caller_name(),
                role.name
            )));
        }
        Ok(())
    }

    /// Refuses to open a door to whoever these claims stand for, when they hold what the caller does not.
    ///
    /// # Errors
    /// 403 naming it.
    pub(crate) async fn authorize_letting_in(
        &self,
        connection: &impl ConnectionTrait,
        which: Condition,
    ) -> Result<(), Error> {
        let claims = Query::select()
            .column(claims::Column::Id)
            .from(claims::Entity)
            .cond_where(which)
            .to_owned();
        let held: Vec<i64> = role_claims::Entity::find()
            .select_only()
            .column(role_claims::Column::RoleId)
            .distinct()
            .filter(role_claims::Column::ClaimId.in_subquery(claims))
            .into_tuple()
            .all(connection)
            .await?;
        let granted = role_grants::of_roles(connection, &held).await?;
        let mut granted: Vec<Grant> = granted.into_values().flatten().collect();
        granted.sort();
        granted.dedup();
        self.authorize_giving(&granted)?;
        self.authorize_joining(connection, &held).await
    }
}

/// The names, folded, of the roles whose holders some template lets enroll.
async fn requesters(connection: &impl ConnectionTrait) -> Result<HashSet<String>, Error> {
    let lists: Vec<String> = templates::Entity::find()
        .select_only()
        .column(templates::Column::AllowedRequesters)
        .into_tuple()
        .all(connection)
        .await?;
    let mut names = HashSet::new();
    for list in lists {
        let list: Vec<String> = serde_json::from_str(&list)?;
        names.extend(list.iter().map(|name| db::fold(name)));
    }
    Ok(names)
}

/// Proof that a change of security has begun, and how many administrators there were then.
#[derive(Debug)]
pub(crate) struct Begun {
    administrators: u64,
}

/// Begins a change of security. The first thing in its transaction: it moves the generation of what is granted, and thereby
/// waits for every other such change, so that no two of them can each leave the other's last administrator. Answers the context
/// to go on with: the caller may have lost something while the request waited, and what counts is what is granted now.
///
/// # Errors
/// 401 and 403 for a caller who may not any more; those of the database.
pub(crate) async fn begin(tx: &db::Tx, cx: &Cx) -> Result<(Begun, Cx), Error> {
    changed(tx).await?;
    // The one move between is this transaction's own.
    let cx = match as_of_now(tx, cx, 1).await? {
        None => cx.clone(),
        Some(cx) => {
            cx.authorize_administration()?;
            cx
        }
    };
    let administrators = administrators(tx).await?;
    Ok((Begun { administrators }, cx))
}

/// The context of a caller as of now, for the parts of work that goes on long after it was allowed.
///
/// # Errors
/// 401 for a caller who cannot sign in any more; those of the database.
pub(crate) async fn granted_now(tx: &db::Tx, cx: &Cx) -> Result<Cx, Error> {
    Ok(as_of_now(tx, cx, 0).await?.unwrap_or_else(|| cx.clone()))
}

/// The context with what its caller is granted now, unless security has moved only `moves` times since it was asked.
async fn as_of_now(tx: &db::Tx, cx: &Cx, moves: i64) -> Result<Option<Cx>, Error> {
    let Caller::Identity(identity) = cx.caller() else {
        return Ok(None);
    };
    let generation = Generation::Security.now(tx).await?;
    if generation == identity.generation + moves {
        return Ok(None);
    }
    let known = match identity.account_id {
        Some(id) => {
            let account = accounts::Entity::find_by_id(id).one(tx).await?;
            account.is_some_and(|account| !account.disabled)
        }
        None => {
            let scheme = db::fold(&identity.provider);
            let provider = identity_providers::Entity::find()
                .filter(identity_providers::Column::AuthenticationSchemeFold.eq(scheme))
                .one(tx)
                .await?;
            provider.is_some_and(|provider| provider.authentication_enabled)
        }
    };
    if !known {
        let message = format!("User {} cannot sign in any more.", identity.name);
        return Err(Error::new(Kind::Unauthenticated, message));
    }
    Ok(Some(cx.granted_anew(Identity {
        grants: Arc::new(population::of_claims(tx, &identity.claim_ids).await?),
        generation,
        ..Identity::clone(identity)
    })))
}

impl Begun {
    /// Refuses a change after which nobody is left who may do everything and can sign in without any other system.
    ///
    /// # Errors
    /// 400.
    pub(crate) async fn administrators_remain(&self, tx: &db::Tx) -> Result<(), Error> {
        if self.administrators != 0 && administrators(tx).await? == 0 {
            return Err(Error::bad_request(
                "This would leave no administrator: an enabled local account has to hold an enabled role of the permission set Global that grants /.",
            ));
        }
        Ok(())
    }
}

/// Enabled local accounts that hold an enabled role with everything, in the set Global: from another set nobody changes security.
/// Claims of other providers do not count: whether anybody
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
        .and_where(roles::Column::PermissionSetId.eq(GLOBAL))
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
