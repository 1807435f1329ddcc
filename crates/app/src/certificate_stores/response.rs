//! A certificate store as it is answered.

use std::collections::HashMap;

use db::tables::{certificate_stores, store_containers, store_types};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::certificate_store_types::{Definition, EntryParameter};
use crate::cx::Cx;
use crate::error::Error;
use crate::web::schedule::ScheduleOutput;
use crate::web::secret::MaskedSecret;

/// A certificate store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreResponse)]
pub(crate) struct StoreResponse {
    id: Uuid,
    #[schema(value_type = Option<i32>)]
    container_id: Option<i64>,
    /// `machine - path`.
    display_name: String,
    client_machine: String,
    /// With a small `p` in answers (clients.md 2.6).
    storepath: String,
    /// The waiting or repeating inventory; null when none is scheduled.
    cert_store_inventory_job_id: Option<Uuid>,
    #[schema(value_type = i32)]
    cert_store_type: i64,
    approved: bool,
    create_if_missing: bool,
    /// A JSON object as text. Secret ones are masked, or an opaque GUID in the answer to a creation.
    properties: String,
    agent_id: Option<Uuid>,
    agent_assigned: bool,
    container_name: Option<String>,
    /// Null when none is scheduled; an empty object in the answer to a creation.
    inventory_schedule: Option<ScheduleOutput>,
    /// Null in the answer to a creation.
    reenrollment_status: Option<ReenrollmentStatus>,
    set_new_password_allowed: bool,
    password: MaskedSecret,
}

/// A certificate store, whose container is called an application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreApplicationResponse)]
pub(crate) struct ApplicationStoreResponse {
    id: Uuid,
    #[schema(value_type = Option<i32>)]
    application_id: Option<i64>,
    /// `machine - path`.
    display_name: String,
    client_machine: String,
    /// With a small `p` in answers (clients.md 2.6).
    storepath: String,
    /// The waiting or repeating inventory; null when none is scheduled.
    cert_store_inventory_job_id: Option<Uuid>,
    #[schema(value_type = i32)]
    cert_store_type: i64,
    approved: bool,
    create_if_missing: bool,
    /// A JSON object as text. Secret ones are masked.
    properties: String,
    agent_id: Option<Uuid>,
    agent_assigned: bool,
    application_name: Option<String>,
    /// Null when none is scheduled.
    inventory_schedule: Option<ScheduleOutput>,
    reenrollment_status: Option<ReenrollmentStatus>,
    set_new_password_allowed: bool,
    password: MaskedSecret,
}

impl From<StoreResponse> for ApplicationStoreResponse {
    fn from(store: StoreResponse) -> Self {
        Self {
            id: store.id,
            application_id: store.container_id,
            display_name: store.display_name,
            client_machine: store.client_machine,
            storepath: store.storepath,
            cert_store_inventory_job_id: store.cert_store_inventory_job_id,
            cert_store_type: store.cert_store_type,
            approved: store.approved,
            create_if_missing: store.create_if_missing,
            properties: store.properties,
            agent_id: store.agent_id,
            agent_assigned: store.agent_assigned,
            application_name: store.container_name,
            inventory_schedule: store.inventory_schedule,
            reenrollment_status: store.reenrollment_status,
            set_new_password_allowed: store.set_new_password_allowed,
            password: store.password,
        }
    }
}

/// Whether keys can be made on the device.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct ReenrollmentStatus {
    data: bool,
    agent_id: Option<Uuid>,
    message: Option<String>,
    job_properties: Option<String>,
    custom_alias_allowed: i32,
    entry_parameters: Vec<EntryParameter>,
}

/// Which of the two forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// What a reader gets.
    Read,
    /// What the creator gets (command-behaviour.md B.1).
    CreationEcho,
}

/// The types and the names of the containers of some stores.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    types: HashMap<i64, (Definition, i32)>,
    containers: HashMap<i64, String>,
}

