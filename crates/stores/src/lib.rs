//! Certificate store drivers: the trait, one folder per driver, the list of all, the conformance suite.
//!
//! A driver changes a store in one [`Operation`]: the files are swapped under a crash-safe journal, the profile's test
//! command and reload run, the profile's address is probed, and the old files come back when any of it fails. After a
//! kill at any moment [`recover`] leaves either the old or the new store, never a mix.
//!
//! Everything here blocks; call it from a thread that may.

mod allowed_paths;
mod deployment;
mod driver;
mod error;
mod file_system;
mod host;
mod journal;
#[cfg(any(test, feature = "killpoints"))]
mod killpoints;
mod pem;
mod probe;
mod profile;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod testing;

pub use allowed_paths::AllowedPaths;
pub use driver::{Entry, InventoryEntry, Operation, Outcome, StoreConfig, StoreDriver};
pub use error::{Error, Result};
pub use file_system::{Existing, FileSystem, Permissions};
pub use host::{CommandOutput, Host, LocalHost};
pub use journal::{Recovered, forget, recover};
pub use pem::PemDriver;
pub use profile::Profile;

/// Every store driver. The conformance suite runs for each.
pub const ALL: &[&dyn StoreDriver] = &[&PemDriver];
