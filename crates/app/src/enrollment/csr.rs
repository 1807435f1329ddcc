//! `POST /Enrollment/CSR`: a certificate for a request that somebody else made.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::answers::{self, CertificateFormat};
use super::issue::{Outcome, Settled, carry_out};
use super::names::{self, SansInput};
use super::{pfx, plan};
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::at_enrollment;
use crate::security::{Permission, Through};
use crate::templates::ENROLLMENT_CSR;
use crate::web::{Body, Date, Json, Query};

/// A request for a certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CsrEnrollmentRequest)]
pub(crate) struct CsrEnrollmentRequest {
    /// PKCS#10: PEM, or base64 of DER.
    #[serde(rename = "CSR")]
    csr: String,
    /// The private key as PEM, to be kept with the certificate.
    private_key: Option<String>,
    /// The certificate that this one follows; null for none.
    renewal_certificate_id: Option<i64>,
    /// `host\logical`, the logical name alone, or nothing for the only one there is.
    certificate_authority: Option<String>,
    /// Whether to answer the certificates above it too.
    include_chain: Option<bool>,
    /// Whether a line `#subject` stands before each PEM block; it does unless this is false.
    include_subject_header: Option<bool>,
    /// Values by field name.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Read and not used: there are no such fields yet.
    #[schema(value_type = Option<Object>)]
    #[expect(dead_code, reason = "declared by the contract")]
    additional_enrollment_fields: Option<Map<String, Value>>,
    /// When the client sent this; not used.
    #[expect(dead_code, reason = "declared by the contract")]
    timestamp: Option<Date>,
    /// Short name of the template.
    template: Option<String>,
    owner_role_id: Option<i64>,
    owner_role_name: Option<String>,
    /// Not used.
    #[expect(dead_code, reason = "declared by the contract")]
    file_extension: Option<String>,
    /// Names by kind: `dns`, `ip`, `ip4`, `ip6`, `uri`, `rfc822`, `ms_ntprincipalname`, …. A kind that is given replaces the
    /// request's own names of that kind.
    #[serde(rename = "SANs")]
    #[schema(value_type = Option<BTreeMap<String, Vec<String>>>)]
    sans: Option<SansInput>,
    /// There are none yet; 0 or null.
    enrollment_pattern_id: Option<i64>,
}

/// Members of the query string.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct CsrFlags {
    /// Accepted; every request is enrolled.
    #[expect(
        dead_code,
        reason = "declared by the contract; there are no duplicates' rules"
    )]
    force_enroll: Option<bool>,
    /// The collection that the certificate to renew is in; 0 for none.
    collection_id: Option<i64>,
}

/// What became of the request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CsrEnrollmentResponse)]
pub(crate) struct CsrEnrollmentResponse {
    certificate_information: CsrCertificateInformation,
    /// Values by field name.
    metadata: BTreeMap<String, String>,
}

/// The certificate, or that the request waits for one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = Pkcs10CertificateResponse)]
pub(crate) struct CsrCertificateInformation {
    /// Upper-case hexadecimal; empty as long as there is no certificate.
    serial_number: String,
    #[serde(rename = "IssuerDN")]
    issuer_dn: String,
    /// SHA-1, upper-case hexadecimal.
    thumbprint: String,
    /// Id of the certificate; 0 as long as there is none.
    #[serde(rename = "KeyfactorID")]
    keyfactor_id: i64,
    /// Leaf first, in the form asked for.
    certificates: Vec<String>,
    workflow_instance_id: Uuid,
    workflow_reference_id: i64,
    /// Id of the request.
    keyfactor_request_id: i64,
    /// `ISSUED` or `PENDING`.
    request_disposition: String,
    disposition_message: String,
    enrollment_context: Option<BTreeMap<String, String>>,
    url: Option<String>,
}

/// Enrolls for a certificate with a PKCS#10 request.
#[utoipa::path(post, path = "/Enrollment/CSR", tag = "Enrollment", params(CsrFlags, ("x-certificateformat" = String, Header, description = "`PEM`, `DER` or `P7B`")), request_body = CsrEnrollmentRequest, responses((status = 200, body = CsrEnrollmentResponse, description = "Issued, or waiting for approval")), extensions(("x-permissions" = json!(["/certificates/enrollment/csr/"]))))]
pub(super) async fn enroll(
    cx: Cx,
    Query(flags): Query<CsrFlags>,
    headers: HeaderMap,
    Body(request): Body<CsrEnrollmentRequest>,
) -> Result<Json<CsrEnrollmentResponse>, Error> {
    let through = Through::new(flags.collection_id, None);
    enroll_request(&cx, &headers, request, through)
        .await
        .map(Json)
}

