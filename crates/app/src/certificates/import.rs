//! `POST /Certificates/Import`: the certificates and keys of a file, into the inventory and into stores. All of it or nothing.

use std::collections::HashMap;

use db::tables::{certificate_metadata, certificates};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::file;
use super::record::{Origin, record_together};
use crate::application_settings::OwnerPolicy;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_stores::{EnrollmentTarget, add_for_enrollment, types_for};
use crate::cx::Cx;
use crate::enrollment::{self, Owner};
use crate::error::Error;
use crate::metadata_fields;
use crate::past;
use crate::security::{Permission, Through};
use crate::web::{Body, Date, Json};

/// Certificates of one request at most.
const CERTIFICATES_MAX: usize = 1_000;
/// Warnings of a certificate that its history tells.
const WARNINGS_TOLD: usize = 10;
/// `ImportStatus`: everything was known already.
const NOTHING_NEW: i32 = 0;
/// `ImportStatus`: a certificate is new.
const CREATED: i32 = 1;
/// `ImportStatus`: a known certificate has something new.
const UPDATED: i32 = 2;
/// `JobStatus`: a job was made for every store.
const ALL_SCHEDULED: i32 = 1;
/// `JobStatus`: no stores were named.
const NONE_ASKED: i32 = 3;

/// A file, what is known about it, and where it is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateImportRequest)]
pub(super) struct ImportRequest {
    /// PEM, or Base64 of PEM, DER, PKCS#7, PKCS#12 or a Java key store.
    #[schema(value_type = String)]
    certificate: Option<String>,
    /// Opens PKCS#12 files, key stores and encrypted keys.
    password: Option<String>,
    /// Values by field name, in place of all that the certificates have.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// The role that owns new certificates; the default owner unless given.
    owner_role_id: Option<i64>,
    /// The same, by name.
    owner_role_name: Option<String>,
    /// Stores that the certificate goes to.
    store_ids: Option<Vec<Uuid>>,
    /// How it stands in stores of a type.
    store_types: Option<Vec<StoreTypeInput>>,
    /// When it goes there; at once unless given.
    schedule: Option<Date>,
}

/// How a certificate stands in stores of a type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = EnrollmentManagementStoreType)]
struct StoreTypeInput {
    store_type_id: Option<i64>,
    /// The name of the entry.
    alias: Option<String>,
    /// Whether an entry of the same alias is replaced.
    overwrite: Option<bool>,
    /// Entry parameters: objects of names and values, or of `Name` and `Value`.
    #[schema(value_type = Option<Vec<Object>>)]
    properties: Option<Value>,
}

/// What became of the file.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateImportResponse)]
pub(super) struct ImportOutput {
    /// 0: everything was known; 1: something is new; 2: a known certificate has a new key or new metadata.
    import_status: i32,
    /// 1: there is a job for each store; 3: no stores were named.
    job_status: i32,
    /// Empty: a store that cannot have the certificate refuses the whole.
    invalid_keystores: Vec<InvalidKeystore>,
    /// Of the first certificate that is not just the issuer of another: SHA-1, upper-case hexadecimal.
    thumbprint: String,
}

/// A store that cannot have the certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct InvalidKeystore {
    keystore_id: Uuid,
    client_machine: Option<String>,
    store_path: Option<String>,
    alias: Option<String>,
    reason: i32,
    explanation: Option<String>,
}

/// Imports everything in a file: certificates with what can be read of them, and private keys. Keys need
/// `/certificates/collections/private_key/import/` besides, metadata `/certificates/collections/metadata/modify/`, stores
/// `/certificate_stores/schedule/` on each, and an owner the right to give a new certificate to that role.
#[utoipa::path(
    post, path = "/Certificates/Import", tag = "Certificate", request_body = ImportRequest,
    responses((status = 200, body = ImportOutput, description = "All of it was imported")),
    extensions(("x-permissions" = json!(["/certificates/import/"])))
)]
pub(super) async fn import(
    cx: Cx,
    Body(request): Body<ImportRequest>,
) -> Result<Json<ImportOutput>, Error> {
    import_file(&cx, request).await.map(Json)
}

