//! `GET /Chancery/Search/Fields`: what a query over a list may name, made of the same tables that queries are compiled by.

use search::Operator;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, Place};
use crate::web::{Json, Query};
use crate::{
    agents, audit, certificate_store_containers, certificate_stores, certificates, collections,
    orchestrator_jobs, templates,
};

/// Whose fields.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Wanted {
    /// The list, as its path names it: `Certificates` (the default), `CertificateStores`, `CertificateStoreContainers`,
    /// `CertificateCollections`, `Agents`, `Audit`, `JobHistory` or `Templates`.
    list: Option<String>,
}

/// A field that a query may name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SearchField)]
pub(super) struct FieldOutput {
    /// Its name; queries take it in any case.
    name: String,
    /// Other names for the same.
    aliases: Vec<String>,
    /// `Text`, `Hexadecimal`, `Integer`, `Date`, `Boolean` or `Guid`.
    r#type: &'static str,
    /// The operators that it takes. Those with a list are followed by values in parentheses.
    operators: Vec<&'static str>,
    /// Whether `-eq NULL` and `-ne NULL` tell certificates with a value from those without; every field takes them.
    takes_null: bool,
    /// Whether the list may be sorted by it.
    sortable: bool,
    /// Whether there may be several values: "not" means that none of them is so.
    has_several_values: bool,
    /// Whether it is a metadata field.
    is_metadata: bool,
    /// What it may be compared with by name; other values may be possible too.
    values: Vec<NamedValue>,
    /// What stands for a value of the moment. `n` is a number of days.
    tokens: &'static [&'static str],
}

/// A value and its name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SearchFieldValue)]
struct NamedValue {
    name: String,
    /// The number that it stands for, if any.
    value: Option<i64>,
}

/// The fields that a query over certificates may name, or over another list for who may read that.
#[utoipa::path(
    get, path = "/Chancery/Search/Fields", tag = "Chancery", params(Wanted),
    responses((status = 200, body = Vec<FieldOutput>, description = "The fields, in the order of the reference")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn list(
    cx: Cx,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Vec<FieldOutput>>, Error> {
    fields(&cx, wanted.list.as_deref().unwrap_or(CERTIFICATES))
        .await
        .map(Json)
}

const CERTIFICATES: &str = "Certificates";

/// The other lists: name, who may read it, and its fields.
const LISTS: [(&str, Permission, &[Field]); 7] = [
    (
        "CertificateStores",
        Permission::StoresRead,
        certificate_stores::FIELDS,
    ),
    (
        "CertificateStoreContainers",
        Permission::StoresRead,
        certificate_store_containers::FIELDS,
    ),
    (
        "CertificateCollections",
        Permission::CertificatesRead,
        collections::FIELDS,
    ),
    ("Agents", Permission::AgentsRead, agents::FIELDS),
    ("Audit", Permission::AuditingRead, audit::FIELDS),
    (
        "JobHistory",
        Permission::AgentsRead,
        orchestrator_jobs::FIELDS,
    ),
    ("Templates", Permission::TemplatesRead, templates::FIELDS),
];

async fn fields(cx: &Cx, list: &str) -> Result<Vec<FieldOutput>, Error> {
    let called = |name: &str| name.eq_ignore_ascii_case(list);
    if let Some((_, needed, fields)) = LISTS.iter().find(|(name, _, _)| called(name)) {
        cx.authorize_somewhere(*needed)?;
        return Ok(fields.iter().map(FieldOutput::from).collect());
    }
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    if !called(CERTIFICATES) {
        let names: Vec<&str> = LISTS.iter().map(|(name, _, _)| *name).collect();
        return Err(Error::bad_request(format!(
            "list: {list:?} is no list with fields; there are {CERTIFICATES}, {}.",
            names.join(", ")
        )));
    }
    let own = certificates::search_fields();
    let metadata = metadata_fields::all(cx.db().read()).await?;
    // What a certificate says of itself comes first, so that no query can name a metadata field of the same name.
    let metadata = metadata
        .iter()
        .filter(|field| !own.iter().any(|own| own.is_called(&field.name)));
    Ok(own
        .iter()
        .map(FieldOutput::from)
        .chain(metadata.map(of_metadata))
        .collect())
}

impl From<&Field> for FieldOutput {
    fn from(field: &Field) -> Self {
        let values: &[(&str, i64)] = match field.kind {
            FieldKind::Integer(names) => names,
            _ => &[],
        };
        let values = values.iter().map(|(name, value)| NamedValue {
            name: (*name).to_owned(),
            value: Some(*value),
        });
        Self {
            name: field.name.to_owned(),
            aliases: field.aliases.iter().map(ToString::to_string).collect(),
            r#type: type_of(field.kind),
            operators: tokens_of(field.kind.operators().iter().copied()),
            takes_null: true,
            sortable: field.sortable,
            has_several_values: matches!(field.place, Place::Elsewhere { own: Some(_), .. }),
            is_metadata: false,
            values: values.collect(),
            tokens: field.kind.tokens(),
        }
    }
}

fn of_metadata(field: &metadata_fields::Model) -> FieldOutput {
    let kind = certificates::metadata_compared_as(field, Operator::Equal);
    let operators = Operator::ALL.into_iter().filter(|operator| {
        let kind = certificates::metadata_compared_as(field, *operator);
        kind.operators().contains(operator)
    });
    let options = metadata_fields::options(field).map(|name| NamedValue {
        name: name.to_owned(),
        value: None,
    });
    let is_boolean = metadata_fields::kind(field.data_type) == metadata_fields::Kind::Boolean;
    let truths = ["true", "false"].map(|name| NamedValue {
        name: name.to_owned(),
        value: None,
    });
    FieldOutput {
        name: field.name.clone(),
        aliases: Vec::new(),
        r#type: type_of(if is_boolean { FieldKind::Boolean } else { kind }),
        operators: tokens_of(operators),
        takes_null: true,
        sortable: false,
        has_several_values: false,
        is_metadata: true,
        values: truths
            .into_iter()
            .filter(|_| is_boolean)
            .chain(options)
            .collect(),
        tokens: kind.tokens(),
    }
}

fn tokens_of(operators: impl Iterator<Item = Operator>) -> Vec<&'static str> {
    operators.map(Operator::token).collect()
}

fn type_of(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Folded | FieldKind::Text => "Text",
        FieldKind::UpperHex => "Hexadecimal",
        FieldKind::Integer(_) => "Integer",
        FieldKind::Boolean => "Boolean",
        FieldKind::Guid => "Guid",
        FieldKind::Date => "Date",
    }
}