impl Surroundings {
    /// Loads what these stores need to be shown.
    pub(super) async fn of(
        connection: &impl ConnectionTrait,
        stores: &[certificate_stores::Model],
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        let mut wanted: Vec<i64> = stores.iter().map(|store| store.store_type_id).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let types = store_types::Entity::find()
            .filter(store_types::Column::Id.is_in(wanted))
            .all(connection)
            .await?;
        for row in types {
            found
                .types
                .insert(row.id, (Definition::of(&row)?, row.custom_alias_allowed));
        }
        let mut wanted: Vec<i64> = stores
            .iter()
            .filter_map(|store| store.container_id)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let containers = store_containers::Entity::find()
            .filter(store_containers::Column::Id.is_in(wanted))
            .all(connection)
            .await?;
        found
            .containers
            .extend(containers.into_iter().map(|row| (row.id, row.name)));
        Ok(found)
    }
}

impl StoreResponse {
    pub(super) fn new(
        cx: &Cx,
        store: certificate_stores::Model,
        surroundings: &Surroundings,
        form: Form,
    ) -> Result<Self, Error> {
        let schedule = ScheduleOutput::of_compact(store.inventory_schedule.as_deref(), cx.now());
        let kind = surroundings.types.get(&store.store_type_id);
        Ok(Self {
            id: store.id,
            container_id: store.container_id,
            display_name: super::display_name(&store.client_machine, &store.store_path),
            properties: properties_text(cx, &store.properties, form)?,
            client_machine: store.client_machine,
            storepath: store.store_path,
            cert_store_inventory_job_id: store.inventory_job_id,
            cert_store_type: store.store_type_id,
            approved: store.approved,
            create_if_missing: store.create_if_missing,
            agent_id: store.agent_id,
            agent_assigned: store.agent_id.is_some(),
            container_name: store
                .container_id
                .and_then(|id| surroundings.containers.get(&id).cloned()),
            inventory_schedule: match form {
                Form::Read => schedule,
                Form::CreationEcho => Some(schedule.unwrap_or_default()),
            },
            reenrollment_status: (form == Form::Read).then(|| ReenrollmentStatus {
                data: false,
                agent_id: None,
                message: None,
                job_properties: None,
                custom_alias_allowed: kind.map_or(0, |(_, alias)| *alias),
                entry_parameters: kind
                    .map(|(kind, _)| kind.entry_parameters.clone())
                    .unwrap_or_default(),
            }),
            set_new_password_allowed: store.set_new_password_allowed,
            password: MaskedSecret::of(store.sealed_password.is_some()),
        })
    }
}

/// One store as a reader gets it.
pub(super) async fn shown(
    cx: &Cx,
    connection: &impl ConnectionTrait,
    store: certificate_stores::Model,
    form: Form,
) -> Result<StoreResponse, Error> {
    let surroundings = Surroundings::of(connection, std::slice::from_ref(&store)).await?;
    StoreResponse::new(cx, store, &surroundings, form)
}

/// Stores as readers get them.
///
/// # Errors
/// Those of the database.
pub(crate) async fn shown_all(
    cx: &Cx,
    connection: &impl ConnectionTrait,
    stores: Vec<certificate_stores::Model>,
) -> Result<Vec<StoreResponse>, Error> {
    let surroundings = Surroundings::of(connection, &stores).await?;
    stores
        .into_iter()
        .map(|store| StoreResponse::new(cx, store, &surroundings, Form::Read))
        .collect()
}

/// Stores as readers of an application get them.
///
/// # Errors
/// Those of the database.
pub(crate) async fn shown_in_application(
    cx: &Cx,
    connection: &impl ConnectionTrait,
    stores: Vec<certificate_stores::Model>,
) -> Result<Vec<ApplicationStoreResponse>, Error> {
    let shown = shown_all(cx, connection, stores).await?;
    Ok(shown.into_iter().map(Into::into).collect())
}

/// The stored object, in which null stands for a sealed value, as it is shown.
fn properties_text(cx: &Cx, stored: &str, form: Form) -> Result<String, Error> {
    let mut properties: Map<String, Value> = serde_json::from_str(stored)?;
    for value in properties.values_mut().filter(|value| value.is_null()) {
        *value = match form {
            Form::Read => serde_json::to_value(MaskedSecret::of(true))?,
            Form::CreationEcho => Value::String(cx.guid().to_string()),
        };
    }
    Ok(serde_json::to_string(&properties)?)
}
