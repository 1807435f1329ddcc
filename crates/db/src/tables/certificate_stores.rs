//! Places on other machines where certificates are.

use sea_orm::entity::prelude::*;

/// A row of `certificate_stores`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "certificate_stores")]
pub struct Model {
    /// Id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Store type id.
    pub store_type_id: i64,
    /// Agent id.
    pub agent_id: Option<Uuid>,
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
    /// Approved.
    pub approved: bool,
    /// Create if missing.
    pub create_if_missing: bool,
    /// JSON object; secret ones hold null here.
    pub properties: String,
    /// JSON object of the secret properties, sealed.
    pub sealed_secrets: Option<Vec<u8>>,
    /// Sealed password.
    pub sealed_password: Option<Vec<u8>>,
    /// Set new password allowed.
    pub set_new_password_allowed: bool,
    /// Compact form.
    pub inventory_schedule: Option<String>,
    /// The waiting or repeating inventory job.
    pub inventory_job_id: Option<Uuid>,
    /// Epoch milliseconds.
    pub last_inventory_at: Option<i64>,
    /// Epoch milliseconds.
    pub created_at: i64,
}

/// No relations are declared: slices join where they need to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
