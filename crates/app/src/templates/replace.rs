//! `PUT /Templates`: what can be set of a template, all of it at once.

use db::tables::templates;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IntoActiveModel, QuerySelect};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::settings::{
    EnrollmentField, MetadataField, Settings, SubjectPart, TemplateDefault, TemplatePolicy,
    TemplateRegex, compile,
};
use super::show::TemplateResponse;
use super::template::{KeyRetention, Template};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{self, Permission, role_by_name};
use crate::web::{Body, Json};

/// PFX, CSR and generation of requests.
const ENROLLMENT_TYPES_MAX: i32 = 7;
/// What certificates of authorities may and those from templates may not: KeyCertSign and CrlSign.
const AUTHORITY_KEY_USAGES: i32 = 4 | 2;
const KEY_USAGE_MAX: i32 = 0x80ff;

/// What to make of a template. Members that are left out are cleared, as everywhere with PUT; only key and key usage, which
/// are the authority's rather than the template's, stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TemplateUpdateRequest)]
pub(crate) struct TemplateUpdateRequest {
    /// Which template.
    id: i64,
    /// Bits of the keys that the server makes, as text.
    key_size: Option<String>,
    /// `RSA`, `ECC` or `Ed25519`.
    key_type: Option<String>,
    friendly_name: Option<String>,
    /// 0 `None`, 1 `Indefinite`, 2 `AfterExpiration`, 3 `FromIssuance`; by number or name.
    #[schema(value_type = Option<KeyRetentionInput>)]
    key_retention: Option<Value>,
    /// Needed for the last two.
    key_retention_days: Option<i64>,
    key_archival: Option<bool>,
    enrollment_fields: Option<Vec<EnrollmentField>>,
    metadata_fields: Option<Vec<MetadataField>>,
    /// Bits: 1 PFX, 2 CSR, 4 generation of requests.
    allowed_enrollment_types: Option<i32>,
    template_regexes: Option<Vec<TemplateRegex>>,
    template_defaults: Option<Vec<TemplateDefault>>,
    template_policy: Option<TemplatePolicy>,
    /// Whether only the holders of some roles may enroll, and decide on requests.
    use_allowed_requesters: Option<bool>,
    /// Names of those roles.
    allowed_requesters: Option<Vec<String>>,
    /// Whether requests wait for a manager.
    requires_approval: Option<bool>,
    /// Bit mask as in .NET; 0 leaves it.
    key_usage: Option<i32>,
    allow_one_click_renewals: Option<bool>,
}

/// A number or a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TemplateKeyRetention)]
#[expect(
    dead_code,
    reason = "says in the OpenAPI document that both forms are read"
)]
pub(crate) enum KeyRetentionInput {
    /// The number.
    Number(i32),
    /// The name.
    Name(String),
}

/// Replaces the settings of a template.
#[utoipa::path(put, path = "/Templates", tag = "Template", request_body = TemplateUpdateRequest, responses((status = 200, body = TemplateResponse, description = "The template as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such template")), extensions(("x-permissions" = json!(["/certificate_templates/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<TemplateUpdateRequest>,
) -> Result<Json<TemplateResponse>, Error> {
    replace_template(&cx, request)
        .await
        .map(|template| Json(template.into()))
}

