//! Who shall hold a role: names, claims and ids become claims.

use db::tables::{accounts, claims, role_claims};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::draft::Holders;
use super::wire::IdentityInput;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::claims::{LOCAL_PROVIDER, find_or_create};
use crate::security::permission_strings::refuse;

/// The ids of the claims that shall hold a role which those of `before` hold now, each once, in order. Claims that do not exist
/// are created when they are given by what they are about.
///
/// # Errors
/// 400 naming each that is unknown.
pub(super) async fn resolve(
    tx: &db::Tx,
    cx: &Cx,
    wanted: Holders,
    before: &[i64],
) -> Result<Vec<i64>, Error> {
    let mut ids = match wanted {
        Holders::Stay => before.to_vec(),
        Holders::Names(names) => named(tx, names, before).await?,
        Holders::Ids(ids) => existing(tx, ids).await?,
        Holders::Claims(wanted) => {
            let mut ids = Vec::new();
            for claim in wanted {
                ids.push(find_or_create(tx, cx, claim).await?.id);
            }
            ids
        }
    };
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

async fn existing(tx: &db::Tx, ids: Vec<i64>) -> Result<Vec<i64>, Error> {
    let found = claims::Entity::find()
        .filter(claims::Column::Id.is_in(ids.iter().copied()))
        .all(tx)
        .await?;
    let unknown = ids
        .iter()
        .filter(|id| !found.iter().any(|claim| claim.id == **id))
        .map(|id| format!("Ids: there is no identity {id}."));
    refuse("Ids", "some identities do not exist", unknown.collect())?;
    Ok(ids)
}

async fn named(
    tx: &db::Tx,
    identities: Vec<IdentityInput>,
    before: &[i64],
) -> Result<Vec<i64>, Error> {
    let (mut ids, mut unknown) = (Vec::new(), Vec::new());
    for identity in identities {
        let name = identity.account_name.unwrap_or_default();
        if db::fold(&name).is_empty() {
            let sid = identity.sid.unwrap_or_default();
            unknown.push(format!(
                "Identities: AccountName is needed{}.",
                if sid.is_empty() {
                    ""
                } else {
                    "; SID names nobody here"
                }
            ));
            continue;
        }
        // Of two who hold it under one name, each is meant once.
        let rest = before.iter().filter(|id| !ids.contains(*id));
        let rest: Vec<i64> = rest.copied().collect();
        match by_name(tx, &name, &rest).await? {
            Named::One(id) => ids.push(id),
            Named::Nobody => unknown.push(format!(
                "Identities: there is no account and no claim {name:?}."
            )),
            Named::Several => unknown.push(format!(
                "Identities: {name:?} is the value of several claims; version 2 tells them apart."
            )),
        }
    }
    refuse("Identities", "some are unknown", unknown)?;
    Ok(ids)
}

/// Whom a name means.
pub(in crate::security) enum Named {
    One(i64),
    Nobody,
    Several,
}

/// The claim of a name in any of the forms that sign-in takes: the whole name comes first, as one that holds the role already,
/// as an account, or as the only claim of that value; then the local account without its domain.
///
/// # Errors
/// Those of the database.
pub(in crate::security) async fn by_name(
    connection: &impl ConnectionTrait,
    name: &str,
    before: &[i64],
) -> Result<Named, Error> {
    let whole = db::fold(name);
    let found = claims::Entity::find()
        .filter(claims::Column::ValueFold.eq(&whole))
        .all(connection)
        .await?;
    let local = db::fold(LOCAL_PROVIDER);
    let account = found.iter().find(|claim| claim.provider_fold == local);
    let holds = |claim: &&claims::Model| before.contains(&claim.id);
    let holder = account.filter(holds).or(found.iter().find(holds));
    match (holder.or(account), found.as_slice()) {
        (Some(claim), _) => return Ok(Named::One(claim.id)),
        (None, [only]) => return Ok(Named::One(only.id)),
        (None, [_, _, ..]) => return Ok(Named::Several),
        (None, []) => {}
    }
    let short = whole
        .rsplit('\\')
        .next()
        .and_then(|name| name.split('@').next())
        .unwrap_or_default();
    let account = accounts::Entity::find()
        .filter(accounts::Column::NameFold.eq(short))
        .one(connection)
        .await?;
    Ok(account.map_or(Named::Nobody, |account| Named::One(account.claim_id)))
}

/// Gives a role to exactly these claims.
///
/// # Errors
/// Those of the database.
pub(super) async fn replace(tx: &db::Tx, role_id: i64, claim_ids: &[i64]) -> Result<(), Error> {
    role_claims::Entity::delete_many()
        .filter(role_claims::Column::RoleId.eq(role_id))
        .exec(tx)
        .await?;
    for claim_id in claim_ids {
        let row = role_claims::ActiveModel {
            role_id: ActiveValue::Set(role_id),
            claim_id: ActiveValue::Set(*claim_id),
        };
        role_claims::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}
