//! A certificate without its key, as a file: DER, PEM or PKCS#7, alone or with its chain.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use db::tables::certificates;
use pki::ChainOrder;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::stored;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{Permission, Through};
use crate::web::Json;

/// Which certificate, and how it is written. Members of zero or without text count as not given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateDownloadRequest)]
pub(crate) struct DownloadRequest {
    /// By id.
    #[serde(rename = "CertID")]
    cert_id: Option<i64>,
    /// By serial number, together with `IssuerDN`.
    serial_number: Option<String>,
    /// The issuer's distinguished name.
    #[serde(rename = "IssuerDN")]
    issuer_dn: Option<String>,
    /// By thumbprint (SHA-1).
    thumbprint: Option<String>,
    /// With the certificates of its issuers (PEM and P7B).
    include_chain: Option<bool>,
    /// With a comment line that names the subject before each PEM block.
    include_subject_header: Option<bool>,
    /// Accepted; these formats hold none.
    #[expect(dead_code, reason = "declared by the contract")]
    friendly_name: Option<String>,
    /// `EndEntityFirst` (the default) or `RootFirst`.
    chain_order: Option<String>,
    /// What the file's name ends in, without the dot.
    file_extension: Option<String>,
}

/// The certificate as a file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateDownloadResponse)]
pub(crate) struct DownloadOutput {
    /// The file in Base64.
    content: String,
}

/// The header that chooses the format.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "declares the header; it is read from the request's headers"
)]
pub(crate) struct FormatHeader {
    /// The form of the file.
    #[serde(rename = "x-certificateformat")]
    #[param(rename = "x-certificateformat")]
    format: String,
}

/// What can be downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Der,
    Pem,
    P7b,
}

impl Format {
    /// # Errors
    /// 400 with the documented codes: the header is missing, or names another format.
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match format_of(headers, "DER, PEM or P7B")?.as_str() {
            "DER" => Ok(Self::Der),
            "PEM" => Ok(Self::Pem),
            "P7B" => Ok(Self::P7b),
            other => Err(not_offered(other, "DER, PEM and P7B")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Der => "cer",
            Self::Pem => "pem",
            Self::P7b => "p7b",
        }
    }
}

/// The header's text, in capitals.
///
/// # Errors
/// 400 with the documented code when it is missing.
pub(super) fn format_of(headers: &HeaderMap, offered: &str) -> Result<String, Error> {
    let text = headers
        .get("x-certificateformat")
        .map(|value| value.to_str().unwrap_or("?").trim())
        .unwrap_or_default();
    if text.is_empty() {
        return Err(Error::new(
            Kind::MissingHeader,
            format!("The header x-certificateformat is missing: {offered}."),
        ));
    }
    Ok(text.to_ascii_uppercase())
}

/// The refusal of a form that is not offered, with the documented code.
pub(super) fn not_offered(format: &str, offered: &str) -> Error {
    let shown: String = format.chars().take(20).collect();
    Error::new(
        Kind::BadFormat,
        format!("x-certificateformat: {shown:?} is none of {offered}."),
    )
}

/// A file, its name, and the answer that carries them.
pub(super) struct Download {
    name: String,
    content: Vec<u8>,
}

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        let content = base64::engine::general_purpose::STANDARD.encode(self.content);
        let mut response = Json(DownloadOutput { content }).into_response();
        if let Ok(name) = HeaderValue::from_str(&self.name) {
            response
                .headers_mut()
                .insert(HeaderName::from_static("x-certificatefile"), name);
        }
        response
    }
}

/// # Errors
/// 403 without the permission; 404 when no certificate is meant; 400 for a request that does not say which, or how.
pub(super) async fn download(
    cx: &Cx,
    headers: &HeaderMap,
    request: DownloadRequest,
    through: Through,
) -> Result<Download, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    let format = Format::of(headers)?;
    let with_chain = request.include_chain == Some(true);
    let order = chain_order(request.chain_order.as_deref())?;
    if with_chain && format == Format::Der {
        return Err(Error::bad_request(
            "IncludeChain: DER holds one certificate; ask for PEM or P7B.",
        ));
    }
    let extension = extension(request.file_extension.as_deref(), format.extension())?;
    let which = Which {
        id: request.cert_id,
        serial_number: request.serial_number,
        issuer: request.issuer_dn,
        thumbprint: request.thumbprint,
    };
    let (row, leaf) = which
        .load(cx, Permission::CertificatesRead, through)
        .await?;
    let certificates = if with_chain {
        order.arrange(&stored::chain(cx.db().read(), &leaf).await?)
    } else {
        vec![leaf]
    };
    let content = write(
        format,
        &certificates,
        request.include_subject_header == Some(true),
    )?;
    let name = format!("{}.{extension}", file_name(&title(&row)));
    let id = row.id;
    let (writer, shown) = (cx.clone(), shown(row));
    let chain = if with_chain { " with its chain" } else { "" };
    let message = format!("Certificate {id} was downloaded{chain} as {format:?}.");
    cx.db()
        .clone()
        .write("certificates.download", move |tx| {
            Box::pin(async move {
                let entry =
                    Entry::new(Operation::Downloaded, Category::Certificate, shown, message);
                audit::record(tx, &writer, entry).await
            })
        })
        .await?;
    Ok(Download { name, content })
}

/// What people know a certificate by: its common name, or its thumbprint.
pub(super) fn title(row: &certificates::Model) -> String {
    row.common_name
        .clone()
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| row.thumbprint.clone())
}

