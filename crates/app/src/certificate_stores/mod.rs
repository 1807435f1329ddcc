//! `/CertificateStores`: the places on other machines where certificates are.

mod add;
mod assign;
mod delete;
mod entries;
mod for_enrollment;
mod inventory;
mod list;
mod order;
mod properties;
mod remove;
mod request;
mod response;
mod schedule;
mod secrets;
mod targets;
mod write;

use db::tables::{certificate_stores, store_entry_certificates, store_types};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, JoinType, QueryFilter, QuerySelect};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(crate) use assign::{assign, guids};
pub(crate) use for_enrollment::{
    EnrollmentTarget, add_for_enrollment, check_for_enrollment, places_of, types_for, unschedulable,
};
pub(crate) use inventory::{
    InventoryUpdate, StoreReport, is_last_report, last_inventory, record_inventory, report_digest,
};
pub(crate) use list::{FIELDS, RoleCheck};
pub(crate) use order::{StoreOrder, stores_changed};
pub(crate) use response::{
    ApplicationStoreResponse, StoreResponse, shown_all, shown_in_application,
};
pub(crate) use secrets::{StoreSecrets, secrets_of};
pub(crate) use targets::authorize;

use crate::error::Error;

/// `/CertificateStores`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(
            list::list,
            write::create,
            write::replace,
            delete::delete_several
        ))
        .routes(routes!(list::get, delete::delete))
        .routes(routes!(entries::inventory))
        .routes(routes!(schedule::schedule))
        .routes(routes!(assign::assign_container))
        .routes(routes!(add::add))
        .routes(routes!(remove::remove))
}

/// Those of some certificates that are in no store of the container, or, without one, in no store at all. What is in a store is
/// what its last inventory said, chains included.
///
/// # Errors
/// Those of the database.
pub(crate) async fn certificates_not_in(
    connection: &impl ConnectionTrait,
    certificate_ids: &[i64],
    container_id: Option<i64>,
) -> Result<Vec<i64>, Error> {
    use store_entry_certificates::Column as Link;
    let store = store_entry_certificates::Entity::belongs_to(certificate_stores::Entity)
        .from(Link::StoreId)
        .to(certificate_stores::Column::Id)
        .into();
    let mut located = store_entry_certificates::Entity::find()
        .select_only()
        .column(Link::CertificateId)
        .distinct()
        .join(JoinType::InnerJoin, store)
        .filter(Link::CertificateId.is_in(certificate_ids.iter().copied()));
    if let Some(id) = container_id {
        located = located.filter(certificate_stores::Column::ContainerId.eq(id));
    }
    let located: Vec<i64> = located.into_tuple().all(connection).await?;
    Ok(certificate_ids
        .iter()
        .copied()
        .filter(|id| !located.contains(id))
        .collect())
}

/// The containers in whose stores a certificate is, once each; `None` for stores without one. Empty when it is in no store.
///
/// # Errors
/// Those of the database.
pub(crate) async fn containers_of(
    connection: &impl ConnectionTrait,
    certificate_id: i64,
) -> Result<Vec<Option<i64>>, Error> {
    use store_entry_certificates::Column as Link;
    let store = store_entry_certificates::Entity::belongs_to(certificate_stores::Entity)
        .from(Link::StoreId)
        .to(certificate_stores::Column::Id)
        .into();
    Ok(store_entry_certificates::Entity::find()
        .select_only()
        .column(certificate_stores::Column::ContainerId)
        .distinct()
        .join(JoinType::InnerJoin, store)
        .filter(Link::CertificateId.eq(certificate_id))
        .into_tuple()
        .all(connection)
        .await?)
}

/// A store as people know it.
pub(crate) fn display_name(client_machine: &str, store_path: &str) -> String {
    format!("{client_machine} - {store_path}")
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
