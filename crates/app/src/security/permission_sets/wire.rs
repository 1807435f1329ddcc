//! Permission sets as the interface shows and takes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// A permission set.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PermissionSetResponse)]
pub(super) struct SetOutput {
    pub(super) id: Uuid,
    pub(super) name: String,
    /// What its roles may hold at most: strings such as `/certificate_stores/` or `/certificates/collections/read/3/`.
    pub(super) permissions: Vec<String>,
}

/// A new permission set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PermissionSetCreateRequest)]
pub(super) struct SetCreation {
    /// Unique without regard to case and Unicode form.
    pub(super) name: String,
    /// What its roles may hold at most. No string may cover another.
    pub(super) permissions: Vec<String>,
}

/// The permissions that a set shall have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = PermissionSetUpdateRequest)]
pub(super) struct SetUpdate {
    pub(super) id: Uuid,
    /// What its roles may hold at most. No string may cover another.
    pub(super) permissions: Vec<String>,
}
