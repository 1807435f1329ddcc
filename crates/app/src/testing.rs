//! What tests do that no interface offers: certificates of any kind in the inventory, and inventories of stores. Behind the feature `testing`.

use sea_orm::EntityTrait;

use crate::certificate_stores;
use crate::certificates::{self, Origin};
use crate::cx::Cx;
use crate::error::Error;

/// A certificate to record, and what the server shall know about it.
#[derive(Debug, Default)]
pub struct Certificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its private key, PKCS#8.
    pub private_key: Option<Vec<u8>>,
    /// The authority that issued it, by id.
    pub authority_id: Option<i64>,
    /// The template it was issued from, by id.
    pub template_id: Option<i64>,
    /// The request it answers, by id.
    pub request_id: Option<i64>,
    /// Who asked for it.
    pub requester: Option<String>,
    /// The role that owns it, by id.
    pub owner_role_id: Option<i64>,
    /// Name and value of each metadata field.
    pub metadata: Vec<(String, String)>,
}

/// Records a certificate and answers its id.
///
/// # Errors
/// Those of reading it, and of the database.
pub async fn record(cx: &Cx, given: Certificate) -> Result<i64, Error> {
    let reading = pki::Certificate::read(&given.der).map_err(Error::internal)?;
    let certificate = reading.certificate;
    let key = given
        .private_key
        .as_deref()
        .map(pki::PrivateKey::from_pkcs8_der);
    let key = key.transpose().map_err(Error::internal)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("testing.record", move |tx| {
        Box::pin(async move {
            let origin = Origin {
                authority_id: given.authority_id,
                template_id: given.template_id,
                request_id: given.request_id,
                requester: given.requester.as_deref(),
                owner_role_id: given.owner_role_id,
                metadata: &given.metadata,
                private_key: key.as_ref(),
                history: Some(("Imported", "Recorded by a test".into())),
            };
            certificates::record(tx, &cx, &certificate, &origin).await
        })
    })
    .await
}

/// Records a certificate as an inventory does that has found it. Answers its id.
///
/// # Errors
/// Those of reading it, and of the database.
pub async fn found(cx: &Cx, der: &[u8]) -> Result<i64, Error> {
    let seen = certificates::Seen::new(der.to_vec());
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("testing.found", move |tx| {
        Box::pin(async move {
            let ids = certificates::record_seen(tx, &cx, &[&seen]).await?;
            ids[0].ok_or_else(|| Error::internal("it cannot be read"))
        })
    })
    .await
}

/// Puts the certificates that are there into the index of names, as the background work does, in lots of a few.
///
/// # Errors
/// Those of the database.
pub async fn index_names(app: &std::sync::Arc<crate::app::App>) -> Result<(), Error> {
    let (_running, shutdown) = tokio::sync::watch::channel(false);
    let sizes = certificates::IndexSizes {
        least: 1,
        at_once: 3,
        full: 12,
        small_lots: 3,
    };
    certificates::fill_index(app, sizes, &shutdown).await
}

/// Signs the revocation lists that are due, as the background work does.
///
/// # Errors
/// Those of the database.
pub async fn renew_revocation_lists(app: &std::sync::Arc<crate::app::App>) -> Result<(), Error> {
    crate::authorities::renew(app).await
}

/// Records what an agent found in a store: for each entry its alias and its certificates, leaf first.
///
/// # Errors
/// Those of reading the certificates, and of the database.
pub async fn inventory(
    cx: &Cx,
    store: uuid::Uuid,
    entries: Vec<(String, Vec<Vec<u8>>)>,
) -> Result<(), Error> {
    let digest = certificate_stores::report_digest(format!("{entries:?}").as_bytes());
    let mut items = Vec::with_capacity(entries.len());
    for (alias, chain) in entries {
        items.push(certificate_stores::InventoryUpdate {
            alias,
            status: 0,
            certificates: chain.into_iter().map(certificates::Seen::new).collect(),
            private_key: false,
            parameters: serde_json::Map::new(),
        });
    }
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("testing.inventory", move |tx| {
        Box::pin(async move {
            let row = db::tables::certificate_stores::Entity::find_by_id(store);
            let row = row.one(tx).await?;
            let row = row.ok_or_else(|| Error::not_found("certificate store", store))?;
            let items = Some(items);
            let report = certificate_stores::StoreReport { digest, items };
            certificate_stores::record_inventory(tx, &cx, &row, report).await
        })
    })
    .await?;
    Ok(())
}
