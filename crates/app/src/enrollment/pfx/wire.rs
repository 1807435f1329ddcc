//! What a PFX enrollment is asked with and answered, in both versions.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::names::SansInput;
use crate::web::Date;

/// An order for a certificate with key, version 1.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PfxEnrollmentRequest)]
pub(crate) struct PfxEnrollmentRequest {
    /// The name that the key has in the file; the common name unless given.
    pub(super) custom_friendly_name: Option<String>,
    /// Of the file, 8 characters at least. Without one, one is made and answered.
    pub(super) password: Option<String>,
    /// Not used: there is no directory to ask.
    #[serde(rename = "PopulateMissingValuesFromAD")]
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) populate_missing_values_from_ad: Option<bool>,
    /// A distinguished name: `CN=a.example,O=Example`.
    pub(super) subject: Option<String>,
    /// The certificate that this one follows; null for none.
    pub(super) renewal_certificate_id: Option<i64>,
    /// `EndEntityFirst` (the default) or `RootFirst`; PEM only.
    pub(super) chain_order: Option<String>,
    /// Triple DES for the key too, for old readers.
    pub(super) use_legacy_encryption: Option<bool>,
    /// `RSA`, `ECC` or `Ed25519`; the template's unless given.
    pub(super) key_type: Option<String>,
    /// Bits; 0 for the template's.
    pub(super) key_length: Option<u32>,
    /// Name or identifier of a curve.
    pub(super) curve: Option<String>,
    /// Not used.
    #[serde(rename = "MicrosoftTargetCSP")]
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) microsoft_target_csp: Option<String>,
    /// `host\logical`, the logical name alone, or nothing for the only one there is.
    pub(super) certificate_authority: Option<String>,
    /// Whether the file has the certificates above it too.
    pub(super) include_chain: Option<bool>,
    /// Whether a line `#subject` stands before each PEM block; it does unless this is false.
    pub(super) include_subject_header: Option<bool>,
    /// Values by field name.
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Map<String, Value>>,
    /// Read and not used: there are no such fields yet.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) additional_enrollment_fields: Option<Map<String, Value>>,
    /// When the client sent this; not used.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) timestamp: Option<Date>,
    /// Short name of the template.
    pub(super) template: Option<String>,
    pub(super) owner_role_id: Option<i64>,
    pub(super) owner_role_name: Option<String>,
    /// Not used.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) file_extension: Option<String>,
    /// Names by kind: `dns`, `ip`, `ip4`, `ip6`, `uri`, `rfc822`, `ms_ntprincipalname`, ….
    #[serde(rename = "SANs")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    pub(super) sans: Option<SansInput>,
    /// There are none yet; 0 or null.
    pub(super) enrollment_pattern_id: Option<i64>,
}

