//! `GET /Workflow/Certificates/…`: requests that wait, or were denied, and any request by its id.

use std::collections::{BTreeMap, HashMap};

use db::tables::{authorities, certificate_requests, templates};
use sea_orm::sea_query::{Expr, Query as SelectQuery, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cx::Cx;
use crate::enrollment::{
    Intent, STATE_DENIED, STATE_EXTERNAL_VALIDATION, STATE_PENDING, kind_numbered, san_texts,
};
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, field_elsewhere, page};
use crate::web::{Date, Json, List, Paging, PathId, Query};

/// The contract's CertState, by its numbers.
const STATES: [&str; 9] = [
    "Unknown",
    "Active",
    "Revoked",
    "Denied",
    "Failed",
    "Pending",
    "CertificateAuthority",
    "ParentCertificateAuthority",
    "ExternalValidation",
];

const STATE_NAMES: &[(&str, i64)] = &[
    ("unknown", 0),
    ("active", 1),
    ("revoked", 2),
    ("denied", 3),
    ("failed", 4),
    ("pending", 5),
    ("externalvalidation", 8),
];

const FIELDS: &[Field] = &[
    field("Id", FieldKind::Integer(&[]), || {
        Expr::col(certificate_requests::Column::Id)
    }),
    field("CARequestId", FieldKind::Integer(&[]), || {
        Expr::col(certificate_requests::Column::Id)
    }),
    field("SubmissionDate", FieldKind::Date, || {
        Expr::col(certificate_requests::Column::SubmittedAt)
    }),
    field("CommonName", FieldKind::Text, || {
        Expr::col(certificate_requests::Column::CommonName)
    }),
    field("DistinguishedName", FieldKind::Text, || {
        Expr::col(certificate_requests::Column::Subject)
    }),
    field("Requester", FieldKind::Text, || {
        Expr::col(certificate_requests::Column::Requester)
    }),
    field("State", FieldKind::Integer(STATE_NAMES), || {
        Expr::col(certificate_requests::Column::State)
    }),
    field_elsewhere(
        "CertificateAuthority",
        FieldKind::Folded,
        authority_id,
        authority_name,
        authority_ids,
    ),
    field_elsewhere(
        "CA",
        FieldKind::Folded,
        authority_id,
        authority_name,
        authority_ids,
    ),
    field_elsewhere(
        "Template",
        FieldKind::Folded,
        template_id,
        template_name,
        template_ids,
    ),
];

fn authority_id() -> SimpleExpr {
    Expr::col(certificate_requests::Column::AuthorityId)
}

fn authority_name() -> SimpleExpr {
    Expr::col(authorities::Column::NameFold)
}

fn authority_ids() -> SelectStatement {
    SelectQuery::select()
        .column(authorities::Column::Id)
        .from(authorities::Entity)
        .take()
}

fn template_id() -> SimpleExpr {
    Expr::col(certificate_requests::Column::TemplateId)
}

fn template_name() -> SimpleExpr {
    Expr::col(templates::Column::NameFold)
}

fn template_ids() -> SelectStatement {
    SelectQuery::select()
        .column(templates::Column::Id)
        .from(templates::Entity)
        .take()
}

/// A request in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowCertificateRequest)]
pub(crate) struct RequestSummary {
    /// Id of the request, not of a certificate.
    id: i64,
    #[serde(rename = "CARequestId")]
    ca_request_id: String,
    common_name: Option<String>,
    distinguished_name: String,
    submission_date: Date,
    /// `host\logical`.
    certificate_authority: String,
    /// Short name of the template.
    template: String,
    requester: String,
    /// 1 issued, 3 denied, 4 failed, 5 pending, 8 waiting for somebody outside.
    state: i32,
    state_string: String,
    /// Values by field name.
    metadata: BTreeMap<String, String>,
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowCertificateRequestDetails)]
pub(crate) struct RequestDetails {
    /// Id of the request, not of a certificate.
    id: i64,
    #[serde(rename = "CARequestId")]
    ca_request_id: String,
    common_name: Option<String>,
    distinguished_name: String,
    submission_date: Date,
    /// `host\logical`.
    certificate_authority: String,
    /// Short name of the template.
    template: String,
    requester: String,
    /// 1 issued, 3 denied, 4 failed, 5 pending, 8 waiting for somebody outside.
    state: i32,
    state_string: String,
    /// Values by field name.
    metadata: BTreeMap<String, String>,
    denial_comment: Option<String>,
    /// Bits, as text.
    key_length: String,
    /// The subject alternative names, values alone.
    #[serde(rename = "SANs")]
    sans: Vec<String>,
    /// Stores that the certificate goes to.
    cert_stores: Vec<RequestStore>,
    /// Of the key; null for keys without one.
    curve: Option<String>,
    subject_alt_names: Vec<RequestSubjectAltName>,
}

