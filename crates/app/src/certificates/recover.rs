//! `POST /Certificates/Recover`: a certificate with its stored private key, as a file under a password.

use std::io::{Cursor, Write as _};

use axum::http::HeaderMap;
use base64::Engine;
use pki::pkcs12::{self, Encryption};
use pki::{Certificate, ChainOrder, PrivateKey, jks};
use secrets::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zip::CompressionMethod::Stored;
use zip::write::SimpleFileOptions;

use super::download::{
    FormatHeader, Which, chain_order, extension, file_name, format_of, not_offered, pem, shown,
    title,
};
use super::{Collection, stored};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::enrollment;
use crate::error::{Error, Kind};
use crate::security::{Permission, Through};
use crate::web::{Body, Json, Query};

/// Which certificate, and how it is written. Members of zero or without text count as not given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateRecoveryRequest)]
pub(super) struct RecoveryRequest {
    /// Of the file, 8 to 1000 characters.
    #[schema(value_type = String)]
    password: Option<String>,
    /// Triple DES for the key too, for old readers (PFX).
    use_legacy_encryption: Option<bool>,
    /// Not used.
    #[serde(rename = "MicrosoftTargetCSP")]
    #[expect(dead_code, reason = "declared by the contract")]
    microsoft_target_csp: Option<String>,
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
    /// With the certificates of its issuers.
    include_chain: Option<bool>,
    /// With a comment line that names the subject before each PEM block.
    include_subject_header: Option<bool>,
    /// The name of the key in a PFX or a Java key store; the common name unless given.
    friendly_name: Option<String>,
    /// `EndEntityFirst` (the default) or `RootFirst`; PEM and ZIP only.
    chain_order: Option<String>,
    /// What the file's name ends in, without the dot.
    file_extension: Option<String>,
}

/// The certificate and its key as a file, in whichever form it was asked for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RecoveryResponse)]
pub(super) struct RecoveryOutput {
    /// The file in Base64.
    #[serde(rename = "PFX")]
    pfx: String,
    /// A name for it.
    file_name: String,
}

/// A certificate with its stored private key.
#[utoipa::path(
    post, path = "/Certificates/Recover", tag = "Certificate", params(Collection, FormatHeader),
    request_body = RecoveryRequest,
    responses((status = 200, body = RecoveryOutput, description = "The file")),
    extensions(("x-permissions" = json!(["/certificates/collections/private_key/read/"])))
)]
pub(super) async fn recover(
    cx: Cx,
    headers: HeaderMap,
    Query(collection): Query<Collection>,
    Body(request): Body<RecoveryRequest>,
) -> Result<Json<RecoveryOutput>, Error> {
    recovered(&cx, &headers, request, collection.through())
        .await
        .map(Json)
}

/// What can be recovered.
#[derive(Clone, Copy, Debug)]
enum Format {
    Pfx,
    Pem,
    Jks,
    Zip,
}

