//! `GET /Templates` and `GET /Templates/{id}`.

use std::collections::BTreeMap;

use db::tables::templates;
use sea_orm::EntityTrait;
use sea_orm::sea_query::Expr;
use serde::Serialize;
use utoipa::ToSchema;

use super::settings::{
    AlgorithmData, EnrollmentField, MetadataField, TemplateDefault, TemplatePolicy, TemplateRegex,
};
use super::template::{Template, by_id};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Json, List, Paging, PathId, Query};

pub(crate) const FIELDS: &[Field] = &[
    field("Id", FieldKind::Integer(&[]), || {
        Expr::col(templates::Column::Id)
    }),
    field("CommonName", FieldKind::Folded, || {
        Expr::col(templates::Column::NameFold)
    }),
    field("ShortName", FieldKind::Folded, || {
        Expr::col(templates::Column::NameFold)
    }),
    field("TemplateName", FieldKind::Text, || {
        Expr::col(templates::Column::DisplayName)
    }),
    field("DisplayName", FieldKind::Text, || {
        Expr::col(templates::Column::DisplayName)
    }),
    field("FriendlyName", FieldKind::Text, || {
        Expr::col(templates::Column::FriendlyName)
    }),
    field("Oid", FieldKind::Text, || Expr::col(templates::Column::Oid)),
    field("KeyType", FieldKind::Text, || {
        Expr::col(templates::Column::KeyType)
    }),
    field("KeySize", FieldKind::Text, || {
        Expr::col(templates::Column::KeySize)
    }),
    field("ConfigurationTenant", FieldKind::Text, || {
        Expr::col(templates::Column::ConfigurationTenant)
    }),
    field("ForestRoot", FieldKind::Text, || {
        Expr::col(templates::Column::ConfigurationTenant)
    }),
    field("RequiresApproval", FieldKind::Boolean, || {
        Expr::col(templates::Column::RequiresApproval)
    }),
    field("AllowedEnrollmentTypes", FieldKind::Integer(&[]), || {
        Expr::col(templates::Column::AllowedEnrollmentTypes)
    }),
    field("UseAllowedRequesters", FieldKind::Boolean, || {
        Expr::col(templates::Column::UseAllowedRequesters)
    }),
];

/// A template in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateCollectionResponse)]
pub(crate) struct TemplateSummary {
    id: i64,
    /// Short name, how enrollments name it.
    common_name: String,
    template_name: String,
    oid: String,
    /// Bits, as text.
    key_size: String,
    /// `RSA`, `ECC` or `Ed25519`.
    key_type: String,
    forest_root: String,
    configuration_tenant: String,
    friendly_name: Option<String>,
    /// `None`, `Indefinite`, `AfterExpiration` or `FromIssuance`.
    key_retention: String,
    key_retention_days: Option<i64>,
    key_archival: bool,
    enrollment_fields: Vec<EnrollmentField>,
    /// Bits: 1 PFX, 2 CSR, 4 generation of requests.
    allowed_enrollment_types: i32,
    template_regexes: Vec<TemplateRegex>,
    use_allowed_requesters: bool,
    /// Names of roles.
    allowed_requesters: Vec<String>,
    display_name: String,
    /// Whether requests wait for a manager.
    requires_approval: bool,
    /// Bit mask as in .NET.
    key_usage: i32,
    extended_key_usages: Vec<ExtendedKeyUsage>,
    allow_one_click_renewals: bool,
    key_types: String,
    manageability: i32,
}

/// A template.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateResponse)]
pub(crate) struct TemplateResponse {
    id: i64,
    /// Short name, how enrollments name it.
    common_name: String,
    template_name: String,
    oid: String,
    /// Bits, as text.
    key_size: String,
    /// `RSA`, `ECC` or `Ed25519`.
    key_type: String,
    forest_root: String,
    configuration_tenant: String,
    friendly_name: Option<String>,
    /// `None`, `Indefinite`, `AfterExpiration` or `FromIssuance`.
    key_retention: String,
    key_retention_days: Option<i64>,
    key_archival: bool,
    enrollment_fields: Vec<EnrollmentField>,
    metadata_fields: Vec<MetadataField>,
    /// Bits: 1 PFX, 2 CSR, 4 generation of requests.
    allowed_enrollment_types: i32,
    template_regexes: Vec<TemplateRegex>,
    template_defaults: Vec<TemplateDefault>,
    template_policy: TemplatePolicy,
    key_algorithms: TemplateKeyAlgorithms,
    use_allowed_requesters: bool,
    /// Names of roles.
    allowed_requesters: Vec<String>,
    display_name: String,
    #[serde(rename = "RFCEnforcement")]
    rfc_enforcement: bool,
    /// Whether requests wait for a manager.
    requires_approval: bool,
    /// Bit mask as in .NET.
    key_usage: i32,
    extended_key_usages: Vec<ExtendedKeyUsage>,
    /// Identifier of the curve of the keys that the server makes; null for other keys.
    curve: Option<String>,
    allow_one_click_renewals: bool,
    key_types: String,
    manageability: i32,
}

/// The keys that the authority can certify.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TemplateKeyAlgorithms {
    template_id: i64,
    key_info: BTreeMap<String, AlgorithmData>,
}

/// What certificates may be used for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateExtendedKeyUsage)]
pub(crate) struct ExtendedKeyUsage {
    id: i64,
    oid: String,
    display_name: String,
}

fn usages(template: &Template) -> Vec<ExtendedKeyUsage> {
    let numbered = (1..).zip(&template.extended_key_usages);
    numbered
        .map(|(id, oid)| {
            let name = pki::extended_key_usage_name(oid).unwrap_or(oid);
            ExtendedKeyUsage {
                id,
                oid: oid.clone(),
                display_name: name.into(),
            }
        })
        .collect()
}

