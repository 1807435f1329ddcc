//! Management jobs (agent-protocol reference, section 8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{OperationResult, OperationType, Redacted, reading};

/// Response of `AnyManagement/Configure`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManagementConfigureResponse {
    /// Job history id, below 2^53.
    #[serde(deserialize_with = "reading::integer")]
    pub audit_id: i64,
    /// True = the agent stops and sends no Complete.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub job_cancelled: bool,
    /// Outcome; Warning or Error = the agent stops and sends no Complete.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub result: OperationResult,
    /// The job.
    pub job: Option<ManagementJob>,
}

/// `Job` of a management job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManagementJob {
    /// Add, Remove or Create.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub operation_type: OperationType,
    /// The store's client machine.
    pub client_machine: Option<String>,
    /// The store's path.
    pub store_path: Option<String>,
    /// The store's password.
    pub store_password: Option<Redacted<String>>,
    /// The store type's integer.
    #[serde(deserialize_with = "reading::integer")]
    pub store_type: i64,
    /// The store type's integer, again.
    #[serde(deserialize_with = "reading::integer")]
    pub category: i64,
    /// Alias of the entry; on Remove never missing, or the C agent dies.
    pub alias: Option<String>,
    /// Whether `EntryContents` is a PKCS#12 with a private key; the C agent refuses true.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub private_key_entry: bool,
    /// Password to protect the entry in the store with.
    pub entry_password: Option<Redacted<String>>,
    /// SHA-1 thumbprint of the certificate, hex.
    pub thumbprint: Option<String>,
    /// On Add one DER certificate as bare base64, or base64 PKCS#12 where `PrivateKeyEntry` is true.
    pub entry_contents: Option<Redacted<String>>,
    /// Password of the PKCS#12.
    pub pfx_password: Option<Redacted<String>>,
    /// Whether Add may replace what stands under the alias.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub overwrite: bool,
    /// The store's properties: a JSON object in a string, values as text. Never with `PrivateKeyPath` to the C agent.
    pub properties: Option<Redacted<String>>,
    /// Our own server's addition.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "reading::extension"
    )]
    pub chancery: Option<ManagementExtra>,
}

/// `Chancery` in a management job: what our own agent needs to prove a deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManagementExtra {
    /// SHA-1 thumbprint, upper-case hex, that must be served after an Add.
    pub expected_thumbprint: Option<String>,
    /// SHA-1 thumbprint, upper-case hex, of the certificate that this one renews.
    pub renewal_thumbprint: Option<String>,
    /// Issuers of the leaf as bare base64 DER, the leaf's issuer first. Used where `EntryContents` holds none.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub chain: Vec<String>,
    /// Entry parameter values of the job.
    #[serde(deserialize_with = "reading::null_as_default")]
    pub entry_parameters: BTreeMap<String, Value>,
    /// The store type's certificate format: 0 PFX, 1 PEM.
    #[serde(deserialize_with = "reading::integer")]
    pub certificate_format: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_job_do_not_show() {
        let text = r#"{"OperationType":2,"StorePassword":"secret1","EntryPassword":"secret2",
            "PfxPassword":"secret3","EntryContents":"secret4","Properties":"{\"ServerPassword\":\"secret5\"}",
            "Chancery":{"ExpectedThumbprint":"AA","Chain":null}}"#;
        let job: ManagementJob = serde_json::from_str(text).unwrap();
        assert_eq!(job.operation_type, OperationType::Add);
        assert_eq!(
            job.chancery
                .as_ref()
                .and_then(|extra| extra.expected_thumbprint.as_deref()),
            Some("AA")
        );
        assert!(!format!("{job:?}").contains("secret"));
        let again: ManagementJob =
            serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
        assert_eq!(again, job);
    }
}
