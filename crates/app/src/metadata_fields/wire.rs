//! The shapes of requests and answers.

use db::tables::metadata_fields::Model;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A metadata field to create, or what is to stand in its place.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MetadataFieldRequest)]
pub(super) struct FieldRequest {
    /// Which field; only when it is replaced.
    #[schema(value_type = Option<i32>)]
    pub(super) id: Option<i64>,
    /// Letters, digits, `-` and `_`. Unique without regard to case; stays once certificates have values.
    #[schema(value_type = String)]
    pub(super) name: Option<String>,
    /// For people.
    pub(super) description: Option<String>,
    /// 1 text, 2 integer, 3 date, 4 boolean, 5 choice, 6 long text, 7 e-mail, 8 text of a kind that nobody has named.
    #[schema(value_type = i32)]
    pub(super) data_type: Option<i64>,
    /// Shown where no value is yet.
    pub(super) hint: Option<String>,
    /// A regular expression that values have to match.
    pub(super) validation: Option<String>,
    /// 0 optional, 1 required, 2 hidden.
    #[schema(value_type = Option<i32>)]
    pub(super) enrollment: Option<i64>,
    /// What is said of values that do not match.
    pub(super) message: Option<String>,
    /// The values of a choice, with commas between them.
    pub(super) options: Option<String>,
    /// The value of an enrollment that gives none to a required or hidden field.
    pub(super) default_value: Option<String>,
    /// Kept and shown.
    #[serde(rename = "AllowAPI")]
    pub(super) allow_api: Option<bool>,
    /// Kept and shown.
    pub(super) explicit_update: Option<bool>,
    /// Where the field stands in lists; last when it is left out.
    #[schema(value_type = Option<i32>)]
    pub(super) display_order: Option<i64>,
    /// Whether the expression and the options regard case, as they do when this is left out.
    pub(super) case_sensitive: Option<bool>,
}

/// A metadata field.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MetadataFieldTypeModel)]
pub(super) struct FieldOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    description: String,
    /// 1 text, 2 integer, 3 date, 4 boolean, 5 choice, 6 long text, 7 e-mail, 8 text of a kind that nobody has named.
    data_type: i32,
    hint: Option<String>,
    /// A regular expression.
    validation: Option<String>,
    /// 0 optional, 1 required, 2 hidden.
    enrollment: i32,
    message: Option<String>,
    /// The values of a choice, with commas between them.
    options: Option<String>,
    default_value: Option<String>,
    #[serde(rename = "AllowAPI")]
    allow_api: bool,
    explicit_update: bool,
    display_order: i32,
    case_sensitive: bool,
}

impl From<Model> for FieldOutput {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            data_type: row.data_type,
            hint: row.hint,
            validation: row.validation,
            enrollment: row.enrollment,
            message: row.message,
            options: row.options,
            default_value: row.default_value,
            allow_api: row.allow_api,
            explicit_update: row.explicit_update,
            display_order: row.display_order,
            case_sensitive: row.case_sensitive,
        }
    }
}

/// How a field is deleted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Forced {
    /// Delete it with the values that certificates have.
    pub(super) force: Option<bool>,
}
