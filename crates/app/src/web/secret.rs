//! Secrets on the wire: given once, never shown again.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroize;

/// A secret as clients give it: the value itself. (A provider's reference is read too, so that it can be refused with a
/// clear word while there are no providers.)
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = KeyfactorAPISecret)]
pub(crate) struct SecretInput {
    /// The secret itself; the server seals it.
    pub(crate) secret_value: Option<String>,
    /// The id of a provider that keeps the secret.
    pub(crate) provider: Option<i32>,
    /// What the provider needs to find it.
    #[expect(dead_code, reason = "there are no providers yet")]
    pub(crate) parameters: Option<std::collections::BTreeMap<String, String>>,
    /// Said by clients that send back what they read; the value itself counts.
    #[expect(dead_code, reason = "declared by the contract, read and ignored")]
    pub(crate) has_value: Option<bool>,
}

impl std::fmt::Debug for SecretInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretInput(…)")
    }
}

impl Drop for SecretInput {
    fn drop(&mut self) {
        self.secret_value.zeroize();
    }
}

impl SecretInput {
    /// The value, or `None` when nothing is given.
    ///
    /// # Errors
    /// 400 when a provider is named, since there are none yet; `place` names the member.
    pub(crate) fn value(
        &self,
        place: &str,
    ) -> Result<Option<secrets::Secret>, crate::error::Error> {
        if self.provider.is_some_and(|provider| provider != 0) {
            let message =
                format!("{place}: this server has no secret providers; give SecretValue.");
            return Err(crate::error::Error::bad_request(message));
        }
        Ok(self
            .secret_value
            .clone()
            .filter(|value| !value.is_empty())
            .map(secrets::Secret::from))
    }
}

/// What a secret looks like when it is read: that there is one, and nothing of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = KeyfactorSecret)]
pub(crate) struct MaskedSecret {
    value: Option<&'static str>,
    secret_type_guid: uuid::Uuid,
    instance_id: Option<i32>,
    instance_guid: Option<uuid::Uuid>,
    provider_type_parameter_values: Vec<ProviderParameterValue>,
    provider_id: Option<i32>,
    is_managed: bool,
    secret_type: i32,
    remote_provider_name: Option<String>,
    has_value: bool,
}

impl MaskedSecret {
    /// The read form of a secret that is there, or is not.
    pub(crate) fn of(there: bool) -> Self {
        Self {
            value: there.then_some("********************"),
            secret_type_guid: uuid::Uuid::nil(),
            instance_id: None,
            instance_guid: None,
            provider_type_parameter_values: Vec::new(),
            provider_id: None,
            is_managed: false,
            secret_type: 0,
            remote_provider_name: None,
            has_value: there,
        }
    }
}

/// What a provider of secrets needs to find one. There are no providers yet, so none is ever answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PamProviderTypeParamValue)]
pub(crate) struct ProviderParameterValue {
    id: i32,
    value: Option<String>,
    instance_id: Option<i32>,
    instance_guid: Option<uuid::Uuid>,
    provider: Provider,
    provider_type_param: ProviderTypeParameter,
}

/// A provider of secrets.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PamProvider)]
struct Provider {
    id: i32,
    name: Option<String>,
    area: i32,
    provider_type: ProviderType,
    #[schema(value_type = Vec<Object>)]
    provider_type_param_values: Vec<serde_json::Value>,
    secured_area_id: Option<i32>,
    remote: bool,
}

/// A kind of providers.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PamProviderType)]
struct ProviderType {
    id: uuid::Uuid,
    name: Option<String>,
    #[schema(no_recursion)]
    provider_type_params: Vec<ProviderTypeParameter>,
}

/// What providers of a kind need to be told.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PamProviderTypeParam)]
struct ProviderTypeParameter {
    id: i32,
    name: Option<String>,
    display_name: Option<String>,
    data_type: i32,
    instance_level: bool,
    provider_type: ProviderType,
}
