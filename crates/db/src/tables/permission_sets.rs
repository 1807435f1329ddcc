//! Permission sets: what the roles in them may hold at most.

use sea_orm::entity::prelude::*;

/// A row of `permission_sets`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "permission_sets")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
