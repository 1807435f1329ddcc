//! What a file holds, whatever its form: PEM with or without its lines, DER, PKCS#7, PKCS#12, a Java key store.

mod recognize;

use recognize::{Kind, is_base64, kind_of, lost_block, text_of};

use crate::ber::{self, SEQUENCE};
use crate::certificate::{Certificate, Warning};
use crate::error::Error;
use crate::key::PrivateKey;
use crate::{armor, jks, pem, pkcs7, pkcs12};

/// Largest file that is read, in octets of whatever form: 50 MB of base64 are refused before anything is decoded.
pub const MAXIMUM_FILE_BYTES: usize = 24 * 1024 * 1024;

/// Most certificates of one file.
pub const MAXIMUM_FILE_CERTIFICATES: usize = 10_000;

/// Most private keys of one file.
pub const MAXIMUM_FILE_KEYS: usize = 100;

/// Most key derivations for one file: every PKCS#12 and every encrypted key costs one or more.
pub const MAXIMUM_FILE_PASSWORD_TRIALS: usize = 16;

/// Deepest nesting: base64 of PEM of PKCS#7 has three levels.
pub const MAXIMUM_NESTING: usize = 4;

/// Everything found in a file.
#[derive(Debug, Default)]
pub struct Contents {
    /// The certificates in the order of the file; those of a key store with the key's certificate first. No duplicates.
    pub certificates: Vec<FoundCertificate>,
    /// The private keys in the order of the file.
    pub keys: Vec<FoundKey>,
    /// What else was there and was passed over, for example `X509 CRL`.
    pub ignored: Vec<String>,
}

/// A certificate of a file.
#[derive(Debug)]
pub struct FoundCertificate {
    /// The certificate.
    pub certificate: Certificate,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
    /// Where it was found, for example `entry 2 (offset 1204)`.
    pub place: String,
    /// Its name in a key store.
    pub alias: Option<String>,
}

/// A private key of a file.
#[derive(Debug)]
pub struct FoundKey {
    /// The key.
    pub key: PrivateKey,
    /// Where it was found.
    pub place: String,
    /// Its name in a key store.
    pub alias: Option<String>,
}

/// Why a file was not read; the place says where in it, `file` for the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the texts say it")]
pub enum ContentsError {
    #[error("the file has {found} octets; {MAXIMUM_FILE_BYTES} are read at most")]
    TooLarge { found: usize },
    #[error("{place}: there are more than {limit} {what}")]
    TooMany {
        place: String,
        what: &'static str,
        limit: usize,
    },
    #[error("{place}: more than {MAXIMUM_NESTING} envelopes stand inside each other")]
    TooDeep { place: String },
    #[error("{place}: it needs a password")]
    PasswordNeeded { place: String },
    #[error("{place}: the password is wrong, or the content is damaged")]
    WrongPassword { place: String },
    #[error("{place}: {reason}")]
    Unsupported { place: String, reason: String },
    #[error("{place}: {reason}")]
    Malformed { place: String, reason: String },
}

impl Contents {
    /// Reads everything a file holds. The password opens PKCS#12 files, Java key stores and encrypted keys; what is not encrypted does
    /// not mind it. A file that holds something broken is refused as a whole; a certificate that is merely odd is not broken.
    ///
    /// # Errors
    /// [`ContentsError`] with the place: also if there is neither a certificate nor a key.
    pub fn read(octets: &[u8], password: Option<&str>) -> Result<Self, ContentsError> {
        if octets.len() > MAXIMUM_FILE_BYTES {
            return Err(ContentsError::TooLarge {
                found: octets.len(),
            });
        }
        let mut reader = Reader {
            password,
            contents: Contents::default(),
            trials: 0,
            seen: std::collections::HashSet::new(),
        };
        reader.any(octets, "file", 1)?;
        let contents = reader.contents;
        if contents.certificates.is_empty() && contents.keys.is_empty() {
            let reason = if contents.ignored.is_empty() {
                "it holds no certificate".to_owned()
            } else {
                format!(
                    "it holds no certificate but {}",
                    contents.ignored.join(", ")
                )
            };
            return Err(malformed("file", reason));
        }
        Ok(contents)
    }
}

