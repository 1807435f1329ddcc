//! PKCS#12 (RFC 7292): a private key with its certificates under a password, known as `.pfx`.

use aws_lc_rs::{digest, hmac};
use der::Tag;
use p12_keystore::error::Error as KeyStoreError;
use p12_keystore::{
    CertificateBag, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, Pkcs12Archive,
    PrivateKeyChain,
};
use zeroize::Zeroizing;

use crate::ber::{self, Element, element, read};
use crate::{Certificate, PrivateKey};

/// Longest file that is read, in bytes.
pub const MAX_PKCS12_BYTES: usize = 4 * 1024 * 1024;

/// Most encrypted parts a file may have in the open: each costs a key derivation of up to a million
/// rounds.
const MAX_ENCRYPTED_PARTS: usize = 32;

/// Rounds of the modern key derivations, for the MAC as well, which is as good a way to try passwords.
const MODERN_ROUNDS: u32 = 50_000;

/// Rounds under a password that nobody can guess: they slow down only those who know it.
const RANDOM_PASSWORD_ROUNDS: u32 = 1;

/// Rounds where old readers are to be served, some of which refuse more.
const OLD_ROUNDS: u32 = 2_048;

const MAC_SALT_BYTES: usize = 16;

/// Contents of the object identifiers of PBES2 and of the family of PKCS#12's own encryptions.
const PBES2: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PKCS12_PBE: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01];
const SHA_1: [u8; 5] = [0x2b, 0x0e, 0x03, 0x02, 0x1a];

/// How a file is encrypted. All are read by OpenSSL 3 without its legacy provider, and by
/// Java 17 as long as the password is ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// AES-256 and HMAC-SHA-256 throughout (PBES2, PBKDF2 with HMAC-SHA-256). Read by OpenSSL since
    /// 1.1.1, Java since 8u301, Windows since Server 2019.
    Modern,
    /// Like `Modern`, for a password of at least 128 random bits: it needs no slow key derivation, and a server that hands
    /// out many keys, and the agents that open them, cannot spare the time for one.
    ModernForRandomPassword,
    /// What Keyfactor 25 hands out and its clients therefore read: the key under AES-256 (PBES2),
    /// the certificates, which are public anyway, under three-key triple DES, MAC with SHA-1.
    #[default]
    Compatible,
    /// Triple DES for the key too, for readers from before PBES2, e.g. Windows Server 2016. Weak.
    Legacy,
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The password is wrong, or the file was altered; the two cannot be told apart.
    #[error("the password of the PKCS#12 file is wrong, or the file is damaged")]
    WrongPassword,
    /// The password has characters that PKCS#12 cannot express (beyond the Basic Multilingual
    /// Plane), or the file is not PKCS#12.
    #[error("malformed PKCS#12: {0}")]
    Malformed(String),
    /// Encrypted or authenticated in a way that is not supported.
    #[error("unsupported PKCS#12: {0}")]
    Unsupported(String),
    /// The private key inside is not one that can be used.
    #[error("the private key of the PKCS#12 file: {0}")]
    Key(#[from] crate::Error),
}

/// What a file holds.
#[derive(Debug)]
pub struct Pkcs12 {
    /// The first private key; none in a trust store.
    pub key: Option<PrivateKey>,
    /// The DER of all certificates: the one of the key first, then the one that issued it and so
    /// on, then the others in the order of the file. No duplicates.
    pub certificates: Vec<Vec<u8>>,
    /// The name of the key, or else of its certificate.
    pub friendly_name: Option<String>,
}

/// Writes a key with its certificates, leaf first, at least one.
pub fn to_pkcs12(
    key: &PrivateKey,
    certificates: &[Certificate],
    friendly_name: &str,
    password: &str,
    encryption: Encryption,
) -> Result<Vec<u8>, Error> {
    let store = key_store(key, certificates, friendly_name)?;
    let write = |encryption, mac, rounds| {
        store
            .writer(password)
            .encryption_algorithm(encryption)
            .encryption_iterations(rounds)
            .mac_algorithm(mac)
            .mac_iterations(rounds)
            .write()
            .map_err(Error::from)
    };
    let aes = EncryptionAlgorithm::PbeWithHmacSha256AndAes256;
    let triple_des = EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc;
    match encryption {
        Encryption::Modern => write(aes, MacAlgorithm::HmacSha256, MODERN_ROUNDS),
        Encryption::ModernForRandomPassword => {
            write(aes, MacAlgorithm::HmacSha256, RANDOM_PASSWORD_ROUNDS)
        }
        Encryption::Legacy => write(triple_des, MacAlgorithm::HmacSha1, OLD_ROUNDS),
        // The library encrypts keys and certificates alike, so the parts come from two files.
        Encryption::Compatible => combine(
            &write(triple_des, MacAlgorithm::HmacSha1, OLD_ROUNDS)?,
            &write(aes, MacAlgorithm::HmacSha1, OLD_ROUNDS)?,
            password,
        ),
    }
}

