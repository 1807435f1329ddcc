//! Private keys: generation, reading, writing, signing. All cryptography is aws-lc-rs.

mod spec;

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, PqdsaKeyPair,
    PqdsaSigningAlgorithm, RsaKeyPair,
};
use der::Encode;
use der::asn1::{Any, AnyRef, ObjectIdentifier};
use der::pem::LineEnding;
use pkcs8::PrivateKeyInfoRef;
use spki::{AlgorithmIdentifierOwned, AlgorithmIdentifierRef};
use zeroize::Zeroizing;

use crate::armor;
use crate::certificate::Certificate;
use crate::error::{Error, Result};
use crate::key_info::{KeyAlgorithm, KeyInfo};
use crate::oid;

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

    /// Reads an unencrypted PKCS#8 `PrivateKeyInfo`, version 1 or 2.
    ///
    /// # Errors
    /// [`Error::Malformed`], or [`Error::UnsupportedAlgorithm`] for keys that cannot sign here.
    pub fn from_pkcs8_der(pkcs8_der: &[u8]) -> Result<Self> {
        let info = PrivateKeyInfoRef::try_from(pkcs8_der)
            .map_err(|error| Error::malformed("private key", error))?;
        let algorithm = info.algorithm.oid.to_string();
        let rejected =
            |error: aws_lc_rs::error::KeyRejected| Error::malformed("private key", error);
        let ml_dsa = |algorithm: &'static PqdsaSigningAlgorithm| {
            PqdsaKeyPair::from_pkcs8(algorithm, pkcs8_der).map(Pair::MlDsa)
        };
        let pair = match algorithm.as_str() {
            oid::RSA => RsaKeyPair::from_pkcs8(pkcs8_der).map(Pair::Rsa),
            oid::EC => {
                let curve = info.algorithm.parameters_oid().map_err(|_| {
                    Error::UnsupportedAlgorithm("an elliptic curve without a name".to_owned())
                })?;
                EcdsaKeyPair::from_pkcs8(ecdsa_algorithm(&curve.to_string())?, pkcs8_der)
                    .map(Pair::Ecdsa)
            }
            oid::ED25519 => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8_der).map(Pair::Ed25519)
            }
            oid::ML_DSA_44 => ml_dsa(&aws::ML_DSA_44_SIGNING),
            oid::ML_DSA_65 => ml_dsa(&aws::ML_DSA_65_SIGNING),
            oid::ML_DSA_87 => ml_dsa(&aws::ML_DSA_87_SIGNING),
            _ => {
                return Err(Error::UnsupportedAlgorithm(format!(
                    "private key of {algorithm}"
                )));
            }
        }
        .map_err(rejected)?;
        Self::of_pair(pair, Some(pkcs8_der))
    }

    /// Reads the first private key of a PEM text: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`), none of
    /// them encrypted. Other blocks before it (`EC PARAMETERS`, certificates) are passed over.
    ///
    /// # Errors
    /// [`Error::Malformed`] if there is no such block, or it is encrypted or broken; [`Error::UnsupportedAlgorithm`].
    pub fn from_pem(pem: &str) -> Result<Self> {
        let block = armor::blocks(pem)
            .into_iter()
            .find(|block| block.label.ends_with("PRIVATE KEY"))
            .ok_or_else(|| Error::malformed("private key", "the text has no PRIVATE KEY block"))?;
        if block.label == "ENCRYPTED PRIVATE KEY" || block.body.contains("ENCRYPTED") {
            return Err(Error::malformed("private key", "it is encrypted"));
        }
        let der = armor::decode(block.body)
            .ok_or_else(|| Error::malformed("private key", "its block is not base64"))?;
        match block.label {
            "PRIVATE KEY" => Self::from_pkcs8_der(&der),
            "RSA PRIVATE KEY" => Self::from_wrapped(oid::RSA, AnyRef::NULL, &der),
            "EC PRIVATE KEY" => {
                let curve = sec1_curve(&der)?;
                Self::from_wrapped(oid::EC, AnyRef::from(&curve), &der)
            }
            label => Err(Error::UnsupportedAlgorithm(format!("PEM block {label}"))),
        }
    }

    /// Puts a key of an older format into PKCS#8, whose inner octets are that format.
    fn from_wrapped(algorithm: &str, parameters: AnyRef<'_>, key: &[u8]) -> Result<Self> {
        let algorithm = AlgorithmIdentifierRef {
            oid: ObjectIdentifier::new(algorithm)
                .map_err(|error| Error::malformed("private key", error))?,
            parameters: Some(parameters),
        };
        let octets = der::asn1::OctetStringRef::new(key)
            .map_err(|error| Error::malformed("private key", error))?;
        let pkcs8 = PrivateKeyInfoRef::new(algorithm, octets)
            .to_der()
            .map(Zeroizing::new)
            .map_err(|error| Error::malformed("private key", error))?;
        Self::from_pkcs8_der(&pkcs8)
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
        Zeroizing::new(
            der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &self.content.pkcs8_der)
                .expect("a constant label and octets in memory always encode"),
        )
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

fn ecdsa_algorithm(curve: &str) -> Result<&'static EcdsaSigningAlgorithm> {
    Ok(match curve {
        oid::P256 => &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
        oid::P384 => &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
        oid::P521 => &aws::ECDSA_P521_SHA512_ASN1_SIGNING,
        _ => {
            return Err(Error::UnsupportedAlgorithm(format!(
                "elliptic curve {curve}"
            )));
        }
    })
}

/// `ECPrivateKey` of RFC 5915, as far as the curve.
#[derive(der::Sequence)]
struct Sec1PrivateKey<'a> {
    version: u8,
    private_key: &'a der::asn1::OctetStringRef,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    parameters: Option<ObjectIdentifier>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    public_key: Option<der::asn1::BitStringRef<'a>>,
}

fn sec1_curve(sec1_der: &[u8]) -> Result<ObjectIdentifier> {
    use der::Decode;
    let key = Sec1PrivateKey::from_der(sec1_der)
        .map_err(|error| Error::malformed("private key", error))?;
    key.parameters
        .ok_or_else(|| Error::malformed("private key", "the EC PRIVATE KEY names no curve"))
}
