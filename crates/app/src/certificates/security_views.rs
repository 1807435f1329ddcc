//! Who may do what with a certificate: by role, and by identity with what grants it. Each role is asked by itself, system-wide
//! first, then through every collection and container that the certificate is in now.

use std::collections::BTreeSet;

use db::tables::{certificates, identity_providers, store_containers};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::certificate_stores::containers_of;
use crate::collections;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::claims::ClaimType;
use crate::security::population::{Holder, Population};
use crate::security::{Grants, HeldRole, Per, Permission, Target, Through};

/// What can be done with a certificate, as the views name it.
const RIGHTS: &[(Permission, &str)] = &[
    (Permission::CertificatesRead, "Read"),
    (Permission::CertificatesMetadataModify, "EditMetadata"),
    (Permission::CertificatesRecover, "Recover"),
    (Permission::CertificatesRevoke, "Revoke"),
    (Permission::CertificatesDelete, "Delete"),
    (Permission::CertificatesChangeOwner, "ChangeOwner"),
    (Permission::CertificatesPrivateKeyImport, "ImportPrivateKey"),
];

/// The roles that may do something with a certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CertificateSecurity {
    /// By name.
    roles: Vec<CertificateSecurityRole>,
}

/// What a role may do with a certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CertificateSecurityRole {
    name: String,
    /// `Read`, `EditMetadata`, `Recover`, `Revoke`, `Delete`, `ChangeOwner`, `ImportPrivateKey`.
    permissions: Vec<&'static str>,
}

/// What an identity may do with a certificate, version 1.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CertificateIdentityAudit {
    id: i64,
    account_name: String,
    /// The type of the claim: `User` for local accounts.
    identity_type: &'static str,
    /// There are none here.
    #[serde(rename = "SID")]
    sid: Option<String>,
    permissions: Vec<AuditedPermission>,
}

/// What an identity may do with a certificate, version 2.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CertificateClaimAudit {
    identity: AuditedClaim,
    permissions: Vec<AuditedPermission>,
}

/// The claim that an identity is known by.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditedClaim {
    id: i64,
    description: String,
    claim_type: &'static str,
    claim_value: String,
    provider: AuditedProvider,
}

/// Who vouches for the claim.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditedProvider {
    /// Zeros for local accounts.
    id: Uuid,
    /// The authentication scheme.
    name: String,
}

/// Something that may be done, and why.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditedPermission {
    name: &'static str,
    /// Roles; with the collection or container where it is not system-wide: `Web team (collection 3 (Web servers))`.
    granted_by: Vec<String>,
}

/// # Errors
/// 403 without the permissions; 404 for an unknown certificate.
pub(super) async fn roles(
    cx: &Cx,
    id: i64,
    through: Through,
) -> Result<CertificateSecurity, Error> {
    let (population, places) = looked_at(cx, id, through).await?;
    let mut roles: Vec<CertificateSecurityRole> = Vec::new();
    for role in &population.roles {
        let held = rights_of(role, &places);
        if !held.is_empty() {
            roles.push(CertificateSecurityRole {
                name: role.name.clone(),
                permissions: held.into_iter().map(|(name, _)| name).collect(),
            });
        }
    }
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(CertificateSecurity { roles })
}

/// # Errors
/// As [`roles`].
pub(super) async fn identities(
    cx: &Cx,
    id: i64,
    through: Through,
) -> Result<Vec<CertificateIdentityAudit>, Error> {
    let audited = audited(cx, id, through).await?;
    let shown = audited
        .into_iter()
        .map(|(holder, permissions)| CertificateIdentityAudit {
            id: holder.claim.id,
            account_name: holder.name().to_owned(),
            identity_type: type_name(&holder),
            sid: None,
            permissions,
        });
    Ok(shown.collect())
}

/// # Errors
/// As [`roles`].
pub(super) async fn claims(
    cx: &Cx,
    id: i64,
    through: Through,
) -> Result<Vec<CertificateClaimAudit>, Error> {
    let audited = audited(cx, id, through).await?;
    let providers = identity_providers::Entity::find()
        .all(cx.db().read())
        .await?;
    // Local accounts have no provider among these.
    let provider = |scheme_fold: &str| {
        let known = providers
            .iter()
            .find(|row| row.authentication_scheme_fold == scheme_fold);
        known.map_or(Uuid::nil(), |row| row.id)
    };
    let shown = audited
        .into_iter()
        .map(|(holder, permissions)| CertificateClaimAudit {
            identity: AuditedClaim {
                id: holder.claim.id,
                claim_type: type_name(&holder),
                description: holder.claim.description,
                claim_value: holder.claim.value,
                provider: AuditedProvider {
                    id: provider(&holder.claim.provider_fold),
                    name: holder.claim.provider,
                },
            },
            permissions,
        });
    Ok(shown.collect())
}

