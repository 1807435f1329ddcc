//! `/OrchestratorJobs`: what agents are asked to do, when, and what became of it.
//!
//! A job is a row of `orchestrator_jobs` (what) and a job of the queue `agent:<guid>` in the lane of its store (when). A
//! row of `job_history` appears when the agent is handed the job. The row of a job that is done goes; that of a failed one
//! stays, so that it can be asked for again.

mod acknowledge;
mod create;
mod handout;
mod history;
mod outcome;
mod reschedule;
mod scheduled;
mod unschedule;

use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use create::{
    INVENTORY, MANAGEMENT, ManagementJob, ManagementOperation, create_management, forget_store,
    queue_of, schedule_inventory, secrets_place,
};
pub(crate) use handout::{Handed, hand_out, in_process, lapse};
pub(crate) use history::FIELDS;
pub(crate) use outcome::{MESSAGE_MAX_CHARACTERS, Report, complete};

use crate::error::Error;

/// `job_history.status`: an agent has it.
pub(crate) const STATUS_IN_PROCESS: i32 = 2;
/// `job_history.status`: it has ended.
pub(crate) const STATUS_COMPLETED: i32 = 3;
/// `job_history.status`: somebody has seen that it failed.
pub(crate) const STATUS_ACKNOWLEDGED: i32 = 4;
/// `job_history.status`: it has ended and will be handed out again.
pub(crate) const STATUS_WILL_RETRY: i32 = 5;
/// `job_history.result`: done.
pub(crate) const RESULT_SUCCESS: i32 = 2;
/// `job_history.result`: done, with a remark.
pub(crate) const RESULT_WARNING: i32 = 3;
/// `job_history.result`: not done.
pub(crate) const RESULT_FAILURE: i32 = 4;

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(acknowledge::acknowledge))
        .routes(routes!(history::history))
        .routes(routes!(reschedule::reschedule))
        .routes(routes!(scheduled::scheduled))
        .routes(routes!(unschedule::unschedule))
}

/// Which jobs a request is about: a list of ids, or a query.
#[derive(Clone, Debug)]
pub(crate) enum Which<T> {
    /// These.
    Ids(Vec<T>),
    /// All that match.
    Query(search::Expression),
}

impl<T> Which<T> {
    /// Exactly one of the two.
    fn new(ids: Option<Vec<T>>, query: Option<String>, name: &str) -> Result<Self, Error> {
        let query = query.filter(|query| !query.trim().is_empty());
        match (ids.filter(|ids| !ids.is_empty()), query) {
            (Some(ids), None) => Ok(Self::Ids(ids)),
            (None, Some(query)) => {
                let paging = crate::web::Paging {
                    query_string: Some(query),
                    ..Default::default()
                };
                let parsed = paging.query()?;
                parsed
                    .map(Self::Query)
                    .ok_or_else(|| Error::bad_request("Query: it is empty."))
            }
            _ => Err(Error::bad_request(format!(
                "Give either {name} or Query, and not both."
            ))),
        }
    }
}

/// The kind of a job as queries name it.
fn kind_text(kind: impl Into<SimpleExpr>) -> SimpleExpr {
    Expr::case(kind.into().eq(INVENTORY), "inventory")
        .finally("management")
        .into()
}

/// The kind of a compact schedule as queries name it.
fn schedule_text(schedule: fn() -> SimpleExpr) -> SimpleExpr {
    Expr::case(schedule().like("I%"), "interval")
        .case(schedule().like("D%"), "daily")
        .case(schedule().like("W%"), "weekly")
        .case(schedule().like("M%"), "monthly")
        .case(schedule().like("O%"), "exactlyonce")
        .finally("immediate")
        .into()
}
