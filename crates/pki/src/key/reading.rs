//! Reading private keys: PKCS#8, and the older formats by putting them into PKCS#8.

use aws_lc_rs::signature::{
    self as aws, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, PqdsaKeyPair,
    PqdsaSigningAlgorithm, RsaKeyPair,
};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Encode};
use pkcs8::PrivateKeyInfoRef;
use spki::AlgorithmIdentifierRef;
use zeroize::Zeroizing;

use super::{Pair, PrivateKey};
use crate::error::{Error, Result};
use crate::oid;

impl PrivateKey {
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
        let mut block = crate::pem::parse(pem.as_bytes())
            .into_iter()
            .find(crate::pem::Block::is_private_key)
            .ok_or_else(|| Error::malformed("private key", "the text has no PRIVATE KEY block"))?;
        if block.is_encrypted() {
            return Err(Error::malformed("private key", "it is encrypted"));
        }
        let der = Zeroizing::new(std::mem::take(&mut block.der));
        Self::from_labelled(&block.label, &der)
    }

    /// Reads an unencrypted key of the form that a PEM label names.
    pub(crate) fn from_labelled(label: &str, der: &[u8]) -> Result<Self> {
        match label {
            "PRIVATE KEY" => Self::from_pkcs8_der(der),
            "RSA PRIVATE KEY" => Self::from_wrapped(oid::RSA, AnyRef::NULL, der),
            "EC PRIVATE KEY" => {
                let curve = sec1_curve(der)?;
                Self::from_wrapped(oid::EC, AnyRef::from(&curve), der)
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
    let key = Sec1PrivateKey::from_der(sec1_der)
        .map_err(|error| Error::malformed("private key", error))?;
    key.parameters
        .ok_or_else(|| Error::malformed("private key", "the EC PRIVATE KEY names no curve"))
}