/// Reads a file. The MAC is checked if there is one.
pub fn from_pkcs12(der: &[u8], password: &str) -> Result<Pkcs12, Error> {
    if der.len() > MAX_PKCS12_BYTES {
        return Err(Error::Malformed("it is too long".to_owned()));
    }
    let encrypted_parts = der
        .windows(PBES2.len())
        .filter(|window| *window == PBES2 || *window == PKCS12_PBE)
        .count();
    if encrypted_parts > MAX_ENCRYPTED_PARTS {
        return Err(Error::Malformed(
            "it has too many encrypted parts".to_owned(),
        ));
    }
    let unproven = encrypted_parts > 0 && !has_mac(der);
    // One wrong password in 256 leaves a padding that looks right. Without a MAC only what comes after tells.
    let explain = |error| match error {
        Error::Malformed(_) | Error::Key(crate::Error::Malformed { .. }) if unproven => {
            Error::WrongPassword
        }
        other => other,
    };
    let archive =
        Pkcs12Archive::from_pkcs12(der, password).map_err(|error| explain(error.into()))?;
    let key_bag = archive.keys.first();
    let key = key_bag
        .map(|bag| PrivateKey::from_pkcs8_der(bag.key.as_der()))
        .transpose()
        .map_err(|error| explain(error.into()))?;
    let key_id = key_bag
        .and_then(|bag| bag.local_key_id.as_ref())
        .map(AsRef::as_ref);
    // The public key decides; the mark is for keys whose certificate cannot be read.
    let is_of_key = |bag: &&CertificateBag| {
        key.as_ref().is_some_and(|key| {
            Certificate::from_der(bag.cert.as_der())
                .is_ok_and(|certificate| key.matches(&certificate))
        })
    };
    let is_marked =
        |bag: &&CertificateBag| key_id.is_some() && bag.local_key_id.as_deref() == key_id;
    let leaf_bag = archive
        .certs
        .iter()
        .find(is_of_key)
        .or_else(|| archive.certs.iter().find(is_marked));
    let ders = archive
        .certs
        .iter()
        .map(|bag| bag.cert.as_der().to_vec())
        .collect();
    let certificates = leaf_first(ders, leaf_bag.map(|bag| bag.cert.as_der()));
    let friendly_name = key_bag
        .and_then(|bag| bag.friendly_name.clone())
        .or_else(|| leaf_bag.and_then(|bag| bag.friendly_name.clone()));
    Ok(Pkcs12 {
        key,
        certificates,
        friendly_name,
    })
}

/// Whether a third part, `MacData`, follows version and content.
fn has_mac(der: &[u8]) -> bool {
    read(der, 0).is_ok_and(|(pfx, _)| ber::elements(pfx.content).count() > 2)
}

fn key_store(
    key: &PrivateKey,
    certificates: &[Certificate],
    friendly_name: &str,
) -> Result<KeyStore, Error> {
    let leaf = certificates
        .first()
        .ok_or_else(|| Error::Malformed("there is no certificate to write".to_owned()))?;
    // What OpenSSL uses; any value would do that the key and its certificate share.
    let key_id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf.der());
    let key = p12_keystore::PrivateKey::from_der(&key.to_pkcs8_der())?;
    let chain = certificates
        .iter()
        .map(|certificate| p12_keystore::Certificate::from_der(certificate.der()))
        .collect::<Result<Vec<_>, _>>()?;
    // A BMPString cannot hold more; a name is not worth an error.
    let name: String = friendly_name
        .chars()
        .map(|character| {
            if u32::from(character) > 0xffff {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect();
    let mut store = KeyStore::new();
    let entry = PrivateKeyChain::new(key_id.as_ref(), key, chain);
    store.add_entry(&name, KeyStoreEntry::PrivateKeyChain(entry));
    Ok(store)
}

/// A file with the certificates of the first and the key of the second one.
fn combine(certificates_from: &[u8], key_from: &[u8], password: &str) -> Result<Vec<u8>, Error> {
    let [certificates, _] = parts(certificates_from)?;
    let [_, key] = parts(key_from)?;
    let authenticated_safe = element(Tag::Sequence, &[certificates.whole, key.whole])?;
    let mac_data = mac_data(&authenticated_safe, password)?;
    let data = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
    let context_0 = Tag::ContextSpecific {
        constructed: true,
        number: der::TagNumber(0),
    };
    let content = element(
        context_0,
        &[&element(Tag::OctetString, &[&authenticated_safe])?],
    )?;
    let content_info = element(
        Tag::Sequence,
        &[&element(Tag::ObjectIdentifier, &[&data])?, &content],
    )?;
    Ok(element(
        Tag::Sequence,
        &[&element(Tag::Integer, &[&[3]])?, &content_info, &mac_data],
    )?)
}

/// The two ContentInfo of a file that the library wrote: certificates, key.
fn parts(file: &[u8]) -> Result<[Element<'_>; 2], Error> {
    let pfx = read(file, 0)?.0.content;
    let content_info = read(read(pfx, 0)?.1, 0)?.0.content;
    let explicit = read(read(content_info, 0)?.1, 0)?.0.content;
    let octets = read(explicit, 0)?.0.content;
    let safes = read(octets, 0)?.0.content;
    let (certificates, rest) = read(safes, 0)?;
    let (key, _) = read(rest, 0)?;
    Ok([certificates, key])
}

/// MacData with HMAC-SHA-1 (RFC 7292, section 4).
fn mac_data(content: &[u8], password: &str) -> Result<Vec<u8>, Error> {
    let mut salt = [0; MAC_SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| crate::Error::crypto("no random bytes"))?;
    let key = mac_key(password, &salt, OLD_ROUNDS);
    let mac = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key[..]),
        content,
    );
    let algorithm = element(
        Tag::Sequence,
        &[
            &element(Tag::ObjectIdentifier, &[&SHA_1])?,
            &element(Tag::Null, &[])?,
        ],
    )?;
    let digest_info = element(
        Tag::Sequence,
        &[&algorithm, &element(Tag::OctetString, &[mac.as_ref()])?],
    )?;
    let rounds = element(Tag::Integer, &[&OLD_ROUNDS.to_be_bytes()[2..]])?;
    Ok(element(
        Tag::Sequence,
        &[&digest_info, &element(Tag::OctetString, &[&salt])?, &rounds],
    )?)
}