async fn import_file(cx: &Cx, request: ImportRequest) -> Result<ImportOutput, Error> {
    cx.authorize(Permission::CertificatesImport)?;
    let mut metadata = metadata_fields::given(request.metadata)?;
    metadata.retain(|(_, value)| !metadata_fields::is_blank(value));
    if !metadata.is_empty() {
        cx.authorize(Permission::CertificatesMetadataModify)?;
    }
    let metadata = metadata_fields::check(cx.db().read(), &metadata).await?;
    let at = request.schedule.map(|at| at.0);
    let ids = request.store_ids.unwrap_or_default();
    let targets = targets(cx, &ids, request.store_types.unwrap_or_default(), at).await?;
    let owner_name = request.owner_role_name.as_deref();
    let owner = enrollment::first_owner(cx, request.owner_role_id, owner_name, None).await?;
    let contents = file::read(request.certificate, request.password).await?;
    if !contents.keys.is_empty() {
        cx.authorize(Permission::CertificatesPrivateKeyImport)?;
    }
    let pieces = pieces(contents)?;
    let meant = pieces.iter().filter(|piece| piece.is_meant).count();
    if !targets.is_empty() && meant != 1 {
        return Err(Error::bad_request(format!(
            "StoreIds: the file holds {meant} certificates that could go into the stores; it has to be one and its issuers."
        )));
    }
    let import = Import {
        cx: cx.clone(),
        pieces,
        metadata,
        owner,
        targets,
    };
    cx.db()
        .clone()
        .write("certificates.import", move |tx| {
            Box::pin(async move { import.write(tx).await })
        })
        .await
}

/// The stores, once the caller may schedule jobs for each.
async fn targets(
    cx: &Cx,
    ids: &[Uuid],
    types: Vec<StoreTypeInput>,
    at: Option<i64>,
) -> Result<Vec<EnrollmentTarget>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let known = types_for(cx, "StoreIds", ids).await?;
    let mut said: HashMap<i64, (StoreTypeInput, Map<String, Value>)> = HashMap::new();
    for (index, mut wish) in types.into_iter().enumerate() {
        let id = wish.store_type_id.unwrap_or_default();
        let fields = fields(wish.properties.take()).ok_or_else(|| {
            Error::bad_request(format!(
                "StoreTypes[{index}].Properties: objects are required."
            ))
        })?;
        if said.insert(id, (wish, fields)).is_some() {
            return Err(Error::bad_request(format!(
                "StoreTypes[{index}].StoreTypeId: {id} is given twice."
            )));
        }
    }
    let target = |id: &Uuid| {
        let wish = known.get(id).and_then(|type_id| said.get(type_id));
        EnrollmentTarget {
            store_id: *id,
            alias: wish.and_then(|(wish, _)| wish.alias.clone()),
            overwrite: wish.is_some_and(|(wish, _)| wish.overwrite == Some(true)),
            fields: wish.map(|(_, fields)| fields.clone()).unwrap_or_default(),
            at,
        }
    };
    Ok(ids.iter().map(target).collect())
}

/// Entry parameters in whichever of the forms clients have for them.
fn fields(given: Option<Value>) -> Option<Map<String, Value>> {
    let parts = match given {
        None | Some(Value::Null) => return Some(Map::new()),
        Some(Value::Array(parts)) => parts,
        Some(part) => vec![part],
    };
    let mut fields = Map::new();
    for part in parts {
        let Value::Object(part) = part else {
            return None;
        };
        match (part.get("Name"), part.get("Value")) {
            (Some(Value::String(name)), Some(value)) => {
                fields.insert(name.clone(), value.clone());
            }
            _ => fields.extend(part),
        }
    }
    Some(fields)
}

/// A certificate of the file.
struct Piece {
    found: pki::FoundCertificate,
    key: Option<pki::PrivateKey>,
    /// Not there just as the issuer of another certificate of the file: metadata, owner and stores are for these.
    is_meant: bool,
}

/// What is odd about a certificate, for its history; begins with a blank unless nothing is.
pub(super) fn oddities(warnings: &[pki::Warning]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let told: Vec<String> = warnings
        .iter()
        .take(WARNINGS_TOLD)
        .map(ToString::to_string)
        .collect();
    let more = warnings.len().saturating_sub(WARNINGS_TOLD);
    let more = if more == 0 {
        String::new()
    } else {
        format!("; and {more} more")
    };
    format!(" It is odd: {}{more}.", told.join("; "))
}

