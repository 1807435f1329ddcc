//! `POST /OrchestratorJobs/Acknowledge`

use db::tables::job_history::{self, Column, Entity};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    RESULT_FAILURE, RESULT_WARNING, STATUS_ACKNOWLEDGED, STATUS_COMPLETED, STATUS_WILL_RETRY,
    Which, history,
};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::condition;
use crate::web::{Body, NoContent};

/// Which history entries: by id or by query, not both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AcknowledgeRequest {
    /// Ids of history entries.
    job_audit_ids: Option<Vec<i64>>,
    /// A query as the job history takes it.
    query: Option<String>,
}

/// Marks failures and warnings as seen. Only those that have ended can be; named ones that cannot make the request fail,
/// those that a query finds are passed over.
#[utoipa::path(
    post,
    path = "/OrchestratorJobs/Acknowledge",
    tag = "OrchestratorJob",
    request_body = AcknowledgeRequest,
    responses((status = 204, description = "Acknowledged")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn acknowledge(
    cx: Cx,
    Body(request): Body<AcknowledgeRequest>,
) -> Result<NoContent, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let which = Which::new(request.job_audit_ids, request.query, "JobAuditIds")?;
    let db = cx.db().clone();
    db.write("orchestrator_jobs.acknowledge", move |tx| {
        Box::pin(async move {
            let rows = entries(tx, &cx, &which, |row| {
                if ![RESULT_FAILURE, RESULT_WARNING].contains(&row.result) {
                    return Err("is neither a failure nor a warning");
                }
                match row.status {
                    STATUS_COMPLETED | STATUS_WILL_RETRY | STATUS_ACKNOWLEDGED => Ok(()),
                    _ => Err("has not ended"),
                }
            })
            .await?;
            for row in rows
                .into_iter()
                .filter(|row| row.status != STATUS_ACKNOWLEDGED)
            {
                let name = row.job_type.clone();
                let message = format!("Job history entry {} was acknowledged.", row.id);
                let mut row = row.into_active_model();
                row.status = ActiveValue::Set(STATUS_ACKNOWLEDGED);
                row.update(tx).await?;
                audit::record(
                    tx,
                    &cx,
                    Entry::new(Operation::Updated, Category::OrchestratorJob, name, message),
                )
                .await?;
            }
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}

/// The history entries that a request is about. `check` says why one is not fit: that fails a request which names it, and
/// leaves it out of what a query finds.
pub(super) async fn entries(
    tx: &db::Tx,
    cx: &Cx,
    which: &Which<i64>,
    check: impl Fn(&job_history::Model) -> Result<(), &'static str>,
) -> Result<Vec<job_history::Model>, Error> {
    let ids = match which {
        Which::Query(query) => {
            let rows = Entity::find()
                .filter(condition(cx, Some(query), history::FIELDS)?)
                .all(tx)
                .await?;
            return Ok(rows.into_iter().filter(|row| check(row).is_ok()).collect());
        }
        Which::Ids(ids) => ids,
    };
    let mut rows = Vec::with_capacity(ids.len());
    for part in ids.chunks(500) {
        rows.extend(
            Entity::find()
                .filter(Column::Id.is_in(part.iter().copied()))
                .all(tx)
                .await?,
        );
    }
    let mut wrong = Vec::new();
    for id in ids {
        match rows.iter().find(|row| row.id == *id) {
            None => wrong.push(format!("There is no job history entry {id}.")),
            Some(row) => {
                if let Err(reason) = check(row) {
                    wrong.push(format!("Job history entry {id} {reason}."));
                }
            }
        }
    }
    if wrong.is_empty() {
        return Ok(rows);
    }
    Err(Error::bad_parts("JobAuditIds: nothing was changed.", wrong))
}
