//! `GET /OrchestratorJobs/JobHistory`

use db::tables::job_history::{Column, Entity, Model};
use sea_orm::EntityTrait;
use sea_orm::sea_query::{Expr, SimpleExpr};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{kind_text, schedule_text};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::schedule::ScheduleOutput;
use crate::web::{Date, List, Paging, Query};

/// One time that a job was handed to an agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct JobHistoryResponse {
    /// The id of the entry; agents know it as `AuditId`.
    job_history_id: i64,
    agent_machine: String,
    job_id: Uuid,
    schedule: Option<ScheduleOutput>,
    /// For example `PEMManagement`.
    job_type: String,
    operation_start: Date,
    operation_end: Option<Date>,
    message: String,
    /// 0 unknown, 2 success, 3 warning, 4 failure.
    result: i32,
    /// 2 in process, 3 completed, 4 acknowledged, 5 completed and will be tried again.
    status: i32,
    store_path: String,
    client_machine: String,
}

impl JobHistoryResponse {
    fn new(row: Model, now: i64) -> Self {
        Self {
            job_history_id: row.id,
            agent_machine: row.agent_machine,
            job_id: row.job_id,
            schedule: ScheduleOutput::of_compact(row.schedule.as_deref(), now),
            job_type: row.job_type,
            operation_start: Date(row.started_at),
            operation_end: row.ended_at.map(Date),
            message: row.message,
            result: row.result,
            status: row.status,
            store_path: row.store_path,
            client_machine: row.client_machine,
        }
    }
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

const RESULTS: FieldKind = FieldKind::Integer(&[
    ("unknown", 0),
    ("success", 2),
    ("warning", 3),
    ("failure", 4),
]);
const STATUSES: FieldKind = FieldKind::Integer(&[
    ("unknown", 0),
    ("waiting", 1),
    ("inprocess", 2),
    ("completed", 3),
    ("acknowledged", 4),
    ("completedwillretry", 5),
]);

/// What a query may name.
pub(crate) const FIELDS: &[Field] = &[
    field("JobHistoryId", FieldKind::Integer(&[]), || {
        column(Column::Id)
    }),
    field("AgentId", FieldKind::Guid, || column(Column::AgentId)),
    field("Agent", FieldKind::Text, || column(Column::AgentMachine)),
    field("AgentMachine", FieldKind::Text, || {
        column(Column::AgentMachine)
    }),
    field("ClientMachine", FieldKind::Text, || {
        column(Column::ClientMachine)
    }),
    field("JobId", FieldKind::Guid, || column(Column::JobId)),
    field("StoreId", FieldKind::Guid, || column(Column::StoreId)),
    field("Result", RESULTS, || column(Column::Result)),
    field("Status", STATUSES, || column(Column::Status)),
    field("JobType", FieldKind::Folded, || {
        kind_text(column(Column::Kind))
    }),
    field("Message", FieldKind::Text, || column(Column::Message)),
    field("OperationStart", FieldKind::Date, || {
        column(Column::StartedAt)
    }),
    field("OperationEnd", FieldKind::Date, || column(Column::EndedAt)),
    field("ScheduleType", FieldKind::Folded, || {
        schedule_text(|| column(Column::Schedule))
    }),
    field("TargetPath", FieldKind::Text, || column(Column::StorePath)),
    field("StorePath", FieldKind::Text, || column(Column::StorePath)),
];

/// What agents were handed and what became of it. A job that no agent has fetched yet is not here.
#[utoipa::path(
    get,
    path = "/OrchestratorJobs/JobHistory",
    tag = "OrchestratorJob",
    params(Paging),
    responses((status = 200, body = Vec<JobHistoryResponse>, description = "The entries; `X-Total-Count` says how many there are")),
    extensions(("x-permissions" = json!(["/agents/management/read/"])))
)]
pub(super) async fn history(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<JobHistoryResponse>, Error> {
    cx.authorize(Permission::AgentsRead)?;
    let (rows, total) = page(
        &cx,
        Entity::find(),
        &paging,
        FIELDS,
        "JobHistoryId",
        Column::Id,
    )
    .await?;
    let items = rows
        .into_iter()
        .map(|row| JobHistoryResponse::new(row, cx.now()))
        .collect();
    Ok(List { items, total })
}
