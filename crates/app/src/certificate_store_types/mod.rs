//! `/CertificateStoreTypes`: what kinds of stores there are. A type is data, not code: its definition drives what stores and
//! jobs have to give, and the capabilities of agents decide who can serve it.

mod built_in;
mod definition;
mod list;
mod request;
mod response;
mod write;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

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
