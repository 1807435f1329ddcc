//! `POST /Enrollment/PFX`, versions 1 and 2: a certificate with a key that is made here.

mod wire;

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use db::tables::certificates;
use pki::{DistinguishedName, KeySpec, PrivateKey, SubjectAlternativeName};
use sea_orm::EntityTrait;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;
use uuid::Uuid;

use wire::{
    PfxCertificateInformation, PfxEnrollmentRequest, PfxEnrollmentResponse,
    PfxEnrollmentWithStoresRequest, PfxEnrollmentWithStoresResponse,
};

use super::answers::{self, ContainerFormat, Contents};
use super::delivery::{self, StoreWish};
use super::issue::{Outcome, Settled, carry_out};
use super::names::{self, SansInput};
use super::plan;
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::at_enrollment;
use crate::security::{Permission, Through};
use crate::templates::{ENROLLMENT_PFX, KeyRetention, Template};
use crate::web::{Body, Json, Query};

/// Characters of a password at least.
const PASSWORD_MIN: usize = 8;
/// Characters of a password at most.
const PASSWORD_MAX: usize = 1000;
/// Characters of a password that is made here: 128 bits and more.
const PASSWORD_MADE: usize = 24;
/// `KeyStatus`: the key is kept here.
const KEY_SAVED: i32 = 1;
/// `KeyStatus`: the key is not kept here.
const KEY_NOT_RETAINED: i32 = 3;

/// Members of the query string.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(crate) struct PfxFlags {
    /// The collection through which the certificate to renew is reached, as with a CSR; 0 for none.
    collection_id: Option<i64>,
}

/// Both versions of the order.
struct Order {
    subject: Option<String>,
    sans: Option<SansInput>,
    password: Option<String>,
    friendly_name: Option<String>,
    key: (Option<String>, Option<u32>, Option<String>),
    place: (Option<String>, Option<String>, Option<i64>),
    owner: (Option<i64>, Option<String>),
    metadata: Option<Map<String, Value>>,
    renewal_certificate_id: Option<i64>,
    include_chain: bool,
    with_subject: bool,
    root_first: bool,
    legacy_encryption: bool,
    stores: Vec<StoreWish>,
    into_existing: bool,
    /// When stores get it, epoch milliseconds; none for at once.
    at: Option<i64>,
}

impl TryFrom<PfxEnrollmentRequest> for Order {
    type Error = Error;

    fn try_from(request: PfxEnrollmentRequest) -> Result<Self, Error> {
        Ok(Self {
            root_first: root_first(request.chain_order.as_deref())?,
            subject: request.subject,
            sans: request.sans,
            password: request.password,
            friendly_name: request.custom_friendly_name,
            key: (request.key_type, request.key_length, request.curve),
            place: (
                request.certificate_authority,
                request.template,
                request.enrollment_pattern_id,
            ),
            owner: (request.owner_role_id, request.owner_role_name),
            metadata: request.metadata,
            renewal_certificate_id: request.renewal_certificate_id,
            include_chain: request.include_chain.unwrap_or(false),
            with_subject: request.include_subject_header.unwrap_or(true),
            legacy_encryption: request.use_legacy_encryption.unwrap_or(false),
            stores: Vec::new(),
            into_existing: false,
            at: None,
        })
    }
}

impl TryFrom<PfxEnrollmentWithStoresRequest> for Order {
    type Error = Error;

    fn try_from(request: PfxEnrollmentWithStoresRequest) -> Result<Self, Error> {
        if plan::given(request.alternative_key_type.as_deref()).is_some() {
            return Err(Error::bad_request(
                "AlternativeKeyType: certificates with a second key are not offered.",
            ));
        }
        let at = request.job_time.map(|time| time.0);
        let stores = request
            .stores
            .unwrap_or_default()
            .into_iter()
            .map(|store| StoreWish {
                store_id: store.store_id,
                alias: store.alias,
                overwrite: store.overwrite.unwrap_or(false),
                properties: store.properties.unwrap_or_default(),
                at,
            });
        Ok(Self {
            root_first: root_first(request.chain_order.as_deref())?,
            stores: stores.collect(),
            subject: request.subject,
            sans: request.sans,
            password: request.password,
            friendly_name: request.custom_friendly_name,
            key: (request.key_type, request.key_length, request.curve),
            place: (
                request.certificate_authority,
                request.template,
                request.enrollment_pattern_id,
            ),
            owner: (request.owner_role_id, request.owner_role_name),
            metadata: request.metadata,
            renewal_certificate_id: request.renewal_certificate_id,
            include_chain: request.include_chain.unwrap_or(false),
            with_subject: request.include_subject_header.unwrap_or(true),
            legacy_encryption: request.use_legacy_encryption.unwrap_or(false),
            at,
            into_existing: request
                .install_into_existing_certificate_stores
                .unwrap_or(false),
        })
    }
}

