//! The authorities in memory: unsealing and parsing a key for every certificate would cost more than signing. Authorities are made
//! once, at the first start, and never change, so what is in memory stays true.

use std::sync::{Arc, PoisonError, RwLock};

use ca::BuiltIn;
use db::tables::authorities;
use sea_orm::{EntityTrait, QueryOrder};

use super::revocation_lists;
use crate::app::App;
use crate::error::Error;

/// An authority whose key was unsealed.
#[derive(Debug)]
pub(crate) struct KnownAuthority {
    pub(crate) id: i64,
    pub(crate) host_name: String,
    pub(crate) logical_name: String,
    pub(crate) name_fold: String,
    pub(crate) purpose: String,
    pub(crate) enabled: bool,
    pub(crate) issuer: Arc<pki::Issuer>,
    pub(crate) connector: BuiltIn,
}

impl KnownAuthority {
    /// `host\logical`, as clients name it.
    pub(crate) fn full_name(&self) -> String {
        format!("{}\\{}", self.host_name, self.logical_name)
    }
}

/// The authorities that were read; empty until the application has opened.
#[derive(Debug, Default)]
pub(crate) struct IssuerCache(RwLock<Arc<Vec<Arc<KnownAuthority>>>>);

impl IssuerCache {
    pub(super) fn known(&self) -> Arc<Vec<Arc<KnownAuthority>>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The authority here that issued a certificate, by name and signature.
pub(crate) fn issuer_of(app: &App, certificate: &pki::Certificate) -> Option<i64> {
    let known = app.issuers.known();
    let ours = known.iter().find(|authority| {
        let issuer = authority.issuer.certificate();
        issuer.subject_der() == certificate.issuer_der()
            && certificate.verify_signed_by(issuer).is_ok()
    });
    ours.map(|authority| authority.id)
}

/// Every authority. Read from the database the first time.
///
/// # Errors
/// Those of the database, and a key that cannot be unsealed.
pub(crate) async fn all(app: &App) -> Result<Arc<Vec<Arc<KnownAuthority>>>, Error> {
    let known = app.issuers.known();
    if known.is_empty() {
        fill(app).await
    } else {
        Ok(known)
    }
}

/// Reads the authorities into memory.
///
/// # Errors
/// Those of the database, and a key that cannot be unsealed.
pub(crate) async fn fill(app: &App) -> Result<Arc<Vec<Arc<KnownAuthority>>>, Error> {
    let rows = authorities::Entity::find()
        .order_by_asc(authorities::Column::Id)
        .all(app.db.read())
        .await?;
    let pool: Vec<pki::Certificate> = rows
        .iter()
        .map(|row| pki::Certificate::from_der(&row.certificate))
        .collect::<Result<_, _>>()
        .map_err(Error::internal)?;
    let keyring = app.keyring();
    let mut known = Vec::with_capacity(rows.len());
    for (row, certificate) in rows.into_iter().zip(&pool) {
        let Some(sealed) = row.sealed_key else {
            continue;
        };
        let key = keyring.open(&aad(row.id), &secrets::Sealed::from_bytes(sealed)?)?;
        let key = pki::PrivateKey::from_pkcs8_der(key.expose()).map_err(Error::internal)?;
        let issuer = pki::Issuer::new(certificate.clone(), key).map_err(Error::internal)?;
        known.push(Arc::new(KnownAuthority {
            id: row.id,
            host_name: row.host_name,
            logical_name: row.logical_name,
            name_fold: row.name_fold,
            purpose: row.purpose,
            enabled: row.enabled,
            connector: BuiltIn::new(issuer.clone(), &pool)
                .with_revocation_list(revocation_lists::address(app, &issuer)),
            issuer: Arc::new(issuer),
        }));
    }
    let known = Arc::new(known);
    *app.issuers
        .0
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&known);
    Ok(known)
}

/// What binds an authority's sealed key to its place.
pub(super) fn aad(id: i64) -> String {
    crate::sealing::AUTHORITY_KEY.purpose(id)
}
