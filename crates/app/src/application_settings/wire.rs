//! Application settings as the interface shows and takes them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An application setting.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationSetting)]
pub(crate) struct SettingOutput {
    pub(super) id: i64,
    pub(super) display_name: &'static str,
    pub(super) short_name: &'static str,
    pub(super) description: &'static str,
    /// Text of the type below; empty for none.
    pub(super) value: String,
    /// `String` or `Integer`.
    pub(super) value_type: &'static str,
}

/// The new value of one of several settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationSettingBulkUpdate)]
pub(crate) struct SettingBulkUpdate {
    pub(super) id: i64,
    /// Null and empty are none.
    pub(super) value: Option<String>,
}

/// The new value of a setting.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationSettingUpdate)]
pub(crate) struct SettingUpdate {
    /// Null and empty are none.
    pub(super) value: Option<String>,
}