/// The certificates with their keys.
fn pieces(contents: pki::Contents) -> Result<Vec<Piece>, Error> {
    let found = contents.certificates;
    if found.is_empty() {
        return Err(Error::bad_request(
            "Certificate: the file holds no certificate, only keys.",
        ));
    }
    if found.len() > CERTIFICATES_MAX {
        return Err(Error::bad_request(format!(
            "Certificate: the file holds {} certificates; {CERTIFICATES_MAX} are possible at once.",
            found.len()
        )));
    }
    let mut keys: Vec<Option<pki::PrivateKey>> = vec![None; found.len()];
    for found_key in contents.keys {
        let mut used = false;
        for (key, found) in keys.iter_mut().zip(&found) {
            if found_key.key.matches(&found.certificate) {
                *key = Some(found_key.key.clone());
                used = true;
            }
        }
        if !used {
            return Err(Error::bad_request(format!(
                "Certificate: {}: the private key is that of no certificate of the file.",
                found_key.place
            )));
        }
    }
    let mut issues: HashMap<Vec<u8>, bool> = HashMap::new();
    for one in found.iter().map(|found| &found.certificate) {
        if !one.is_self_issued() {
            issues.insert(one.issuer_der().to_vec(), true);
        }
    }
    let mut pieces: Vec<Piece> = found
        .into_iter()
        .zip(keys)
        .map(|(found, key)| {
            let is_issuer =
                found.certificate.is_ca() && issues.contains_key(found.certificate.subject_der());
            Piece {
                is_meant: key.is_some() || !is_issuer,
                found,
                key,
            }
        })
        .collect();
    if !pieces.iter().any(|piece| piece.is_meant) {
        pieces.iter_mut().for_each(|piece| piece.is_meant = true);
    }
    Ok(pieces)
}

/// What is known of a certificate of the file.
#[derive(Clone, Copy)]
struct Known {
    id: i64,
    owner_role_id: Option<i64>,
    has_private_key: bool,
}

/// Everything that is to be written.
struct Import {
    cx: Cx,
    pieces: Vec<Piece>,
    metadata: Vec<(String, String)>,
    owner: Owner,
    targets: Vec<EnrollmentTarget>,
}

impl Import {
    async fn write(self, tx: &db::Tx) -> Result<ImportOutput, Error> {
        let cx = &self.cx;
        let given = metadata_fields::check_in(tx, &self.metadata).await?;
        let known = self.known(tx).await?;
        self.check_known(tx, &known).await?;
        let default_owner = OwnerPolicy::load(tx).await?.default_owner(tx).await?;
        let mut all = Vec::with_capacity(self.pieces.len());
        let mut status = NOTHING_NEW;
        for (piece, known) in self.pieces.iter().zip(&known) {
            let new_key = piece.key.is_some() && known.is_none_or(|known| !known.has_private_key);
            let metadata = match piece.is_meant {
                true => given.as_slice(),
                false => &[],
            };
            let owner_role_id = match (known, piece.is_meant) {
                (Some(_), _) => None,
                (None, true) => self.owner.role_id,
                (None, false) => default_owner,
            };
            let changes = known.is_none() || new_key || !metadata.is_empty();
            match known {
                None => status = CREATED,
                Some(_) if changes && status == NOTHING_NEW => status = UPDATED,
                Some(_) => {}
            }
            let comment = || {
                let key = if new_key { " with its private key" } else { "" };
                let place = &piece.found.place;
                format!(
                    "Imported{key} from a file ({place}).{}",
                    oddities(&piece.found.warnings)
                )
            };
            let origin = Origin {
                owner_role_id,
                metadata,
                private_key: piece.key.as_ref().filter(|_| new_key),
                history: changes.then(|| ("Imported", comment())),
                ..Origin::default()
            };
            if let (Some(known), false) = (known, metadata.is_empty()) {
                // Those with a new value get it below.
                let named = metadata.iter().map(|(name, _)| db::fold(name));
                let others = Condition::all()
                    .add(certificate_metadata::Column::CertificateId.eq(known.id))
                    .add(certificate_metadata::Column::NameFold.is_not_in(named));
                past::metadata_changes(tx, cx, others.clone()).await?;
                certificate_metadata::Entity::delete_many()
                    .filter(others)
                    .exec(tx)
                    .await?;
            }
            all.push((&piece.found.certificate, origin));
        }
        let ids = record_together(tx, cx, &all).await?;
        for ((piece, (_, origin)), id) in self.pieces.iter().zip(&all).zip(&ids) {
            if let Some((_, comment)) = &origin.history {
                audit::record(tx, cx, entry(piece, *id, origin, comment)).await?;
            }
        }
        let first = self
            .pieces
            .iter()
            .zip(&ids)
            .find(|(piece, _)| piece.is_meant);
        let (first, id) = first.ok_or_else(|| Error::internal("a file without certificates"))?;
        let failed = add_for_enrollment(tx, cx, *id, &self.targets).await?;
        if !failed.is_empty() {
            let named = |reason: String| reason.replacen("CertificateStores", "StoreIds", 1);
            return Err(Error::bad_parts(
                "The certificate cannot go into all of the stores; nothing was imported.",
                failed.into_iter().map(named).collect(),
            ));
        }
        Ok(ImportOutput {
            import_status: status,
            job_status: if self.targets.is_empty() {
                NONE_ASKED
            } else {
                ALL_SCHEDULED
            },
            invalid_keystores: Vec::new(),
            thumbprint: first.found.certificate.thumbprint(),
        })
    }

