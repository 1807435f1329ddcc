//! PEM files: one identity (leaf, chain, key) or many trusted certificates.
//!
//! A store that holds a private key, inline or in a separate file, holds exactly one identity; its alias is the leaf's
//! thumbprint. A trust store holds certificates and no key; each is an entry, its alias the thumbprint. A file that
//! holds no key and is not said to be either is handled like a trust store until a key is added.
//!
//! Whatever else stands in the files (comments, DH parameters, blocks we do not know) stays, byte for byte.

mod document;
mod identity;
mod opened;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::BTreeMap;

use pki::Certificate;

use crate::{
    Entry, Error, InventoryEntry, Operation, Outcome, Permissions, Result, StoreConfig,
    StoreDriver,
    deployment::{self, Change, Expectation},
};
use opened::Opened;

/// The driver of PEM files.
#[derive(Clone, Copy, Debug)]
pub struct PemDriver;

/// What an operation comes to, before anything is changed.
enum Plan {
    /// Nothing is to be done; why.
    Nothing(String),
    /// The changes in the order they are made, what the probe must see then, and what to say.
    Deploy {
        changes: Vec<Change>,
        expectation: Expectation,
        success: String,
    },
}

impl StoreDriver for PemDriver {
    fn short_name(&self) -> &'static str {
        "PEM"
    }

    fn capabilities(&self) -> &'static [&'static str] {
        &["CertStores.PEM.Inventory", "CertStores.PEM.Management"]
    }

    fn inventory(
        &self,
        store: &StoreConfig<'_>,
        operation: &Operation<'_>,
    ) -> Result<Vec<InventoryEntry>> {
        let opened = Opened::open(store, operation)?;
        if !opened.exists() {
            return Err(Error::Store(format!(
                "{} does not exist",
                store.path.display()
            )));
        }
        Ok(if opened.is_identity(store) {
            identity::inventory(&opened).into_iter().collect()
        } else {
            trust::inventory(&opened)
        })
    }

    fn add(&self, store: &StoreConfig<'_>, entry: &Entry, operation: &Operation<'_>) -> Outcome {
        let plan = Opened::open(store, operation).and_then(|opened| {
            let certificate = Certificate::read(&entry.certificate)
                .map_err(|error| Error::Store(format!("the job's certificate: {error}")))?
                .certificate;
            if entry
                .key
                .as_ref()
                .is_some_and(|key| !key.matches(&certificate))
            {
                let thumbprint = certificate.thumbprint();
                let reason = format!("the job's private key does not belong to {thumbprint}");
                return Err(Error::Store(reason));
            }
            if opened.is_identity(store) || (entry.key.is_some() && !store.trust_store) {
                identity::add(opened, store, &certificate, entry)
            } else {
                trust::add(opened, &certificate, entry)
            }
        });
        carry_out(plan, store, operation)
    }

    fn remove(&self, store: &StoreConfig<'_>, alias: &str, operation: &Operation<'_>) -> Outcome {
        let plan = Opened::open(store, operation).and_then(|opened| {
            let thumbprint = thumbprint_of(alias);
            if opened.is_identity(store) {
                identity::remove(opened, &thumbprint)
            } else {
                Ok(trust::remove(opened, &thumbprint))
            }
        });
        carry_out(plan, store, operation)
    }

    fn create(&self, store: &StoreConfig<'_>, operation: &Operation<'_>) -> Outcome {
        let plan = Opened::open(store, operation).map(|opened| {
            let path = store.path.display();
            if opened.exists() {
                return Plan::Nothing(format!("{path} exists already"));
            }
            let holds_keys = !store.trust_store && store.private_key_path.is_none();
            let permissions = if holds_keys {
                Permissions::SECRET
            } else {
                Permissions::PUBLIC
            };
            let changes = vec![opened.into_empty_file(permissions)];
            let success = format!("{path} was created");
            Plan::Deploy {
                changes,
                expectation: Expectation::Nothing,
                success,
            }
        });
        // An empty store is no configuration that a service could run with: nothing to test or reload.
        carry_out(
            plan,
            &StoreConfig {
                profile: None,
                ..StoreConfig::at(&store.path)
            },
            operation,
        )
    }
}

fn carry_out(plan: Result<Plan>, store: &StoreConfig<'_>, operation: &Operation<'_>) -> Outcome {
    match plan {
        Err(error) => Outcome::refused(error.to_string()),
        Ok(Plan::Nothing(why)) => Outcome::Warning(why),
        Ok(Plan::Deploy {
            changes,
            expectation,
            success,
        }) => deployment::deploy(operation, store.profile, &changes, &expectation, &success),
    }
}

/// A thumbprint as people write it (any case, with colons or spaces), in our own form.
fn thumbprint_of(alias: &str) -> String {
    alias
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect::<String>()
        .to_ascii_uppercase()
}

fn entry_of<'a>(
    certificates: impl IntoIterator<Item = &'a Certificate>,
    private_key: bool,
) -> Option<InventoryEntry> {
    let certificates: Vec<&Certificate> = certificates.into_iter().collect();
    Some(InventoryEntry {
        alias: certificates.first()?.thumbprint(),
        certificates: certificates
            .iter()
            .map(|certificate| certificate.der().to_vec())
            .collect(),
        private_key,
        parameters: BTreeMap::new(),
    })
}
