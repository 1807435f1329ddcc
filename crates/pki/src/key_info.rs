//! What a public key is: algorithm, size, curve.

use std::fmt;

use spki::SubjectPublicKeyInfoRef;

use crate::oid;

/// The algorithm of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeyAlgorithm {
    Rsa,
    Dsa,
    Ecc,
    Dh,
    Ed25519,
    Ed448,
    MlDsa44,
    MlDsa65,
    MlDsa87,
    SlhDsa,
    Unknown,
}

/// What a public key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The family.
    pub algorithm: KeyAlgorithm,
    /// The dotted identifier of the algorithm in the `SubjectPublicKeyInfo`.
    pub algorithm_oid: String,
    /// Bits: of the modulus (RSA), of the prime (DSA, DH), of the field (ECC, EdDSA), of the whole public key (ML-DSA, SLH-DSA);
    /// 0 if unknown.
    pub size_bits: u32,
    /// The curve of an ECC key, `P-256` for example, or its dotted identifier if it has no name here; none for other keys.
    pub curve: Option<String>,
}

impl KeyAlgorithm {
    /// The name shown to people: `RSA`, `ECC`, `Ed25519`, `ML-DSA-65`.
    pub fn name(self) -> &'static str {
        match self {
            KeyAlgorithm::Rsa => "RSA",
            KeyAlgorithm::Dsa => "DSA",
            KeyAlgorithm::Ecc => "ECC",
            KeyAlgorithm::Dh => "DH",
            KeyAlgorithm::Ed25519 => "Ed25519",
            KeyAlgorithm::Ed448 => "Ed448",
            KeyAlgorithm::MlDsa44 => "ML-DSA-44",
            KeyAlgorithm::MlDsa65 => "ML-DSA-65",
            KeyAlgorithm::MlDsa87 => "ML-DSA-87",
            KeyAlgorithm::SlhDsa => "SLH-DSA",
            KeyAlgorithm::Unknown => "Unknown",
        }
    }

    fn of(dotted: &str) -> Self {
        match dotted {
            oid::RSA | oid::RSA_PSS => KeyAlgorithm::Rsa,
            oid::DSA => KeyAlgorithm::Dsa,
            oid::EC => KeyAlgorithm::Ecc,
            oid::DH_PKCS3 | oid::DH_X942 => KeyAlgorithm::Dh,
            oid::ED25519 => KeyAlgorithm::Ed25519,
            oid::ED448 => KeyAlgorithm::Ed448,
            oid::ML_DSA_44 => KeyAlgorithm::MlDsa44,
            oid::ML_DSA_65 => KeyAlgorithm::MlDsa65,
            oid::ML_DSA_87 => KeyAlgorithm::MlDsa87,
            other if oid::is_slh_dsa(other) => KeyAlgorithm::SlhDsa,
            _ => KeyAlgorithm::Unknown,
        }
    }
}

impl fmt::Display for KeyAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl KeyInfo {
    /// The parameter set of an SLH-DSA key (RFC 9909), for example `SLH-DSA-SHA2-128s`; none for other keys.
    pub fn parameter_set(&self) -> Option<&'static str> {
        oid::slh_dsa_name(&self.algorithm_oid)
    }

    /// Only the algorithm of a key.
    pub(crate) fn of_spki_algorithm(spki: &SubjectPublicKeyInfoRef<'_>) -> KeyAlgorithm {
        KeyAlgorithm::of(&spki.algorithm.oid.to_string())
    }

    /// Reads what a `SubjectPublicKeyInfo` says of its key. Never fails: what cannot be understood is [`KeyAlgorithm::Unknown`] or of
    /// size 0.
    pub fn of_spki(spki_der: &[u8]) -> Self {
        let Ok(spki) = SubjectPublicKeyInfoRef::try_from(spki_der) else {
            return KeyInfo {
                algorithm: KeyAlgorithm::Unknown,
                algorithm_oid: String::new(),
                size_bits: 0,
                curve: None,
            };
        };
        let algorithm_oid = spki.algorithm.oid.to_string();
        let algorithm = KeyAlgorithm::of(&algorithm_oid);
        let key = spki.subject_public_key.raw_bytes();
        let mut curve = None;
        let size_bits = match algorithm {
            KeyAlgorithm::Rsa => first_integer_bits(key),
            KeyAlgorithm::Dsa | KeyAlgorithm::Dh => spki
                .algorithm
                .parameters
                .map_or(0, |parameters| integer_bits_in(parameters.value())),
            KeyAlgorithm::Ecc => {
                let named = spki
                    .algorithm
                    .parameters_oid()
                    .ok()
                    .map(|oid| oid.to_string());
                let (name, bits) = curve_name_and_bits(named.as_deref(), key);
                curve = name;
                bits
            }
            KeyAlgorithm::Ed25519 => 256,
            KeyAlgorithm::Ed448 => 456,
            KeyAlgorithm::MlDsa44
            | KeyAlgorithm::MlDsa65
            | KeyAlgorithm::MlDsa87
            | KeyAlgorithm::SlhDsa => u32::try_from(key.len() * 8).unwrap_or(0),
            KeyAlgorithm::Unknown => 0,
        };
        KeyInfo {
            algorithm,
            algorithm_oid,
            size_bits,
            curve,
        }
    }
}

/// The name and the field size of a curve; of a curve unknown here, its identifier and the size its point implies.
fn curve_name_and_bits(named: Option<&str>, point: &[u8]) -> (Option<String>, u32) {
    const CURVES: &[(&str, &str, u32)] = &[
        (oid::P256, "P-256", 256),
        (oid::P384, "P-384", 384),
        (oid::P521, "P-521", 521),
        (oid::P256K1, "secp256k1", 256),
        ("1.2.840.10045.3.1.1", "P-192", 192),
        ("1.3.132.0.33", "P-224", 224),
        ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", 256),
        ("1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", 384),
        ("1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", 512),
    ];
    let implied = match point.first() {
        Some(4) => (point.len() - 1) * 4,
        Some(2 | 3) => (point.len() - 1) * 8,
        _ => 0,
    };
    let implied = u32::try_from(implied).unwrap_or(0);
    match named {
        Some(dotted) => CURVES
            .iter()
            .find(|(known, _, _)| *known == dotted)
            .map_or((Some(dotted.to_owned()), implied), |(_, name, bits)| {
                (Some((*name).to_owned()), *bits)
            }),
        None => (None, implied),
    }
}

/// The bits of the first INTEGER inside a SEQUENCE.
fn first_integer_bits(sequence: &[u8]) -> u32 {
    use der::Decode;
    der::asn1::AnyRef::from_der(sequence).map_or(0, |any| integer_bits_in(any.value()))
}

/// The bits of the INTEGER the content starts with.
fn integer_bits_in(content: &[u8]) -> u32 {
    use der::Decode;
    let Ok((any, _)) = der::asn1::AnyRef::from_der_partial(content) else {
        return 0;
    };
    let magnitude = any.value();
    let significant = magnitude
        .iter()
        .position(|byte| *byte != 0)
        .map_or(&[][..], |start| &magnitude[start..]);
    match significant.first() {
        Some(first) => {
            u32::try_from(significant.len() * 8).map_or(0, |bits| bits - first.leading_zeros())
        }
        None => 0,
    }
}
