//! The sealed form of a value: a versioned byte string that names its algorithm and its key.
//!
//! ```text
//! offset length
//!      0      1  version, 1
//!      1      1  algorithm of both steps, 1 = AES-256-GCM-SIV
//!      2      8  id of the key-encryption key
//!     10     60  wrapped data key: nonce (12), encrypted key (32), tag (16)
//!     70     12  nonce of the value
//!     82      n  encrypted value
//!   82+n     16  tag of the value
//! ```

use std::fmt;

use crate::key::{KEY_BYTES, KEY_ID_BYTES, KeyId};
use crate::{Error, Result};

pub(crate) const VERSION_1: u8 = 1;
pub(crate) const AES_256_GCM_SIV: u8 = 1;

pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TAG_BYTES: usize = 16;
pub(crate) const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

const KEY_ID_START: usize = 2;
const WRAPPED_KEY_START: usize = KEY_ID_START + KEY_ID_BYTES;
const VALUE_START: usize = WRAPPED_KEY_START + WRAPPED_KEY_BYTES;
const MIN_BYTES: usize = VALUE_START + NONCE_BYTES + TAG_BYTES;

/// A sealed value as it stands in the database.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes sealed bytes from where they are kept. Checks version, algorithm and length; whether
    /// they open shows only with the key ([`crate::KeyRing::open`]).
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        match bytes.first() {
            None => return Err(Error::Malformed("it is empty")),
            Some(&VERSION_1) => {}
            Some(&version) => return Err(Error::UnknownVersion(version)),
        }
        match bytes.get(1) {
            None => return Err(Error::Malformed("it is too short")),
            Some(&AES_256_GCM_SIV) => {}
            Some(&algorithm) => return Err(Error::UnknownAlgorithm(algorithm)),
        }
        if bytes.len() < MIN_BYTES {
            return Err(Error::Malformed("it is too short"));
        }
        Ok(Self(bytes))
    }

    pub(crate) fn assemble(key_id: KeyId, wrapped_key: &[u8], value: &[u8]) -> Self {
        debug_assert_eq!(wrapped_key.len(), WRAPPED_KEY_BYTES);
        let mut bytes = Vec::with_capacity(VALUE_START + value.len());
        bytes.extend_from_slice(&[VERSION_1, AES_256_GCM_SIV]);
        bytes.extend_from_slice(key_id.as_bytes());
        bytes.extend_from_slice(wrapped_key);
        bytes.extend_from_slice(value);
        Self(bytes)
    }

    /// The bytes to keep.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to keep, without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The key-encryption key this value needs.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&self.0[KEY_ID_START..WRAPPED_KEY_START]);
        KeyId::from_bytes(id)
    }

    pub(crate) fn wrapped_key(&self) -> &[u8] {
        &self.0[WRAPPED_KEY_START..VALUE_START]
    }

    /// Nonce, encrypted value, tag.
    pub(crate) fn value(&self) -> &[u8] {
        &self.0[VALUE_START..]
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Sealed(key {}, {} bytes)",
            self.key_id(),
            self.0.len()
        )
    }
}

impl TryFrom<Vec<u8>> for Sealed {
    type Error = Error;

    fn try_from(bytes: Vec<u8>) -> Result<Self> {
        Self::from_bytes(bytes)
    }
}

impl From<Sealed> for Vec<u8> {
    fn from(sealed: Sealed) -> Self {
        sealed.0
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_sealed_value() {
        assert!(matches!(Sealed::from_bytes([]), Err(Error::Malformed(_))));
        assert!(matches!(Sealed::from_bytes([1]), Err(Error::Malformed(_))));
        assert!(matches!(
            Sealed::from_bytes([2, 1]),
            Err(Error::UnknownVersion(2))
        ));
        assert!(matches!(
            Sealed::from_bytes([1, 9]),
            Err(Error::UnknownAlgorithm(9))
        ));
        let mut shortest = vec![0; MIN_BYTES];
        shortest[..2].copy_from_slice(&[1, 1]);
        assert!(Sealed::from_bytes(shortest.clone()).is_ok());
        shortest.pop();
        assert!(matches!(
            Sealed::from_bytes(shortest),
            Err(Error::Malformed(_))
        ));
    }
}