/// The key derivation of RFC 7292, appendix B.2, for a MAC key with SHA-1: twenty bytes, hence one
/// block and no more than the hash of the hash of ….
fn mac_key(password: &str, salt: &[u8], rounds: u32) -> Zeroizing<[u8; 20]> {
    const BLOCK_BYTES: usize = 64;
    const MAC_KEY_PURPOSE: u8 = 3;
    let mut bmp = Zeroizing::new(Vec::with_capacity(password.len() * 2 + 2));
    for unit in password.encode_utf16().chain([0]) {
        bmp.extend_from_slice(&unit.to_be_bytes());
    }
    let repeated = |bytes: &[u8]| {
        let length = bytes.len().next_multiple_of(BLOCK_BYTES);
        Zeroizing::new(
            bytes
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect::<Vec<u8>>(),
        )
    };
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(&[MAC_KEY_PURPOSE; BLOCK_BYTES]);
    context.update(&repeated(salt));
    context.update(&repeated(&bmp));
    let mut hash = context.finish();
    for _ in 1..rounds {
        hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, hash.as_ref());
    }
    let mut key = Zeroizing::new([0; 20]);
    key.copy_from_slice(hash.as_ref());
    key
}

/// The leaf, its issuer, the issuer's issuer and so on, then what is left.
fn leaf_first(ders: Vec<Vec<u8>>, leaf: Option<&[u8]>) -> Vec<Vec<u8>> {
    let mut left: Vec<(Vec<u8>, Option<Certificate>)> = Vec::with_capacity(ders.len());
    for der in ders {
        if left.iter().all(|(other, _)| *other != der) {
            let certificate = Certificate::from_der(&der).ok();
            left.push((der, certificate));
        }
    }
    let issues_another = |candidate: &Certificate| {
        left.iter()
            .filter_map(|(_, other)| other.as_ref())
            .any(|other| {
                other.der() != candidate.der() && other.issuer_der() == candidate.subject_der()
            })
    };
    // Without a key the leaf is the one that issued none of the others.
    let mut next = left.iter().position(|(der, certificate)| match leaf {
        Some(leaf) => der == leaf,
        None => certificate
            .as_ref()
            .is_some_and(|certificate| !issues_another(certificate)),
    });
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(position) = next {
        let (der, certificate) = left.remove(position);
        ordered.push(der);
        next = certificate.and_then(|certificate| {
            left.iter().position(|(_, other)| {
                other
                    .as_ref()
                    .is_some_and(|other| other.subject_der() == certificate.issuer_der())
            })
        });
    }
    ordered.extend(left.into_iter().map(|(der, _)| der));
    ordered
}

impl From<KeyStoreError> for Error {
    fn from(error: KeyStoreError) -> Self {
        match error {
            // Padding that does not come out right means a wrong key, hence a wrong password.
            KeyStoreError::MacError(_)
            | KeyStoreError::UnpadError
            | KeyStoreError::Pkcs5Error(_) => Self::WrongPassword,
            KeyStoreError::UnsupportedContentType
            | KeyStoreError::UnsupportedCertificateType
            | KeyStoreError::UnsupportedEncryptionScheme
            | KeyStoreError::UnsupportedMacAlgorithm => Self::Unsupported(error.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl From<der::Error> for Error {
    fn from(error: der::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

#[cfg(test)]
pub(crate) mod tests;
