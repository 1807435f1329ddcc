//! A certificate as the interface shows it: B.6 of the reference, types as `clients.md` 2.6 needs them.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::web::Date;

/// A certificate of the inventory.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateRetrieval)]
pub(crate) struct CertificateOutput {
    pub(super) id: i64,
    /// SHA-1 of the DER, upper-case hexadecimal.
    pub(super) thumbprint: String,
    /// Upper-case hexadecimal.
    pub(super) serial_number: String,
    #[serde(rename = "IssuedDN")]
    pub(super) issued_dn: String,
    #[serde(rename = "IssuedCN")]
    pub(super) issued_cn: Option<String>,
    /// When the server first saw it.
    pub(super) import_date: Date,
    pub(super) not_before: Date,
    pub(super) not_after: Date,
    #[serde(rename = "IssuerDN")]
    pub(super) issuer_dn: String,
    /// Always null: owners are roles.
    pub(super) principal_id: Option<i32>,
    /// The security role that owns it.
    pub(super) owner_role_id: Option<i64>,
    pub(super) owner_role_name: Option<String>,
    pub(super) template_id: Option<i64>,
    /// 0 unknown (issued elsewhere), 1 active, 2 revoked.
    pub(super) cert_state: i32,
    pub(super) key_size_in_bits: i32,
    /// 0 none of the following, 1 RSA, 2 DSA, 3 ECC, 4 DH; `KeyTypeString` and `KeyAlgorithm` say more.
    pub(super) key_type: i32,
    /// OID.
    pub(super) key_algorithm: String,
    pub(super) alt_key_algorithm: Option<String>,
    pub(super) alt_key_size_in_bits: i32,
    pub(super) alt_key_type: i32,
    pub(super) requester_id: Option<i32>,
    #[serde(rename = "IssuedOU")]
    pub(super) issued_ou: Option<String>,
    pub(super) issued_email: Option<String>,
    /// Bit mask: 1 encipher only, 2 CRL sign, 4 certificate sign, 8 key agreement, 16 data encipherment, 32 key encipherment,
    /// 64 non-repudiation, 128 digital signature, 32768 decipher only.
    pub(super) key_usage: i32,
    pub(super) signing_algorithm: String,
    pub(super) alt_signing_algorithm: Option<String>,
    pub(super) cert_state_string: String,
    pub(super) key_type_string: String,
    pub(super) alt_key_type_string: Option<String>,
    pub(super) revocation_eff_date: Option<Date>,
    pub(super) revocation_reason: Option<i32>,
    pub(super) revocation_comment: Option<String>,
    pub(super) certificate_authority_id: Option<i64>,
    /// `host\logical name`.
    pub(super) certificate_authority_name: Option<String>,
    pub(super) template_name: Option<String>,
    /// Whether the server keeps its private key.
    pub(super) archived_key: bool,
    /// The same, when asked for; otherwise false.
    pub(super) has_private_key: bool,
    pub(super) has_alt_private_key: bool,
    pub(super) principal_name: Option<String>,
    pub(super) cert_request_id: Option<i64>,
    pub(super) requester_name: Option<String>,
    /// DER in Base64.
    pub(super) content_bytes: String,
    pub(super) extended_key_usages: Vec<ExtendedKeyUsage>,
    pub(super) subject_alt_name_elements: Vec<SubjectAltNameElement>,
    #[serde(rename = "CRLDistributionPoints")]
    pub(super) crl_distribution_points: Vec<CrlDistributionPoint>,
    /// How many locations of each store type, when locations are asked for.
    pub(super) locations_count: Vec<LocationCount>,
    #[serde(rename = "SSLLocations")]
    pub(super) ssl_locations: Vec<SslLocation>,
    /// In which stores it is, when asked for.
    pub(super) locations: Vec<Location>,
    /// Metadata by field name, when asked for.
    pub(super) metadata: BTreeMap<String, String>,
    #[serde(rename = "CARowIndex")]
    pub(super) ca_row_index: Option<i64>,
    #[serde(rename = "CARecordId")]
    pub(super) ca_record_id: Option<String>,
    pub(super) detailed_key_usage: DetailedKeyUsage,
    pub(super) key_recoverable: bool,
    pub(super) curve: Option<String>,
    pub(super) enrollment_pattern_id: Option<i32>,
    /// Days from `NotBefore` to `NotAfter`.
    pub(super) lifespan: i64,
}

/// A certificate of the inventory, read alone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SingleCertificateRetrieval)]
pub(crate) struct SingleCertificateOutput {
    /// Whether its basic constraints name it an authority.
    #[serde(rename = "IsCACertificate")]
    pub(super) is_ca_certificate: bool,
    pub(super) path_length_constraint: Option<i32>,
    #[serde(flatten)]
    pub(super) certificate: CertificateOutput,
}

/// What the certificate may be used for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateExtendedKeyUsage)]
pub(crate) struct ExtendedKeyUsage {
    /// Its place in the certificate, from 1.
    id: i32,
    oid: String,
    display_name: Option<String>,
}

/// A subject alternative name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateSubjectAltNameElement)]
pub(crate) struct SubjectAltNameElement {
    /// Its place in the certificate, from 1.
    id: i32,
    value: String,
    /// 0 other, 1 e-mail, 2 DNS, 3 X.400, 4 directory, 5 EDI party, 6 URI, 7 IP, 8 registered id, 100 user principal name,
    /// 101 NTDS replication.
    r#type: i32,
    /// SHA-256 of the value, upper-case hexadecimal.
    value_hash: String,
}

