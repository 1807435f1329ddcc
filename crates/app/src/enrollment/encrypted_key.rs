//! A private key as `ENCRYPTED PRIVATE KEY`: PKCS#8 under PBES2 (RFC 8018), PBKDF2 with HMAC-SHA-256 and AES-256-CBC, which every
//! reader of PEM files understands.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::error::Error;

/// OWASP's number for PBKDF2 with HMAC-SHA-256 would be 600,000; readers of such files wait for each, and the file travels
/// under TLS to whoever knows the password.
const ROUNDS: u32 = 100_000;
const SALT_OCTETS: usize = 16;

/// `id-PBES2`, `id-PBKDF2`, `hmacWithSHA256` and `aes256-CBC-PAD`, as the contents of OBJECT IDENTIFIERs.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA_256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// The key as PEM, encrypted with the password.
///
/// # Errors
/// A fault of the cryptographic library.
pub(super) fn to_encrypted_pem(key: &pki::PrivateKey, password: &str) -> Result<String, Error> {
    let failed = |_| Error::internal("a private key cannot be encrypted");
    let mut salt = [0; SALT_OCTETS];
    aws_lc_rs::rand::fill(&mut salt).map_err(failed)?;
    let mut derived = Zeroizing::new([0_u8; 32]);
    let rounds = NonZeroU32::new(ROUNDS).expect("the number of rounds is not zero");
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        password.as_bytes(),
        derived.as_mut_slice(),
    );
    let cipher = UnboundCipherKey::new(&AES_256, derived.as_slice()).map_err(failed)?;
    let cipher = PaddedBlockEncryptingKey::cbc_pkcs7(cipher).map_err(failed)?;
    let mut octets = key.to_pkcs8_der().to_vec();
    let context = cipher.encrypt(&mut octets).map_err(failed)?;
    let iv: &[u8] = (&context).try_into().map_err(failed)?;

    let hmac = element(0x30, &[&element(0x06, &[HMAC_SHA_256]), &[0x05, 0x00]]);
    let rounds = element(0x02, &[&integer(ROUNDS)]);
    let derivation = element(0x30, &[&element(0x04, &[&salt]), &rounds, &hmac]);
    let derivation = element(0x30, &[&element(0x06, &[PBKDF2]), &derivation]);
    let encryption = element(
        0x30,
        &[&element(0x06, &[AES_256_CBC]), &element(0x04, &[iv])],
    );
    let algorithm = element(
        0x30,
        &[
            &element(0x06, &[PBES2]),
            &element(0x30, &[&derivation, &encryption]),
        ],
    );
    let der = element(0x30, &[&algorithm, &element(0x04, &[&octets])]);
    Ok(pki::pem::encode("ENCRYPTED PRIVATE KEY", &der))
}

/// A DER element.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => der.push(length),
        _ => {
            let length: Vec<u8> = content
                .len()
                .to_be_bytes()
                .into_iter()
                .skip_while(|octet| *octet == 0)
                .collect();
            der.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
            der.extend(length);
        }
    }
    der.extend(content);
    der
}

/// The content octets of a positive INTEGER.
fn integer(value: u32) -> Vec<u8> {
    let mut octets: Vec<u8> = value
        .to_be_bytes()
        .into_iter()
        .skip_while(|octet| *octet == 0)
        .collect();
    if octets.first().is_none_or(|octet| octet & 0x80 != 0) {
        octets.insert(0, 0);
    }
    octets
}
