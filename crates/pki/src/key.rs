//! Private keys: generation, reading, writing, signing. All cryptography is aws-lc-rs.

mod reading;
mod spec;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair, RsaKeyPair,
};
use der::asn1::{Any, ObjectIdentifier};
use spki::AlgorithmIdentifierOwned;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::key_info::{KeyAlgorithm, KeyInfo};

pub use spec::KeySpec;

/// A private key that can sign. Cheap to clone; the encoded form is wiped from memory with the last clone. `Debug` shows the public part.
#[derive(Clone)]
pub struct PrivateKey {
    content: Arc<Content>,
}

struct Content {
    pair: Pair,
    pkcs8_der: Zeroizing<Vec<u8>>,
    spki_der: Vec<u8>,
    key_info: KeyInfo,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    MlDsa(PqdsaKeyPair),
}

impl PrivateKey {
    /// Generates a key with the randomness of the operating system.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses.
    pub fn generate(spec: KeySpec) -> Result<Self> {
        let failed = |_| Error::crypto("key generation failed");
        let rsa = |size| RsaKeyPair::generate(size).map(Pair::Rsa);
        let ecdsa = |algorithm| EcdsaKeyPair::generate(algorithm).map(Pair::Ecdsa);
        let ml_dsa = |algorithm| PqdsaKeyPair::generate(algorithm).map(Pair::MlDsa);
        let pair = match spec {
            KeySpec::Rsa2048 => rsa(KeySize::Rsa2048),
            KeySpec::Rsa3072 => rsa(KeySize::Rsa3072),
            KeySpec::Rsa4096 => rsa(KeySize::Rsa4096),
            KeySpec::EcP256 => ecdsa(&aws::ECDSA_P256_SHA256_ASN1_SIGNING),
            KeySpec::EcP384 => ecdsa(&aws::ECDSA_P384_SHA384_ASN1_SIGNING),
            KeySpec::EcP521 => ecdsa(&aws::ECDSA_P521_SHA512_ASN1_SIGNING),
            KeySpec::Ed25519 => Ed25519KeyPair::generate().map(Pair::Ed25519),
            KeySpec::MlDsa44 => ml_dsa(&aws::ML_DSA_44_SIGNING),
            KeySpec::MlDsa65 => ml_dsa(&aws::ML_DSA_65_SIGNING),
            KeySpec::MlDsa87 => ml_dsa(&aws::ML_DSA_87_SIGNING),
        }
        .map_err(failed)?;
        Self::of_pair(pair, None)
    }

    fn of_pair(pair: Pair, original: Option<&[u8]>) -> Result<Self> {
        let encoded = |_| Error::crypto("the key cannot be encoded");
        let pkcs8_der: Zeroizing<Vec<u8>> = match &pair {
            Pair::Rsa(key) => {
                let der: Pkcs8V1Der<'_> = key.as_der().map_err(encoded)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
            Pair::Ecdsa(key) => {
                Zeroizing::new(key.to_pkcs8v1().map_err(encoded)?.as_ref().to_vec())
            }
            Pair::Ed25519(key) => {
                // Version 1: OpenSSL does not read version 2.
                Zeroizing::new(key.to_pkcs8v1().map_err(encoded)?.as_ref().to_vec())
            }
            Pair::MlDsa(key) => match (key.to_pkcs8v1(), original) {
                (Ok(document), _) => Zeroizing::new(document.as_ref().to_vec()),
                // A key that was read without its seed cannot be written as seed.
                (Err(_), Some(original)) => Zeroizing::new(original.to_vec()),
                (Err(error), None) => return Err(encoded(error)),
            },
        };
        let spki_der: PublicKeyX509Der<'_> = match &pair {
            Pair::Rsa(key) => key.public_key().as_der(),
            Pair::Ecdsa(key) => key.public_key().as_der(),
            Pair::Ed25519(key) => key.public_key().as_der(),
            Pair::MlDsa(key) => key.public_key().as_der(),
        }
        .map_err(encoded)?;
        let spki_der = spki_der.as_ref().to_vec();
        let key_info = KeyInfo::of_spki(&spki_der);
        Ok(PrivateKey {
            content: Arc::new(Content {
                pair,
                pkcs8_der,
                spki_der,
                key_info,
            }),
        })
    }

    /// The unencrypted PKCS#8 `PrivateKeyInfo`, version 1.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.content.pkcs8_der.clone()
    }

    /// The unencrypted PKCS#8 as PEM (`PRIVATE KEY`), lines ended by LF.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(crate::pem::encode("PRIVATE KEY", &self.content.pkcs8_der))
    }

    /// The DER of the `SubjectPublicKeyInfo`.
    pub fn spki_der(&self) -> Vec<u8> {
        self.content.spki_der.clone()
    }

    /// What the key is.
    pub fn key_info(&self) -> &KeyInfo {
        &self.content.key_info
    }

    /// Whether the certificate is for this key.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        self.content.spki_der == certificate.spki_der() || self.same_key(certificate.spki_der())
    }

    /// Compares the key octets alone: the parameters of the algorithm may be written in more than one way.
    fn same_key(&self, other: &[u8]) -> bool {
        let parse = |spki| spki::SubjectPublicKeyInfoRef::try_from(spki).ok();
        match (parse(self.content.spki_der.as_slice()), parse(other)) {
            (Some(own), Some(other)) => {
                self.key_info().algorithm == KeyInfo::of_spki_algorithm(&other)
                    && own.subject_public_key == other.subject_public_key
            }
            _ => false,
        }
    }

    /// Signs a message: RSA with PKCS#1 and SHA-256; ECDSA with the hash of the curve's size, as DER; Ed25519; ML-DSA without context.
    ///
    /// # Errors
    /// [`Error::Crypto`] if the library refuses.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let failed = |_| Error::crypto("signing failed");
        let random = SystemRandom::new();
        match &self.content.pair {
            Pair::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&aws::RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(key) => key
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Pair::Ed25519(key) => key
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(failed),
            Pair::MlDsa(key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                let length = key.sign(message, &mut signature).map_err(failed)?;
                signature.truncate(length);
                Ok(signature)
            }
        }
    }

    /// The identifier of the algorithm [`PrivateKey::sign`] uses, as it stands in signed structures.
    pub(crate) fn signature_algorithm(&self) -> AlgorithmIdentifierOwned {
        let info = self.key_info();
        let (dotted, parameters) = match (info.algorithm, info.curve.as_deref()) {
            (KeyAlgorithm::Rsa, _) => ("1.2.840.113549.1.1.11", Some(Any::null())),
            (KeyAlgorithm::Ecc, Some("P-521")) => ("1.2.840.10045.4.3.4", None),
            (KeyAlgorithm::Ecc, Some("P-384")) => ("1.2.840.10045.4.3.3", None),
            (KeyAlgorithm::Ecc, _) => ("1.2.840.10045.4.3.2", None),
            _ => (info.algorithm_oid.as_str(), None),
        };
        AlgorithmIdentifierOwned {
            oid: ObjectIdentifier::new(dotted).expect("identifiers of known algorithms are valid"),
            parameters,
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PrivateKey")
            .field("key", self.key_info())
            .finish_non_exhaustive()
    }
}
