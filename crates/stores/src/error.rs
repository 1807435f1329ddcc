//! The one error type of this crate.

use std::{io, path::PathBuf};

/// What can go wrong in a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent may not touch this path.
    #[error("{path}: {reason}", path = path.display())]
    PathRefused {
        /// The path as asked for.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A journal that cannot be written or understood.
    #[error("journal {path}: {reason}", path = path.display())]
    Journal {
        /// The journal file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store, or what shall go into it, is not something this driver can handle.
    #[error("{0}")]
    Store(String),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;
