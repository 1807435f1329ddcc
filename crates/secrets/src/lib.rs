//! Sealed values: envelope encryption, key providers, rotation.
//!
//! A value that must not lie open in the database (a private key, a store password) is sealed before
//! it is written and opened only where it is used. Every value has a data key of its own; the data
//! key is wrapped by the newest key of the [`KeyRing`]. Changing the ring's key therefore rewrites
//! some sixty bytes per value ([`KeyRing::rewrap`]) and never touches the value itself.
//!
//! Who seals names the purpose, e.g. `certificate_keys.key/42`. The purpose is bound to the sealed
//! bytes, so a value copied to another row or column does not open there.
//!
//! ```
//! let ring = secrets::KeyRing::generate()?;
//! let sealed = ring.seal("certificate_keys.key/42", b"private key")?;
//! assert_eq!(ring.open("certificate_keys.key/42", &sealed)?.expose(), b"private key");
//! assert!(ring.open("certificate_keys.key/43", &sealed).is_err());
//! # Ok::<(), secrets::Error>(())
//! ```

mod envelope;
mod error;
mod key;
mod key_file;
mod key_ring;
mod sealed;
mod secret;

pub use envelope::MAX_VALUE_BYTES;
pub use error::Error;
pub use key::KeyId;
pub use key_file::MAX_KEY_FILE_BYTES;
pub use key_ring::KeyRing;
pub use sealed::Sealed;
pub use secret::Secret;

/// What every operation of this crate answers.
pub type Result<T> = std::result::Result<T, Error>;
