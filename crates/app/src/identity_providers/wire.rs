//! The shapes of the contract's tag IdentityProvider.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// A provider as it is entered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderIdentityProviderCreateRequest)]
pub(super) struct CreateRequest {
    /// Its name in claims and in the addresses of the browser's sign-in: letters, digits, `-`, `_` and `.`. Cannot change.
    #[schema(required, max_length = 512)]
    pub(super) authentication_scheme: Option<String>,
    /// Its name for people, unique among providers.
    #[schema(required, max_length = 512)]
    pub(super) display_name: Option<String>,
    /// `Generic` or `Auth0`, or the id of the type.
    #[schema(required, min_length = 1)]
    pub(super) provider_type: Option<String>,
    /// The permission set it is in; the Global one unless told.
    pub(super) permission_set_id: Option<Uuid>,
    /// The parameters by name (`GET /IdentityProviders/Types` lists them): texts, and the secret as `{"SecretValue": "…"}`.
    #[schema(value_type = Option<Object>)]
    pub(super) parameters: Option<Map<String, Value>>,
}

/// A provider as it is changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderIdentityProviderUpdateRequest)]
pub(super) struct UpdateRequest {
    /// Its name, which has to be the one it has.
    #[schema(required, max_length = 512)]
    pub(super) authentication_scheme: Option<String>,
    /// Its name for people, unique among providers.
    #[schema(required, max_length = 512)]
    pub(super) display_name: Option<String>,
    /// All parameters by name: those that are left out are taken away, except the secret, which stays. Without this member
    /// all stay.
    #[schema(value_type = Option<Object>)]
    pub(super) parameters: Option<Map<String, Value>>,
    /// The permission set it is in; as it was unless told.
    pub(super) permission_set_id: Option<Uuid>,
    /// Whether anybody signs in through it; as it was unless told.
    pub(super) authentication_enabled: Option<bool>,
}

/// A provider as it is read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderIdentityProviderResponse)]
pub(super) struct ProviderResponse {
    /// Its id.
    pub(super) id: Uuid,
    /// Its name in claims and in the addresses of the browser's sign-in.
    pub(super) authentication_scheme: String,
    /// Its name for people.
    pub(super) display_name: String,
    /// The id of its type.
    pub(super) type_id: Uuid,
    /// Every parameter of its type.
    pub(super) parameters: Vec<ParameterValueResponse>,
    /// The permission set it is in.
    pub(super) permission_set_id: Uuid,
    /// Whether anybody signs in through it.
    pub(super) authentication_enabled: bool,
}

/// A parameter and what it holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderProviderTypeParameterValueResponse)]
pub(super) struct ParameterValueResponse {
    /// Its number.
    pub(super) id: i32,
    /// Its name.
    pub(super) name: &'static str,
    /// Its name for people.
    pub(super) display_name: &'static str,
    /// Whether a provider cannot be without it.
    pub(super) required: bool,
    /// 1 text, 2 secret.
    pub(super) data_type: i32,
    /// The text; null for secrets and for what is not set.
    pub(super) value: Option<String>,
    /// Whether there is a secret; null for texts.
    pub(super) secret_value: Option<SecretResponse>,
}

/// A secret as it is read: that there is one, and nothing of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = KeyfactorAPISecretResponse)]
pub(super) struct SecretResponse {
    /// A mask, or null.
    pub(super) secret_value: Option<&'static str>,
    /// What a provider of secrets needs to find it; there are none.
    #[schema(value_type = Option<Object>)]
    pub(super) parameters: Option<Map<String, Value>>,
    /// The provider of secrets that keeps it; there are none.
    pub(super) provider: Option<i32>,
    /// Whether there is one.
    pub(super) has_value: bool,
}

/// A kind of provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderProviderTypeResponse)]
pub(super) struct TypeResponse {
    /// Its id.
    pub(super) id: Uuid,
    /// Its name.
    pub(super) name: &'static str,
    /// What can be configured.
    pub(super) type_parameters: Vec<ParameterResponse>,
}

/// What can be configured of a kind of provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = IdentityProviderProviderTypeParameterResponse)]
pub(super) struct ParameterResponse {
    /// Its number.
    pub(super) id: i32,
    /// Its name.
    pub(super) name: &'static str,
    /// Its name for people.
    pub(super) display_name: &'static str,
    /// 1 text, 2 secret.
    pub(super) data_type: i32,
    /// Whether a provider cannot be without it.
    pub(super) required: bool,
}

/// What this server sees of a provider.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChanceryIdentityProviderStatus)]
pub(super) struct StatusResponse {
    /// Whether tokens of this provider can be verified now.
    pub(super) usable: bool,
    /// What is wrong; null when nothing is.
    pub(super) trouble: Option<String>,
    /// The issuer that the discovery document names.
    pub(super) issuer: Option<String>,
    /// The ids of the provider's keys.
    pub(super) key_ids: Vec<Option<String>>,
    /// When the keys were read; null when they never were.
    pub(super) read_at: Option<crate::web::Date>,
    /// When the provider was last asked.
    pub(super) tried_at: Option<crate::web::Date>,
    /// The address that the provider has to send browsers back to: it is registered there.
    pub(super) redirect_address: String,
}
