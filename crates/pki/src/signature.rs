//! Signature algorithms: their names and the verification of signatures, all through aws-lc-rs.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use der::Decode;
use spki::SubjectPublicKeyInfoRef;

use crate::error::{Error, Result};
use crate::key_info::{KeyAlgorithm, KeyInfo};
use crate::oid;

/// A signature algorithm as named in a signed structure.
pub(crate) struct Algorithm {
    name: String,
    scheme: Option<Scheme>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Hash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy)]
enum Scheme {
    RsaPkcs1(Hash),
    RsaPss(Hash),
    Ecdsa(Hash),
    Ed25519,
    MlDsa(&'static str),
}

/// Identifier, name, scheme if it can be verified here.
const ALGORITHMS: &[(&str, &str, Option<Scheme>)] = &[
    ("1.2.840.113549.1.1.2", "MD2withRSA", None),
    ("1.2.840.113549.1.1.4", "MD5withRSA", None),
    (
        "1.2.840.113549.1.1.5",
        "SHA-1withRSA",
        Some(Scheme::RsaPkcs1(Hash::Sha1)),
    ),
    (
        "1.3.14.3.2.29",
        "SHA-1withRSA",
        Some(Scheme::RsaPkcs1(Hash::Sha1)),
    ),
    ("1.2.840.113549.1.1.14", "SHA-224withRSA", None),
    (
        "1.2.840.113549.1.1.11",
        "SHA-256withRSA",
        Some(Scheme::RsaPkcs1(Hash::Sha256)),
    ),
    (
        "1.2.840.113549.1.1.12",
        "SHA-384withRSA",
        Some(Scheme::RsaPkcs1(Hash::Sha384)),
    ),
    (
        "1.2.840.113549.1.1.13",
        "SHA-512withRSA",
        Some(Scheme::RsaPkcs1(Hash::Sha512)),
    ),
    (
        "1.2.840.10045.4.1",
        "SHA-1withECDSA",
        Some(Scheme::Ecdsa(Hash::Sha1)),
    ),
    (
        "1.2.840.10045.4.3.1",
        "SHA-224withECDSA",
        Some(Scheme::Ecdsa(Hash::Sha224)),
    ),
    (
        "1.2.840.10045.4.3.2",
        "SHA-256withECDSA",
        Some(Scheme::Ecdsa(Hash::Sha256)),
    ),
    (
        "1.2.840.10045.4.3.3",
        "SHA-384withECDSA",
        Some(Scheme::Ecdsa(Hash::Sha384)),
    ),
    (
        "1.2.840.10045.4.3.4",
        "SHA-512withECDSA",
        Some(Scheme::Ecdsa(Hash::Sha512)),
    ),
    ("1.2.840.10040.4.3", "SHA-1withDSA", None),
    ("2.16.840.1.101.3.4.3.1", "SHA-224withDSA", None),
    ("2.16.840.1.101.3.4.3.2", "SHA-256withDSA", None),
    (oid::ED25519, "Ed25519", Some(Scheme::Ed25519)),
    (oid::ED448, "Ed448", None),
    (
        oid::ML_DSA_44,
        "ML-DSA-44",
        Some(Scheme::MlDsa(oid::ML_DSA_44)),
    ),
    (
        oid::ML_DSA_65,
        "ML-DSA-65",
        Some(Scheme::MlDsa(oid::ML_DSA_65)),
    ),
    (
        oid::ML_DSA_87,
        "ML-DSA-87",
        Some(Scheme::MlDsa(oid::ML_DSA_87)),
    ),
];

impl Algorithm {
    pub(crate) fn of(identifier: &spki::AlgorithmIdentifierRef<'_>) -> Self {
        let parameters = identifier
            .parameters
            .filter(|any| der::Tagged::tag(any) == der::Tag::Sequence);
        Self::new(
            &identifier.oid.to_string(),
            parameters.map(der::asn1::AnyRef::value),
        )
    }

    /// The algorithm of an identifier; `parameters` is the content of the parameters if they are a SEQUENCE (RSASSA-PSS).
    pub(crate) fn new(identifier: &str, parameters: Option<&[u8]>) -> Self {
        if identifier == oid::RSA_PSS {
            let hash = pss_hash(parameters);
            return Algorithm {
                name: match hash {
                    Some(hash) => format!("{}withRSAandMGF1", hash.name()),
                    None => "RSAandMGF1".to_owned(),
                },
                scheme: hash.map(Scheme::RsaPss),
            };
        }
        match ALGORITHMS.iter().find(|(known, _, _)| *known == identifier) {
            Some((_, name, scheme)) => Algorithm {
                name: (*name).to_owned(),
                scheme: *scheme,
            },
            None if oid::is_slh_dsa(identifier) => Algorithm {
                name: "SLH-DSA".to_owned(),
                scheme: None,
            },
            None => Algorithm {
                name: identifier.to_owned(),
                scheme: None,
            },
        }
    }

