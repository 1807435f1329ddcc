//! Stores that a new certificate goes to as soon as it is issued.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;

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

/// Refuses stores as long as nothing puts certificates into them from here.
///
/// # Errors
/// 400 naming the member.
pub(super) fn check(stores: &[StoreWish], into_existing: bool) -> Result<(), Error> {
    if !stores.is_empty() {
        return Err(Error::bad_request(
            "Stores: enroll first, then use CertificateStores/Certificates/Add.",
        ));
    }
    if into_existing {
        let message = "InstallIntoExistingCertificateStores: enroll first, then use CertificateStores/Certificates/Add.";
        return Err(Error::bad_request(message));
    }
    Ok(())
}

/// Creates the jobs, in the transaction that records the certificate.
///
/// # Errors
/// Those of the database.
pub(super) async fn schedule(
    _tx: &db::Tx,
    _cx: &Cx,
    _certificate_id: i64,
    _stores: &[StoreWish],
) -> Result<(), Error> {
    Ok(())
}
