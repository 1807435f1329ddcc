//! Private keys under a password: PKCS#8 `EncryptedPrivateKeyInfo` with PBES2 (RFC 8018 §6.2), all through aws-lc-rs.
//!
//! Written is what OpenSSL 3 and Java write and read: PBKDF2 with HMAC-SHA-256, AES-256-CBC. Read are PBKDF2 with any SHA and AES-CBC
//! with any key size.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{
    self, DecryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{pbkdf2, rand};
use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Encode, Sequence};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key::PrivateKey;

/// Rounds of the key derivation in what is written.
const ROUNDS: u32 = 210_000;

/// Most rounds that are carried out on reading: about a second.
pub const MAXIMUM_ROUNDS: u32 = 2_000_000;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// `EncryptedPrivateKeyInfo` of RFC 5958 §3.
#[derive(Sequence)]
pub(crate) struct Encrypted<'a> {
    pub(crate) algorithm: Algorithm<'a>,
    pub(crate) data: &'a OctetStringRef,
}

/// `AlgorithmIdentifier`.
#[derive(Sequence)]
pub(crate) struct Algorithm<'a> {
    pub(crate) oid: ObjectIdentifier,
    #[asn1(optional = "true")]
    pub(crate) parameters: Option<AnyRef<'a>>,
}

/// `PBES2-params`.
#[derive(Sequence)]
struct Pbes2<'a> {
    derivation: Algorithm<'a>,
    encryption: Algorithm<'a>,
}

/// `PBKDF2-params`.
#[derive(Sequence)]
struct Pbkdf2<'a> {
    salt: &'a OctetStringRef,
    rounds: u32,
    #[asn1(optional = "true")]
    key_length: Option<u16>,
    #[asn1(optional = "true")]
    pseudo_random_function: Option<Algorithm<'a>>,
}