/// What the audit log knows a certificate by: its subject, or its thumbprint.
pub(super) fn shown(row: certificates::Model) -> String {
    if row.subject.is_empty() {
        row.thumbprint
    } else {
        row.subject
    }
}

pub(super) fn chain_order(given: Option<&str>) -> Result<ChainOrder, Error> {
    match given.unwrap_or_default().trim() {
        "" => Ok(ChainOrder::default()),
        text => ChainOrder::parse(text).ok_or_else(|| {
            Error::bad_request("ChainOrder: has to be EndEntityFirst or RootFirst.")
        }),
    }
}

pub(super) fn extension(given: Option<&str>, usual: &str) -> Result<String, Error> {
    let given = given.unwrap_or_default().trim().trim_start_matches('.');
    if given.is_empty() {
        return Ok(usual.into());
    }
    if given.len() > 10 || !given.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Error::bad_request(
            "FileExtension: has to be 1 to 10 letters and digits.",
        ));
    }
    Ok(given.into())
}

/// Which certificate a request means. Members of zero or without text count as not given.
#[derive(Debug, Default)]
pub(super) struct Which {
    pub(super) id: Option<i64>,
    pub(super) serial_number: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) thumbprint: Option<String>,
}

impl Which {
    /// The certificate, if the caller holds `permission` on it.
    ///
    /// # Errors
    /// 403 without the permission; 404 when there is no such certificate; 400 when none is named.
    pub(super) async fn load(
        self,
        cx: &Cx,
        permission: Permission,
        through: Through,
    ) -> Result<(certificates::Model, pki::Certificate), Error> {
        let id = super::authorize_named(cx, permission, self.identify(cx).await, through).await?;
        let found = stored::load(cx.db().read(), id).await?;
        found.ok_or_else(|| Error::not_found("certificate", id))
    }

    /// The one certificate that every given member fits.
    async fn identify(self, cx: &Cx) -> Result<i64, Error> {
        let text = |text: Option<String>| {
            text.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let id = self.id.filter(|id| *id != 0);
        let (serial, issuer, thumbprint) = (
            text(self.serial_number),
            text(self.issuer),
            text(self.thumbprint),
        );
        if id.is_none() && thumbprint.is_none() && (serial.is_none() || issuer.is_none()) {
            return Err(Error::bad_request(
                "One of CertID, Thumbprint, or SerialNumber together with IssuerDN is needed.",
            ));
        }
        let mut found = certificates::Entity::find();
        if let Some(id) = id {
            found = found.filter(certificates::Column::Id.eq(id));
        }
        if let Some(thumbprint) = &thumbprint {
            found = found.filter(certificates::Column::Thumbprint.eq(hexadecimal(thumbprint)));
        }
        if let Some(serial) = &serial {
            found = found.filter(certificates::Column::SerialNumber.eq(hexadecimal(serial)));
        }
        if let Some(issuer) = &issuer {
            // Blanks after commas and the like are not part of a name.
            let canonical =
                pki::DistinguishedName::parse(issuer).map(|name| db::fold(&name.to_string()));
            let forms = [Some(db::fold(issuer)), canonical.ok()];
            found =
                found.filter(certificates::Column::IssuerFold.is_in(forms.into_iter().flatten()));
        }
        let row = found
            .order_by_desc(certificates::Column::Id)
            .one(cx.db().read())
            .await?;
        row.map(|row| row.id)
            .ok_or_else(|| match (id, thumbprint, serial) {
                (Some(id), ..) => Error::not_found("certificate", id),
                (_, Some(thumbprint), _) => {
                    Error::not_found("certificate with the thumbprint", thumbprint)
                }
                (.., serial) => Error::not_found(
                    "certificate of that issuer with the serial number",
                    serial.unwrap_or_default(),
                ),
            })
    }
}

/// Hexadecimal as it is stored: people paste it with blanks and colons.
fn hexadecimal(text: &str) -> String {
    text.chars()
        .filter(|character| !matches!(character, ' ' | ':'))
        .collect::<String>()
        .to_uppercase()
}

fn write(
    format: Format,
    certificates: &[pki::Certificate],
    subject_header: bool,
) -> Result<Vec<u8>, Error> {
    match format {
        Format::Der => Ok(certificates
            .first()
            .map(|certificate| certificate.der().to_vec())
            .unwrap_or_default()),
        Format::P7b => pki::pkcs7::certificates_to_pkcs7_der(certificates).map_err(Error::internal),
        Format::Pem => Ok(pem(certificates, subject_header).into_bytes()),
    }
}

/// The certificates as PEM, each after a comment with its subject where asked for.
pub(super) fn pem(certificates: &[pki::Certificate], subject_header: bool) -> String {
    let mut text = String::new();
    for certificate in certificates {
        if subject_header {
            text.push('#');
            // A line break in a subject would end the comment.
            text.push_str(&certificate.subject().replace(['\n', '\r'], " "));
            text.push('\n');
        }
        text.push_str(&pki::pem::encode("CERTIFICATE", certificate.der()));
    }
    text
}

/// A file name that every system takes.
pub(super) fn file_name(title: &str) -> String {
    let safe =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '_');
    let name: String = title
        .chars()
        .take(100)
        .map(|character| if safe(character) { character } else { '_' })
        .collect();
    name.trim_start_matches('.').to_owned()
}
