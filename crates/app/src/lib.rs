//! The product. A slice for each part of the public reference; the rules that all share are in [`web`], [`security`] and
//! [`audit`]. The router is on this page, in the order of the reference.

mod agents;
mod analytics;
mod app;
mod application_settings;
pub mod audit;
mod authorities;
mod background;
mod certificate_store_containers;
mod certificate_store_types;
mod certificate_stores;
mod certificates;
mod collections;
mod cx;
mod enrollment;
mod error;
pub mod filling;
mod generation;
mod identity_providers;
mod lookups;
mod metadata_fields;
mod openapi;
mod orchestrator_jobs;
mod past;
mod remembered;
pub mod sealing;
mod searching;
pub mod security;
mod start;
mod status;
mod templates;
#[cfg(feature = "testing")]
pub mod testing;
pub mod web;
mod workflow;

use utoipa_axum::router::OpenApiRouter;

pub use agents::approve_by_name;
pub use app::{App, Options, PasswordCost, StartError};
pub use cx::{Caller, Clock, Cx, Identity, Randomness};
pub use error::{Error, ErrorBody, FailedOperation, Kind, TABLE as ERROR_TABLE};
pub use start::ADMINISTRATOR_ROLE;

/// Version 1 of the interface: a line for each slice.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(agents::routes())
        .merge(analytics::routes())
        .merge(application_settings::routes())
        .merge(audit::routes())
        .merge(authorities::routes())
        .merge(certificates::routes())
        .merge(certificate_store_containers::routes())
        .merge(certificate_stores::routes())
        .merge(certificate_store_types::routes())
        .merge(collections::routes())
        .merge(enrollment::routes())
        .merge(identity_providers::routes())
        .merge(metadata_fields::routes())
        .merge(orchestrator_jobs::routes())
        .merge(searching::routes())
        .merge(security::routes())
        .merge(status::routes())
        .merge(templates::routes())
        .merge(workflow::routes())
}

/// Version 2: the operations that exist in both.
pub(crate) fn routes_version_2() -> OpenApiRouter {
    OpenApiRouter::new()
        .merge(certificates::routes_version_2())
        .merge(enrollment::routes_version_2())
        .merge(security::routes_version_2())
}

/// The OpenAPI document of one version (1 or 2), as the code declares it.
pub fn openapi(version: u8) -> utoipa::openapi::OpenApi {
    let routes = if version == 2 {
        routes_version_2()
    } else {
        routes()
    };
    web::ApiRoutes::new(routes, version, 0).document().clone()
}
