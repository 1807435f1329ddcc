//! `GET /CertificateAuthority` and `GET /CertificateAuthority/{id}`.

use std::collections::BTreeMap;

use db::tables::authorities;
use sea_orm::EntityTrait;
use sea_orm::sea_query::{Expr, ExprTrait};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::PURPOSE_ISSUING;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::schedule::ScheduleOutput;
use crate::web::{Date, Json, List, Paging, PathId, Query};

/// What stands where other authorities name their directory.
pub(crate) const CONFIGURATION_TENANT: &str = "Chancery";

/// HTTPS, the nearest of the contract's two kinds of authority.
const HTTPS: i32 = 1;
/// PFX and CSR.
const ALL_ENROLLMENT_TYPES: i32 = 1 | 2;

const fn unsortable(field: Field) -> Field {
    Field {
        sortable: false,
        ..field
    }
}

const FIELDS: &[Field] = &[
    field("Id", FieldKind::Integer(&[]), || {
        Expr::col(authorities::Column::Id)
    }),
    field("LogicalName", FieldKind::Text, || {
        Expr::col(authorities::Column::LogicalName)
    }),
    field("HostName", FieldKind::Text, || {
        Expr::col(authorities::Column::HostName)
    }),
    unsortable(field("ConfigurationTenant", FieldKind::Folded, || {
        Expr::val(db::fold(CONFIGURATION_TENANT))
    })),
    unsortable(field("ForestRoot", FieldKind::Folded, || {
        Expr::val(db::fold(CONFIGURATION_TENANT))
    })),
    unsortable(field("Agent", FieldKind::Guid, || {
        Expr::val(None::<Uuid>).cast_as("uuid")
    })),
];

/// A certificate authority.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateAuthorityResponse)]
pub(crate) struct AuthorityResponse {
    id: i64,
    /// After the backslash.
    logical_name: String,
    /// Before the backslash.
    host_name: String,
    delegate: bool,
    delegate_enrollment: bool,
    forest_root: String,
    configuration_tenant: String,
    remote: bool,
    /// The agent that speaks with the authority; none, since it is built in.
    agent: Option<Uuid>,
    standalone: bool,
    monitor_thresholds: bool,
    issuance_max: Option<i32>,
    issuance_min: Option<i32>,
    denial_max: Option<i32>,
    failure_max: Option<i32>,
    #[serde(rename = "RFCEnforcement")]
    rfc_enforcement: bool,
    /// JSON, as text.
    properties: String,
    /// Bits: 1 PFX, 2 CSR.
    allowed_enrollment_types: i32,
    /// The templates decide.
    key_retention: i32,
    key_retention_days: Option<i32>,
    explicit_credentials: bool,
    subscriber_terms: bool,
    explicit_user: Option<String>,
    explicit_password: AuthoritySecret,
    use_allowed_requesters: bool,
    allowed_requesters: Vec<String>,
    // Left out rather than null: the published Python client fails on a null where it knows an object.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_scan: Option<ScheduleOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incremental_scan: Option<ScheduleOutput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold_check: Option<ScheduleOutput>,
    /// 0 DCOM, 1 HTTPS.
    #[serde(rename = "CAType")]
    ca_type: i32,
    /// The certificate by which this server is known to the authority; none is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_certificate: Option<AuthCertificate>,
    #[serde(rename = "EnforceUniqueDN")]
    enforce_unique_dn: bool,
    allow_one_click_renewals: bool,
    new_end_entity_on_renew_and_reissue: bool,
    #[serde(rename = "CASyncScheduledTasks")]
    ca_sync_scheduled_tasks: Vec<ScheduledTask>,
    /// Without a zone, in UTC; null as long as there was none.
    last_scan: Option<String>,
}

/// Whether a secret is set; never the secret.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateAuthoritySecret)]
pub(crate) struct AuthoritySecret {
    secret_value: Option<String>,
    parameters: BTreeMap<String, String>,
    provider: Option<i32>,
    has_value: bool,
}

/// A certificate by which this server is known to an authority.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateAuthorityAuthCertificate)]
pub(crate) struct AuthCertificate {
    #[serde(rename = "IssuedDN")]
    issued_dn: String,
    #[serde(rename = "IssuerDN")]
    issuer_dn: String,
    thumbprint: String,
    expiration_date: Date,
}

/// A scan of an authority's database.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateAuthorityScheduledTask)]
pub(crate) struct ScheduledTask {
    id: i64,
    certificate_authority_id: i64,
    schedule: Option<String>,
    scan_type: i32,
    sync_enabled: bool,
    last_scan_time: Option<Date>,
}

impl From<authorities::Model> for AuthorityResponse {
    fn from(row: authorities::Model) -> Self {
        let enrolls = row.enabled && row.purpose == PURPOSE_ISSUING;
        Self {
            id: row.id,
            logical_name: row.logical_name,
            host_name: row.host_name,
            delegate: false,
            delegate_enrollment: false,
            forest_root: CONFIGURATION_TENANT.into(),
            configuration_tenant: CONFIGURATION_TENANT.into(),
            remote: false,
            agent: None,
            standalone: false,
            monitor_thresholds: false,
            issuance_max: None,
            issuance_min: None,
            denial_max: None,
            failure_max: None,
            rfc_enforcement: false,
            properties: row.configuration,
            allowed_enrollment_types: if enrolls { ALL_ENROLLMENT_TYPES } else { 0 },
            key_retention: 0,
            key_retention_days: None,
            explicit_credentials: false,
            subscriber_terms: false,
            explicit_user: None,
            explicit_password: AuthoritySecret::default(),
            use_allowed_requesters: false,
            allowed_requesters: Vec::new(),
            full_scan: None,
            incremental_scan: None,
            threshold_check: None,
            ca_type: HTTPS,
            auth_certificate: None,
            enforce_unique_dn: false,
            allow_one_click_renewals: true,
            new_end_entity_on_renew_and_reissue: false,
            ca_sync_scheduled_tasks: Vec::new(),
            last_scan: None,
        }
    }
}

/// The certificate authorities.
#[utoipa::path(get, path = "/CertificateAuthority", tag = "CertificateAuthority", params(Paging), responses((status = 200, body = Vec<AuthorityResponse>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_authorities/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<AuthorityResponse>, Error> {
    cx.authorize(Permission::AuthoritiesRead)?;
    let (rows, total) = page(
        &cx,
        authorities::Entity::find(),
        &paging,
        FIELDS,
        "Id",
        authorities::Column::Id,
    )
    .await?;
    Ok(List {
        items: rows.into_iter().map(Into::into).collect(),
        total,
    })
}

/// One certificate authority.
#[utoipa::path(get, path = "/CertificateAuthority/{id}", tag = "CertificateAuthority", params(("id" = i64, Path, description = "Its id")), responses((status = 200, body = AuthorityResponse, description = "It")), extensions(("x-permissions" = json!(["/certificate_authorities/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<AuthorityResponse>, Error> {
    cx.authorize(Permission::AuthoritiesRead)?;
    let row = authorities::Entity::find_by_id(id)
        .one(cx.db().read())
        .await?;
    let row = row.ok_or_else(|| Error::not_found("certificate authority", id))?;
    Ok(Json(row.into()))
}