/// An order for a certificate with key, version 2: it can go into stores at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PfxEnrollmentWithStoresRequest)]
pub(crate) struct PfxEnrollmentWithStoresRequest {
    /// Where to put the certificate.
    pub(super) stores: Option<Vec<StoreInput>>,
    /// The name that the key has in the file; the common name unless given.
    pub(super) custom_friendly_name: Option<String>,
    /// Of the file, 8 characters at least. Without one, one is made and answered.
    pub(super) password: Option<String>,
    /// A distinguished name: `CN=a.example,O=Example`.
    pub(super) subject: Option<String>,
    /// Whether the file has the certificates above it too.
    pub(super) include_chain: Option<bool>,
    /// Whether a line `#subject` stands before each PEM block; it does unless this is false.
    pub(super) include_subject_header: Option<bool>,
    /// The certificate that this one follows; null for none.
    pub(super) renewal_certificate_id: Option<i64>,
    /// `host\logical`, the logical name alone, or nothing for the only one there is.
    pub(super) certificate_authority: Option<String>,
    /// Values by field name.
    #[schema(value_type = Option<Object>)]
    pub(super) metadata: Option<Map<String, Value>>,
    /// Read and not used: there are no such fields yet.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) additional_enrollment_fields: Option<Map<String, Value>>,
    /// When the client sent this; not used.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) timestamp: Option<Date>,
    /// Short name of the template.
    pub(super) template: Option<String>,
    /// Names by kind: `dns`, `ip`, `ip4`, `ip6`, `uri`, `rfc822`, `ms_ntprincipalname`, ….
    #[serde(rename = "SANs")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    pub(super) sans: Option<SansInput>,
    /// Whether to put it where the certificate is that it follows.
    pub(super) install_into_existing_certificate_stores: Option<bool>,
    /// When to put it there; at once unless given.
    pub(super) job_time: Option<Date>,
    /// `EndEntityFirst` (the default) or `RootFirst`; PEM only.
    pub(super) chain_order: Option<String>,
    /// Triple DES for the key too, for old readers.
    pub(super) use_legacy_encryption: Option<bool>,
    /// `RSA`, `ECC` or `Ed25519`; the template's unless given.
    pub(super) key_type: Option<String>,
    /// Bits; 0 for the template's.
    pub(super) key_length: Option<u32>,
    /// Name or identifier of a curve.
    pub(super) curve: Option<String>,
    /// A second key in the same certificate is not offered; null.
    pub(super) alternative_key_type: Option<String>,
    /// Not used.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) alternative_key_length: Option<u32>,
    /// Not used.
    #[serde(rename = "MicrosoftTargetCSP")]
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) microsoft_target_csp: Option<String>,
    pub(super) owner_role_id: Option<i64>,
    pub(super) owner_role_name: Option<String>,
    /// There are none yet; 0 or null.
    pub(super) enrollment_pattern_id: Option<i64>,
    /// Not used.
    #[expect(dead_code, reason = "declared by the contract")]
    pub(super) file_extension: Option<String>,
}

/// A store to put the certificate into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EnrollmentManagementStoreRequest)]
pub(crate) struct StoreInput {
    pub(super) store_id: Uuid,
    pub(super) alias: Option<String>,
    pub(super) overwrite: Option<bool>,
    /// Values of the store type's entry parameters.
    #[schema(value_type = Option<Object>)]
    pub(super) properties: Option<Map<String, Value>>,
}

/// What became of the order, version 1.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PfxEnrollmentResponse)]
pub(crate) struct PfxEnrollmentResponse {
    pub(super) certificate_information: PfxCertificateInformation,
    /// Values by field name.
    pub(super) metadata: BTreeMap<String, String>,
}

/// What became of the order, version 2.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PfxEnrollmentManagementResponse)]
pub(crate) struct PfxEnrollmentWithStoresResponse {
    /// Stores that jobs were made for.
    pub(super) successful_stores: Vec<Uuid>,
    pub(super) certificate_information: PfxCertificateInformation,
    /// Values by field name.
    pub(super) metadata: BTreeMap<String, String>,
}

/// The certificate with its key, or that the request waits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Pkcs12CertificateResponse)]
pub(crate) struct PfxCertificateInformation {
    /// Upper-case hexadecimal; empty as long as there is no certificate.
    pub(super) serial_number: String,
    #[serde(rename = "IssuerDN")]
    pub(super) issuer_dn: String,
    /// SHA-1, upper-case hexadecimal.
    pub(super) thumbprint: String,
    /// Id of the certificate; 0 as long as there is none.
    pub(super) keyfactor_id: i64,
    /// Base64 of the file in the form asked for; empty with `STORE` and as long as there is no certificate.
    pub(super) pkcs12_blob: String,
    /// The password that was made here; null when the caller gave one.
    pub(super) password: Option<String>,
    /// 1: the key is kept here; 3: it is not.
    pub(super) key_status: i32,
    pub(super) workflow_instance_id: Uuid,
    pub(super) workflow_reference_id: i64,
    /// Stores that the certificate cannot be put into.
    pub(super) store_ids_invalid_for_renewal: Vec<Uuid>,
    pub(super) chain_failed_to_build: bool,
    /// Id of the request.
    pub(super) keyfactor_request_id: i64,
    /// `ISSUED` or `PENDING`.
    pub(super) request_disposition: String,
    pub(super) disposition_message: String,
    pub(super) enrollment_context: Option<BTreeMap<String, String>>,
    pub(super) url: Option<String>,
}