async fn enroll_request(
    cx: &Cx,
    headers: &HeaderMap,
    request: CsrEnrollmentRequest,
    through: Through,
) -> Result<CsrEnrollmentResponse, Error> {
    cx.authorize(Permission::EnrollmentCsr)?;
    let format = CertificateFormat::of(headers)?;
    let csr = pki::CertificateRequest::from_pem_or_der(request.csr.trim().as_bytes())
        .map_err(|error| Error::bad_request(format!("CSR: {error}.")))?;
    let renewed = pfx::renewed(cx, request.renewal_certificate_id, through).await?;
    let (authority, template) = (
        request.certificate_authority.as_deref(),
        request.template.as_deref(),
    );
    let place = plan::place(
        cx,
        authority,
        template,
        request.enrollment_pattern_id,
        ENROLLMENT_CSR,
    )
    .await?;
    let key = match plan::given(request.private_key.as_deref()) {
        None => None,
        Some(pem) => Some(private_key(pem, &csr)?),
    };
    let given = names::from_map(&request.sans.unwrap_or_default())?;
    let wanted = names::merged(csr.subject_alternative_names(), given);
    let (subject, names) = plan::names(&place.template, csr.subject().clone(), wanted, csr.key())?;
    let metadata = at_enrollment(cx, request.metadata).await?;
    let shown = metadata.iter().cloned().collect();
    let owner = plan::owner(
        cx,
        request.owner_role_id,
        request.owner_role_name.as_deref(),
        renewed.as_ref(),
    )
    .await?;
    let settled = Settled {
        authority: place.authority,
        template: place.template,
        subject,
        names,
        request_der: csr.der().to_vec(),
        spki_der: csr.spki_der().to_vec(),
        waiting_key: key.clone(),
        stored_key: key,
        metadata,
        metadata_kept: false,
        owner,
        renewal_of: renewed.map(|row| row.id),
        stores: Vec::new(),
    };
    let outcome = carry_out(cx, settled).await?;
    let chain = request.include_chain.unwrap_or(false);
    let information = information(
        &outcome,
        format,
        chain,
        request.include_subject_header.unwrap_or(true),
    )?;
    Ok(CsrEnrollmentResponse {
        certificate_information: information,
        metadata: shown,
    })
}

fn private_key(pem: &str, csr: &pki::CertificateRequest) -> Result<pki::PrivateKey, Error> {
    let key = pki::PrivateKey::from_pem(pem)
        .map_err(|error| Error::bad_request(format!("PrivateKey: {error}.")))?;
    // Certificates with other parameters than the key's own encoding would not match it later on.
    if key.spki_der() != csr.spki_der() {
        return Err(Error::bad_request(
            "PrivateKey: it is not the key of the CSR.",
        ));
    }
    Ok(key)
}

fn information(
    outcome: &Outcome,
    format: CertificateFormat,
    include_chain: bool,
    with_subject: bool,
) -> Result<CsrCertificateInformation, Error> {
    let issued = outcome.issued.as_ref();
    let certificate = issued.map(super::issue::Issued::certificate);
    let certificates = match issued {
        None => Vec::new(),
        Some(issued) => {
            let shown = if include_chain {
                issued.chain.as_slice()
            } else {
                &issued.chain[..1]
            };
            format.certificates(shown, with_subject)?
        }
    };
    let (disposition, message) = match issued {
        Some(_) => (answers::ISSUED, answers::ISSUED_MESSAGE),
        None => (answers::PENDING, answers::PENDING_MESSAGE),
    };
    Ok(CsrCertificateInformation {
        serial_number: certificate
            .map(|certificate| certificate.serial_hex().to_owned())
            .unwrap_or_default(),
        issuer_dn: certificate
            .map(|certificate| certificate.issuer().to_owned())
            .unwrap_or_default(),
        thumbprint: certificate
            .map(pki::Certificate::thumbprint)
            .unwrap_or_default(),
        keyfactor_id: issued.map_or(0, |issued| issued.certificate_id),
        certificates,
        workflow_instance_id: Uuid::nil(),
        workflow_reference_id: 0,
        keyfactor_request_id: outcome.request_id,
        request_disposition: disposition.into(),
        disposition_message: message.into(),
        enrollment_context: None,
        url: None,
    })
}
