//! `POST /OrchestratorJobs/Unschedule`

use db::tables::{certificate_stores, orchestrator_jobs};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::create::withdraw;
use super::{Which, scheduled};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::condition;
use crate::web::{Body, NoContent};

/// Which scheduled jobs: by id or by query, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UnscheduleRequest {
    /// Ids of jobs.
    job_ids: Option<Vec<Uuid>>,
    /// A query as the list of scheduled jobs takes it.
    query: Option<String>,
}

/// Cancels jobs that wait or come back. When one of the named jobs is not scheduled, none is cancelled.
#[utoipa::path(
    post,
    path = "/OrchestratorJobs/Unschedule",
    tag = "OrchestratorJob",
    request_body = UnscheduleRequest,
    responses((status = 204, description = "Cancelled")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn unschedule(
    cx: Cx,
    Body(request): Body<UnscheduleRequest>,
) -> Result<NoContent, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let which = Which::new(request.job_ids, request.query, "JobIds")?;
    let db = cx.db().clone();
    db.write("orchestrator_jobs.unschedule", move |tx| {
        Box::pin(async move {
            let mut rows = Vec::new();
            match &which {
                Which::Query(query) => {
                    let matching = condition(&cx, Some(query), scheduled::FIELDS)?;
                    rows = scheduled::select().filter(matching).all(tx).await?;
                }
                Which::Ids(ids) => {
                    for part in ids.chunks(500) {
                        let named = orchestrator_jobs::Column::Id.is_in(part.iter().copied());
                        rows.extend(scheduled::select().filter(named).all(tx).await?);
                    }
                    let unknown = ids
                        .iter()
                        .filter(|id| !rows.iter().any(|row| row.id == **id));
                    let unknown: Vec<String> = unknown
                        .map(|id| format!("There is no scheduled job {id}."))
                        .collect();
                    if !unknown.is_empty() {
                        return Err(Error::bad_parts("JobIds: nothing was changed.", unknown));
                    }
                }
            }
            for row in rows {
                cancel(tx, &cx, &row).await?;
            }
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}

async fn cancel(tx: &db::Tx, cx: &Cx, row: &orchestrator_jobs::Model) -> Result<(), Error> {
    withdraw(
        tx,
        cx,
        row.id,
        &format!("Cancelled by {}.", cx.caller_name()),
    )
    .await?;
    let cleared = certificate_stores::ActiveModel {
        inventory_schedule: ActiveValue::Set(None),
        inventory_job_id: ActiveValue::Set(None),
        ..Default::default()
    };
    certificate_stores::Entity::update_many()
        .set(cleared)
        .filter(certificate_stores::Column::InventoryJobId.eq(row.id))
        .exec(tx)
        .await?;
    let message = format!("Job {} was cancelled.", row.id);
    audit::record(
        tx,
        cx,
        Entry::new(
            Operation::Deleted,
            Category::OrchestratorJob,
            &row.job_type,
            message,
        ),
    )
    .await
}
