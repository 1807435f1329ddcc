//! The table `past_certificate_metadata`: values that certificates had.

use sea_orm::entity::prelude::*;

/// A row of `past_certificate_metadata`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_certificate_metadata")]
pub struct Model {
    /// Certificate id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub certificate_id: i64,
    /// Name fold.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name_fold: String,
    /// Name.
    pub name: String,
    /// As it was given.
    pub value: String,
    /// The beginning of the value, folded: what queries compare.
    pub value_key: String,
    /// The whole value, folded, where it is longer than that.
    #[sea_orm(column_type = "Text", nullable)]
    pub value_long: Option<String>,
    /// Numbers as they are, dates in epoch milliseconds, `true` and `false` as 1 and 0.
    pub number: Option<i64>,
    /// Since when it was so, epoch milliseconds; null from the beginning of what it belongs to.
    pub since: Option<i64>,
    /// Until when, epoch milliseconds: then it changed or went.
    #[sea_orm(primary_key, auto_increment = false)]
    pub until: i64,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
