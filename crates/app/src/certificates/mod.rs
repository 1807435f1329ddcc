//! `/Certificates`: the inventory.

mod counts;
mod record;
mod stored;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use record::{Origin, record, record_seen};
pub(crate) use stored::{add_history, chain, load, private_key};

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}
