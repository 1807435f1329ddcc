//! Stores that a new certificate goes to as soon as it is issued.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::certificate_stores::{
    EnrollmentTarget, add_for_enrollment, check_for_enrollment, places_of, unschedulable,
};
use crate::certificates;
use crate::cx::Cx;
use crate::error::{Error, Kind};

/// One store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoreWish {
    pub(crate) store_id: Uuid,
    pub(crate) alias: Option<String>,
    pub(crate) overwrite: bool,
    pub(crate) properties: serde_json::Map<String, serde_json::Value>,
    /// Epoch milliseconds; none for at once.
    pub(crate) at: Option<i64>,
}

impl From<&StoreWish> for EnrollmentTarget {
    fn from(wish: &StoreWish) -> Self {
        Self {
            store_id: wish.store_id,
            alias: wish.alias.clone(),
            overwrite: wish.overwrite,
            fields: wish.properties.clone(),
            at: wish.at,
        }
    }
}

/// The stores that an order names and, where it says so, those that hold the certificate it renews. Checked before anything
/// is issued; `has_private_key` says whether the new key will be stored.
///
/// # Errors
/// 403 without the permission to schedule; 400 naming each store that the certificate cannot go into, and why.
pub(super) async fn wishes(
    cx: &Cx,
    mut stores: Vec<StoreWish>,
    into_existing: bool,
    renewal_of: Option<i64>,
    at: Option<i64>,
) -> Result<Vec<StoreWish>, Error> {
    if into_existing {
        let old = renewal_of.ok_or_else(|| {
            Error::bad_request(
                "InstallIntoExistingCertificateStores: RenewalCertificateId is required with it.",
            )
        })?;
        for place in places_of(cx.db().read(), old).await? {
            // What the order says of a store itself counts.
            if !stores.iter().any(|wish| wish.store_id == place.store_id) {
                stores.push(StoreWish {
                    store_id: place.store_id,
                    alias: place.alias,
                    overwrite: place.overwrite,
                    properties: place.fields,
                    at,
                });
            }
        }
    }
    let targets: Vec<EnrollmentTarget> = stores.iter().map(EnrollmentTarget::from).collect();
    // The key is kept for stores, whatever the template says of keeping keys.
    match check_for_enrollment(cx, &targets, true).await {
        // The request names none of those, so that the refusal does not either.
        Err(error) if into_existing && error.kind() == Kind::Forbidden => Err(Error::forbidden(
            "Stores, InstallIntoExistingCertificateStores: there are stores among them that you may not schedule.",
        )),
        checked => checked.map(|()| stores),
    }
}

/// The stores of these that the caller may not schedule.
///
/// # Errors
/// Those of the database.
pub(super) async fn refused(cx: &Cx, stores: &[StoreWish]) -> Result<Vec<Uuid>, Error> {
    let ids: Vec<Uuid> = stores.iter().map(|wish| wish.store_id).collect();
    unschedulable(cx, &ids).await
}

/// Creates the jobs, in the transaction that records the certificate. A store that cannot have it any more, since it was
/// checked when the certificate was asked for, does not undo the certificate: its history says why.
///
/// # Errors
/// Those of the database.
pub(super) async fn schedule(
    tx: &db::Tx,
    cx: &Cx,
    certificate_id: i64,
    stores: &[StoreWish],
) -> Result<(), Error> {
    let targets: Vec<EnrollmentTarget> = stores.iter().map(EnrollmentTarget::from).collect();
    for reason in add_for_enrollment(tx, cx, certificate_id, &targets).await? {
        certificates::add_history(tx, cx, certificate_id, "Deployment Failed", &reason).await?;
    }
    Ok(())
}
