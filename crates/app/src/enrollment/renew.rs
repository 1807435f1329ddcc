//! `POST /Enrollment/Renew`: the same certificate again, with a new key and a new life.

use db::tables::{certificate_metadata, certificates};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers;
use super::issue::{Settled, carry_out};
use super::pfx::{generate, request_der};
use super::plan;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{Permission, Through};
use crate::templates::{self, ENROLLMENT_PFX};
use crate::web::{Body, Date, Json, Query};

/// Which certificate, and where to enroll again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RenewalRequest)]
pub(crate) struct RenewalRequest {
    /// Which certificate; this or the thumbprint.
    certificate_id: Option<i64>,
    /// Which certificate; this or the id.
    thumbprint: Option<String>,
    /// Another authority than the one that issued it.
    certificate_authority: Option<String>,
    /// When the client sent this; not used.
    #[expect(dead_code, reason = "declared by the contract")]
    timestamp: Option<Date>,
    /// Another template than the one it was issued from.
    template: Option<String>,
    /// There are none yet; 0 or null.
    enrollment_pattern_id: Option<i64>,
}

/// Members of the query string.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct RenewalFlags {
    /// The collection through which the certificate is reached, for callers who may not read all certificates; 0 for none.
    collection_id: Option<i64>,
}

/// The new certificate, or that the request waits.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RenewalResponse)]
pub(crate) struct RenewalResponse {
    /// Id of the new certificate; 0 as long as there is none.
    keyfactor_id: i64,
    /// Id of the request.
    keyfactor_request_id: i64,
    /// SHA-1, upper-case hexadecimal.
    thumbprint: String,
    /// Upper-case hexadecimal.
    serial_number: String,
    #[serde(rename = "IssuerDN")]
    issuer_dn: String,
    /// `ISSUED` or `PENDING`.
    request_disposition: String,
    disposition_message: String,
    /// Null: the key stays here and has none.
    password: Option<String>,
}

/// Renews a certificate whose key is stored here.
#[utoipa::path(post, path = "/Enrollment/Renew", tag = "Enrollment", params(RenewalFlags), request_body = RenewalRequest, responses((status = 200, body = RenewalResponse, description = "Issued, or waiting for approval"), (status = 404, body = crate::error::ErrorBody, description = "There is no such certificate")), extensions(("x-permissions" = json!(["/certificates/collections/read/", "/certificates/enrollment/pfx/"]))))]
pub(super) async fn renew(
    cx: Cx,
    Query(flags): Query<RenewalFlags>,
    Body(request): Body<RenewalRequest>,
) -> Result<Json<RenewalResponse>, Error> {
    let through = Through::new(flags.collection_id, None);
    renew_certificate(&cx, request, through).await.map(Json)
}