/// A store that the certificate goes to.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowCertificateRequestStore)]
pub(crate) struct RequestStore {
    entry_name: Option<String>,
    client_machine: String,
    store_path: String,
}

/// A subject alternative name of a request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowCertificateRequestSubjectAltName)]
pub(crate) struct RequestSubjectAltName {
    value: String,
    /// `DNS`, `IP`, `RFC822`, ….
    r#type: String,
}

/// The requests that wait for a manager.
#[utoipa::path(get, path = "/Workflow/Certificates/Pending", tag = "Workflow", params(Paging), responses((status = 200, body = Vec<RequestSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/monitoring/alerts/read/"]))))]
pub(super) async fn pending(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<RequestSummary>, Error> {
    in_state(&cx, &paging, STATE_PENDING).await
}

/// The requests that were denied.
#[utoipa::path(get, path = "/Workflow/Certificates/Denied", tag = "Workflow", params(Paging), responses((status = 200, body = Vec<RequestSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/monitoring/alerts/read/"]))))]
pub(super) async fn denied(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<RequestSummary>, Error> {
    in_state(&cx, &paging, STATE_DENIED).await
}

/// The requests that wait for somebody outside. The built-in authority has none.
#[utoipa::path(get, path = "/Workflow/Certificates/ExternalValidation", tag = "Workflow", params(Paging), responses((status = 200, body = Vec<RequestSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/monitoring/alerts/read/"]))))]
pub(super) async fn external_validation(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<RequestSummary>, Error> {
    in_state(&cx, &paging, STATE_EXTERNAL_VALIDATION).await
}

/// One request, in whatever state.
#[utoipa::path(get, path = "/Workflow/Certificates/{id}", tag = "Workflow", params(("id" = i64, Path, description = "Id of the request")), responses((status = 200, body = RequestDetails, description = "It")), extensions(("x-permissions" = json!(["/monitoring/alerts/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<RequestDetails>, Error> {
    details(&cx, id).await.map(Json)
}

async fn in_state(cx: &Cx, paging: &Paging, state: i32) -> Result<List<RequestSummary>, Error> {
    cx.authorize(Permission::AlertsRead)?;
    let select =
        certificate_requests::Entity::find().filter(certificate_requests::Column::State.eq(state));
    let (rows, total) = page(
        cx,
        select,
        paging,
        FIELDS,
        "Id",
        certificate_requests::Column::Id,
    )
    .await?;
    let names = Names::of(cx, &rows).await?;
    let items: Result<_, Error> = rows
        .into_iter()
        .map(|row| summary(row, &names).map(|(summary, _)| summary))
        .collect();
    Ok(List {
        items: items?,
        total,
    })
}

/// What authorities and templates are called, by id.
struct Names {
    authorities: HashMap<i64, String>,
    templates: HashMap<i64, String>,
}

impl Names {
    async fn of(cx: &Cx, rows: &[certificate_requests::Model]) -> Result<Self, Error> {
        let known = crate::authorities::all(cx.app()).await?;
        let authorities = known
            .iter()
            .map(|authority| (authority.id, authority.full_name()))
            .collect();
        let mut ids: Vec<i64> = rows.iter().map(|row| row.template_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let found = templates::Entity::find()
            .filter(templates::Column::Id.is_in(ids))
            .all(cx.db().read())
            .await?;
        let templates = found
            .into_iter()
            .map(|template| (template.id, template.common_name))
            .collect();
        Ok(Self {
            authorities,
            templates,
        })
    }
}

fn summary(
    row: certificate_requests::Model,
    names: &Names,
) -> Result<(RequestSummary, Intent), Error> {
    let intent: Intent = serde_json::from_str(&row.enrollment)?;
    let state = usize::try_from(row.state)
        .ok()
        .and_then(|state| STATES.get(state))
        .unwrap_or(&STATES[0]);
    let summary = RequestSummary {
        id: row.id,
        ca_request_id: row.id.to_string(),
        common_name: row.common_name,
        distinguished_name: row.subject,
        submission_date: Date(row.submitted_at),
        certificate_authority: names
            .authorities
            .get(&row.authority_id)
            .cloned()
            .unwrap_or_default(),
        template: names
            .templates
            .get(&row.template_id)
            .cloned()
            .unwrap_or_default(),
        requester: row.requester,
        state: row.state,
        state_string: (*state).to_owned(),
        metadata: intent.metadata.iter().cloned().collect(),
    };
    Ok((summary, intent))
}

async fn details(cx: &Cx, id: i64) -> Result<RequestDetails, Error> {
    cx.authorize(Permission::AlertsRead)?;
    let row = certificate_requests::Entity::find_by_id(id)
        .one(cx.db().read())
        .await?;
    let row = row.ok_or_else(|| Error::not_found("certificate request", id))?;
    let names = Names::of(cx, std::slice::from_ref(&row)).await?;
    let denial_comment = row.denial_comment.clone();
    let request =
        pki::CertificateRequest::from_pem_or_der(&row.request).map_err(Error::internal)?;
    let (summary, intent) = summary(row, &names)?;
    Ok(RequestDetails {
        id: summary.id,
        ca_request_id: summary.ca_request_id,
        common_name: summary.common_name,
        distinguished_name: summary.distinguished_name,
        submission_date: summary.submission_date,
        certificate_authority: summary.certificate_authority,
        template: summary.template,
        requester: summary.requester,
        state: summary.state,
        state_string: summary.state_string,
        metadata: summary.metadata,
        denial_comment,
        key_length: request.key().size_bits.to_string(),
        sans: san_texts(&intent.names),
        cert_stores: stores(cx, &intent).await?,
        curve: request.key().curve.clone(),
        subject_alt_names: intent
            .names
            .iter()
            .map(|(kind, value)| RequestSubjectAltName {
                value: value.clone(),
                r#type: kind_name(*kind).into(),
            })
            .collect(),
    })
}

/// The stores that the certificate goes to; those that were deleted meanwhile are left out.
async fn stores(cx: &Cx, intent: &Intent) -> Result<Vec<RequestStore>, Error> {
    let mut found = Vec::with_capacity(intent.stores.len());
    for wish in &intent.stores {
        let store =
            crate::certificate_stores::store_with_type(cx.db().read(), wish.store_id).await?;
        found.extend(store.map(|(store, _)| RequestStore {
            entry_name: wish.alias.clone(),
            client_machine: store.client_machine,
            store_path: store.store_path,
        }));
    }
    Ok(found)
}

fn kind_name(number: u16) -> &'static str {
    match kind_numbered(number) {
        pki::SanKind::Other => "OTHER",
        pki::SanKind::Rfc822 => "RFC822",
        pki::SanKind::Dns => "DNS",
        pki::SanKind::X400 => "X400",
        pki::SanKind::Directory => "DIRECTORY",
        pki::SanKind::EdiParty => "EDIPARTY",
        pki::SanKind::Uri => "URI",
        pki::SanKind::Ip => "IP",
        pki::SanKind::RegisteredId => "REGISTEREDID",
        pki::SanKind::UserPrincipalName => "MS_NTPRINCIPALNAME",
        pki::SanKind::NtdsReplication => "MS_NTDSREPLICATION",
    }
}
