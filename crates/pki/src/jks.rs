//! Java key stores of the old format, JKS version 1 and 2: read and written. There is no specification but the source of the JDK
//! (`sun.security.provider.JavaKeyStore`, `KeyProtector`); the tests have `keytool` read what is written here and the other way round.
//!
//! The format is weak by today's measure: SHA-1 throughout, no key derivation. It is here because old software asks for it.

use aws_lc_rs::{constant_time, digest, rand};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode as _, Encode as _};
use zeroize::Zeroizing;

use crate::encrypted_key::{Algorithm, Encrypted};
use crate::error::{Error, Result};
use crate::key::PrivateKey;

/// Longest store that is read, in octets.
pub const MAXIMUM_JKS_BYTES: usize = 16 * 1024 * 1024;

/// Most entries, and most certificates of a chain.
pub const MAXIMUM_JKS_ENTRIES: usize = 10_000;

/// What a file starts with.
pub(crate) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
/// What a store of the JCEKS format starts with.
pub(crate) const JCEKS_MAGIC: [u8; 4] = [0xce, 0xce, 0xce, 0xce];

const HASH_BYTES: usize = 20;
const SALT_BYTES: usize = 20;
const KEY_TAG: u32 = 1;
const CERTIFICATE_TAG: u32 = 2;
const WHITENER: &[u8] = b"Mighty Aphrodite";
const CERTIFICATE_TYPE: &str = "X.509";
/// The JDK's own way to hide a key.
const KEY_PROTECTOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.42.2.17.1.1");

/// One entry of a store.
#[derive(Debug)]
pub struct Entry {
    /// The name; Java looks names up in lower case, so they are written so.
    pub alias: String,
    /// When it was made, milliseconds since the Unix epoch.
    pub created: i64,
    /// The key; none for a trusted certificate, and for a key that was not opened because no password was given.
    pub key: Option<PrivateKey>,
    /// The DER of the certificates: the chain of the key, leaf first, or the one trusted certificate.
    pub certificates: Vec<Vec<u8>>,
    /// Whether it is the entry of a key.
    pub is_key: bool,
}

/// Reads a store. With a password its hash is checked and its keys are opened, which must have the same password; without one, the
/// certificates are read and nothing is checked, as Java does.
///
/// # Errors
/// [`Error::WrongPassword`]; [`Error::UnsupportedAlgorithm`]; [`Error::Malformed`] with entry and offset.
pub fn from_jks(octets: &[u8], password: Option<&str>) -> Result<Vec<Entry>> {
    if octets.len() > MAXIMUM_JKS_BYTES {
        return Err(malformed(format!(
            "it is longer than {MAXIMUM_JKS_BYTES} octets"
        )));
    }
    if octets.starts_with(&JCEKS_MAGIC) {
        return Err(Error::UnsupportedAlgorithm(
            "a key store of the JCEKS format".to_owned(),
        ));
    }
    if !octets.starts_with(&MAGIC) {
        return Err(malformed("it does not start with FE ED FE ED"));
    }
    let body_length = octets
        .len()
        .checked_sub(HASH_BYTES)
        .filter(|length| *length >= 12)
        .ok_or_else(|| malformed(format!("it is cut short at offset {}", octets.len())))?;
    let (body, hash) = octets.split_at(body_length);
    let mut reader = Reader {
        octets: body,
        position: 4,
    };
    let version = reader.number("the version")?;
    if version != 1 && version != 2 {
        return Err(Error::UnsupportedAlgorithm(format!(
            "JKS of version {version}"
        )));
    }
    let count = reader.count("the number of entries")?;
    let mut entries = Vec::new();
    for number in 1..=count {
        let entry = reader.entry(version, password);
        entries.push(entry.map_err(|error| match error {
            Error::Malformed { reason, .. } => malformed(format!("entry {number}: {reason}")),
            other => other,
        })?);
    }
    if reader.position != body.len() {
        let left = body.len() - reader.position;
        return Err(malformed(format!(
            "{left} octets follow the last entry at offset {}",
            reader.position
        )));
    }
    if let Some(password) = password {
        constant_time::verify_slices_are_equal(store_hash(password, body).as_ref(), hash)
            .map_err(|_| Error::WrongPassword)?;
    }
    Ok(entries)
}