struct Reader<'a> {
    password: Option<&'a str>,
    contents: Contents,
    trials: usize,
    seen: std::collections::HashSet<[u8; 32]>,
}

impl Reader<'_> {
    fn any(&mut self, octets: &[u8], place: &str, depth: usize) -> Result<(), ContentsError> {
        if depth > MAXIMUM_NESTING {
            return Err(ContentsError::TooDeep {
                place: place.to_owned(),
            });
        }
        if octets.starts_with(&jks::MAGIC) || octets.starts_with(&jks::JCEKS_MAGIC) {
            return self.key_store(octets, place);
        }
        if octets.first() == Some(&SEQUENCE) {
            // Bare base64 may start with the digit zero, but then it is text.
            let text = octets
                .iter()
                .all(|octet| octet.is_ascii_graphic() || octet.is_ascii_whitespace());
            if !text {
                return self.der(octets, place, depth);
            }
        }
        let text = text_of(octets).ok_or_else(|| {
            malformed(
                place,
                "it is neither PEM, base64, DER, PKCS#7, PKCS#12 nor a Java key store",
            )
        })?;
        if text.contains("-----BEGIN ") {
            return self.pem(&text, place, depth);
        }
        if text.trim().is_empty() {
            return Err(malformed(place, "it is empty"));
        }
        let decoded = armor::decode(&text).ok_or_else(|| {
            let reason = match text.bytes().position(|octet| !is_base64(octet)) {
                Some(offset) => format!("offset {offset}: neither PEM nor base64"),
                None => "the base64 is cut short".to_owned(),
            };
            malformed(place, reason)
        })?;
        self.any(&decoded, &inside(place, "base64"), depth + 1)
    }

    fn pem(&mut self, text: &str, place: &str, depth: usize) -> Result<(), ContentsError> {
        let blocks = pem::parse(text.as_bytes());
        let mut starts = text
            .match_indices("-----BEGIN ")
            .map(|(offset, _)| offset)
            .peekable();
        for (index, block) in (1..).zip(&blocks) {
            let here = inside(
                place,
                &format!("entry {index} (offset {})", block.range.start),
            );
            while let Some(start) = starts.next_if(|start| *start < block.range.end) {
                // Of two beginnings one after the other the inner one counts, unless the outer one lost its block.
                if start < block.range.start && lost_block(&text[start..block.range.start]) {
                    return Err(undecodable(place, index, start));
                }
            }
            self.block(block, &here, depth)?;
        }
        if let Some(start) = starts.next() {
            if blocks.len() >= pem::MAX_BLOCKS {
                return Err(ContentsError::TooMany {
                    place: inside(place, &format!("offset {start}")),
                    what: "PEM entries",
                    limit: pem::MAX_BLOCKS,
                });
            }
            return Err(undecodable(place, blocks.len() + 1, start));
        }
        Ok(())
    }

    fn block(
        &mut self,
        block: &pem::Block,
        place: &str,
        depth: usize,
    ) -> Result<(), ContentsError> {
        if block.is_private_key() {
            return self.key_block(block, place);
        }
        match block.label.as_str() {
            "PKCS7" | "CMS" | "PKCS #7 SIGNED DATA" => self.pkcs7(&block.der, place, depth + 1),
            _ if block.is_certificate() => {
                let length = ber::read(&block.der, 0).map_or(0, |(element, _)| element.whole.len());
                // OpenSSL's trust settings stand behind the certificate.
                let der = match block.label.as_str() {
                    "TRUSTED CERTIFICATE" if length > 0 => &block.der[..length],
                    _ => &block.der,
                };
                self.der(der, place, depth + 1)
            }
            other => {
                self.contents.ignored.push(other.to_owned());
                Ok(())
            }
        }
    }

    fn key_block(&mut self, block: &pem::Block, place: &str) -> Result<(), ContentsError> {
        if block.label == "ENCRYPTED PRIVATE KEY" {
            return self.encrypted_key(&block.der, place);
        }
        if block.is_encrypted() {
            return Err(ContentsError::Unsupported {
                place: place.to_owned(),
                reason: "the key is encrypted in the old way of OpenSSL (Proc-Type); convert it to PKCS#8".to_owned(),
            });
        }
        self.key(&block.label, &block.der, place)
    }

    fn key(&mut self, label: &str, der: &[u8], place: &str) -> Result<(), ContentsError> {
        let key = PrivateKey::from_labelled(label, der).map_err(|error| at(place, error))?;
        self.add_key(key, place, None)
    }

    /// Counts what costs a key derivation.
    fn try_password(&mut self, place: &str) -> Result<(), ContentsError> {
        self.trials += 1;
        if self.trials > MAXIMUM_FILE_PASSWORD_TRIALS {
            return Err(ContentsError::TooMany {
                place: place.to_owned(),
                what: "encrypted keys",
                limit: MAXIMUM_FILE_PASSWORD_TRIALS,
            });
        }
        Ok(())
    }

    fn encrypted_key(&mut self, der: &[u8], place: &str) -> Result<(), ContentsError> {
        let password = self.password.ok_or_else(|| ContentsError::PasswordNeeded {
            place: place.to_owned(),
        })?;
        self.try_password(place)?;
        let key = PrivateKey::from_encrypted_pkcs8_der(der, password)
            .map_err(|error| at(place, error))?;
        self.add_key(key, place, None)
    }

    fn der(&mut self, der: &[u8], place: &str, depth: usize) -> Result<(), ContentsError> {
        ber::only(der, SEQUENCE, "DER").map_err(|error| at(place, error))?;
        match kind_of(der) {
            Some(Kind::Certificate) => self.certificate(der, place, None),
            Some(Kind::Pkcs7) => self.pkcs7(der, place, depth),
            Some(Kind::Pkcs12) => self.pkcs12(der, place),
            Some(Kind::Key(label)) => self.key(label, der, place),
            Some(Kind::EncryptedKey) => self.encrypted_key(der, place),
            Some(Kind::Request) => self.ignore("CERTIFICATE REQUEST"),
            Some(Kind::RevocationList) => self.ignore("X509 CRL"),
            Some(Kind::PublicKey) => self.ignore("PUBLIC KEY"),
            None => Err(malformed(
                place,
                "it is neither a certificate, PKCS#7, PKCS#12 nor a key",
            )),
        }
    }

    fn ignore(&mut self, label: &str) -> Result<(), ContentsError> {
        self.contents.ignored.push(label.to_owned());
        Ok(())
    }

    fn pkcs7(&mut self, der: &[u8], place: &str, depth: usize) -> Result<(), ContentsError> {
        if depth > MAXIMUM_NESTING {
            return Err(ContentsError::TooDeep {
                place: place.to_owned(),
            });
        }
        let elements = pkcs7::certificates_from_pkcs7(der).map_err(|error| at(place, error))?;
        for (index, element) in (1..).zip(elements) {
            let here = inside(place, &format!("certificate {index} of the PKCS#7"));
            self.der(&element, &here, depth + 1)?;
        }
        if let Some(inner) = pkcs7::encapsulated_envelope(der) {
            self.pkcs7(
                inner,
                &inside(place, "the content of the PKCS#7"),
                depth + 1,
            )?;
        }
        Ok(())
    }

    fn pkcs12(&mut self, der: &[u8], place: &str) -> Result<(), ContentsError> {
        self.try_password(place)?;
        let found =
            pkcs12::from_pkcs12(der, self.password.unwrap_or_default()).map_err(|error| {
                let place = place.to_owned();
                match error {
                    pkcs12::Error::WrongPassword if self.password.is_none() => {
                        ContentsError::PasswordNeeded { place }
                    }
                    pkcs12::Error::WrongPassword => ContentsError::WrongPassword { place },
                    pkcs12::Error::Unsupported(reason) => ContentsError::Unsupported {
                        place,
                        reason: format!("unsupported PKCS#12: {reason}"),
                    },
                    pkcs12::Error::Key(error) => at(&place, error),
                    other => malformed(&place, other),
                }
            })?;
        for (index, certificate) in (1..).zip(&found.certificates) {
            let alias = if index == 1 {
                found.friendly_name.clone()
            } else {
                None
            };
            self.certificate(
                certificate,
                &inside(place, &format!("certificate {index} of the PKCS#12")),
                alias,
            )?;
        }
        match found.key {
            Some(key) => self.add_key(
                key,
                &inside(place, "the key of the PKCS#12"),
                found.friendly_name,
            ),
            None => Ok(()),
        }
    }

    fn key_store(&mut self, octets: &[u8], place: &str) -> Result<(), ContentsError> {
        let entries = jks::from_jks(octets, self.password).map_err(|error| at(place, error))?;
        for (index, entry) in (1..).zip(entries) {
            let here = inside(place, &format!("entry {index} of the key store"));
            for (index, certificate) in entry.certificates.iter().enumerate() {
                let alias = (index == 0).then(|| entry.alias.clone());
                self.certificate(certificate, &here, alias)?;
            }
            if let Some(key) = entry.key {
                self.add_key(key, &here, Some(entry.alias))?;
            } else if entry.is_key {
                self.contents
                    .ignored
                    .push("PRIVATE KEY without its password".to_owned());
            }
        }
        Ok(())
    }

    fn certificate(
        &mut self,
        der: &[u8],
        place: &str,
        alias: Option<String>,
    ) -> Result<(), ContentsError> {
        let reading = Certificate::read(der).map_err(|error| at(place, error))?;
        if !self.seen.insert(reading.certificate.sha256()) {
            return Ok(());
        }
        if self.contents.certificates.len() == MAXIMUM_FILE_CERTIFICATES {
            return Err(ContentsError::TooMany {
                place: place.to_owned(),
                what: "certificates",
                limit: MAXIMUM_FILE_CERTIFICATES,
            });
        }
        self.contents.certificates.push(FoundCertificate {
            certificate: reading.certificate,
            warnings: reading.warnings,
            place: place.to_owned(),
            alias,
        });
        Ok(())
    }

    fn add_key(
        &mut self,
        key: PrivateKey,
        place: &str,
        alias: Option<String>,
    ) -> Result<(), ContentsError> {
        if self.contents.keys.len() == MAXIMUM_FILE_KEYS {
            return Err(ContentsError::TooMany {
                place: place.to_owned(),
                what: "private keys",
                limit: MAXIMUM_FILE_KEYS,
            });
        }
        self.contents.keys.push(FoundKey {
            key,
            place: place.to_owned(),
            alias,
        });
        Ok(())
    }
}

fn undecodable(place: &str, entry: usize, offset: usize) -> ContentsError {
    malformed(
        &inside(place, &format!("entry {entry} (offset {offset})")),
        "the block cannot be decoded, is cut short, or too long",
    )
}

fn inside(place: &str, part: &str) -> String {
    if place == "file" {
        part.to_owned()
    } else {
        format!("{place}, {part}")
    }
}

fn at(place: &str, error: Error) -> ContentsError {
    let place = place.to_owned();
    match error {
        Error::WrongPassword => ContentsError::WrongPassword { place },
        Error::UnsupportedAlgorithm(reason) => ContentsError::Unsupported {
            place,
            reason: format!("unsupported: {reason}"),
        },
        other => ContentsError::Malformed {
            place,
            reason: other.to_string(),
        },
    }
}

fn malformed(place: &str, reason: impl std::fmt::Display) -> ContentsError {
    ContentsError::Malformed {
        place: place.to_owned(),
        reason: reason.to_string(),
    }
}