impl PrivateKey {
    /// Reads a PKCS#8 `EncryptedPrivateKeyInfo`.
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::UnsupportedAlgorithm`] for other encryptions and for more than [`MAXIMUM_ROUNDS`];
    /// [`Error::Malformed`].
    pub fn from_encrypted_pkcs8_der(der: &[u8], password: &str) -> Result<Self> {
        let encrypted = Encrypted::from_der(der).map_err(malformed)?;
        let unsupported =
            |oid: &ObjectIdentifier| Error::UnsupportedAlgorithm(format!("key encryption {oid}"));
        if encrypted.algorithm.oid != PBES2 {
            return Err(unsupported(&encrypted.algorithm.oid));
        }
        let scheme: Pbes2<'_> = decode(&encrypted.algorithm)?;
        if scheme.derivation.oid != PBKDF2 {
            return Err(unsupported(&scheme.derivation.oid));
        }
        let derivation: Pbkdf2<'_> = decode(&scheme.derivation)?;
        let rounds = NonZeroU32::new(derivation.rounds)
            .filter(|rounds| rounds.get() <= MAXIMUM_ROUNDS)
            .ok_or_else(|| {
                Error::UnsupportedAlgorithm(format!("{} rounds of PBKDF2", derivation.rounds))
            })?;
        let function = match &derivation.pseudo_random_function {
            None => pbkdf2::PBKDF2_HMAC_SHA1,
            Some(function) => match function.oid.to_string().as_str() {
                "1.2.840.113549.2.7" => pbkdf2::PBKDF2_HMAC_SHA1,
                "1.2.840.113549.2.9" => pbkdf2::PBKDF2_HMAC_SHA256,
                "1.2.840.113549.2.10" => pbkdf2::PBKDF2_HMAC_SHA384,
                "1.2.840.113549.2.11" => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return Err(unsupported(&function.oid)),
            },
        };
        let (algorithm, key_length) = match scheme.encryption.oid.to_string().as_str() {
            "2.16.840.1.101.3.4.1.2" => (&cipher::AES_128, 16),
            "2.16.840.1.101.3.4.1.22" => (&cipher::AES_192, 24),
            "2.16.840.1.101.3.4.1.42" => (&cipher::AES_256, 32),
            _ => return Err(unsupported(&scheme.encryption.oid)),
        };
        let iv: &OctetStringRef = decode(&scheme.encryption)?;
        let iv: [u8; 16] = iv
            .as_bytes()
            .try_into()
            .map_err(|_| malformed("the initialization vector is not of 16 octets"))?;
        let mut key = Zeroizing::new(vec![0; key_length]);
        pbkdf2::derive(
            function,
            rounds,
            derivation.salt.as_bytes(),
            password.as_bytes(),
            &mut key,
        );
        let key = UnboundCipherKey::new(algorithm, &key).map_err(refused)?;
        let mut octets = Zeroizing::new(encrypted.data.as_bytes().to_vec());
        let plain = PaddedBlockDecryptingKey::cbc_pkcs7(key)
            .map_err(refused)?
            .decrypt(&mut octets, DecryptionContext::Iv128(FixedLength::from(iv)))
            .map_err(|_| Error::WrongPassword)?;
        // One wrong password in 256 leaves a padding that looks right, but no key.
        match pkcs8::PrivateKeyInfoRef::try_from(&*plain) {
            Ok(_) => Self::from_pkcs8_der(plain),
            Err(_) => Err(Error::WrongPassword),
        }
    }

    /// The key as PKCS#8 under a password: PBES2 with PBKDF2 (HMAC-SHA-256) and AES-256-CBC.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn to_encrypted_pkcs8_der(&self, password: &str) -> Result<Vec<u8>> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(refused)?;
        let mut key = Zeroizing::new([0; 32]);
        let rounds = NonZeroU32::new(ROUNDS).expect("the constant is not zero");
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            &salt,
            password.as_bytes(),
            &mut *key,
        );
        let key = UnboundCipherKey::new(&cipher::AES_256, &*key).map_err(refused)?;
        let mut octets = self.to_pkcs8_der().to_vec();
        let context = PaddedBlockEncryptingKey::cbc_pkcs7(key)
            .and_then(|key| key.encrypt(&mut octets))
            .map_err(refused)?;
        let iv: &[u8] = match &context {
            DecryptionContext::Iv128(iv) => iv.as_ref(),
            _ => return Err(Error::crypto("the cipher has no initialization vector")),
        };
        let function = Algorithm {
            oid: HMAC_SHA_256,
            parameters: Some(AnyRef::NULL),
        };
        let derivation = Pbkdf2 {
            salt: OctetStringRef::new(&salt).map_err(malformed)?,
            rounds: ROUNDS,
            key_length: None,
            pseudo_random_function: Some(function),
        }
        .to_der()
        .map_err(malformed)?;
        let iv = OctetStringRef::new(iv)
            .and_then(|iv| iv.to_der())
            .map_err(malformed)?;
        let scheme = Pbes2 {
            derivation: algorithm(PBKDF2, &derivation)?,
            encryption: algorithm(AES_256_CBC, &iv)?,
        }
        .to_der()
        .map_err(malformed)?;
        Encrypted {
            algorithm: algorithm(PBES2, &scheme)?,
            data: OctetStringRef::new(&octets).map_err(malformed)?,
        }
        .to_der()
        .map_err(malformed)
    }

    /// [`PrivateKey::to_encrypted_pkcs8_der`] as PEM (`ENCRYPTED PRIVATE KEY`), lines ended by LF.
    ///
    /// # Errors
    /// [`Error::Crypto`].
    pub fn to_encrypted_pkcs8_pem(&self, password: &str) -> Result<String> {
        self.to_encrypted_pkcs8_der(password)
            .map(|der| crate::pem::encode("ENCRYPTED PRIVATE KEY", &der))
    }
}

fn decode<'a, T: der::Choice<'a> + der::DecodeValue<'a, Error = der::Error>>(
    algorithm: &Algorithm<'a>,
) -> Result<T> {
    let parameters = algorithm
        .parameters
        .ok_or_else(|| malformed("parameters are missing"))?;
    parameters.decode_as().map_err(malformed)
}

fn algorithm(oid: ObjectIdentifier, parameters: &[u8]) -> Result<Algorithm<'_>> {
    let parameters = AnyRef::from_der(parameters).map_err(malformed)?;
    Ok(Algorithm {
        oid,
        parameters: Some(parameters),
    })
}

fn malformed(reason: impl std::fmt::Display) -> Error {
    Error::malformed("encrypted private key", reason)
}

fn refused(_: aws_lc_rs::error::Unspecified) -> Error {
    Error::crypto("the cipher was refused")
}