/// Writes a store of version 2; its keys get the same password.
///
/// # Errors
/// [`Error::Malformed`] for a name that is longer than 65,535 octets or used twice, a key without or a trusted entry without exactly one certificate;
/// [`Error::Crypto`].
pub fn to_jks(entries: &[Entry], password: &str) -> Result<Vec<u8>> {
    let mut body = MAGIC.to_vec();
    put_number(&mut body, 2);
    put_length(&mut body, entries.len())?;
    let mut names = std::collections::HashSet::new();
    for entry in entries {
        let alias = entry.alias.to_lowercase();
        if !names.insert(alias.clone()) {
            return Err(malformed(format!("the name `{alias}` stands in it twice")));
        }
        put_number(
            &mut body,
            if entry.key.is_some() {
                KEY_TAG
            } else {
                CERTIFICATE_TAG
            },
        );
        put_text(&mut body, &alias)?;
        body.extend_from_slice(&entry.created.to_be_bytes());
        match (&entry.key, entry.certificates.as_slice()) {
            (Some(_), []) => {
                return Err(malformed(format!("the key `{alias}` has no certificate")));
            }
            (Some(key), chain) => {
                put_octets(&mut body, &protect(key, password)?)?;
                put_length(&mut body, chain.len())?;
                for certificate in chain {
                    put_text(&mut body, CERTIFICATE_TYPE)?;
                    put_octets(&mut body, certificate)?;
                }
            }
            (None, [certificate]) => {
                put_text(&mut body, CERTIFICATE_TYPE)?;
                put_octets(&mut body, certificate)?;
            }
            (None, _) => {
                return Err(malformed(format!(
                    "the trusted entry `{alias}` needs one certificate"
                )));
            }
        }
    }
    let hash = store_hash(password, &body);
    body.extend_from_slice(hash.as_ref());
    Ok(body)
}

struct Reader<'a> {
    octets: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8]> {
        let taken = self.octets[self.position..].get(..length).ok_or_else(|| {
            malformed(format!(
                "it is cut short: {what} at offset {} should have {length} octets",
                self.position
            ))
        })?;
        self.position += length;
        Ok(taken)
    }

    fn number(&mut self, what: &str) -> Result<u32> {
        let octets = self.take(4, what)?;
        Ok(octets
            .iter()
            .fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    fn count(&mut self, what: &str) -> Result<usize> {
        let at = self.position;
        let number = self.number(what)? as usize;
        if number > MAXIMUM_JKS_ENTRIES {
            return Err(malformed(format!(
                "{what} at offset {at} is {number}, more than {MAXIMUM_JKS_ENTRIES}"
            )));
        }
        Ok(number)
    }

    /// Java's `writeUTF`: two octets of length, then UTF-8 in which the zero and everything beyond the Basic Multilingual Plane are
    /// written differently; such characters are replaced.
    fn text(&mut self, what: &str) -> Result<String> {
        let length = self.take(2, what)?;
        let length = usize::from(length[0]) << 8 | usize::from(length[1]);
        Ok(String::from_utf8_lossy(self.take(length, what)?).into_owned())
    }

    fn octets(&mut self, what: &str) -> Result<&'a [u8]> {
        let length = self.number(what)? as usize;
        self.take(length, what)
    }

    fn certificate(&mut self, version: u32) -> Result<Vec<u8>> {
        if version == 2 {
            let at = self.position;
            let kind = self.text("the type of a certificate")?;
            if kind != CERTIFICATE_TYPE && kind != "X509" {
                return Err(malformed(format!(
                    "the certificate at offset {at} is of type `{kind}`"
                )));
            }
        }
        self.octets("a certificate").map(<[u8]>::to_vec)
    }

    fn entry(&mut self, version: u32, password: Option<&str>) -> Result<Entry> {
        let at = self.position;
        let tag = self.number("the kind of an entry")?;
        let alias = self.text("the name of an entry")?;
        let created = self.take(8, "the time of an entry")?;
        let created = created
            .iter()
            .fold(0, |time: i64, octet| time << 8 | i64::from(*octet));
        let (key, certificates) = match tag {
            KEY_TAG => {
                let hidden = self.octets("a private key")?;
                let key = password
                    .map(|password| unprotect(hidden, password))
                    .transpose()?;
                let length = self.count("the length of a chain")?;
                let chain = (0..length)
                    .map(|_| self.certificate(version))
                    .collect::<Result<_>>()?;
                (key, chain)
            }
            CERTIFICATE_TAG => (None, vec![self.certificate(version)?]),
            other => {
                return Err(malformed(format!(
                    "offset {at}: {other} is no kind of entry"
                )));
            }
        };
        Ok(Entry {
            alias,
            created,
            key,
            certificates,
            is_key: tag == KEY_TAG,
        })
    }
}

