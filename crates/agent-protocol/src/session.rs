//! `Session/Register` and `Session/Heartbeat` (agent-protocol reference, sections 4 and 5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AgentPlatform, OperationResult, Redacted, reading};

/// Request of `POST Session/Register`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionRegisterRequest {
    /// Kind of agent.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub agent_platform: AgentPlatform,
    /// `major << 48 | minor << 32 | micro << 16 | build`.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub agent_version: u64,
    /// Always the nil GUID.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub tenant_id: Uuid,
    /// The agent's name.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub client_machine: String,
    /// PKCS#10 as bare base64 DER while enrolling or rotating, else null.
    #[serde(rename = "CSR")]
    pub csr: Option<String>,
    /// Empty while enrolling, else the GUID the server gave.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub agent_id: String,
    /// `CertStores.<ShortName>.<Operation>` names, or job type GUIDs from old agents.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub capabilities: Vec<String>,
    /// Free parameters; `RegistrationRequest` is one the C agent sends.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub client_parameters: BTreeMap<String, String>,
    /// Our own agent's addition.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "reading::extension"
    )]
    pub chancery: Option<RegistrationExtra>,
}

/// `Chancery` in a register request: what our own agent tells about itself. Its presence tells the server that this
/// agent takes PKCS#12 entries and the other `Chancery` members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RegistrationExtra {
    /// The agent's version, `major.minor.micro`.
    pub version: String,
    /// Name of the host it runs on.
    pub hostname: String,
    /// Names of the deployment profiles in the agent's own configuration; a store names one of them.
    pub profiles: Vec<String>,
}

/// Response of `POST Session/Register`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionRegisterResponse {
    /// The session; its `Token` and `AgentId` are null while approval is pending.
    pub session: Option<Session>,
    /// Outcome.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
}

/// `Session` in a register response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Session {
    /// At most 36 characters, longer ones crash the C agent; null = not registered. A bearer secret of this session.
    pub token: Option<Redacted<String>>,
    /// At most 36 characters. Never without `Certificate` in the reply to a CSR, never missing beside a `Token`.
    pub agent_id: Option<String>,
    /// Minutes between heartbeats.
    #[serde(deserialize_with = "reading::integer")]
    pub heartbeat_interval: i64,
    /// The jobs; for agents of one run per process, and ours, only those that are due.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub jobs: Vec<SessionJob>,
    /// Free parameters.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub client_parameters: BTreeMap<String, String>,
    /// The agent's name.
    pub client_machine: Option<String>,
    /// In the reply to a CSR: one DER certificate as bare base64; markers or a chain crash the C agent.
    pub certificate: Option<String>,
    /// Our own server's addition.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "reading::extension"
    )]
    pub chancery: Option<SessionExtra>,
}

/// `Chancery` in a session: hints to our own agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionExtra {
    /// Seconds until the agent should register again to ask for jobs; 0 or absent = the agent's own setting.
    pub poll_seconds: u64,
}

/// One job in `Session.Jobs`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SessionJob {
    /// Identity; no two jobs of a session share it.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub job_id: Uuid,
    /// Kind of job, see [`crate::job_type`]; an unknown one is dropped by the agent.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub job_type_id: Uuid,
    /// Path of the Configure call.
    pub configuration_endpoint: Option<String>,
    /// Path of the Complete call.
    pub completion_endpoint: Option<String>,
    /// Compact schedule text (`I_15`, `D_09:30`); null = now.
    pub schedule: Option<String>,
    /// Unused.
    pub cron: Option<String>,
    /// Default 5; 3 for a management Add.
    pub priority: Option<i64>,
}

/// Request of `POST Session/Heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HeartbeatRequest {
    /// Kind of agent.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub agent_platform: AgentPlatform,
    /// Always the nil GUID.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub tenant_id: Uuid,
    /// The agent's name.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub client_machine: String,
    /// Token of the session.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub session_token: Redacted<String>,
}

/// Response of `POST Session/Heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HeartbeatResponse {
    /// Outcome.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
    /// Minutes until the next heartbeat.
    #[serde(deserialize_with = "reading::integer")]
    pub heartbeat_interval: i64,
    /// False = register again at once (also the sign that the job list changed).
    #[serde(deserialize_with = "reading::null_as_default")]
    pub session_valid: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_request_of_the_c_agent_is_read() {
        let text = r#"{"AgentPlatform":5,"AgentVersion":563031557799936,
            "TenantId":"00000000-0000-0000-0000-000000000000","ClientMachine":"web1","CSR":null,"AgentId":"",
            "Capabilities":["CertStores.PEM.Inventory"],"ClientParameters":{}}"#;
        let request: SessionRegisterRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.agent_platform, AgentPlatform::Native);
        assert_eq!(request.agent_version, 563_031_557_799_936);
        assert_eq!(request.client_machine, "web1");
        assert_eq!(request.chancery, None);
    }

    #[test]
    fn a_pending_session_has_null_token_and_agent_id() {
        let text = serde_json::to_string(&Session::default()).unwrap();
        assert_eq!(
            text,
            r#"{"Token":null,"AgentId":null,"HeartbeatInterval":0,"Jobs":[],"ClientParameters":{},"ClientMachine":null,"Certificate":null}"#
        );
    }

    #[test]
    fn the_token_does_not_show_in_debug() {
        let session = Session {
            token: Some("very-secret".into()),
            ..Session::default()
        };
        assert!(!format!("{session:?}").contains("very-secret"));
    }

    #[test]
    fn an_extension_member_of_another_shape_counts_as_absent() {
        let request: SessionRegisterRequest =
            serde_json::from_str(r#"{"Chancery": 5, "Capabilities": null}"#).unwrap();
        assert_eq!(request.chancery, None);
        assert!(request.capabilities.is_empty());
    }
}