    /// `SHA-256withRSA`, `Ed25519`; the dotted identifier if unknown.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Verifies a signature with the key in a `SubjectPublicKeyInfo`.
    pub(crate) fn verify(&self, spki_der: &[u8], message: &[u8], signature: &[u8]) -> Result<()> {
        let key_info = KeyInfo::of_spki(spki_der);
        let spki = SubjectPublicKeyInfoRef::try_from(spki_der)
            .map_err(|error| Error::malformed("public key", error))?;
        let algorithm = self.aws_algorithm(&key_info)?;
        UnparsedPublicKey::new(algorithm, spki.subject_public_key.raw_bytes())
            .verify(message, signature)
            .map_err(|_| Error::BadSignature)
    }

    /// SHA-1 and 1024-bit RSA verify: this tells whether a signature is genuine, not whether it should be trusted.
    fn aws_algorithm(&self, key: &KeyInfo) -> Result<&'static dyn VerificationAlgorithm> {
        let unsupported = || {
            Error::UnsupportedAlgorithm(format!(
                "{} with {} {} key",
                self.name, key.algorithm, key.size_bits
            ))
        };
        let scheme = self.scheme.ok_or_else(unsupported)?;
        Ok(match (scheme, key.algorithm) {
            (Scheme::RsaPkcs1(hash), KeyAlgorithm::Rsa) => match hash {
                Hash::Sha1 => &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                Hash::Sha256 => &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                Hash::Sha384 => &aws::RSA_PKCS1_2048_8192_SHA384,
                Hash::Sha512 => &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                Hash::Sha224 => return Err(unsupported()),
            },
            (Scheme::RsaPss(hash), KeyAlgorithm::Rsa) => match hash {
                Hash::Sha256 => &aws::RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &aws::RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &aws::RSA_PSS_2048_8192_SHA512,
                Hash::Sha1 | Hash::Sha224 => return Err(unsupported()),
            },
            (Scheme::Ecdsa(hash), KeyAlgorithm::Ecc) => {
                match (key.curve.as_deref().unwrap_or_default(), hash) {
                    ("P-256", Hash::Sha1) => &aws::ECDSA_P256_SHA1_ASN1,
                    ("P-256", Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
                    ("P-256", Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
                    ("P-256", Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
                    ("P-384", Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
                    ("P-384", Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
                    ("P-384", Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
                    ("P-521", Hash::Sha1) => &aws::ECDSA_P521_SHA1_ASN1,
                    ("P-521", Hash::Sha224) => &aws::ECDSA_P521_SHA224_ASN1,
                    ("P-521", Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
                    ("P-521", Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
                    ("P-521", Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
                    ("secp256k1", Hash::Sha256) => &aws::ECDSA_P256K1_SHA256_ASN1,
                    _ => return Err(unsupported()),
                }
            }
            (Scheme::Ed25519, KeyAlgorithm::Ed25519) => &aws::ED25519,
            (Scheme::MlDsa(oid::ML_DSA_44), KeyAlgorithm::MlDsa44) => &aws::ML_DSA_44,
            (Scheme::MlDsa(oid::ML_DSA_65), KeyAlgorithm::MlDsa65) => &aws::ML_DSA_65,
            (Scheme::MlDsa(oid::ML_DSA_87), KeyAlgorithm::MlDsa87) => &aws::ML_DSA_87,
            _ => return Err(unsupported()),
        })
    }
}

impl Hash {
    fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SHA-1",
            Hash::Sha224 => "SHA-224",
            Hash::Sha256 => "SHA-256",
            Hash::Sha384 => "SHA-384",
            Hash::Sha512 => "SHA-512",
        }
    }

    fn of(identifier: &str) -> Option<Self> {
        Some(match identifier {
            "1.3.14.3.2.26" => Hash::Sha1,
            "2.16.840.1.101.3.4.2.4" => Hash::Sha224,
            "2.16.840.1.101.3.4.2.1" => Hash::Sha256,
            "2.16.840.1.101.3.4.2.2" => Hash::Sha384,
            "2.16.840.1.101.3.4.2.3" => Hash::Sha512,
            _ => return None,
        })
    }
}

/// The hash in `RSASSA-PSS-params` (RFC 4055 §3.1); SHA-1 if the field is absent. Mask and salt are left to the verification, which
/// accepts only the mask of the same hash and a salt of its length.
fn pss_hash(parameters: Option<&[u8]>) -> Option<Hash> {
    let Some(content) = parameters else {
        return Some(Hash::Sha1);
    };
    let Ok((field, _)) = der::asn1::AnyRef::from_der_partial(content) else {
        return Some(Hash::Sha1);
    };
    if content.first() != Some(&0xa0) {
        return Some(Hash::Sha1);
    }
    spki::AlgorithmIdentifierRef::from_der(field.value())
        .ok()
        .and_then(|identifier| Hash::of(&identifier.oid.to_string()))
}
