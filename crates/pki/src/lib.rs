//! X.509, CSR, keys, CRL, OCSP, PKCS#7, PKCS#12, JKS, validation, lints and signing. No I/O, no database.
//!
//! Everything that reads takes bytes and returns [`Error`] for whatever it cannot understand; nothing here panics on input.
//! Time is passed in as milliseconds since the Unix epoch. The one thing drawn from the operating system is randomness for keys
//! and signatures, through aws-lc-rs.

mod armor;
mod ber;
mod certificate;
mod chain;
mod chain_order;
mod contents;
mod crl;
mod distinguished_name;
mod encrypted_key;
mod error;
mod extensions;
mod issuer;
pub mod jks;
mod key;
mod key_info;
mod lint;
pub mod ocsp;
pub mod oid;
pub mod pem;
pub mod pkcs12;
pub mod pkcs7;
mod request;
mod revocation_list;
mod serial;
mod signature;
mod subject_alternative_name;
mod time;
pub mod validation;

pub use certificate::{Certificate, MAXIMUM_CERTIFICATE_BYTES, Reading, Warning};
pub use chain::build_chain;
pub use chain_order::ChainOrder;
pub use contents::{
    Contents, ContentsError, FoundCertificate, FoundKey, MAXIMUM_FILE_BYTES,
    MAXIMUM_FILE_CERTIFICATES, MAXIMUM_FILE_KEYS, MAXIMUM_FILE_PASSWORD_TRIALS, MAXIMUM_NESTING,
};
pub use crl::CertificateRevocationList;
pub use distinguished_name::DistinguishedName;
pub use encrypted_key::MAXIMUM_ROUNDS;
pub use error::{Error, Finding, Result};
pub use extensions::CertificateProfile;
pub use issuer::{Issuer, LintedCertificate, Subject};
pub use key::{KeySpec, PrivateKey};
pub use key_info::{KeyAlgorithm, KeyInfo};
pub use oid::extended_key_usage_name;
pub use request::{CertificateRequest, MAXIMUM_REQUEST_BYTES};
pub use revocation_list::{MAXIMUM_LIST_BYTES, RevocationList, RevokedEntry};
pub use serial::Serial;
pub use subject_alternative_name::{SanKind, SubjectAlternativeName};
pub use validation::validate;
