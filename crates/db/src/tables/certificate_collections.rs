//! Certificate collections: a saved query is a set of certificates, and a scope of rights.

use sea_orm::entity::prelude::*;

/// A row of `certificate_collections`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_collections")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// Name.
    pub name: String,
    /// Name fold.
    pub name_fold: String,
    /// For people.
    pub description: String,
    /// In the query language; empty for every certificate.
    pub query: String,
    /// By what renewed certificates are left out of reports: the contract's 0, 1, 2, 4.
    pub duplication_field: i32,
    /// Show on the dashboard.
    pub show_on_dashboard: bool,
    /// Where it stands among the others.
    pub position: i64,
    /// How many certificates it had when last counted.
    pub last_count: Option<i64>,
    /// Epoch milliseconds.
    pub last_counted_at: Option<i64>,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