/// The password as Java hashes it: UTF-16, high octet first.
fn password_octets(password: &str) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    octets.extend(password.encode_utf16().flat_map(u16::to_be_bytes));
    octets
}

fn sha1(parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    context.finish()
}

fn store_hash(password: &str, body: &[u8]) -> digest::Digest {
    sha1(&[&password_octets(password), WHITENER, body])
}

/// The octets against which the key is laid: each hash is that of the password and the one before, the first that of the salt.
fn mask(octets: &mut [u8], password: &[u8], salt: &[u8]) {
    let mut last = sha1(&[password, salt]);
    for chunk in octets.chunks_mut(HASH_BYTES) {
        for (octet, mask) in chunk.iter_mut().zip(last.as_ref()) {
            *octet ^= mask;
        }
        last = sha1(&[password, last.as_ref()]);
    }
}

fn unprotect(hidden: &[u8], password: &str) -> Result<PrivateKey> {
    let encrypted = Encrypted::from_der(hidden).map_err(malformed)?;
    if encrypted.algorithm.oid != KEY_PROTECTOR {
        return Err(Error::UnsupportedAlgorithm(format!(
            "key protection {}",
            encrypted.algorithm.oid
        )));
    }
    let data = encrypted.data.as_bytes();
    let (salt, rest) = data
        .split_at_checked(SALT_BYTES)
        .ok_or_else(|| malformed("a key is cut short"))?;
    let (key, hash) = rest
        .len()
        .checked_sub(HASH_BYTES)
        .and_then(|length| rest.split_at_checked(length))
        .ok_or_else(|| malformed("a key is cut short"))?;
    let password = password_octets(password);
    let mut key = Zeroizing::new(key.to_vec());
    mask(&mut key, &password, salt);
    constant_time::verify_slices_are_equal(sha1(&[&password, &key]).as_ref(), hash)
        .map_err(|_| Error::WrongPassword)?;
    PrivateKey::from_pkcs8_der(&key)
}

fn protect(key: &PrivateKey, password: &str) -> Result<Vec<u8>> {
    let password = password_octets(password);
    let mut salt = [0; SALT_BYTES];
    rand::fill(&mut salt).map_err(|_| Error::crypto("no random octets"))?;
    let mut hidden = key.to_pkcs8_der();
    let hash = sha1(&[&password, &hidden]);
    mask(&mut hidden, &password, &salt);
    let data = [&salt[..], &hidden, hash.as_ref()].concat();
    Encrypted {
        algorithm: Algorithm {
            oid: KEY_PROTECTOR,
            parameters: Some(AnyRef::NULL),
        },
        data: OctetStringRef::new(&data).map_err(malformed)?,
    }
    .to_der()
    .map_err(malformed)
}

fn put_number(body: &mut Vec<u8>, number: u32) {
    body.extend_from_slice(&number.to_be_bytes());
}

fn put_length(body: &mut Vec<u8>, length: usize) -> Result<()> {
    put_number(body, u32::try_from(length).map_err(malformed)?);
    Ok(())
}

fn put_octets(body: &mut Vec<u8>, octets: &[u8]) -> Result<()> {
    put_length(body, octets.len())?;
    body.extend_from_slice(octets);
    Ok(())
}

fn put_text(body: &mut Vec<u8>, text: &str) -> Result<()> {
    // Java reads its own form of UTF-8, which differs only here.
    let text: String = text
        .chars()
        .map(|character| match character {
            '\0' | '\u{10000}'.. => '\u{fffd}',
            other => other,
        })
        .collect();
    let length =
        u16::try_from(text.len()).map_err(|_| malformed("a name is longer than 65535 octets"))?;
    body.extend_from_slice(&length.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
    Ok(())
}

fn malformed(reason: impl std::fmt::Display) -> Error {
    Error::malformed("Java key store", reason)
}
