//! X.509, CSR, keys, PKCS#7, PKCS#12, lints and signing. No I/O, no database.
//!
//! Everything that reads takes bytes and returns [`Error`] for whatever it cannot understand; nothing here panics on input.
//! Time is passed in as milliseconds since the Unix epoch. The one thing drawn from the operating system is randomness for keys
//! and signatures, through aws-lc-rs.

mod armor;
mod certificate;
mod chain;
mod crl;
mod distinguished_name;
mod error;
mod extensions;
mod issuer;
mod key;
mod key_info;
mod lint;
pub mod oid;
pub mod pem;
pub mod pkcs12;
pub mod pkcs7;
mod request;
mod serial;
mod signature;
mod subject_alternative_name;

pub use certificate::Certificate;
pub use chain::build_chain;
pub use crl::CertificateRevocationList;
pub use distinguished_name::DistinguishedName;
pub use error::{Error, Finding, Result};
pub use extensions::CertificateProfile;
pub use issuer::{Issuer, LintedCertificate, Subject};
pub use key::{KeySpec, PrivateKey};
pub use key_info::{KeyAlgorithm, KeyInfo};
pub use oid::extended_key_usage_name;
pub use request::{CertificateRequest, MAXIMUM_REQUEST_BYTES};
pub use serial::Serial;
pub use subject_alternative_name::{SanKind, SubjectAlternativeName};
