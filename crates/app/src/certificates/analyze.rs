//! `POST /Certificates/Analyze`: what is in a file. Nothing is stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::file;
use crate::error::Error;
use crate::web::{Body, Date, Json};

/// A file to look into.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = AnalyzeCertificateRequest)]
pub(super) struct AnalyzeRequest {
    /// PEM, or Base64 of PEM, DER, PKCS#7, PKCS#12 or a Java key store.
    certificate: Option<String>,
    /// Opens PKCS#12 files, key stores and encrypted keys.
    password: Option<String>,
}

/// A certificate of the file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CertificateDetails {
    #[serde(rename = "IssuedDN")]
    issued_dn: String,
    #[serde(rename = "IssuerDN")]
    issuer_dn: String,
    /// SHA-1, upper-case hexadecimal.
    thumbprint: String,
    not_after: Date,
    not_before: Date,
    /// Empty: a file holds none.
    metadata: BTreeMap<String, String>,
    /// Not the certificate of an authority.
    is_end_entity: bool,
    /// What is odd about it, part and reason.
    warnings: Vec<String>,
}

impl From<pki::FoundCertificate> for CertificateDetails {
    fn from(found: pki::FoundCertificate) -> Self {
        let certificate = found.certificate;
        Self {
            issued_dn: certificate.subject().to_owned(),
            issuer_dn: certificate.issuer().to_owned(),
            thumbprint: certificate.thumbprint(),
            not_after: Date(super::record::storable(certificate.not_after())),
            not_before: Date(super::record::storable(certificate.not_before())),
            metadata: BTreeMap::new(),
            is_end_entity: !certificate.is_ca(),
            warnings: found.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The certificates in a file, in its order. Every account may ask; the file is not kept.
#[utoipa::path(
    post, path = "/Certificates/Analyze", tag = "Certificate", request_body = AnalyzeRequest,
    responses((status = 200, body = Vec<CertificateDetails>, description = "The certificates")),
    extensions(("x-permissions" = json!([])))
)]
pub(super) async fn analyze(
    Body(request): Body<AnalyzeRequest>,
) -> Result<Json<Vec<CertificateDetails>>, Error> {
    let contents = file::read(request.certificate, request.password).await?;
    let details = contents
        .certificates
        .into_iter()
        .map(CertificateDetails::from);
    Ok(Json(details.collect()))
}
