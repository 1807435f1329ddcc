//! Certificates that go into stores as soon as they are issued.

use std::collections::HashMap;

use db::tables::{
    certificate_stores, certificates, store_entries, store_entry_certificates, store_types,
};
use jobs::Schedule;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::add::{Leaf, Target, known_of, make, plan_all};
use super::targets;
use crate::certificate_store_types::Allowed;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};

/// Where an enrolled certificate is to go. Its key goes along where the store's type takes one.
#[derive(Clone, Debug)]
pub(crate) struct EnrollmentTarget {
    /// Which store.
    pub(crate) store_id: Uuid,
    /// The name of the entry.
    pub(crate) alias: Option<String>,
    /// Whether an entry of the same alias is replaced.
    pub(crate) overwrite: bool,
    /// Entry parameters, by name.
    pub(crate) fields: Map<String, Value>,
    /// Epoch milliseconds; none for at once.
    pub(crate) at: Option<i64>,
}

impl From<&EnrollmentTarget> for Target {
    fn from(target: &EnrollmentTarget) -> Self {
        Self {
            store_id: Some(target.store_id.to_string()),
            alias: target.alias.clone().unwrap_or_default().trim().to_owned(),
            fields: target.fields.clone(),
            overwrite: target.overwrite,
            entry_password: None,
            pfx_password: None,
            include_private_key: None,
        }
    }
}

/// The types of stores that a certificate is to go to, once the caller may schedule jobs for each. Unknown stores have none.
///
/// # Errors
/// 403 without the permission to schedule each of them, naming the stores; 400 for too many. `place` names the member.
pub(crate) async fn types_for(
    cx: &Cx,
    place: &str,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, i64>, Error> {
    cx.authorize_somewhere(Permission::StoresSchedule)?;
    targets::count(place, ids.len())?;
    let known = targets::Known::load(cx.db().read(), ids.iter().copied()).await?;
    known.authorize(cx, Permission::StoresSchedule, Through::System)?;
    let type_of = |id: &Uuid| Some((*id, known.store(*id).ok()?.0.store_type_id));
    Ok(ids.iter().filter_map(type_of).collect())
}

/// Refuses targets that could not be given a certificate, before it is issued. `has_private_key` says whether its key will be
/// stored.
///
/// # Errors
/// 403 without the permission to schedule each of them, naming the stores; 400 naming each bad target and why.
pub(crate) async fn check_for_enrollment(
    cx: &Cx,
    targets: &[EnrollmentTarget],
    has_private_key: bool,
) -> Result<(), Error> {
    if targets.is_empty() {
        return Ok(());
    }
    cx.authorize_somewhere(Permission::StoresSchedule)?;
    targets::count("Stores", targets.len())?;
    let leaf = Leaf {
        id: None,
        thumbprint: "",
        has_private_key,
    };
    let wanted: Vec<Target> = targets.iter().map(Target::from).collect();
    let known = known_of(cx.db().read(), &wanted).await?;
    known.authorize(cx, Permission::StoresSchedule, Through::System)?;
    let (_, failed) = plan_all(&known, leaf, wanted, |_| Schedule::Immediate);
    if failed.is_empty() {
        return Ok(());
    }
    let message = "The certificate could not go into all of the stores; nothing was enrolled.";
    Err(Error::bad_parts(message, failed))
}

/// Those of these stores that the caller may not schedule. One that is not there is nobody's.
///
/// # Errors
/// Those of the database.
pub(crate) async fn unschedulable(cx: &Cx, ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    let mut refused = Vec::new();
    for part in ids.chunks(targets::VALUES_MAX) {
        let rows = certificate_stores::Entity::find()
            .filter(certificate_stores::Column::Id.is_in(part.iter().copied()))
            .all(cx.db().read())
            .await?;
        let unreached = rows.iter().filter(|row| {
            let needed = Permission::StoresSchedule;
            cx.authorize_store(needed, row.container_id).is_err()
        });
        refused.extend(unreached.map(|row| row.id));
    }
    Ok(refused)
}

/// Makes the jobs that put a certificate into stores, in the transaction that records it. The targets were checked when the
/// certificate was asked for, which may be long ago: those that cannot have it any more are answered as reasons.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add_for_enrollment(
    tx: &db::Tx,
    cx: &Cx,
    certificate_id: i64,
    targets: &[EnrollmentTarget],
) -> Result<Vec<String>, Error> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let certificate = certificates::Entity::find_by_id(certificate_id)
        .one(tx)
        .await?;
    let certificate = certificate.ok_or_else(|| Error::not_found("certificate", certificate_id))?;
    let schedule = |index: usize| {
        let at = targets.get(index).and_then(|target| target.at);
        at.map_or(Schedule::Immediate, |at| Schedule::ExactlyOnce { at })
    };
    let wanted: Vec<Target> = targets.iter().map(Target::from).collect();
    let known = known_of(tx, &wanted).await?;
    let (planned, failed) = plan_all(&known, Leaf::from(&certificate), wanted, schedule);
    make(tx, cx, planned).await?;
    Ok(failed)
}

/// The stores in which a certificate is the leaf of an entry, so that its successor can take its place there.
///
/// # Errors
/// Those of the database.
pub(crate) async fn places_of(
    connection: &impl ConnectionTrait,
    certificate_id: i64,
) -> Result<Vec<EnrollmentTarget>, Error> {
    let leaves = store_entry_certificates::Entity::find()
        .filter(store_entry_certificates::Column::CertificateId.eq(certificate_id))
        .filter(store_entry_certificates::Column::ChainLevel.eq(0))
        .order_by_asc(store_entry_certificates::Column::EntryId)
        .all(connection)
        .await?;
    let mut found = Vec::with_capacity(leaves.len());
    let mut aliases: HashMap<i64, bool> = HashMap::new();
    for leaf in leaves {
        let entry = store_entries::Entity::find_by_id(leaf.entry_id)
            .one(connection)
            .await?;
        let store = certificate_stores::Entity::find_by_id(leaf.store_id)
            .one(connection)
            .await?;
        let (Some(entry), Some(store)) = (entry, store) else {
            continue;
        };
        let named = match aliases.get(&store.store_type_id) {
            Some(named) => *named,
            None => {
                let kind = store_types::Entity::find_by_id(store.store_type_id)
                    .one(connection)
                    .await?;
                let named = kind.is_some_and(|kind| {
                    Allowed::of(kind.custom_alias_allowed) != Allowed::Forbidden
                });
                aliases.insert(store.store_type_id, named);
                named
            }
        };
        found.push(EnrollmentTarget {
            store_id: store.id,
            // Where stores name entries themselves, the name is that of the old certificate.
            alias: named.then_some(entry.alias),
            overwrite: true,
            fields: serde_json::from_str(&entry.parameters).unwrap_or_default(),
            at: None,
        });
    }
    Ok(found)
}
