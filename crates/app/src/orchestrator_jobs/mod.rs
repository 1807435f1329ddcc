//! `/OrchestratorJobs`: what agents are asked to do, when, and what became of it.
//!
//! A job is a row of `orchestrator_jobs` (what) and a job of the queue `agent:<guid>` in the lane of its store (when). A
//! row of `job_history` appears when the agent is handed the job.

mod create;

use utoipa_axum::router::OpenApiRouter;

pub(crate) use create::{ManagementJob, ManagementOperation, create_management, forget_store, schedule_inventory};

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
}