fn type_name(holder: &Holder) -> &'static str {
    ClaimType::of_number(i64::from(holder.claim.claim_type)).map_or("Unknown", ClaimType::name)
}

/// Whoever may do something, with what, in the order of the claims. Roles of a disabled account count: it holds them.
async fn audited(
    cx: &Cx,
    id: i64,
    through: Through,
) -> Result<Vec<(Holder, Vec<AuditedPermission>)>, Error> {
    let (mut population, places) = looked_at(cx, id, through).await?;
    let holders = std::mem::take(&mut population.holders);
    let mut audited = Vec::new();
    for holder in holders {
        let mut permissions: Vec<AuditedPermission> = Vec::new();
        for role in population.held(&holder) {
            for (name, places) in rights_of(role, &places) {
                let granted_by = places.into_iter().map(|place| match place {
                    None => role.name.clone(),
                    Some(place) => format!("{} ({place})", role.name),
                });
                match permissions.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.granted_by.extend(granted_by),
                    None => permissions.push(AuditedPermission {
                        name,
                        granted_by: granted_by.collect(),
                    }),
                }
            }
        }
        let position = |permission: &AuditedPermission| {
            RIGHTS.iter().position(|(_, name)| *name == permission.name)
        };
        permissions.sort_by_key(position);
        if !permissions.is_empty() {
            audited.push((holder, permissions));
        }
    }
    Ok(audited)
}

/// Where the certificate is, as far as somebody was granted something there.
struct Places {
    /// Id and name.
    collections: Vec<(i64, String)>,
    /// Id and name.
    containers: Vec<(i64, String)>,
    in_a_store: bool,
}

/// Authorizes, and reads what both views need: a handful of queries, however many are granted something.
async fn looked_at(cx: &Cx, id: i64, through: Through) -> Result<(Population, Places), Error> {
    cx.authorize(Permission::SecurityRead)?;
    cx.authorize_certificate(Permission::CertificatesRead, id, through)
        .await?;
    let connection = cx.db().read();
    if certificates::Entity::find_by_id(id)
        .one(connection)
        .await?
        .is_none()
    {
        return Err(Error::not_found("certificate", id));
    }
    let population = Population::read(connection).await?;
    let granted = |per: Per| -> BTreeSet<i64> {
        let grants = population.roles.iter().flat_map(|role| &role.grants);
        let grants = grants.filter(|grant| grant.per() == per);
        grants.filter_map(|grant| grant.object_id).collect()
    };
    let named = |(id, name): (i64, String)| {
        let shown = format!("{id} ({name})");
        (id, shown)
    };
    let wanted: Vec<i64> = granted(Per::Collection).into_iter().collect();
    let collections = collections::containing(connection, cx, id, &wanted).await?;
    let containers = containers_of(connection, id).await?;
    let inside: Vec<i64> = containers.iter().copied().flatten().collect();
    let mut rows: Vec<(i64, String)> = store_containers::Entity::find()
        .select_only()
        .columns([store_containers::Column::Id, store_containers::Column::Name])
        .filter(store_containers::Column::Id.is_in(inside))
        .order_by_asc(store_containers::Column::Id)
        .into_tuple()
        .all(connection)
        .await?;
    let wanted = granted(Per::Container);
    rows.retain(|(id, _)| wanted.contains(id));
    let places = Places {
        collections: collections.into_iter().map(named).collect(),
        containers: rows.into_iter().map(named).collect(),
        in_a_store: !containers.is_empty(),
    };
    Ok((population, places))
}

/// What a role by itself may do, and where: `None` is system-wide, and then nothing else is named.
fn rights_of(role: &HeldRole, places: &Places) -> Vec<(&'static str, Vec<Option<String>>)> {
    let grants = Grants::new(vec![role.clone()]);
    let mut held = Vec::new();
    for (permission, name) in RIGHTS {
        let grounds = grounds(&grants, *permission, places);
        if !grounds.is_empty() {
            held.push((*name, grounds));
        }
    }
    held
}

fn grounds(grants: &Grants, permission: Permission, places: &Places) -> Vec<Option<String>> {
    if grants.allow(permission, Target::System) {
        return vec![None];
    }
    let mut grounds = Vec::new();
    for (id, name) in &places.collections {
        if grants.allow(permission, Target::Collection(*id)) {
            grounds.push(Some(format!("collection {name}")));
        }
    }
    let Some(on_stores) = permission.through_stores().filter(|_| places.in_a_store) else {
        return grounds;
    };
    if grants.allow(on_stores, Target::System) {
        grounds.push(Some("all certificate stores".into()));
        return grounds;
    }
    for (id, name) in &places.containers {
        if grants.allow(on_stores, Target::Container(*id)) {
            grounds.push(Some(format!("container {name}")));
        }
    }
    grounds
}