async fn renew_certificate(
    cx: &Cx,
    request: RenewalRequest,
    through: Through,
) -> Result<RenewalResponse, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    cx.authorize(Permission::EnrollmentPfx)?;
    let found = find(cx, request.certificate_id, request.thumbprint.as_deref()).await;
    let id = crate::certificates::authorize_named(cx, Permission::CertificatesRead, found, through)
        .await?;
    let connection = cx.db().read();
    let (row, old) = crate::certificates::load(connection, id)
        .await?
        .ok_or_else(|| Error::not_found("certificate", id))?;
    if !row.has_private_key {
        let message = "The certificate was enrolled with a request and its private key is not stored here, so it cannot be renewed \
                       here. Enroll again with a new request and RenewalCertificateId.";
        return Err(Error::new(Kind::NoStoredKey, message));
    }
    if row.revoked_at.is_some() {
        return Err(Error::bad_request(
            "CertificateId: the certificate is revoked. Enroll for a new one.",
        ));
    }
    let template = match (plan::given(request.template.as_deref()), row.template_id) {
        (Some(name), _) => Some(name.to_owned()),
        (None, Some(id)) => templates::by_id(connection, id)
            .await?
            .map(|template| template.row.common_name),
        (None, None) => None,
    };
    let template = template.ok_or_else(|| {
        Error::bad_request("Template: the certificate was issued from none of ours; name one.")
    })?;
    let authority = match plan::given(request.certificate_authority.as_deref()) {
        Some(name) => Some(name.to_owned()),
        None => issuing_authority(cx, row.authority_id).await?,
    };
    let pattern_id = request.enrollment_pattern_id;
    let place = plan::place(
        cx,
        authority.as_deref(),
        Some(&template),
        pattern_id,
        ENROLLMENT_PFX,
    )
    .await?;
    let spec = spec_of(&old).map_or_else(|| place.template.key_spec(), Ok)?;
    let key = generate(spec).await?;
    let names = old.subject_alternative_names().to_vec();
    let (subject, names) = plan::names(
        &place.template,
        old.subject_name().clone(),
        names,
        key.key_info(),
    )?;
    let settled = Settled {
        authority: place.authority,
        template: place.template,
        request_der: request_der(&subject, &names, &key)?,
        spki_der: key.spki_der(),
        // There is no file in the answer: the key is stored or lost.
        stored_key: Some(key.clone()),
        waiting_key: Some(key),
        subject,
        names,
        metadata: metadata(cx, id).await?,
        metadata_kept: true,
        owner: plan::Owner::unnamed(plan::kept_owner(cx, row.owner_role_id).await?),
        renewal_of: Some(id),
        stores: Vec::new(),
    };
    let outcome = carry_out(cx, settled).await?;
    let issued = outcome.issued.as_ref();
    let certificate = issued.map(super::issue::Issued::certificate);
    let (disposition, message) = match issued {
        Some(_) => (answers::ISSUED, answers::ISSUED_MESSAGE),
        None => (answers::PENDING, answers::PENDING_MESSAGE),
    };
    Ok(RenewalResponse {
        keyfactor_id: issued.map_or(0, |issued| issued.certificate_id),
        keyfactor_request_id: outcome.request_id,
        thumbprint: certificate
            .map(pki::Certificate::thumbprint)
            .unwrap_or_default(),
        serial_number: certificate
            .map(|certificate| certificate.serial_hex().to_owned())
            .unwrap_or_default(),
        issuer_dn: certificate
            .map(|certificate| certificate.issuer().to_owned())
            .unwrap_or_default(),
        request_disposition: disposition.into(),
        disposition_message: message.into(),
        password: None,
    })
}

/// The certificate that is meant, by id or by thumbprint.
async fn find(cx: &Cx, id: Option<i64>, thumbprint: Option<&str>) -> Result<i64, Error> {
    let connection = cx.db().read();
    let id = id.filter(|id| *id != 0);
    let Some(thumbprint) = plan::given(thumbprint) else {
        return id.ok_or_else(|| {
            Error::bad_request("CertificateId, Thumbprint: name the certificate with one of them.")
        });
    };
    let plain: String = thumbprint
        .chars()
        .filter(|character| !matches!(character, ' ' | ':'))
        .collect();
    let rows = certificates::Entity::find()
        .filter(certificates::Column::Thumbprint.eq(plain.to_uppercase()))
        .all(connection)
        .await?;
    let found = rows.iter().map(|row| row.id).max();
    match (id, found) {
        (None, Some(found)) => Ok(found),
        (Some(id), Some(found)) if id == found => Ok(found),
        // That the thumbprint is known is for those who may read all.
        (Some(_), Some(_)) if cx.may(Permission::CertificatesRead) => Err(Error::bad_request(
            "CertificateId and Thumbprint name different certificates.",
        )),
        _ => Err(Error::not_found("certificate with thumbprint", thumbprint)),
    }
}

/// The full name of the authority that issued a certificate, as long as it still issues.
async fn issuing_authority(cx: &Cx, id: Option<i64>) -> Result<Option<String>, Error> {
    let known = crate::authorities::all(cx.app()).await?;
    let found = known.iter().find(|authority| {
        Some(authority.id) == id && authority.purpose == crate::authorities::PURPOSE_ISSUING
    });
    Ok(found.map(|authority| authority.full_name()))
}

/// A key like that of the old certificate; `None` when such keys are not made here.
fn spec_of(certificate: &pki::Certificate) -> Option<pki::KeySpec> {
    let key = certificate.key();
    let length = (key.algorithm == pki::KeyAlgorithm::Rsa).then_some(key.size_bits);
    let spec = pki::KeySpec::parse(key.algorithm.name(), length, key.curve.as_deref()).ok()?;
    (!matches!(
        spec,
        pki::KeySpec::MlDsa44 | pki::KeySpec::MlDsa65 | pki::KeySpec::MlDsa87
    ))
    .then_some(spec)
}

async fn metadata(cx: &Cx, id: i64) -> Result<Vec<(String, String)>, Error> {
    let rows = certificate_metadata::Entity::find()
        .filter(certificate_metadata::Column::CertificateId.eq(id))
        .all(cx.db().read())
        .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.value)).collect())
}
