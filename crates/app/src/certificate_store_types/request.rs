//! A store type as it is asked for, and its check.

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::built_in::INVENTORY_ENDPOINT;
use super::definition::{
    Allowed, CertificateFormat, Definition, EntryParameter, FieldType, PasswordOptions, Property,
    SupportedOperations, boolean, or_default,
};
use crate::error::Error;

/// Characters of a name at most.
const NAME_MAX: usize = 256;
/// Properties of a type at most, and entry parameters.
const FIELDS_MAX: usize = 500;

/// A store type to create or to put in another's place. Published definitions carry members that are not here; they are
/// ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypeRequest)]
pub(super) struct StoreTypeRequest {
    /// Which type; only when it is replaced.
    #[schema(value_type = Option<i32>)]
    pub(super) store_type: Option<i64>,
    /// Unique; for people.
    #[schema(value_type = String)]
    pub(super) name: Option<String>,
    /// Unique; the key that clients use.
    #[schema(value_type = String)]
    pub(super) short_name: Option<String>,
    /// What agents register, between `CertStores.` and the kind of job; the short name unless told.
    pub(super) capability: Option<String>,
    /// Whether stores are on the agent's own machine.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) local_store: bool,
    /// Which jobs there are beside inventories.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) supported_operations: SupportedOperations,
    /// Custom fields of stores.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) properties: Vec<Property>,
    /// Custom fields of entries.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) entry_parameters: Vec<EntryParameter>,
    /// Passwords of stores and entries.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) password_options: PasswordOptions,
    /// `Freeform`, `Fixed` or `MultipleChoice`; derived from the value unless told.
    pub(super) store_path_type: Option<String>,
    /// The fixed path, or the choices as a JSON array in a text.
    pub(super) store_path_value: Option<String>,
    /// Whether private keys go into stores.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) private_key_allowed: Allowed,
    /// The form that agents get.
    #[serde(default, deserialize_with = "or_default")]
    #[schema(value_type = i32)]
    pub(super) certificate_format: CertificateFormat,
    /// Whether the agent needs credentials for a server.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) server_required: bool,
    /// Whether the agent runs PowerShell for it.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) power_shell: bool,
    /// Whether blueprints copy such stores.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) blueprint_allowed: bool,
    /// Whether entries are named by the user.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) custom_alias_allowed: Allowed,
    /// Kept as it is given.
    #[schema(value_type = Option<i32>)]
    pub(super) server_registration: Option<i64>,
    /// Where agents send inventories; `/AnyInventory/Update` unless told.
    pub(super) inventory_endpoint: Option<String>,
    /// Identifier of the inventory job type; made by the server unless told.
    #[schema(value_type = Option<Uuid>)]
    pub(super) inventory_job_type_id: Option<String>,
    /// Identifier of the management job type; made by the server unless told.
    #[schema(value_type = Option<Uuid>)]
    pub(super) management_job_type_id: Option<String>,
    /// Identifier of the discovery job type; made by the server unless told.
    #[schema(value_type = Option<Uuid>)]
    pub(super) discovery_job_type_id: Option<String>,
    /// Identifier of the enrollment job type; made by the server unless told.
    #[schema(value_type = Option<Uuid>)]
    pub(super) enrollment_job_type_id: Option<String>,
}

/// The identifiers of job types that a request names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct JobTypeIds {
    pub(super) inventory: Option<Uuid>,
    pub(super) management: Option<Uuid>,
    pub(super) discovery: Option<Uuid>,
    pub(super) enrollment: Option<Uuid>,
}

/// A store type whose parts have been checked, each for itself.
#[derive(Debug)]
pub(super) struct StoreType {
    pub(super) id: Option<i64>,
    pub(super) name: String,
    pub(super) short_name: String,
    pub(super) capability: Option<String>,
    pub(super) private_key_allowed: Allowed,
    pub(super) custom_alias_allowed: Allowed,
    pub(super) definition: Definition,
    pub(super) job_types: JobTypeIds,
}

impl TryFrom<StoreTypeRequest> for StoreType {
    type Error = Error;

