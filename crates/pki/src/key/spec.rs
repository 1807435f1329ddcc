//! What key to generate.

use std::fmt;

use crate::error::{Error, Result};
use crate::oid;

/// The kinds of keys that can be generated and can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeySpec {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    EcP256,
    EcP384,
    EcP521,
    Ed25519,
    MlDsa44,
    MlDsa65,
    MlDsa87,
}

impl KeySpec {
    /// Reads the key fields of Command's enrollment: a type (`RSA`, `ECC` or `ECDSA`, `Ed25519`, `ML-DSA-65`; either case), a length in
    /// bits, a curve (`P-256`, `prime256v1`, `1.2.840.10045.3.1.7`). RSA without length is 2048; ECC without length and curve is P-256.
    ///
    /// # Errors
    /// [`Error::UnsupportedAlgorithm`] that says which of the fields it is about.
    pub fn parse(key_type: &str, length: Option<u32>, curve: Option<&str>) -> Result<Self> {
        let unsupported = |text: String| Err(Error::UnsupportedAlgorithm(text));
        let compact: String = key_type
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| character.to_ascii_uppercase())
            .collect();
        match compact.as_str() {
            "RSA" => match length {
                None | Some(2048) => Ok(KeySpec::Rsa2048),
                Some(3072) => Ok(KeySpec::Rsa3072),
                Some(4096) => Ok(KeySpec::Rsa4096),
                Some(other) => unsupported(format!("RSA of {other} bits; 2048, 3072 and 4096 are")),
            },
            "EC" | "ECC" | "ECDSA" => {
                let curve = curve.map(str::trim).filter(|curve| !curve.is_empty());
                let by_curve = curve.map(Self::of_curve).transpose()?;
                let by_length = match length {
                    None => None,
                    Some(256) => Some(KeySpec::EcP256),
                    Some(384) => Some(KeySpec::EcP384),
                    Some(521) => Some(KeySpec::EcP521),
                    Some(other) => {
                        return unsupported(format!("ECC of {other} bits; 256, 384 and 521 are"));
                    }
                };
                match (by_curve, by_length) {
                    (Some(curve), Some(length)) if curve != length => {
                        unsupported(format!("a key length that is not that of {curve}"))
                    }
                    (curve, length) => Ok(curve.or(length).unwrap_or(KeySpec::EcP256)),
                }
            }
            "ED25519" => Ok(KeySpec::Ed25519),
            "MLDSA44" => Ok(KeySpec::MlDsa44),
            "MLDSA65" => Ok(KeySpec::MlDsa65),
            "MLDSA87" => Ok(KeySpec::MlDsa87),
            "MLDSA" => match length {
                Some(44) => Ok(KeySpec::MlDsa44),
                None | Some(65) => Ok(KeySpec::MlDsa65),
                Some(87) => Ok(KeySpec::MlDsa87),
                Some(other) => unsupported(format!("ML-DSA-{other}")),
            },
            _ => unsupported(format!("key type `{key_type}`")),
        }
    }

    fn of_curve(curve: &str) -> Result<Self> {
        let lower = curve.to_ascii_lowercase();
        match lower.strip_prefix("nist").unwrap_or(&lower).trim() {
            "p-256" | "p256" | "prime256v1" | "secp256r1" | oid::P256 => Ok(KeySpec::EcP256),
            "p-384" | "p384" | "secp384r1" | oid::P384 => Ok(KeySpec::EcP384),
            "p-521" | "p521" | "secp521r1" | oid::P521 => Ok(KeySpec::EcP521),
            _ => Err(Error::UnsupportedAlgorithm(format!(
                "elliptic curve `{curve}`"
            ))),
        }
    }

    /// The name shown to people: `RSA 2048`, `ECC P-256`, `Ed25519`, `ML-DSA-65`.
    pub fn name(self) -> &'static str {
        match self {
            KeySpec::Rsa2048 => "RSA 2048",
            KeySpec::Rsa3072 => "RSA 3072",
            KeySpec::Rsa4096 => "RSA 4096",
            KeySpec::EcP256 => "ECC P-256",
            KeySpec::EcP384 => "ECC P-384",
            KeySpec::EcP521 => "ECC P-521",
            KeySpec::Ed25519 => "Ed25519",
            KeySpec::MlDsa44 => "ML-DSA-44",
            KeySpec::MlDsa65 => "ML-DSA-65",
            KeySpec::MlDsa87 => "ML-DSA-87",
        }
    }
}

impl fmt::Display for KeySpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_command_are_read() {
        let parse = |key_type, length, curve| KeySpec::parse(key_type, length, curve).unwrap();
        assert_eq!(parse("RSA", Some(4096), None), KeySpec::Rsa4096);
        assert_eq!(parse("rsa", None, None), KeySpec::Rsa2048);
        assert_eq!(parse("ECC", Some(384), None), KeySpec::EcP384);
        assert_eq!(parse("ECDSA", None, Some("P-521")), KeySpec::EcP521);
        assert_eq!(
            parse("ECC", Some(256), Some("1.2.840.10045.3.1.7")),
            KeySpec::EcP256
        );
        assert_eq!(parse("Ed25519", None, None), KeySpec::Ed25519);
        assert_eq!(parse("ML-DSA-65", None, None), KeySpec::MlDsa65);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |key_type, length, curve| {
            KeySpec::parse(key_type, length, curve)
                .unwrap_err()
                .to_string()
        };
        assert!(text("RSA", Some(1024), None).contains("1024"));
        assert!(text("ECC", Some(256), Some("P-384")).contains("P-384"));
        assert!(text("ECC", None, Some("secp256k1")).contains("secp256k1"));
        assert!(text("DSA", None, None).contains("DSA"));
    }
}
