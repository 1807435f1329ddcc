//! What all jobs share: Configure request, Complete request and response (agent-protocol reference, section 6).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{CompleteStatus, OperationResult, Redacted, reading};

/// Request of every Configure call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobConfigureRequest {
    /// Token of the session.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub session_token: Redacted<String>,
    /// The job.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub job_id: Uuid,
}

/// Request of every Complete call. May come more than once for one job; `AuditId` ties the repetitions together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobCompleteRequest {
    /// Outcome; InProcess is to be treated as unfinished.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub status: CompleteStatus,
    /// Job history id, as given by Configure; below 2^53.
    #[serde(deserialize_with = "reading::integer")]
    pub audit_id: i64,
    /// The job.
    #[serde(deserialize_with = "reading::guid_or_nil")]
    pub job_id: Uuid,
    /// Empty on success.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub message: String,
    /// Token of the session.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub session_token: Redacted<String>,
    /// Fetch logs only: the tail of the agent's log. Untrusted text that may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<Redacted<String>>,
    /// Our own agent's addition.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "reading::extension"
    )]
    pub chancery: Option<CompletionExtra>,
}

/// `Chancery` in a Complete request: what a deployment proved or failed to prove.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CompletionExtra {
    /// SHA-1 thumbprint, upper-case hex, of the certificate that the probed address served last; null = none seen.
    pub served_thumbprint: Option<String>,
    /// SHA-1 thumbprint, upper-case hex, of the certificate that should be served; null where nothing was probed.
    pub expected_thumbprint: Option<String>,
    /// Whether the store's old files were restored.
    pub rolled_back: bool,
}

/// Response of every Complete call. An empty body with status 2xx means the same as success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobCompleteResponse {
    /// Outcome.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
    /// Inventory job, of the same session's list, to run next.
    #[serde(deserialize_with = "reading::optional_guid")]
    pub inventory_job: Option<Uuid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_garbled_job_id_names_no_job() {
        let request: JobConfigureRequest =
            serde_json::from_str(r#"{"JobId":"nonsense","SessionToken":"t"}"#).unwrap();
        assert!(request.job_id.is_nil());
        assert_eq!(request.session_token.expose(), "t");
    }

    #[test]
    fn complete_round_trips_with_exact_names() {
        let request = JobCompleteRequest {
            status: CompleteStatus::Error,
            audit_id: 7,
            job_id: Uuid::nil(),
            message: "no".to_owned(),
            session_token: "t".into(),
            log: None,
            chancery: Some(CompletionExtra {
                served_thumbprint: Some("AA".to_owned()),
                expected_thumbprint: Some("BB".to_owned()),
                rolled_back: true,
            }),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            text,
            r#"{"Status":4,"AuditId":7,"JobId":"00000000-0000-0000-0000-000000000000","Message":"no","SessionToken":"t","Chancery":{"ServedThumbprint":"AA","ExpectedThumbprint":"BB","RolledBack":true}}"#
        );
        assert_eq!(
            serde_json::from_str::<JobCompleteRequest>(&text).unwrap(),
            request
        );
    }
}