fn root_first(order: Option<&str>) -> Result<bool, Error> {
    match plan::given(order).map(str::to_ascii_lowercase).as_deref() {
        None | Some("endentityfirst") => Ok(false),
        Some("rootfirst") => Ok(true),
        Some(_) => Err(Error::bad_request(
            "ChainOrder: it is EndEntityFirst or RootFirst.",
        )),
    }
}

/// Enrolls for a certificate with a key that is made here.
#[utoipa::path(post, path = "/Enrollment/PFX", tag = "Enrollment", params(PfxFlags, ("x-certificateformat" = String, Header, description = "`PFX`, `PEM` or `STORE`")), request_body = PfxEnrollmentRequest, responses((status = 200, body = PfxEnrollmentResponse, description = "Issued, or waiting for approval")), extensions(("x-permissions" = json!(["/certificates/enrollment/pfx/"]))))]
pub(super) async fn enroll(
    cx: Cx,
    Query(flags): Query<PfxFlags>,
    headers: HeaderMap,
    Body(request): Body<PfxEnrollmentRequest>,
) -> Result<(HeaderMap, Json<PfxEnrollmentResponse>), Error> {
    let enrolled = enroll_order(&cx, &headers, &flags, request).await?;
    let body = PfxEnrollmentResponse {
        certificate_information: enrolled.information,
        metadata: enrolled.metadata,
    };
    Ok((enrolled.headers, Json(body)))
}

/// Enrolls for a certificate with a key that is made here, and puts it into stores.
#[utoipa::path(post, path = "/Enrollment/PFX", tag = "Enrollment", params(PfxFlags, ("x-certificateformat" = String, Header, description = "`PFX`, `PEM` or `STORE`")), request_body = PfxEnrollmentWithStoresRequest, responses((status = 200, body = PfxEnrollmentWithStoresResponse, description = "Issued, or waiting for approval")), extensions(("x-permissions" = json!(["/certificates/enrollment/pfx/"]))))]
pub(super) async fn enroll_with_stores(
    cx: Cx,
    Query(flags): Query<PfxFlags>,
    headers: HeaderMap,
    Body(request): Body<PfxEnrollmentWithStoresRequest>,
) -> Result<(HeaderMap, Json<PfxEnrollmentWithStoresResponse>), Error> {
    let enrolled = enroll_order(&cx, &headers, &flags, request).await?;
    let body = PfxEnrollmentWithStoresResponse {
        successful_stores: enrolled.stores,
        certificate_information: enrolled.information,
        metadata: enrolled.metadata,
    };
    Ok((enrolled.headers, Json(body)))
}

struct Enrolled {
    headers: HeaderMap,
    information: PfxCertificateInformation,
    metadata: BTreeMap<String, String>,
    stores: Vec<Uuid>,
}

