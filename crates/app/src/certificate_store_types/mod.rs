//! `/CertificateStoreTypes`: what kinds of stores there are. A type is data, not code: its definition drives what stores and
//! jobs have to give, and the capabilities of agents decide who can serve it.

mod built_in;
mod definition;
mod list;
mod request;
mod response;
mod write;

use db::tables::store_types;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

pub(crate) use built_in::create_first;
pub(crate) use definition::{
    Allowed, Definition, EntryParameter, FieldType, Property, StorePaths, boolean,
};

/// `/CertificateStoreTypes`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(
            list::list,
            write::create,
            write::replace,
            write::delete_several
        ))
        .routes(routes!(list::get, write::delete))
        .routes(routes!(list::get_by_name))
}

/// The kinds of jobs that agents do for stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobKind {
    /// Read a store.
    Inventory,
    /// Change a store.
    Management,
    /// Find stores.
    Discovery,
    /// Make a key on the device.
    Reenrollment,
}

/// A job type: a kind of job for the stores of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobType {
    /// Its identifier, as agents get it.
    pub(crate) id: Uuid,
    /// `PEMInventory`.
    pub(crate) name: String,
    /// What an agent must have registered: `CertStores.PEM.Inventory`.
    pub(crate) capability: String,
}

/// The type's job of a kind; `None` when it has no such jobs.
pub(crate) fn job_type(row: &store_types::Model, kind: JobKind) -> Option<JobType> {
    let (id, word) = match kind {
        JobKind::Inventory => (Some(row.inventory_job_type), "Inventory"),
        JobKind::Management => (row.management_job_type, "Management"),
        JobKind::Discovery => (row.discovery_job_type, "Discovery"),
        JobKind::Reenrollment => (row.enrollment_job_type, "Reenrollment"),
    };
    Some(JobType {
        id: id?,
        name: format!("{}{word}", row.short_name),
        capability: format!("CertStores.{}.{word}", row.capability),
    })
}
