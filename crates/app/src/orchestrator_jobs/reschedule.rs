//! `POST /OrchestratorJobs/Reschedule`

use db::tables::{job_history, orchestrator_jobs};
use jobs::Schedule;
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IntoActiveModel};
use serde::Deserialize;
use utoipa::ToSchema;

use super::acknowledge::entries;
use super::create::enqueue;
use super::{RESULT_FAILURE, STATUS_ACKNOWLEDGED, STATUS_COMPLETED, STATUS_WILL_RETRY, Which};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Body, NoContent};

/// Which history entries: by id or by query, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RescheduleRequest {
    /// Ids of history entries.
    job_audit_ids: Option<Vec<i64>>,
    /// A query as the job history takes it.
    query: Option<String>,
}

/// Asks the agents again for jobs that failed, now and with the same parameters. The job keeps its id; its history entry
/// becomes 'completed, will retry'.
#[utoipa::path(
    post,
    path = "/OrchestratorJobs/Reschedule",
    tag = "OrchestratorJob",
    request_body = RescheduleRequest,
    responses((status = 204, description = "Queued again")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn reschedule(
    cx: Cx,
    Body(request): Body<RescheduleRequest>,
) -> Result<NoContent, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let which = Which::new(request.job_audit_ids, request.query, "JobAuditIds")?;
    let db = cx.db().clone();
    db.write("orchestrator_jobs.reschedule", move |tx| {
        Box::pin(async move {
            let rows = entries(tx, &cx, &which, |row| match (row.result, row.status) {
                (RESULT_FAILURE, STATUS_COMPLETED | STATUS_ACKNOWLEDGED) => Ok(()),
                (RESULT_FAILURE, STATUS_WILL_RETRY) => Err("is queued again already"),
                _ => Err("is no failure"),
            })
            .await?;
            let mut gone = Vec::new();
            for row in rows {
                let id = row.id;
                if !again(tx, &cx, row).await? {
                    gone.push(format!("The job of history entry {id} is no longer there."));
                }
            }
            if gone.is_empty() || matches!(which, Which::Query(_)) {
                return Ok(NoContent);
            }
            Err(Error::bad_parts("JobAuditIds: nothing was changed.", gone))
        })
    })
    .await
}

/// Queues the job of a history entry again. False when the job was cancelled or its store is gone.
async fn again(tx: &db::Tx, cx: &Cx, row: job_history::Model) -> Result<bool, Error> {
    let job = orchestrator_jobs::Entity::find_by_id(row.job_id)
        .one(tx)
        .await?;
    let Some(job) = job.filter(|job| !job.cancelled) else {
        return Ok(false);
    };
    let Some(store_id) = job.store_id else {
        return Ok(false);
    };
    match jobs::find(tx, job.id).await? {
        // It repeats and waits: it goes now, and on as before.
        Some(queued) if queued.lease_until.is_none() => {
            jobs::reschedule(tx, job.id, queued.schedule, cx.now()).await?;
        }
        Some(_) => {}
        None => {
            enqueue(
                tx,
                cx,
                job.id,
                job.agent_id,
                store_id,
                job.kind,
                Schedule::Immediate,
            )
            .await?;
        }
    }
    let message = format!("The job of history entry {} was queued again.", row.id);
    let entry = Entry::new(
        Operation::Scheduled,
        Category::OrchestratorJob,
        row.job_type.clone(),
        message,
    );
    audit::record(tx, cx, entry).await?;
    let mut row = row.into_active_model();
    row.status = ActiveValue::Set(STATUS_WILL_RETRY);
    row.update(tx).await?;
    Ok(true)
}
