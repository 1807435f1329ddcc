//! Key-encryption keys and their names.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use crate::{Error, Result};

/// Length of every key, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// Length of a key's name in sealed bytes.
pub(crate) const KEY_ID_BYTES: usize = 8;

/// The name of a sealing key: the first eight bytes of the SHA-256 of the key, written as sixteen
/// lower-case hexadecimal digits. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID_BYTES]);

impl KeyId {
    pub(crate) const fn from_bytes(bytes: [u8; KEY_ID_BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; KEY_ID_BYTES] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut bytes = [0; KEY_ID_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| Error::KeyId)?;
        Ok(Self(bytes))
    }
}

/// A key-encryption key.
#[derive(Clone)]
pub(crate) struct Key {
    id: KeyId,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl Key {
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self::from_bytes(random_key()?))
    }

    pub(crate) fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let hash = digest::digest(&digest::SHA256, bytes.as_slice());
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&hash.as_ref()[..KEY_ID_BYTES]);
        Self {
            id: KeyId(id),
            bytes,
        }
    }

    /// `None` when the text is not the base64 of exactly 32 bytes.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        let text = text.trim_end_matches('=');
        // 43 characters are exactly 32 bytes; anything else is not worth decoding.
        if text.len() != 43 {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD_NO_PAD.decode(text).ok()?);
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if decoded.len() != KEY_BYTES {
            return None;
        }
        bytes.copy_from_slice(&decoded);
        Some(Self::from_bytes(bytes))
    }

    pub(crate) fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    pub(crate) fn id(&self) -> KeyId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }
}

/// A fresh 256-bit key.
pub(crate) fn random_key() -> Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())
        .map_err(|_| Error::Cryptography("give random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_start_of_the_sha_256() {
        let key = Key::from_bytes(Zeroizing::new([0; KEY_BYTES]));
        // SHA-256 of 32 zero bytes begins 66687aadf862bd77.
        assert_eq!(key.id().to_string(), "66687aadf862bd77");
        assert_eq!("66687aadf862bd77".parse::<KeyId>().unwrap(), key.id());
        assert!(matches!("6668".parse::<KeyId>(), Err(Error::KeyId)));
        assert!(matches!(
            "zz687aadf862bd77".parse::<KeyId>(),
            Err(Error::KeyId)
        ));
    }

    #[test]
    fn base64_with_and_without_padding() {
        let key = Key::generate().unwrap();
        let text = key.to_base64();
        assert_eq!(Key::from_base64(&text).unwrap().id(), key.id());
        assert_eq!(
            Key::from_base64(text.trim_end_matches('=')).unwrap().id(),
            key.id()
        );
        assert!(Key::from_base64("").is_none());
        assert!(Key::from_base64(&text[4..]).is_none());
        assert!(Key::from_base64(&text.replace(char::is_alphanumeric, "*")).is_none());
    }
}
