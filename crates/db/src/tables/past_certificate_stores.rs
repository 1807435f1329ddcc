//! The table `past_certificate_stores`: where certificate stores were.

use sea_orm::entity::prelude::*;

/// A row of `past_certificate_stores`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "past_certificate_stores")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Store type id.
    pub store_type_id: i64,
    /// Container id.
    pub container_id: Option<i64>,
    /// Client machine.
    pub client_machine: String,
    /// Client machine fold.
    pub client_machine_fold: String,
    /// Store path.
    pub store_path: String,
    /// Store path fold.
    pub store_path_fold: String,
    /// Since when it was so, epoch milliseconds.
    pub since: i64,
    /// Until when, epoch milliseconds: then it changed or went.
    #[sea_orm(primary_key, auto_increment = false)]
    pub until: i64,
}

/// None: rows are joined by name, where they are needed.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