    /// What is known of each certificate of the file.
    async fn known(&self, tx: &db::Tx) -> Result<Vec<Option<Known>>, Error> {
        use certificates::Column;
        let certificates = self.pieces.iter().map(|piece| &piece.found.certificate);
        let rows: Vec<(Vec<u8>, i64, Option<i64>, bool)> = certificates::Entity::find()
            .select_only()
            .columns([
                Column::Sha256,
                Column::Id,
                Column::OwnerRoleId,
                Column::HasPrivateKey,
            ])
            .filter(
                Column::Thumbprint.is_in(certificates.clone().map(pki::Certificate::thumbprint)),
            )
            .into_tuple()
            .all(tx)
            .await?;
        let rows: HashMap<Vec<u8>, Known> = rows
            .into_iter()
            .map(|(digest, id, owner_role_id, has_private_key)| {
                let known = Known {
                    id,
                    owner_role_id,
                    has_private_key,
                };
                (digest, known)
            })
            .collect();
        Ok(certificates
            .map(|certificate| rows.get(certificate.sha256().as_slice()).copied())
            .collect())
    }

    /// An import is no way around the rules for certificates that are here already: it gives them no other owner, and puts them
    /// and their stored keys into stores only for who may read them.
    async fn check_known(&self, tx: &db::Tx, known: &[Option<Known>]) -> Result<(), Error> {
        for (piece, known) in self.pieces.iter().zip(known) {
            let (Some(known), true) = (known, piece.is_meant) else {
                continue;
            };
            if !self.targets.is_empty() {
                let ids = [known.id];
                self.cx
                    .authorize_certificates_in(
                        tx,
                        Permission::CertificatesRead,
                        &ids,
                        Through::System,
                    )
                    .await?;
            }
            if self.owner.named && known.owner_role_id != self.owner.role_id {
                return Err(Error::bad_request(format!(
                    "OwnerRoleId: {}: it is certificate {} already and has another owner; PUT /Certificates/{}/Owner changes it.",
                    piece.found.place, known.id, known.id
                )));
            }
        }
        Ok(())
    }
}

fn entry(piece: &Piece, id: i64, origin: &Origin<'_>, comment: &str) -> Entry {
    let certificate = &piece.found.certificate;
    let thumbprint = certificate.thumbprint();
    let title = match certificate.subject() {
        "" => thumbprint.clone(),
        subject => subject.to_owned(),
    };
    let message = format!("Certificate {id}: {comment}");
    let fields: Vec<&str> = origin
        .metadata
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    Entry::new(Operation::Imported, Category::Certificate, title, message).after(json!({
        "Id": id,
        "Thumbprint": thumbprint,
        "PrivateKey": origin.private_key.is_some(),
        "OwnerRoleId": origin.owner_role_id,
        "Metadata": fields,
    }))
}
