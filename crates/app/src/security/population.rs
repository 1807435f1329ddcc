//! Everybody at once: all roles with what they grant, and all claims that hold one. For questions about who may do something.

use std::collections::{BTreeMap, HashMap};

use db::tables::{accounts, claims, role_claims, role_permissions, roles};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::decide::{Grants, HeldRole};
use super::permissions::Grant;
use crate::error::Error;

/// All roles, and who holds them.
#[derive(Debug)]
pub(crate) struct Population {
    /// By id; each as if held by itself.
    pub(crate) roles: Vec<HeldRole>,
    /// By the id of the claim.
    pub(crate) holders: Vec<Holder>,
}

/// A claim that holds roles.
#[derive(Debug)]
pub(crate) struct Holder {
    /// The claim.
    pub(crate) claim: claims::Model,
    /// The local account that it stands for, if it does.
    pub(crate) account: Option<accounts::Model>,
    /// In ascending order.
    pub(crate) role_ids: Vec<i64>,
}

impl Holder {
    /// As history and audit show it.
    pub(crate) fn name(&self) -> &str {
        let account = self.account.as_ref();
        account.map_or(&self.claim.value, |account| &account.name)
    }
}

impl Population {
    /// Reads everybody: five queries, whatever there is.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn read(connection: &impl ConnectionTrait) -> Result<Self, Error> {
        let found = roles::Entity::find()
            .order_by_asc(roles::Column::Id)
            .all(connection)
            .await?;
        let permissions = role_permissions::Entity::find()
            .order_by_asc(role_permissions::Column::RoleId)
            .order_by_asc(role_permissions::Column::Permission)
            .order_by_asc(role_permissions::Column::ObjectId)
            .all(connection)
            .await?;
        let links = role_claims::Entity::find()
            .order_by_asc(role_claims::Column::ClaimId)
            .order_by_asc(role_claims::Column::RoleId)
            .all(connection)
            .await?;
        let mut known: HashMap<i64, claims::Model> = claims::Entity::find()
            .all(connection)
            .await?
            .into_iter()
            .map(|claim| (claim.id, claim))
            .collect();
        let mut accounts: HashMap<i64, accounts::Model> = accounts::Entity::find()
            .all(connection)
            .await?
            .into_iter()
            .map(|account| (account.claim_id, account))
            .collect();
        let mut role_ids: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for link in links {
            role_ids
                .entry(link.claim_id)
                .or_default()
                .push(link.role_id);
        }
        let holders = role_ids.into_iter().filter_map(|(claim_id, role_ids)| {
            Some(Holder {
                claim: known.remove(&claim_id)?,
                account: accounts.remove(&claim_id),
                role_ids,
            })
        });
        Ok(Self {
            holders: holders.collect(),
            roles: assembled(found, permissions, BTreeMap::new()),
        })
    }

    /// What this one is granted.
    pub(crate) fn grants(&self, holder: &Holder) -> Grants {
        Grants::new(self.held(holder).cloned().collect())
    }

    /// The names of the roles of this one.
    pub(crate) fn names(&self, holder: &Holder) -> Vec<String> {
        self.held(holder).map(|role| role.name.clone()).collect()
    }

    /// The roles of this one.
    pub(crate) fn held<'p>(&'p self, holder: &'p Holder) -> impl Iterator<Item = &'p HeldRole> {
        self.roles
            .iter()
            .filter(|role| holder.role_ids.binary_search(&role.id).is_ok())
    }
}

/// What these claims together are granted.
///
/// # Errors
/// Those of the database.
pub(crate) async fn of_claims(
    connection: &impl ConnectionTrait,
    claim_ids: &[i64],
) -> Result<Grants, Error> {
    let mut claims: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let links = role_claims::Entity::find()
        .filter(role_claims::Column::ClaimId.is_in(claim_ids.iter().copied()))
        .order_by_asc(role_claims::Column::ClaimId)
        .all(connection)
        .await?;
    for link in links {
        claims.entry(link.role_id).or_default().push(link.claim_id);
    }
    Ok(Grants::new(held(connection, claims).await?))
}

/// These roles, by id, each with the claims that hold it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn held(
    connection: &impl ConnectionTrait,
    claims: BTreeMap<i64, Vec<i64>>,
) -> Result<Vec<HeldRole>, Error> {
    if claims.is_empty() {
        return Ok(Vec::new());
    }
    let found = roles::Entity::find()
        .filter(roles::Column::Id.is_in(claims.keys().copied()))
        .order_by_asc(roles::Column::Id)
        .all(connection)
        .await?;
    let permissions = role_permissions::Entity::find()
        .filter(role_permissions::Column::RoleId.is_in(claims.keys().copied()))
        .order_by_asc(role_permissions::Column::Permission)
        .order_by_asc(role_permissions::Column::ObjectId)
        .all(connection)
        .await?;
    Ok(assembled(found, permissions, claims))
}

fn assembled(
    found: Vec<roles::Model>,
    permissions: Vec<role_permissions::Model>,
    mut claims: BTreeMap<i64, Vec<i64>>,
) -> Vec<HeldRole> {
    let mut granted: HashMap<i64, Vec<Grant>> = HashMap::new();
    for row in permissions {
        granted.entry(row.role_id).or_default().push(Grant {
            path: row.permission,
            object_id: (row.object_id != 0).then_some(row.object_id),
        });
    }
    let held = found.into_iter().map(|role| HeldRole {
        claim_ids: claims.remove(&role.id).unwrap_or_default(),
        grants: granted.remove(&role.id).unwrap_or_default(),
        id: role.id,
        name: role.name,
        enabled: role.enabled,
        permission_set_id: role.permission_set_id,
    });
    held.collect()
}