/// Where the authority publishes its CRL.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateCRLDistributionPoint)]
pub(crate) struct CrlDistributionPoint {
    /// Its place in the certificate, from 1.
    id: i32,
    url: String,
    /// SHA-256 of the URL, upper-case hexadecimal.
    url_hash: String,
}

/// Locations of one type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateLocationCount)]
pub(crate) struct LocationCount {
    pub(super) r#type: String,
    pub(super) count: i32,
}

/// An address where a scan found the certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateSSLLocation)]
pub(crate) struct SslLocation {
    store_path: Option<String>,
    agent_pool: Option<String>,
    #[serde(rename = "IPAddress")]
    ip_address: Option<String>,
    port: Option<i32>,
    network_name: Option<String>,
}

/// A certificate store that has the certificate.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreLocation)]
pub(crate) struct Location {
    pub(super) store_machine: String,
    pub(super) store_path: String,
    /// Id of the store type.
    pub(super) store_type: i64,
    pub(super) alias: String,
    /// 0 when it is the entry's own certificate, otherwise how far above it.
    pub(super) chain_level: i32,
    pub(super) cert_store_id: Uuid,
}

/// The key usage, bit by bit.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateDetailedKeyUsage)]
pub(crate) struct DetailedKeyUsage {
    crl_sign: bool,
    data_encipherment: bool,
    decipher_only: bool,
    digital_signature: bool,
    encipher_only: bool,
    key_agreement: bool,
    key_cert_sign: bool,
    key_encipherment: bool,
    non_repudiation: bool,
    hex_code: String,
}

impl DetailedKeyUsage {
    pub(super) fn of(mask: i32) -> Self {
        let has = |bit: i32| mask & bit != 0;
        Self {
            crl_sign: has(2),
            data_encipherment: has(16),
            decipher_only: has(32_768),
            digital_signature: has(128),
            encipher_only: has(1),
            key_agreement: has(8),
            key_cert_sign: has(4),
            key_encipherment: has(32),
            non_repudiation: has(64),
            hex_code: format!("0x{mask:02X}"),
        }
    }
}

pub(super) fn extended_key_usages(certificate: &pki::Certificate) -> Vec<ExtendedKeyUsage> {
    (1..)
        .zip(certificate.extended_key_usages())
        .map(|(id, oid)| ExtendedKeyUsage {
            id,
            oid: oid.clone(),
            display_name: pki::extended_key_usage_name(oid).map(str::to_owned),
        })
        .collect()
}

pub(super) fn subject_alt_names(certificate: &pki::Certificate) -> Vec<SubjectAltNameElement> {
    (1..)
        .zip(certificate.subject_alternative_names())
        .map(|(id, name)| SubjectAltNameElement {
            id,
            value: name.value.clone(),
            r#type: i32::from(name.kind.number()),
            value_hash: hash(&name.value),
        })
        .collect()
}

pub(super) fn crl_distribution_points(certificate: &pki::Certificate) -> Vec<CrlDistributionPoint> {
    (1..)
        .zip(certificate.crl_distribution_points())
        .map(|(id, url)| CrlDistributionPoint {
            id,
            url: url.clone(),
            url_hash: hash(url),
        })
        .collect()
}

fn hash(text: &str) -> String {
    hex::encode_upper(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// The names of `CertState`, by number; searches take them too, in lower case.
pub(super) const STATES: &[(&str, i64)] = &[
    ("Unknown", 0),
    ("Active", 1),
    ("Revoked", 2),
    ("Denied", 3),
    ("Failed", 4),
    ("Pending", 5),
    ("Certificate Authority", 6),
    ("Parent Certificate Authority", 7),
    ("External Validation", 8),
];

/// The names of reasons of revocation.
pub(super) const REVOCATION_REASONS: &[(&str, i64)] = &[
    ("Unspecified", 0),
    ("Key Compromised", 1),
    ("CA Compromised", 2),
    ("Affiliation Changed", 3),
    ("Superseded", 4),
    ("Cessation of Operation", 5),
    ("Certificate Hold", 6),
];

/// The names of the key types as they are stored, see [`super::record::key_type`].
pub(super) const KEY_TYPES: &[(&str, i64)] = &[
    ("Unknown", 0),
    ("RSA", 1),
    ("DSA", 2),
    ("ECC", 3),
    ("DH", 4),
    ("Ed25519", 5),
    ("Ed448", 6),
    ("ML-DSA-44", 7),
    ("ML-DSA-65", 8),
    ("ML-DSA-87", 9),
    ("SLH-DSA", 10),
];

/// `Active (1)`.
pub(super) fn state_text(state: i32) -> String {
    format!("{} ({state})", name_of(STATES, state))
}

/// `ECC`.
pub(super) fn key_type_text(key_type: i32) -> String {
    name_of(KEY_TYPES, key_type).to_owned()
}

/// The number that clients know: the newer algorithms have none, and a client's enum refuses a number it does not know.
pub(super) fn key_type_number(key_type: i32) -> i32 {
    if (0..=4).contains(&key_type) {
        key_type
    } else {
        0
    }
}

fn name_of(names: &'static [(&'static str, i64)], number: i32) -> &'static str {
    names
        .iter()
        .find(|(_, known)| *known == i64::from(number))
        .map_or("Unknown", |(name, _)| *name)
}
