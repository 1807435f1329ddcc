//! Everything that can go wrong with sealed values. No variant carries secret bytes.

use std::path::PathBuf;

use crate::KeyId;

/// Why a value could not be sealed or opened, or a key ring not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The value is sealed under a key that the ring does not hold (retired, or another ring).
    #[error(
        "the value is sealed under key {key_id}, which is not in the key ring (newest: {primary})"
    )]
    MissingKey {
        /// The key the value needs.
        key_id: KeyId,
        /// The newest key of the ring that was asked.
        primary: KeyId,
    },
    /// The bytes were altered, or belong to another purpose. The two cannot be told apart.
    #[error(
        "the value sealed under key {key_id} does not open: altered, or sealed for another purpose"
    )]
    Rejected {
        /// The key the value names.
        key_id: KeyId,
    },
    /// The bytes are not a sealed value at all.
    #[error("not a sealed value: {0}")]
    Malformed(&'static str),
    /// Written by a later version of this format.
    #[error("sealed value of unknown version {0}")]
    UnknownVersion(u8),
    /// Sealed with an algorithm this build does not know.
    #[error("sealed value of unknown algorithm {0}")]
    UnknownAlgorithm(u8),
    /// The value is longer than [`crate::MAX_VALUE_BYTES`].
    #[error("a value of {0} bytes is too long to be sealed")]
    TooLong(usize),
    /// The cryptographic library refused, e.g. no randomness.
    #[error("the cryptographic library refused to {0}")]
    Cryptography(&'static str),
    /// The secret was asked for as text and is not UTF-8.
    #[error("the secret is not UTF-8 text")]
    NotText,
    /// A key id is not sixteen hexadecimal digits.
    #[error("a key id is sixteen hexadecimal digits")]
    KeyId,
    /// The text of a key ring is wrong.
    #[error("line {line} of the sealing keys: {reason}")]
    KeyText {
        /// Counted from one.
        line: usize,
        /// What is wrong there, without the content.
        reason: &'static str,
    },
    /// A key file is wrong.
    #[error("sealing key file {}: {source}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: Box<Error>,
    },
    /// A key file may be read or written by others than its owner.
    #[error("sealing key file {} has mode {mode:04o}; only its owner may have access (chmod 0600)", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file is there already and is never overwritten.
    #[error("sealing key file {} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Reading or writing a key file failed.
    #[error("sealing key file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The newest key seals everything and cannot be retired; rotate first.
    #[error("key {0} is the newest and cannot be retired; rotate first")]
    RetirePrimary(KeyId),
    /// The key to retire is not in the ring.
    #[error("key {0} is not in the key ring")]
    UnknownKey(KeyId),
}
