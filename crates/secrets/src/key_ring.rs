//! The keys of an installation: the newest seals, all of them open.

use std::fmt;
use std::path::Path;

use crate::key::{Key, KeyId};
use crate::{Error, Result, Sealed, Secret, envelope, key_file};

/// Key-encryption keys, newest first and never empty. `Debug` shows their ids only.
#[derive(Clone)]
pub struct KeyRing {
    /// The invariant: at least one, ids distinct.
    keys: Vec<Key>,
}

impl KeyRing {
    /// A ring with one fresh key, kept in memory only.
    pub fn generate() -> Result<Self> {
        Ok(Self {
            keys: vec![Key::generate()?],
        })
    }

    /// Reads a key file. Refuses one that others than its owner may read or write
    /// ([`Error::Permissions`]) and names the wrong line of a damaged one ([`Error::KeyFile`]).
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            keys: key_file::read(path.as_ref())?,
        })
    }

    /// Writes a fresh key to a new file with mode 0600; [`Error::Exists`] when the file is there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let ring = Self::generate()?;
        key_file::create(path.as_ref(), &ring.keys)?;
        Ok(ring)
    }

    /// Reads keys from an environment variable or a credential: base64 of 32 bytes each, newest
    /// first, separated by blanks, commas or line ends; or the whole text of a key file.
    pub fn from_base64(text: &str) -> Result<Self> {
        if key_file::is_key_file(text) {
            return Ok(Self {
                keys: key_file::parse(text)?,
            });
        }
        let mut keys: Vec<Key> = Vec::new();
        for (line, content) in (1..).zip(text.lines()) {
            for encoded in content
                .split([' ', '\t', ','])
                .filter(|word| !word.is_empty())
            {
                let key = Key::from_base64(encoded).ok_or(Error::KeyText {
                    line,
                    reason: "the key is not the base64 of 32 bytes",
                })?;
                if keys.iter().all(|other| other.id() != key.id()) {
                    keys.push(key);
                }
            }
        }
        if keys.is_empty() {
            return Err(Error::KeyText {
                line: 1,
                reason: "there is no key",
            });
        }
        Ok(Self { keys })
    }

    /// Replaces the file atomically (temporary file, fsync, rename), mode 0600.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        key_file::replace(path.as_ref(), &self.keys)
    }

    /// Seals `value` for the purpose `aad`, e.g. `certificate_keys.key/42`, under the newest key.
    /// The value's length shows in the sealed form, nothing else does.
    pub fn seal(&self, aad: &str, value: &[u8]) -> Result<Sealed> {
        envelope::seal(self.primary(), aad, value)
    }

    /// Opens what was sealed for the same purpose. [`Error::MissingKey`] names the key that is not
    /// in the ring; [`Error::Rejected`] says that bytes or purpose are not the ones sealed.
    pub fn open(&self, aad: &str, sealed: &Sealed) -> Result<Secret> {
        envelope::open(self.key_of(sealed)?, aad, sealed)
    }

    /// The value under the newest key, or `None` when it is under that key already. Only the wrapped
    /// data key changes. A value that does not open is an error and stays as it is.
    pub fn rewrap(&self, sealed: &Sealed, aad: &str) -> Result<Option<Sealed>> {
        if sealed.key_id() == self.primary_id() {
            return Ok(None);
        }
        envelope::rewrap(self.key_of(sealed)?, self.primary(), aad, sealed).map(Some)
    }

    /// Adds a fresh key that seals from now on, and answers its id. Save the ring before using it.
    pub fn rotate(&mut self) -> Result<KeyId> {
        let key = Key::generate()?;
        let id = key.id();
        self.keys.insert(0, key);
        Ok(id)
    }

    /// Forgets an old key. What is still sealed under it will not open again, so rewrap first. The
    /// newest key cannot be retired.
    pub fn retire(&mut self, key_id: KeyId) -> Result<()> {
        if key_id == self.primary_id() {
            return Err(Error::RetirePrimary(key_id));
        }
        let position = self
            .keys
            .iter()
            .position(|key| key.id() == key_id)
            .ok_or(Error::UnknownKey(key_id))?;
        self.keys.remove(position);
        Ok(())
    }

    /// The key that seals.
    #[must_use]
    pub fn primary_id(&self) -> KeyId {
        self.primary().id()
    }

    /// All keys, newest first.
    pub fn key_ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.keys.iter().map(Key::id)
    }

    fn primary(&self) -> &Key {
        self.keys
            .first()
            .expect("a key ring is built with at least one key and never loses its first")
    }

    fn key_of(&self, sealed: &Sealed) -> Result<&Key> {
        let key_id = sealed.key_id();
        self.keys
            .iter()
            .find(|key| key.id() == key_id)
            .ok_or_else(|| Error::MissingKey {
                key_id,
                primary: self.primary_id(),
            })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyRing")?;
        formatter.debug_list().entries(self.key_ids()).finish()
    }
}

#[cfg(test)]
mod tests;
