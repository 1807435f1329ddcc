//! Definitions of metadata fields.

use sea_orm::entity::prelude::*;

/// A row of `metadata_fields`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "metadata_fields")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// Description.
    pub description: String,
    /// `DataType` of the contract.
    pub data_type: i32,
    /// Hint.
    pub hint: Option<String>,
    /// A regular expression.
    pub validation: Option<String>,
    /// 0 optional, 1 required, 2 hidden.
    pub enrollment: i32,
    /// What is said of a value that the expression does not match.
    pub message: Option<String>,
    /// The values of a choice, with commas between them.
    pub options: Option<String>,
    /// Default value.
    pub default_value: Option<String>,
    /// Kept and shown.
    pub allow_api: bool,
    /// Kept and shown.
    pub explicit_update: bool,
    /// Display order.
    pub display_order: i32,
    /// Whether expression and options regard case.
    pub case_sensitive: bool,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
