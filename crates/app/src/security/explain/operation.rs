//! What an operation needs, by the OpenAPI documents: there is no second list.

use serde_json::Value;
use utoipa::openapi::path::Operation;

use crate::app::App;
use crate::error::Error;
use crate::security::{Grant, Permission};
use crate::web::path_below;

/// What an operation needs, and what its rights may be limited to.
#[derive(Clone, Debug)]
pub(super) struct Needed {
    /// In the documented spelling.
    pub(super) name: String,
    /// The first is the usual way; others do instead.
    pub(super) ways: Vec<Vec<Permission>>,
    /// Its requests can name a collection, or it is about one.
    pub(super) by_collection: bool,
    /// Its requests can name a container, or it is about stores.
    pub(super) by_container: bool,
    /// A container that is named is the only one through which stores are reached.
    pub(super) reaches_through: bool,
    /// It shows what may be seen, and refuses only who may see nothing.
    pub(super) shows_some: bool,
    /// It gives certificates an owner.
    pub(super) owner: Owner,
    /// An object that the permission itself named (`/certificate_stores/read/3/`).
    pub(super) object_id: Option<i64>,
}

/// Whether and how an operation gives an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// It does not.
    Never,
    /// That is what it does.
    Changes,
    /// A new certificate may be given one.
    First,
}

/// Reads `POST /CertificateStores/Schedule`, `/certificate_stores/schedule/` and `CertificateStoreManagement:Schedule`.
///
/// # Errors
/// 400 for what is none of them.
pub(super) fn needed(app: &App, text: &str) -> Result<Needed, Error> {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((method, path)) => operation(app, &method.to_ascii_uppercase(), path.trim()),
        None => permission(text),
    }
}

fn permission(text: &str) -> Result<Needed, Error> {
    let unknown = || {
        Error::bad_request(
            "Operation: it is a method and a path (POST /CertificateStores/Schedule) or a permission (/certificate_stores/schedule/).",
        )
    };
    let grants = Grant::parse(text);
    let permissions: Option<Vec<Permission>> = grants
        .iter()
        .map(|grant| Permission::of_path(&grant.path))
        .collect();
    let permissions = permissions
        .filter(|found| !found.is_empty())
        .ok_or_else(unknown)?;
    Ok(Needed {
        name: text.to_owned(),
        ways: vec![permissions],
        by_collection: true,
        by_container: true,
        reaches_through: true,
        shows_some: false,
        owner: Owner::Never,
        object_id: grants.first().and_then(|grant| grant.object_id),
    })
}

fn operation(app: &App, method: &str, path: &str) -> Result<Needed, Error> {
    let path = path.split('?').next().unwrap_or_default();
    let mut bases = app.options.api_bases.iter();
    let path = bases
        .find_map(|base| path_below(base, path))
        .unwrap_or_else(|| path.to_owned());
    let found = [1, 2].into_iter().find_map(|version| {
        let routes = app.routes(version);
        let (template, operation) = routes.operation(method, &path)?;
        Some((version, template, operation))
    });
    let (version, template, operation) = found.ok_or_else(|| {
        let shown: String = path.chars().take(200).collect();
        Error::bad_request(format!(
            "Operation: there is no operation {method} {shown}."
        ))
    })?;
    let extension = |name: &str| {
        operation
            .extensions
            .as_ref()
            .and_then(|extensions| extensions.get(name))
            .cloned()
            .unwrap_or_default()
    };
    let mut ways = vec![permissions(&extension("x-permissions"))?];
    for way in extension("x-permissions-or")
        .as_array()
        .into_iter()
        .flatten()
    {
        ways.push(permissions(way)?);
    }
    let names = members(app, version, operation)?;
    let named = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let tags = operation.tags.clone().unwrap_or_default();
    let tagged = |wanted: &str| tags.iter().any(|tag| tag == wanted);
    let (stores, collections) = (tagged("CertificateStore"), tagged("CertificateCollection"));
    let containers = tagged("CertificateStoreContainer") || tagged("Application");
    let of_one = template.contains('{');
    // What is new is in no scope yet.
    let known = of_one || method != "POST";
    Ok(Needed {
        name: format!("{method} {template}"),
        ways,
        by_collection: named("CollectionId") || collections && known,
        by_container: stores || containers && known || named("ContainerId"),
        reaches_through: template.starts_with("/CertificateStores/Certificates/"),
        shows_some: (stores || collections || containers) && method == "GET" && !of_one,
        owner: match (method, template) {
            ("PUT", "/Certificates/{id}/Owner") => Owner::Changes,
            _ if named("OwnerRoleId") => Owner::First,
            _ => Owner::Never,
        },
        object_id: None,
    })
}

fn permissions(paths: &Value) -> Result<Vec<Permission>, Error> {
    let paths = paths.as_array().into_iter().flatten();
    let found: Option<Vec<Permission>> = paths
        .map(|path| path.as_str().and_then(Permission::of_path))
        .collect();
    found.ok_or_else(|| Error::internal("an operation declares a permission that does not exist"))
}

/// The names of the query's parameters and of the body's members.
fn members(app: &App, version: u8, operation: &Operation) -> Result<Vec<String>, Error> {
    let item = serde_json::to_value(operation)?;
    let mut names: Vec<String> = Vec::new();
    for parameter in item["parameters"].as_array().into_iter().flatten() {
        if parameter["in"] == "query" {
            names.extend(parameter["name"].as_str().map(str::to_owned));
        }
    }
    let schema = &item["requestBody"]["content"]["application/json"]["schema"];
    let reference = schema["$ref"].as_str().unwrap_or_default();
    let name = reference.rsplit('/').next().unwrap_or_default();
    let components = app.routes(version).document().components.as_ref();
    let named = components.and_then(|components| components.schemas.get(name));
    let schema = match named {
        Some(named) => serde_json::to_value(named)?,
        None => schema.clone(),
    };
    let properties = schema["properties"].as_object().into_iter().flatten();
    names.extend(properties.map(|(name, _)| name.clone()));
    Ok(names)
}