fn regexes(template: &Template) -> Vec<TemplateRegex> {
    let id = Some(template.row.id);
    template
        .settings
        .regexes
        .iter()
        .map(|rule| TemplateRegex {
            template_id: id,
            ..rule.clone()
        })
        .collect()
}

/// The keys that the built-in authority certifies.
fn certifiable() -> BTreeMap<String, AlgorithmData> {
    let data = |name: &str, lengths: &[u32], curves: &[&str]| {
        let curves = curves.iter().map(|curve| (*curve).to_owned()).collect();
        (
            name.to_owned(),
            AlgorithmData {
                name: Some(name.into()),
                bit_lengths: Some(lengths.to_vec()),
                curves: Some(curves),
            },
        )
    };
    BTreeMap::from([
        data(
            "ECDSA",
            &[256, 384, 521],
            &[pki::oid::P256, pki::oid::P384, pki::oid::P521],
        ),
        data("RSA", &[2048, 3072, 4096], &[]),
        data("Ed25519", &[256], &[]),
    ])
}

fn curve(template: &Template) -> Option<String> {
    match template.key_spec().ok()? {
        pki::KeySpec::EcP256 => Some(pki::oid::P256.into()),
        pki::KeySpec::EcP384 => Some(pki::oid::P384.into()),
        pki::KeySpec::EcP521 => Some(pki::oid::P521.into()),
        _ => None,
    }
}

impl From<Template> for TemplateSummary {
    fn from(template: Template) -> Self {
        Self {
            extended_key_usages: usages(&template),
            template_regexes: regexes(&template),
            id: template.row.id,
            common_name: template.row.common_name,
            template_name: template.row.display_name.clone(),
            oid: template.row.oid,
            key_size: template.row.key_size,
            key_types: template.row.key_type.clone(),
            key_type: template.row.key_type,
            forest_root: template.row.configuration_tenant.clone(),
            configuration_tenant: template.row.configuration_tenant,
            friendly_name: template.row.friendly_name,
            key_retention: template.row.key_retention,
            key_retention_days: template.row.key_retention_days,
            key_archival: template.settings.key_archival,
            enrollment_fields: template.settings.enrollment_fields,
            allowed_enrollment_types: template.row.allowed_enrollment_types,
            use_allowed_requesters: template.row.use_allowed_requesters,
            allowed_requesters: template.allowed_requesters,
            display_name: template.row.display_name,
            requires_approval: template.row.requires_approval,
            key_usage: template.row.key_usage,
            allow_one_click_renewals: template.settings.allow_one_click_renewals.unwrap_or(true),
            manageability: 0,
        }
    }
}

impl From<Template> for TemplateResponse {
    fn from(template: Template) -> Self {
        let policy = TemplatePolicy {
            template_id: Some(template.row.id),
            ..template.settings.policy.clone()
        };
        Self {
            extended_key_usages: usages(&template),
            template_regexes: regexes(&template),
            curve: curve(&template),
            id: template.row.id,
            common_name: template.row.common_name,
            template_name: template.row.display_name.clone(),
            oid: template.row.oid,
            key_size: template.row.key_size,
            key_types: template.row.key_type.clone(),
            key_type: template.row.key_type,
            forest_root: template.row.configuration_tenant.clone(),
            configuration_tenant: template.row.configuration_tenant,
            friendly_name: template.row.friendly_name,
            key_retention: template.row.key_retention,
            key_retention_days: template.row.key_retention_days,
            key_archival: template.settings.key_archival,
            enrollment_fields: template.settings.enrollment_fields,
            metadata_fields: template.settings.metadata_fields,
            allowed_enrollment_types: template.row.allowed_enrollment_types,
            template_defaults: template.settings.defaults,
            rfc_enforcement: policy.rfc_enforcement.unwrap_or(false),
            template_policy: policy,
            key_algorithms: TemplateKeyAlgorithms {
                template_id: template.row.id,
                key_info: certifiable(),
            },
            use_allowed_requesters: template.row.use_allowed_requesters,
            allowed_requesters: template.allowed_requesters,
            display_name: template.row.display_name,
            requires_approval: template.row.requires_approval,
            key_usage: template.row.key_usage,
            allow_one_click_renewals: template.settings.allow_one_click_renewals.unwrap_or(true),
            manageability: 0,
        }
    }
}

/// The templates.
#[utoipa::path(get, path = "/Templates", tag = "Template", params(Paging), responses((status = 200, body = Vec<TemplateSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_templates/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<TemplateSummary>, Error> {
    cx.authorize(Permission::TemplatesRead)?;
    let (rows, total) = page(
        &cx,
        templates::Entity::find(),
        &paging,
        FIELDS,
        "CommonName",
        templates::Column::Id,
    )
    .await?;
    let items: Result<_, Error> = rows
        .into_iter()
        .map(|row| Ok(Template::try_from(row)?.into()))
        .collect();
    Ok(List {
        items: items?,
        total,
    })
}

/// One template.
#[utoipa::path(get, path = "/Templates/{id}", tag = "Template", params(("id" = i64, Path, description = "Its id")), responses((status = 200, body = TemplateResponse, description = "It")), extensions(("x-permissions" = json!(["/certificate_templates/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<TemplateResponse>, Error> {
    cx.authorize(Permission::TemplatesRead)?;
    let template = by_id(cx.db().read(), id).await?;
    Ok(Json(
        template
            .ok_or_else(|| Error::not_found("template", id))?
            .into(),
    ))
}