    fn try_from(request: StoreTypeRequest) -> Result<Self, Error> {
        let job_types = JobTypeIds {
            inventory: identifier(
                "InventoryJobTypeId",
                request.inventory_job_type_id.as_deref(),
            )?,
            management: identifier(
                "ManagementJobTypeId",
                request.management_job_type_id.as_deref(),
            )?,
            discovery: identifier(
                "DiscoveryJobTypeId",
                request.discovery_job_type_id.as_deref(),
            )?,
            enrollment: identifier(
                "EnrollmentJobTypeId",
                request.enrollment_job_type_id.as_deref(),
            )?,
        };
        let text = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
        let definition = Definition {
            supported_operations: request.supported_operations,
            properties: properties(request.properties)?,
            entry_parameters: entry_parameters(request.entry_parameters)?,
            password_options: request.password_options,
            store_path_type: text(request.store_path_type),
            store_path_value: text(request.store_path_value),
            certificate_format: request.certificate_format,
            local_store: request.local_store,
            server_required: request.server_required,
            power_shell: request.power_shell,
            blueprint_allowed: request.blueprint_allowed,
            server_registration: request.server_registration,
            inventory_endpoint: Some(text(request.inventory_endpoint))
                .filter(|endpoint| !endpoint.is_empty())
                .unwrap_or_else(|| INVENTORY_ENDPOINT.into()),
            job_properties: Vec::new(),
        };
        let known = ["", "freeform", "fixed", "multiplechoice"];
        if !known.contains(&definition.store_path_type.to_ascii_lowercase().as_str()) {
            let message = format!(
                "StorePathType: {:?} is none of Freeform, Fixed, MultipleChoice.",
                definition.store_path_type
            );
            return Err(Error::bad_request(message));
        }
        Ok(Self {
            id: request.store_type,
            name: required("Name", request.name)?,
            short_name: required("ShortName", request.short_name)?,
            capability: Some(text(request.capability)).filter(|capability| !capability.is_empty()),
            private_key_allowed: request.private_key_allowed,
            custom_alias_allowed: request.custom_alias_allowed,
            definition,
            job_types,
        })
    }
}

fn required(place: &str, text: Option<String>) -> Result<String, Error> {
    let text = text.unwrap_or_default().trim().to_owned();
    if text.is_empty() {
        return Err(Error::bad_request(format!("{place}: a value is required.")));
    }
    if text.chars().count() > NAME_MAX {
        return Err(Error::bad_request(format!(
            "{place}: longer than {NAME_MAX} characters."
        )));
    }
    Ok(text)
}

/// Nothing, an empty text and the nil GUID all mean that the server chooses.
fn identifier(place: &str, text: Option<&str>) -> Result<Option<Uuid>, Error> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let id = Uuid::parse_str(text)
        .map_err(|_| Error::bad_request(format!("{place}: {text:?} is not a GUID.")))?;
    Ok(Some(id).filter(|id| !id.is_nil()))
}

/// Checks a list of fields by their names, in whatever case: each has one, no two have the same, and `DependsOn` names one.
fn names<'a>(
    place: &str,
    fields: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for (index, (name, _)) in fields.clone().enumerate() {
        if index == FIELDS_MAX {
            return Err(Error::bad_request(format!(
                "{place}: more than {FIELDS_MAX}."
            )));
        }
        if name.is_empty() {
            return Err(Error::bad_request(format!(
                "{place}[{index}].Name: a value is required."
            )));
        }
        if !seen.insert(db::fold(name)) {
            return Err(Error::bad_request(format!(
                "{place}[{index}].Name: {name:?} is there twice."
            )));
        }
    }
    for (index, (_, depends_on)) in fields.enumerate() {
        if !depends_on.is_empty() && !seen.contains(&db::fold(depends_on)) {
            return Err(Error::bad_request(format!(
                "{place}[{index}].DependsOn: there is no {depends_on:?}."
            )));
        }
    }
    Ok(())
}

fn properties(mut list: Vec<Property>) -> Result<Vec<Property>, Error> {
    for (index, property) in (1_i32..).zip(&mut list) {
        property.id = index;
        property.name = property.name.trim().to_owned();
        property.depends_on = property.depends_on.trim().to_owned();
        if property.display_name.trim().is_empty() {
            property.display_name.clone_from(&property.name);
        }
        let default = property.default_value.as_deref().unwrap_or_default();
        if property.kind == FieldType::Bool
            && !default.trim().is_empty()
            && boolean(default).is_none()
        {
            let message = format!(
                "Properties[{}].DefaultValue: {default:?} is neither true nor false.",
                index - 1
            );
            return Err(Error::bad_request(message));
        }
    }
    names(
        "Properties",
        list.iter()
            .map(|property| (property.name.as_str(), property.depends_on.as_str())),
    )?;
    Ok(list)
}

fn entry_parameters(mut list: Vec<EntryParameter>) -> Result<Vec<EntryParameter>, Error> {
    for (index, parameter) in (1_i32..).zip(&mut list) {
        parameter.id = index;
        parameter.name = parameter.name.trim().to_owned();
        parameter.depends_on = parameter.depends_on.trim().to_owned();
        if parameter.display_name.trim().is_empty() {
            parameter.display_name.clone_from(&parameter.name);
        }
    }
    names(
        "EntryParameters",
        list.iter()
            .map(|parameter| (parameter.name.as_str(), parameter.depends_on.as_str())),
    )?;
    Ok(list)
}
