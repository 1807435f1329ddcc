//! Inventory jobs (agent-protocol reference, section 7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::{InventoryItemStatus, OperationResult, Redacted, reading};

/// Response of `AnyInventory/Configure`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InventoryConfigureResponse {
    /// Job history id, below 2^53.
    #[serde(deserialize_with = "reading::integer")]
    pub audit_id: i64,
    /// True = the agent stops and sends no Complete.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub job_cancelled: bool,
    /// Path of the submit call; missing = the C agent reports success without sending anything.
    pub inventory_endpoint: Option<String>,
    /// Outcome; Warning or Error = the agent stops and sends no Complete.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
    /// The job.
    pub job: Option<InventoryJob>,
}

/// `Job` of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InventoryJob {
    /// The store's client machine.
    pub client_machine: Option<String>,
    /// The store's path.
    pub store_path: Option<String>,
    /// The store's password.
    pub store_password: Option<Redacted<String>>,
    /// The store type's integer.
    #[serde(deserialize_with = "reading::integer")]
    pub category: i64,
    /// What the server knows of this store. An alias left out comes back as new, with certificates.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub inventory: Vec<KnownInventoryItem>,
    /// The store's properties: a JSON object in a string, values as text. Ours and extensions read it, the C agent
    /// ignores it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Redacted<String>>,
}

/// One entry that the server knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct KnownInventoryItem {
    /// Alias, as the agent sent it; never missing, or the C agent dies.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub alias: String,
    /// Whether it has a private key, as far as the server knows.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub private_key_entry: bool,
    /// SHA-1 thumbprints, hex, leaf first.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub thumbprints: Vec<String>,
}

/// Request of the submit call (`AnyInventory/Update`): the full picture of the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InventorySubmitRequest {
    /// Token of the session.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub session_token: Redacted<String>,
    /// The job.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub job_id: Uuid,
    /// The items.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub inventory: Vec<InventoryItem>,
}

/// One item of an inventory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InventoryItem {
    /// Whether the store holds the private key. From the C agent, for Unchanged, only an echo.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub private_key_entry: bool,
    /// Whether `Certificates` holds leaf and chain rather than one certificate.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub use_chain_level: bool,
    /// How it differs from what the server knew.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub item_status: InventoryItemStatus,
    /// The alias in the store.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub alias: String,
    /// Bare base64 DER, leaf first; empty for Unchanged and Remove.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub certificates: Vec<String>,
    /// Entry parameter values, as extensions send them.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "reading::null_as_default"
    )]
    pub parameters: BTreeMap<String, Value>,
}

/// Response of the submit call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct InventorySubmitResponse {
    /// Outcome; Warning and Error become the job's own.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_the_c_agent_has_the_exact_members() {
        let item = InventoryItem {
            item_status: InventoryItemStatus::Unchanged,
            alias: "ab".to_owned(),
            ..InventoryItem::default()
        };
        assert_eq!(
            serde_json::to_string(&item).unwrap(),
            r#"{"PrivateKeyEntry":false,"UseChainLevel":false,"ItemStatus":4,"Alias":"ab","Certificates":[]}"#
        );
    }

    #[test]
    fn passwords_do_not_show() {
        let job = InventoryJob {
            store_password: Some("pw-secret".into()),
            ..Default::default()
        };
        assert!(!format!("{job:?}").contains("pw-secret"));
    }
}
