//! A store type as it is answered.

use db::tables::store_types;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::definition::{
    Allowed, CertificateFormat, Definition, EntryParameter, PasswordOptions, Property,
    SupportedOperations, as_number,
};
use crate::error::Error;

/// A store type. Members without a value are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreTypeResponse)]
pub(super) struct StoreTypeResponse {
    name: String,
    short_name: String,
    capability: String,
    #[schema(value_type = i32)]
    store_type: i64,
    #[schema(value_type = i32)]
    import_type: i64,
    local_store: bool,
    supported_operations: SupportedOperations,
    properties: Vec<Property>,
    entry_parameters: Vec<EntryParameter>,
    password_options: PasswordOptions,
    store_path_type: String,
    store_path_value: String,
    private_key_allowed: Allowed,
    #[serde(serialize_with = "as_number")]
    #[schema(value_type = i32)]
    certificate_format: CertificateFormat,
    job_properties: Vec<String>,
    server_required: bool,
    power_shell: bool,
    blueprint_allowed: bool,
    custom_alias_allowed: Allowed,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i32>)]
    server_registration: Option<i64>,
    inventory_endpoint: String,
    inventory_job_type: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    management_job_type: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_job_type: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment_job_type: Option<Uuid>,
}

impl TryFrom<store_types::Model> for StoreTypeResponse {
    type Error = Error;

    fn try_from(row: store_types::Model) -> Result<Self, Error> {
        let definition = Definition::of(&row)?;
        Ok(Self {
            name: row.name,
            short_name: row.short_name,
            capability: row.capability,
            store_type: row.id,
            import_type: row.id,
            local_store: definition.local_store,
            supported_operations: definition.supported_operations,
            properties: definition.properties,
            entry_parameters: definition.entry_parameters,
            password_options: definition.password_options,
            store_path_type: definition.store_path_type,
            store_path_value: definition.store_path_value,
            private_key_allowed: Allowed::of(row.private_key_allowed),
            certificate_format: definition.certificate_format,
            job_properties: definition.job_properties,
            server_required: definition.server_required,
            power_shell: definition.power_shell,
            blueprint_allowed: definition.blueprint_allowed,
            custom_alias_allowed: Allowed::of(row.custom_alias_allowed),
            server_registration: definition.server_registration,
            inventory_endpoint: definition.inventory_endpoint,
            inventory_job_type: row.inventory_job_type,
            management_job_type: row.management_job_type,
            discovery_job_type: row.discovery_job_type,
            enrollment_job_type: row.enrollment_job_type,
        })
    }
}
