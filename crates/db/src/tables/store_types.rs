//! Certificate store types: data, not code.

use sea_orm::entity::prelude::*;

/// A row of `store_types`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "store_types")]
pub struct Model {
    /// The contract's StoreType; custom types from 102.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// Short name.
    pub short_name: String,
    /// Short name fold.
    pub short_name_fold: String,
    /// Capability.
    pub capability: String,
    /// JSON: operations, properties, entry parameters, password options.
    pub definition: String,
    /// 0 forbidden, 1 optional, 2 required.
    pub private_key_allowed: i32,
    /// 0 forbidden, 1 optional, 2 required.
    pub custom_alias_allowed: i32,
    /// Inventory job type.
    pub inventory_job_type: Uuid,
    /// Management job type.
    pub management_job_type: Option<Uuid>,
    /// Discovery job type.
    pub discovery_job_type: Option<Uuid>,
    /// Enrollment job type.
    pub enrollment_job_type: Option<Uuid>,
    /// Built in.
    pub built_in: bool,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