async fn enroll_order(
    cx: &Cx,
    headers: &HeaderMap,
    flags: &PfxFlags,
    request: impl TryInto<Order, Error = Error>,
) -> Result<Enrolled, Error> {
    cx.authorize(Permission::EnrollmentPfx)?;
    let format = ContainerFormat::of(headers)?;
    let order: Order = request.try_into()?;
    let through = Through::new(flags.collection_id, None);
    let renewed = renewed(cx, order.renewal_certificate_id, through).await?;
    let renewal_of = renewed.as_ref().map(|row| row.id);
    let stores =
        delivery::wishes(cx, order.stores, order.into_existing, renewal_of, order.at).await?;
    let password = password(order.password)?;
    let (authority, template, pattern_id) = &order.place;
    let place = plan::place(
        cx,
        authority.as_deref(),
        template.as_deref(),
        *pattern_id,
        ENROLLMENT_PFX,
    )
    .await?;
    let subject = order.subject.as_deref().unwrap_or_default().trim();
    let subject = DistinguishedName::parse(subject)
        .map_err(|error| Error::bad_request(format!("Subject: {error}.")))?;
    let given = names::from_map(&order.sans.unwrap_or_default())?;
    let metadata = at_enrollment(cx, order.metadata).await?;
    let (owner_id, owner_name) = order.owner;
    let owner = plan::owner(cx, owner_id, owner_name.as_deref(), renewed.as_ref()).await?;
    let spec = key_spec(&place.template, &order.key)?;
    let key = generate(spec).await?;
    let (subject, names) = plan::names(&place.template, subject, given, key.key_info())?;
    // With STORE the key is only here, and stores get it from here; without retention it would be lost at once.
    let saved = format == ContainerFormat::Store
        || place.template.key_retention() != KeyRetention::None
        || !stores.is_empty();
    let shown = metadata.iter().cloned().collect();
    let store_ids: Vec<Uuid> = stores.iter().map(|store| store.store_id).collect();
    let fallback = subject
        .common_name()
        .or_else(|| names.first().map(|name| name.value.as_str()))
        .unwrap_or("certificate");
    let friendly_name = plan::given(order.friendly_name.as_deref())
        .unwrap_or(fallback)
        .to_owned();
    let file_name = fallback.to_owned();
    let settled = Settled {
        authority: place.authority,
        template: place.template,
        request_der: request_der(&subject, &names, &key)?,
        spki_der: key.spki_der(),
        stored_key: saved.then(|| key.clone()),
        // Nobody has the key of a request that waits; it is kept, and then stays with the certificate.
        waiting_key: Some(key.clone()),
        subject,
        names,
        metadata,
        metadata_kept: false,
        owner,
        renewal_of,
        stores,
    };
    let waits = settled.template.row.requires_approval;
    let outcome = carry_out(cx, settled).await?;
    let blob = match &outcome.issued {
        None => String::new(),
        Some(issued) => {
            let chain = if order.include_chain {
                issued.chain.clone()
            } else {
                vec![issued.certificate().clone()]
            };
            let password = password.text.clone();
            let (legacy_encryption, with_subject, root_first) = (
                order.legacy_encryption,
                order.with_subject,
                order.root_first,
            );
            if format != ContainerFormat::Store {
                answers::record_key_handed_out(cx, issued).await?;
            }
            // Deriving keys from passwords takes time on purpose.
            let packed = tokio::task::spawn_blocking(move || {
                let password = password.expose_str().map_err(Error::internal)?;
                let friendly_name = friendly_name.as_str();
                let contents = Contents {
                    key: &key,
                    chain: &chain,
                    friendly_name,
                    password,
                    legacy_encryption,
                    with_subject,
                    root_first,
                };
                answers::container(format, &contents)
            });
            packed.await.map_err(Error::internal)??
        }
    };
    let made = (password.made && outcome.issued.is_some() && format != ContainerFormat::Store)
        .then(|| password.text.expose_str().map(str::to_owned))
        .transpose()?;
    Ok(Enrolled {
        headers: answers::headers(format, &file_name, saved || waits),
        information: information(&outcome, blob, made, saved || waits),
        metadata: shown,
        // A request that waits has no jobs yet.
        stores: outcome.issued.map(|_| store_ids).unwrap_or_default(),
    })
}

/// The certificate that this one follows: there is one, and clients say null for none.
///
/// # Errors
/// 403 for one that the caller may not read; 400 for 0 and for an unknown one.
pub(super) async fn renewed(
    cx: &Cx,
    id: Option<i64>,
    through: Through,
) -> Result<Option<certificates::Model>, Error> {
    let Some(id) = id else { return Ok(None) };
    cx.authorize_certificate(Permission::CertificatesRead, id, through)
        .await?;
    let found = certificates::Entity::find_by_id(id);
    match found.one(cx.db().read()).await? {
        Some(row) => Ok(Some(row)),
        None => Err(Error::bad_request(format!(
            "RenewalCertificateId: there is no certificate {id}; null means no renewal."
        ))),
    }
}

struct Password {
    text: secrets::Secret,
    made: bool,
}