async fn replace_template(cx: &Cx, request: TemplateUpdateRequest) -> Result<Template, Error> {
    cx.authorize(Permission::TemplatesModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("templates.replace", move |tx| {
            Box::pin(async move {
                let id = request.id;
                let row = templates::Entity::find_by_id(id)
                    .lock_exclusive()
                    .one(tx)
                    .await?;
                let before =
                    Template::try_from(row.ok_or_else(|| Error::not_found("template", id))?)?;
                for name in request.allowed_requesters.iter().flatten() {
                    if role_by_name(tx, name).await?.is_none() {
                        return Err(Error::bad_request(format!(
                            "AllowedRequesters: there is no role {name:?}."
                        )));
                    }
                }
                let changed = changed(&cx, &before, request)?;
                let after = Template::try_from(changed.update(tx).await?)?;
                security::changed(tx).await?;
                // Queries over certificates may name it.
                crate::certificates::note_all(tx).await?;
                let message = "template changed";
                let entry = Entry::new(
                    Operation::Updated,
                    Category::Template,
                    &after.row.common_name,
                    message,
                );
                audit::record(tx, &cx, entry.before(shown(&before)).after(shown(&after))).await?;
                Ok(after)
            })
        })
        .await
}

fn changed(
    cx: &Cx,
    before: &Template,
    request: TemplateUpdateRequest,
) -> Result<templates::ActiveModel, Error> {
    let retention = match &request.key_retention {
        None | Some(Value::Null) => KeyRetention::None,
        Some(given) => {
            let text = given
                .as_str()
                .map_or_else(|| given.to_string(), str::to_owned);
            let known = KeyRetention::parse(&text);
            known.ok_or_else(|| {
                Error::bad_request(format!(
                    "KeyRetention: {text:?} is neither 0 to 3 nor one of the names."
                ))
            })?
        }
    };
    let days = request.key_retention_days.filter(|_| retention.has_days());
    if retention.has_days() && !days.is_some_and(|days| (1..=36_500).contains(&days)) {
        return Err(Error::bad_request(format!(
            "KeyRetentionDays: {} needs a number of days from 1 to 36500.",
            retention.name()
        )));
    }
    let types = request.allowed_enrollment_types.unwrap_or(0);
    if !(0..=ENROLLMENT_TYPES_MAX).contains(&types) {
        return Err(Error::bad_request(
            "AllowedEnrollmentTypes: the bits are 1 PFX, 2 CSR and 4 generation of requests.",
        ));
    }
    let key_usage = request
        .key_usage
        .filter(|usage| *usage != 0)
        .unwrap_or(before.row.key_usage);
    if key_usage & AUTHORITY_KEY_USAGES != 0 || !(0..=KEY_USAGE_MAX).contains(&key_usage) {
        return Err(Error::bad_request(
            "KeyUsage: KeyCertSign (4), CrlSign (2) and unknown bits cannot be set.",
        ));
    }
    let (key_type, key_size) = key(before, request.key_type, request.key_size)?;
    let regexes = request.template_regexes.unwrap_or_default();
    let defaults = request.template_defaults.unwrap_or_default();
    check_rules(&regexes, &defaults)?;
    let settings = Settings {
        regexes,
        defaults,
        policy: TemplatePolicy {
            template_id: None,
            ..request.template_policy.unwrap_or_default()
        },
        enrollment_fields: request.enrollment_fields.unwrap_or_default(),
        metadata_fields: request.metadata_fields.unwrap_or_default(),
        key_archival: request.key_archival.unwrap_or(false),
        allow_one_click_renewals: request.allow_one_click_renewals,
    };
    let mut row = before.row.clone().into_active_model();
    row.friendly_name =
        ActiveValue::Set(request.friendly_name.filter(|name| !name.trim().is_empty()));
    row.key_type = ActiveValue::Set(key_type);
    row.key_size = ActiveValue::Set(key_size);
    row.key_usage = ActiveValue::Set(key_usage);
    row.key_retention = ActiveValue::Set(retention.name().into());
    row.key_retention_days = ActiveValue::Set(days);
    row.requires_approval = ActiveValue::Set(request.requires_approval.unwrap_or(false));
    row.allowed_enrollment_types = ActiveValue::Set(types);
    row.use_allowed_requesters = ActiveValue::Set(request.use_allowed_requesters.unwrap_or(false));
    row.allowed_requesters = ActiveValue::Set(serde_json::to_string(
        &request.allowed_requesters.unwrap_or_default(),
    )?);
    row.settings = ActiveValue::Set(serde_json::to_string(&settings)?);
    row.changed_at = ActiveValue::Set(cx.now());
    Ok(row)
}

/// The key that the server makes: what is given, else what is there.
fn key(
    before: &Template,
    key_type: Option<String>,
    key_size: Option<String>,
) -> Result<(String, String), Error> {
    let given = |text: Option<String>| {
        text.map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let (key_type, key_size) = (given(key_type), given(key_size));
    if key_type.is_none() && key_size.is_none() {
        return Ok((before.row.key_type.clone(), before.row.key_size.clone()));
    }
    let key_type = key_type.unwrap_or_else(|| before.row.key_type.clone());
    let length =
        match &key_size {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| {
                Error::bad_request(format!("KeySize: {text:?} is no number of bits."))
            })?),
        };
    let spec = pki::KeySpec::parse(
        &key_type,
        if key_type.eq_ignore_ascii_case("ed25519") {
            None
        } else {
            length
        },
        None,
    )
    .map_err(|error| Error::bad_request(format!("KeyType, KeySize: {error}.")))?;
    Ok(match spec {
        pki::KeySpec::Rsa2048 => ("RSA".into(), "2048".into()),
        pki::KeySpec::Rsa3072 => ("RSA".into(), "3072".into()),
        pki::KeySpec::Rsa4096 => ("RSA".into(), "4096".into()),
        pki::KeySpec::EcP256 => ("ECC".into(), "256".into()),
        pki::KeySpec::EcP384 => ("ECC".into(), "384".into()),
        pki::KeySpec::EcP521 => ("ECC".into(), "521".into()),
        pki::KeySpec::Ed25519 => ("Ed25519".into(), "256".into()),
        other => {
            return Err(Error::bad_request(format!(
                "KeyType: {other} is not offered by the built-in authority."
            )));
        }
    })
}

fn check_rules(regexes: &[TemplateRegex], defaults: &[TemplateDefault]) -> Result<(), Error> {
    let mut wrong = Vec::new();
    let mut part = |place: &str, index: usize, name: Option<&str>| {
        if SubjectPart::named(name.unwrap_or_default()).is_none() {
            wrong.push(format!(
                "{place}[{index}].SubjectPart: {:?} is no part of a subject",
                name.unwrap_or_default()
            ));
        }
    };
    for (index, rule) in regexes.iter().enumerate() {
        part("TemplateRegexes", index, rule.subject_part.as_deref());
    }
    for (index, default) in defaults.iter().enumerate() {
        part("TemplateDefaults", index, default.subject_part.as_deref());
    }
    for (index, rule) in regexes.iter().enumerate() {
        if let Err(reason) = compile(rule.regex.as_deref().unwrap_or_default()) {
            wrong.push(format!("TemplateRegexes[{index}].Regex: {reason}"));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Error::bad_parts(format!("{}.", wrong.join("; ")), wrong))
    }
}

/// The template as the audit shows it.
fn shown(template: &Template) -> Value {
    let row = &template.row;
    json!({
        "FriendlyName": row.friendly_name,
        "KeyType": row.key_type,
        "KeySize": row.key_size,
        "KeyUsage": row.key_usage,
        "KeyRetention": row.key_retention,
        "KeyRetentionDays": row.key_retention_days,
        "RequiresApproval": row.requires_approval,
        "AllowedEnrollmentTypes": row.allowed_enrollment_types,
        "UseAllowedRequesters": row.use_allowed_requesters,
        "AllowedRequesters": template.allowed_requesters,
        "Settings": serde_json::to_value(&template.settings).unwrap_or_default(),
    })
}
