//! A certificate store as it is asked for.

use jobs::Schedule;
use secrets::Secret;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::properties::PropertiesInput;
use super::targets::guid;
use crate::error::Error;
use crate::web::schedule::{Given, ScheduleInput};
use crate::web::secret::SecretInput;

/// Characters of a machine's name and of a path at most.
const TEXT_MAX: usize = 1_024;
/// What clients show of a password that they read.
const MASK: &str = "********************";

/// A store to create, or what is to stand in its place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreRequest)]
pub(super) struct StoreRequest {
    /// Which store; only when it is replaced.
    #[schema(value_type = Option<Uuid>)]
    id: Option<String>,
    /// Its container; 0 for none, and in a replacement for the one it has.
    #[schema(value_type = Option<i32>)]
    container_id: Option<i64>,
    /// The machine it is on, as the agent reaches it.
    client_machine: Option<String>,
    /// Where on that machine.
    storepath: Option<String>,
    /// Its type; cannot change.
    #[schema(value_type = Option<i32>)]
    cert_store_type: Option<i64>,
    /// Whether the agent makes it when it is not there.
    create_if_missing: Option<bool>,
    /// A JSON object as text: `{"Name": "value"}`, `{"Name": {"value": "value"}}`, or
    /// `{"Name": {"value": {"SecretValue": "secret"}}}`. Secrets that are left out of a replacement stay.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    properties: PropertiesInput,
    /// The agent that works on it.
    #[schema(value_type = Option<Uuid>)]
    agent_id: Option<String>,
    /// Follows from `AgentId`.
    #[expect(dead_code, reason = "declared by the contract")]
    agent_assigned: Option<bool>,
    /// When inventories are taken.
    #[serde(default)]
    inventory_schedule: ScheduleInput,
    /// Kept as it is given.
    set_new_password_allowed: Option<bool>,
    /// The password of the store. In a replacement nothing, null and a masked value mean the one it has, and an empty
    /// `SecretValue` means none.
    password: Option<SecretInput>,
}

/// What a caller wants of the store's password.
#[derive(Debug)]
pub(super) enum Password {
    /// Nothing is said.
    Unsaid,
    /// It is said that there is none to give.
    NoValue,
    /// It is to be taken away.
    Empty,
    /// This one.
    Value(Secret),
}

/// A request whose parts have been read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: Option<Uuid>,
    pub(super) container_id: Option<i64>,
    pub(super) client_machine: String,
    pub(super) store_path: String,
    pub(super) store_type_id: Option<i64>,
    pub(super) create_if_missing: bool,
    pub(super) properties: PropertiesInput,
    pub(super) agent_id: Option<Uuid>,
    pub(super) schedule: Option<Schedule>,
    pub(super) set_new_password_allowed: bool,
    pub(super) password: Password,
}

impl TryFrom<StoreRequest> for Wanted {
    type Error = Error;

    fn try_from(request: StoreRequest) -> Result<Self, Error> {
        let text = |place: &str, text: Option<String>| {
            let text = text.unwrap_or_default().trim().to_owned();
            if text.chars().count() > TEXT_MAX {
                return Err(Error::bad_request(format!(
                    "{place}: longer than {TEXT_MAX} characters."
                )));
            }
            Ok(text)
        };
        let id = |place: &str, text: Option<&str>| {
            guid(text).map_err(|reason| Error::bad_request(format!("{place}: {reason}.")))
        };
        let password = match &request.password {
            None => Password::Unsaid,
            Some(input) => match (input.value("Password")?, input.secret_value.as_deref()) {
                (Some(_), Some(MASK)) | (None, None) => Password::NoValue,
                (Some(value), _) => Password::Value(value),
                (None, Some(_)) => Password::Empty,
            },
        };
        Ok(Self {
            id: id("Id", request.id.as_deref())?,
            container_id: request.container_id.filter(|id| *id != 0),
            client_machine: text("ClientMachine", request.client_machine)?,
            store_path: text("StorePath", request.storepath)?,
            store_type_id: request.cert_store_type,
            create_if_missing: request.create_if_missing.unwrap_or_default(),
            properties: request.properties,
            agent_id: id("AgentId", request.agent_id.as_deref())?,
            schedule: match request.inventory_schedule.check("InventorySchedule")? {
                Given::Schedule(schedule) => Some(schedule),
                Given::Off | Given::Nothing => None,
            },
            set_new_password_allowed: request.set_new_password_allowed.unwrap_or_default(),
            password,
        })
    }
}