impl Format {
    fn of(headers: &HeaderMap) -> Result<Self, Error> {
        match format_of(headers, "PFX, PEM, JKS or ZIP")?.as_str() {
            "PFX" => Ok(Self::Pfx),
            "PEM" => Ok(Self::Pem),
            "JKS" => Ok(Self::Jks),
            "ZIP" => Ok(Self::Zip),
            other => Err(not_offered(other, "PFX, PEM, JKS and ZIP")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Pfx => "pfx",
            Self::Pem => "pem",
            Self::Jks => "jks",
            Self::Zip => "zip",
        }
    }
}

async fn recovered(
    cx: &Cx,
    headers: &HeaderMap,
    request: RecoveryRequest,
    through: Through,
) -> Result<RecoveryOutput, Error> {
    cx.authorize_somewhere(Permission::CertificatesRecover)?;
    let format = Format::of(headers)?;
    let order = chain_order(request.chain_order.as_deref())?;
    let extension = extension(request.file_extension.as_deref(), format.extension())?;
    let password = enrollment::checked_password(request.password.unwrap_or_default())?;
    let which = Which {
        id: request.cert_id,
        serial_number: request.serial_number,
        issuer: request.issuer_dn,
        thumbprint: request.thumbprint,
    };
    let (row, leaf) = which
        .load(cx, Permission::CertificatesRecover, through)
        .await?;
    let id = row.id;
    let key = stored::private_key(cx.db().read(), cx, id).await?;
    let key = key.ok_or_else(|| {
        let message = format!("Certificate {id} has no stored private key.");
        Error::new(Kind::NoStoredKey, message)
    })?;
    let chain = if request.include_chain == Some(true) {
        stored::chain(cx.db().read(), &leaf).await?
    } else {
        vec![leaf]
    };
    let title = title(&row);
    let file = File {
        key,
        chain,
        order,
        password,
        name: file_name(&title),
        friendly_name: request
            .friendly_name
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or(title),
        created: cx.now(),
        is_legacy: request.use_legacy_encryption == Some(true),
        subject_header: request.include_subject_header == Some(true),
    };
    let file_name = format!("{}.{extension}", file.name);
    // Deriving keys from passwords takes time on purpose.
    let packed = tokio::task::spawn_blocking(move || file.pack(format));
    let packed = packed.await.map_err(Error::internal)??;
    let message = format!("Certificate {id} was downloaded with its private key as {format:?}.");
    let (writer, shown) = (cx.clone(), shown(row));
    cx.db()
        .clone()
        .write("certificates.recover", move |tx| {
            Box::pin(async move {
                let operation = Operation::DownloadedWithPrivateKey;
                let entry = Entry::new(operation, Category::Certificate, shown, message.clone());
                stored::add_history(tx, &writer, id, "Downloaded with Private Key", &message)
                    .await?;
                audit::record(tx, &writer, entry).await
            })
        })
        .await?;
    // Only what is on record leaves.
    Ok(RecoveryOutput {
        pfx: base64::engine::general_purpose::STANDARD.encode(packed),
        file_name,
    })
}

/// A key and its certificates, to be packed.
struct File {
    key: PrivateKey,
    /// Leaf first.
    chain: Vec<Certificate>,
    order: ChainOrder,
    password: Secret,
    /// Without its extension.
    name: String,
    friendly_name: String,
    created: i64,
    is_legacy: bool,
    subject_header: bool,
}

impl File {
    fn pack(&self, format: Format) -> Result<Vec<u8>, Error> {
        let password = self.password.expose_str().map_err(Error::internal)?;
        let encrypted = || {
            let key = self.key.to_encrypted_pkcs8_pem(password);
            key.map_err(Error::internal)
        };
        let certificates = || pem(&self.order.arrange(&self.chain), self.subject_header);
        match format {
            Format::Pfx => self.pfx(password),
            Format::Pem => Ok(format!("{}{}", encrypted()?, certificates()).into_bytes()),
            Format::Jks => self.jks(password),
            Format::Zip => {
                let files = [("key", encrypted()?), ("pem", certificates())];
                self.zip(&files).map_err(Error::internal)
            }
        }
    }

    fn pfx(&self, password: &str) -> Result<Vec<u8>, Error> {
        let encryption = if self.is_legacy {
            Encryption::Legacy
        } else {
            Encryption::Compatible
        };
        let name = &self.friendly_name;
        let written = pkcs12::to_pkcs12(&self.key, &self.chain, name, password, encryption);
        written.map_err(|error| match error {
            pkcs12::Error::Malformed(reason) => {
                Error::bad_request(format!("Password, FriendlyName: {reason}."))
            }
            other => Error::internal(other),
        })
    }

    fn jks(&self, password: &str) -> Result<Vec<u8>, Error> {
        let chain = self.chain.iter().map(|one| one.der().to_vec());
        let entry = jks::Entry {
            alias: self.friendly_name.clone(),
            created: self.created,
            key: Some(self.key.clone()),
            certificates: chain.collect(),
            is_key: true,
        };
        let written = jks::to_jks(&[entry], password);
        written.map_err(|error| match error {
            pki::Error::Malformed { .. } => Error::bad_request(format!("FriendlyName: {error}.")),
            other => Error::internal(other),
        })
    }

    /// `NAME.key` and `NAME.pem`; not compressed, since there is nothing to gain.
    fn zip(&self, files: &[(&str, String)]) -> zip::result::ZipResult<Vec<u8>> {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (extension, text) in files {
            let options = SimpleFileOptions::default()
                .compression_method(Stored)
                .unix_permissions(0o600);
            archive.start_file(format!("{}.{extension}", self.name), options)?;
            archive.write_all(text.as_bytes())?;
        }
        Ok(archive.finish()?.into_inner())
    }
}
