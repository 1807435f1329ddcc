//! `POST /Chancery/Security/WhoCan`: the decision, for everybody there is.

use super::ask::{as_subject, needs};
use super::attach::claim;
use super::evaluate::{self, Found, Object};
use super::operation::{Needed, needed};
use super::wire::{AbleIdentity, AbleRole, WhoCanAnswer, WhoCanRequest};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::population::Population;
use crate::security::{Grants, Permission};

/// Identities that are named at most.
const NAMED_MAX: usize = 1000;

/// # Errors
/// 403 without the permission; 400 for an operation or object that there is not.
pub(super) async fn who_can(cx: &Cx, request: WhoCanRequest) -> Result<WhoCanAnswer, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let needed = needed(cx.app(), &request.operation)?;
    let object = Object::load(cx, &needed, request.object.unwrap_or_default()).await?;
    let population = Population::read(cx.db().read()).await?;
    let mut found = Found::default();
    let mut able_roles = Vec::new();
    for role in &population.roles {
        let grants = Grants::new(vec![role.clone()]);
        if able(cx, &needed, &object, &role.name, grants, &mut found).await? {
            able_roles.push(AbleRole {
                id: role.id,
                name: role.name.clone(),
            });
        }
    }
    let mut identities = Vec::new();
    let mut identities_count = 0;
    for holder in &population.holders {
        let grants = population.grants(holder);
        if !able(cx, &needed, &object, holder.name(), grants, &mut found).await? {
            continue;
        }
        identities_count += 1;
        if identities.len() < NAMED_MAX {
            identities.push(AbleIdentity {
                claim: claim(&holder.claim),
                account_id: holder.account.as_ref().map(|account| account.id),
                name: holder.name().to_owned(),
                enabled: holder
                    .account
                    .as_ref()
                    .is_none_or(|account| !account.disabled),
                roles: population.names(holder),
            });
        }
    }
    Ok(WhoCanAnswer {
        operation: needed.name.clone(),
        needs: needs(&needed),
        roles: able_roles,
        identities,
        identities_count,
    })
}

async fn able(
    cx: &Cx,
    needed: &Needed,
    object: &Object,
    name: &str,
    grants: Grants,
    found: &mut Found,
) -> Result<bool, Error> {
    let subject = as_subject(cx, name, grants);
    let refusal = evaluate::refusal(&subject, needed, object, Some(found)).await?;
    Ok(refusal.is_none())
}
