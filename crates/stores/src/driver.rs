//! The trait of all store drivers and what goes in and out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{AllowedPaths, FileSystem, Host, Profile, Result};

/// A kind of certificate store. Operations are idempotent: repeating one ends in the same store.
pub trait StoreDriver: Sync {
    /// Short name of the store type, as in `CertStores.<ShortName>.Inventory`.
    fn short_name(&self) -> &'static str;

    /// Capabilities that an agent with this driver registers.
    fn capabilities(&self) -> &'static [&'static str];

    /// Everything in the store, de-duplicated by alias. A store whose file does not exist is an error.
    fn inventory(
        &self,
        store: &StoreConfig<'_>,
        operation: &Operation<'_>,
    ) -> Result<Vec<InventoryEntry>>;

    /// Puts an entry into the store. What is there already is a Warning; a different entry in its place is replaced
    /// only with `overwrite`.
    fn add(&self, store: &StoreConfig<'_>, entry: &Entry, operation: &Operation<'_>) -> Outcome;

    /// Takes the entry of this alias out of the store. An absent one is a Warning.
    fn remove(&self, store: &StoreConfig<'_>, alias: &str, operation: &Operation<'_>) -> Outcome;

    /// Makes an empty store. An existing one is a Warning and stays as it is.
    fn create(&self, store: &StoreConfig<'_>, operation: &Operation<'_>) -> Outcome;
}

/// One store, as the job describes it and the agent's configuration allows it.
pub struct StoreConfig<'a> {
    /// The store's path.
    pub path: PathBuf,
    /// Separate file for the private key; none = in the store file itself.
    pub private_key_path: Option<PathBuf>,
    /// The profile the store names.
    pub profile: Option<&'a Profile>,
    /// Many certificates and no key, as said by the store's properties. A store that says nothing and holds no key is
    /// handled as one until a key is added.
    pub trust_store: bool,
    /// Whether the leaf's chain is written after it.
    pub includes_chain: bool,
    /// The store's password; empty counts as none.
    pub password: Option<Zeroizing<String>>,
}

impl<'a> StoreConfig<'a> {
    /// A store with nothing but a path: key inline, chain included, no profile, no password.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            private_key_path: None,
            profile: None,
            trust_store: false,
            includes_chain: true,
            password: None,
        }
    }
}

/// What surrounds one job.
pub struct Operation<'a> {
    /// The job; names its journal and its temporary files.
    pub job_id: Uuid,
    /// The caller's own words about the job, given back by [`crate::recover`].
    pub note: &'a str,
    /// Folder of the journals, in the agent's state folder.
    pub journal_directory: &'a Path,
    /// Where files may be touched.
    pub allowed_paths: &'a AllowedPaths,
    /// The way to the disk.
    pub file_system: &'a FileSystem,
    /// The way to commands and to the network.
    pub host: &'a dyn Host,
}

/// What Add puts into a store.
pub struct Entry {
    /// The alias asked for; ignored where the driver's alias is the thumbprint.
    pub alias: String,
    /// Leaf certificate, DER.
    pub certificate: Vec<u8>,
    /// Issuers, DER, the leaf's issuer first. Self-signed ones are not written.
    pub chain: Vec<Vec<u8>>,
    /// Private key of the leaf.
    pub key: Option<pki::PrivateKey>,
    /// Whether it may take another entry's place.
    pub overwrite: bool,
}

/// One entry found in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryEntry {
    /// The alias; for PEM the SHA-1 thumbprint of the leaf, upper-case hex.
    pub alias: String,
    /// DER, leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// Whether the store holds the leaf's private key.
    pub private_key: bool,
    /// Values of entry parameters.
    pub parameters: BTreeMap<String, Value>,
}

/// How an operation ended. The text is for a person and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done, and proven as far as the profile asks for it.
    Success(String),
    /// Nothing was to be done.
    Warning(String),
    /// Not done.
    Failure {
        /// Why.
        message: String,
        /// Whether files were changed and the old ones came back.
        rolled_back: bool,
        /// SHA-1 thumbprint, upper-case hex, that should have been served.
        expected_thumbprint: Option<String>,
        /// SHA-1 thumbprint, upper-case hex, that was served last.
        served_thumbprint: Option<String>,
    },
}

impl Outcome {
    /// A failure before anything was changed.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Failure {
            message: message.into(),
            rolled_back: false,
            expected_thumbprint: None,
            served_thumbprint: None,
        }
    }

    /// The text of any outcome.
    pub fn message(&self) -> &str {
        match self {
            Self::Success(message) | Self::Warning(message) | Self::Failure { message, .. } => {
                message
            }
        }
    }
}