fn password(given: Option<String>) -> Result<Password, Error> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) => Ok(Password {
            text: checked_password(text)?,
            made: false,
        }),
        None => Ok(Password {
            text: make_password()?.into(),
            made: true,
        }),
    }
}

/// The password of a file with a key in it.
///
/// # Errors
/// 400 for one that is too short or too long.
pub(crate) fn checked_password(text: String) -> Result<secrets::Secret, Error> {
    if (PASSWORD_MIN..=PASSWORD_MAX).contains(&text.chars().count()) {
        return Ok(text.into());
    }
    Err(Error::bad_request(format!(
        "Password: it has to have {PASSWORD_MIN} to {PASSWORD_MAX} characters."
    )))
}

/// A password out of letters and digits that are hard to mistake for each other.
fn make_password() -> Result<String, Error> {
    const ALPHABET: &[u8; 56] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";
    let mut text = String::with_capacity(PASSWORD_MADE);
    while text.len() < PASSWORD_MADE {
        let mut octets = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut octets)
            .map_err(|_| Error::internal("the operating system gives no randomness"))?;
        // 224 is the greatest multiple of 56 that an octet reaches: each letter is as likely as the others.
        let letters = octets
            .iter()
            .filter(|octet| **octet < 224)
            .map(|octet| char::from(ALPHABET[usize::from(*octet) % 56]));
        text.extend(letters.take(PASSWORD_MADE - text.len()));
    }
    Ok(text)
}

/// The key to make: the caller's wish, completed by the template.
fn key_spec(
    template: &Template,
    wish: &(Option<String>, Option<u32>, Option<String>),
) -> Result<KeySpec, Error> {
    let (key_type, curve) = (
        plan::given(wish.0.as_deref()),
        plan::given(wish.2.as_deref()),
    );
    let length = wish.1.filter(|length| *length != 0);
    let spec = match (key_type, length, curve) {
        (None, None, None) => return template.key_spec(),
        (Some(key_type), length, curve) => KeySpec::parse(key_type, length, curve),
        (None, length, Some(curve)) => KeySpec::parse("ECC", length, Some(curve)),
        (None, length, None) => KeySpec::parse(&template.row.key_type, length, None),
    };
    let spec =
        spec.map_err(|error| Error::bad_request(format!("KeyType, KeyLength, Curve: {error}.")))?;
    match spec {
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => Err(Error::bad_request(format!(
            "KeyType: {spec} is not offered by the built-in authority."
        ))),
        _ => Ok(spec),
    }
}

/// A new key. RSA takes time, which other requests shall not wait for.
pub(super) async fn generate(spec: KeySpec) -> Result<PrivateKey, Error> {
    let made = match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
            tokio::task::spawn_blocking(move || PrivateKey::generate(spec))
                .await
                .map_err(Error::internal)?
        }
        _ => PrivateKey::generate(spec),
    };
    made.map_err(Error::internal)
}

/// The request that the authority would get, kept with what became of it.
pub(super) fn request_der(
    subject: &DistinguishedName,
    names: &[SubjectAlternativeName],
    key: &PrivateKey,
) -> Result<Vec<u8>, Error> {
    let request = pki::CertificateRequest::create(subject, names, key);
    let request =
        request.map_err(|error| Error::bad_request(format!("Subject, SANs: {error}.")))?;
    Ok(request.der().to_vec())
}

fn information(
    outcome: &Outcome,
    blob: String,
    password: Option<String>,
    saved: bool,
) -> PfxCertificateInformation {
    let issued = outcome.issued.as_ref();
    let certificate = issued.map(super::issue::Issued::certificate);
    let (disposition, message) = match issued {
        Some(_) => (answers::ISSUED, answers::ISSUED_MESSAGE),
        None => (answers::PENDING, answers::PENDING_MESSAGE),
    };
    PfxCertificateInformation {
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
        pkcs12_blob: blob,
        password,
        key_status: if saved { KEY_SAVED } else { KEY_NOT_RETAINED },
        workflow_instance_id: Uuid::nil(),
        workflow_reference_id: 0,
        store_ids_invalid_for_renewal: Vec::new(),
        chain_failed_to_build: false,
        keyfactor_request_id: outcome.request_id,
        request_disposition: disposition.into(),
        disposition_message: message.into(),
        enrollment_context: None,
        url: None,
    }
}
