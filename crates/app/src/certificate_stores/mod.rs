//! `/CertificateStores`: the places on other machines where certificates are.

mod inventory;
mod secrets;

use db::tables::{certificate_stores, store_types};
use sea_orm::{ConnectionTrait, EntityTrait};
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

pub(crate) use crate::certificate_store_types::{JobKind, JobType, job_type};
pub(crate) use inventory::{InventoryUpdate, last_inventory, record_inventory};
pub(crate) use secrets::{StoreSecrets, secrets_of};

use crate::error::Error;

/// `/CertificateStores`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}

/// A store and its type.
///
/// # Errors
/// Those of the database.
pub(crate) async fn store_with_type(
    connection: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<(certificate_stores::Model, store_types::Model)>, Error> {
    let Some(store) = certificate_stores::Entity::find_by_id(id)
        .one(connection)
        .await?
    else {
        return Ok(None);
    };
    let kind = store_types::Entity::find_by_id(store.store_type_id)
        .one(connection)
        .await?;
    Ok(kind.map(|kind| (store, kind)))
}
