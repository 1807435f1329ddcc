//! `POST /Chancery/Security/Explain`.

use std::sync::Arc;

use db::tables::{accounts, claims, roles};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::attach::explanation;
use super::evaluate::{self, Object};
use super::operation::{Needed, needed};
use super::recorder::Recorder;
use super::wire::{ExplainRequest, ExplainedIdentity, Explanation};
use crate::cx::{Caller, Cx, Identity};
use crate::error::Error;
use crate::security::claims::LOCAL_PROVIDER;
use crate::security::population;
use crate::security::{Grants, Permission, role_by_id, role_by_name};

/// # Errors
/// 403 without the permission; 400 for an identity, operation or object that there is not.
pub(super) async fn explain(cx: &Cx, request: ExplainRequest) -> Result<Explanation, Error> {
    cx.authorize(Permission::SecurityRead)?;
    let needed = needed(cx.app(), &request.operation)?;
    let (identity, grants) = subject(cx, &request).await?;
    let object = Object::load(cx, &needed, request.object.unwrap_or_default()).await?;
    let recorder = Arc::new(Recorder::default());
    let asking = as_subject(cx, &identity.name, grants);
    let asking = asking.explained(Some(Arc::clone(&recorder)));
    let refusal = evaluate::refusal(&asking, &needed, &object, None).await?;
    let held = match asking.caller() {
        Caller::Identity(identity) => identity.grants.roles(),
        Caller::System(_) => &[],
    };
    let refusal = refusal.map(|error| error.to_string());
    let name = needed.name.clone();
    let explained = explanation(cx.app(), identity, name, held, &recorder, refusal).await?;
    Ok(Explanation {
        needs: needs(&needed),
        ..explained
    })
}

/// The context of somebody who has these grants. Nothing is changed in it.
pub(crate) fn as_subject(cx: &Cx, name: &str, grants: Grants) -> Cx {
    let identity = Identity {
        name: name.to_owned(),
        provider: LOCAL_PROVIDER.to_owned(),
        grants: Arc::new(grants),
        ..Identity::default()
    };
    Cx::new(
        Arc::clone(cx.app()),
        Caller::Identity(Arc::new(identity)),
        cx.correlation_id(),
        None,
    )
}

pub(super) fn needs(needed: &Needed) -> Vec<Vec<String>> {
    let paths = |way: &Vec<Permission>| {
        let paths = way
            .iter()
            .map(|permission| permission.entry().path.to_owned());
        paths.collect()
    };
    needed.ways.iter().map(paths).collect()
}

/// The account, role or claim that is named, and what it is granted.
async fn subject(cx: &Cx, request: &ExplainRequest) -> Result<(ExplainedIdentity, Grants), Error> {
    let connection = cx.db().read();
    let text = |text: &Option<String>| {
        let text = text.as_deref().map(str::trim).unwrap_or_default();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let (account, role) = (text(&request.account), text(&request.role));
    let none = |member: &str, which: &dyn std::fmt::Display| {
        Error::bad_request(format!("{member}: there is none called {which}."))
    };
    match (
        account,
        request.account_id,
        role,
        request.role_id,
        request.claim_id,
    ) {
        (Some(name), None, None, None, None) => {
            let found = accounts::Entity::find()
                .filter(accounts::Column::NameFold.eq(db::fold(&name)))
                .one(connection)
                .await?;
            of_account(cx, found.ok_or_else(|| none("Account", &name))?).await
        }
        (None, Some(id), None, None, None) => {
            let found = accounts::Entity::find_by_id(id).one(connection).await?;
            of_account(cx, found.ok_or_else(|| none("AccountId", &id))?).await
        }
        (None, None, Some(name), None, None) => {
            let found = role_by_name(connection, &name).await?;
            of_role(cx, found.ok_or_else(|| none("Role", &name))?).await
        }
        (None, None, None, Some(id), None) => {
            let found = role_by_id(connection, id).await?;
            of_role(cx, found.ok_or_else(|| none("RoleId", &id))?).await
        }
        (None, None, None, None, Some(id)) => {
            let found = claims::Entity::find_by_id(id).one(connection).await?;
            let row = found.ok_or_else(|| none("ClaimId", &id))?;
            let identity = ExplainedIdentity {
                kind: "Claim".into(),
                id: Some(row.id),
                name: row.value,
                enabled: true,
            };
            Ok((
                identity,
                population::of_claims(connection, &[row.id]).await?,
            ))
        }
        _ => Err(Error::bad_request(
            "Account, AccountId, Role, RoleId, ClaimId: one of them has to be given, and no other.",
        )),
    }
}

async fn of_account(cx: &Cx, row: accounts::Model) -> Result<(ExplainedIdentity, Grants), Error> {
    let grants = population::of_claims(cx.db().read(), &[row.claim_id]).await?;
    let identity = ExplainedIdentity {
        kind: "Account".into(),
        id: Some(row.id),
        name: row.name,
        enabled: !row.disabled,
    };
    Ok((identity, grants))
}

async fn of_role(cx: &Cx, row: roles::Model) -> Result<(ExplainedIdentity, Grants), Error> {
    let identity = ExplainedIdentity {
        kind: "Role".into(),
        id: Some(row.id),
        name: row.name.clone(),
        enabled: row.enabled,
    };
    let held = [(row.id, Vec::new())].into();
    let grants = Grants::new(population::held(cx.db().read(), held).await?);
    Ok((identity, grants))
}
