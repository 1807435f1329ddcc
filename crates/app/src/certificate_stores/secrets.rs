//! The secrets of a store: its password and its secret properties, sealed.

use std::collections::BTreeMap;

use db::tables::certificate_stores;
use secrets::{Sealed, Secret};
use uuid::Uuid;
use zeroize::Zeroize;

use crate::cx::Cx;
use crate::error::Error;

/// The opened secrets of a store.
#[derive(Clone, Default)]
pub(crate) struct StoreSecrets {
    /// The store's password.
    pub(crate) password: Option<Secret>,
    /// The values of the type's secret properties, by name.
    pub(crate) properties: BTreeMap<String, String>,
}

impl std::fmt::Debug for StoreSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("StoreSecrets")
            .field("password", &self.password.is_some())
            .field("properties", &names)
            .finish()
    }
}

impl Drop for StoreSecrets {
    fn drop(&mut self) {
        self.properties.values_mut().for_each(Zeroize::zeroize);
    }
}

fn password_place(id: Uuid) -> String {
    crate::sealing::STORE_PASSWORD.purpose(id)
}

fn properties_place(id: Uuid) -> String {
    crate::sealing::STORE_SECRETS.purpose(id)
}

/// Opens the secrets of a store. Asynchronous, since a provider of secrets will be asked here.
///
/// # Errors
/// An internal one when they cannot be opened.
pub(crate) async fn secrets_of(
    cx: &Cx,
    store: &certificate_stores::Model,
) -> Result<StoreSecrets, Error> {
    open(cx, store)
}

/// Opens the secrets that are sealed in the row itself.
pub(super) fn open(cx: &Cx, store: &certificate_stores::Model) -> Result<StoreSecrets, Error> {
    let keyring = cx.app().keyring();
    let mut opened = StoreSecrets::default();
    if let Some(sealed) = &store.sealed_password {
        opened.password = Some(keyring.open(
            &password_place(store.id),
            &Sealed::from_bytes(sealed.clone())?,
        )?);
    }
    if let Some(sealed) = &store.sealed_secrets {
        let json = keyring.open(
            &properties_place(store.id),
            &Sealed::from_bytes(sealed.clone())?,
        )?;
        opened.properties = serde_json::from_slice(json.expose())?;
    }
    Ok(opened)
}

/// The two sealed columns of a store.
#[derive(Debug, Default)]
pub(super) struct SealedColumns {
    pub(super) password: Option<Vec<u8>>,
    pub(super) secrets: Option<Vec<u8>>,
}

/// Seals the secrets of a store.
pub(super) fn seal(cx: &Cx, id: Uuid, secrets: &StoreSecrets) -> Result<SealedColumns, Error> {
    let keyring = cx.app().keyring();
    let password = match &secrets.password {
        Some(password) => Some(
            keyring
                .seal(&password_place(id), password.expose())?
                .into_bytes(),
        ),
        None => None,
    };
    let properties = if secrets.properties.is_empty() {
        None
    } else {
        let json = Secret::from(serde_json::to_vec(&secrets.properties)?);
        Some(
            keyring
                .seal(&properties_place(id), json.expose())?
                .into_bytes(),
        )
    };
    Ok(SealedColumns {
        password,
        secrets: properties,
    })
}
