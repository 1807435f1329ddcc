//! `/Agents`, and what agents themselves call: `/KeyfactorAgents`.

mod approve;
mod list;
pub(crate) mod protocol;
mod refusal;
mod reset;
mod sweep;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use approve::approve_by_name;
pub(crate) use list::FIELDS;
pub(crate) use refusal::{inventory_refusal_reason, refusal_reason};
pub(crate) use sweep::sweep;

/// `agents.status`: waits for approval.
pub(crate) const STATUS_NEW: i32 = 1;
/// `agents.status`: may work.
pub(crate) const STATUS_APPROVED: i32 = 2;
/// `agents.status`: may not work.
pub(crate) const STATUS_DISAPPROVED: i32 = 3;
/// `agents.platform` of agents in native code: the public C agent, and our own.
const PLATFORM_NATIVE: i32 = 5;

/// `/Agents`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(list::get))
        .routes(routes!(approve::approve))
        .routes(routes!(approve::disapprove))
        .routes(routes!(reset::reset_all))
        .routes(routes!(reset::reset_one))
}
