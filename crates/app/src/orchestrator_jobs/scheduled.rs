//! `GET /OrchestratorJobs/ScheduledJobs`

use std::collections::HashMap;

use db::tables::orchestrator_jobs::{Column, Entity};
use db::tables::{agents, certificate_stores, queue_jobs};
use sea_orm::sea_query::{Expr, ExprTrait, Query as SqlQuery, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{kind_text, schedule_text};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, field_elsewhere, page};
use crate::web::schedule::ScheduleOutput;
use crate::web::{Date, List, Paging, Query};

/// A job that will be handed to an agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ScheduledJobResponse {
    id: Uuid,
    /// The machine of the store.
    client_machine: Option<String>,
    /// The path of the store.
    target: Option<String>,
    schedule: Option<ScheduleOutput>,
    /// When it was asked for.
    #[schema(value_type = String)]
    requested: Date,
    /// The GUID of the job type.
    job_type: Uuid,
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

fn store(column: certificate_stores::Column) -> SimpleExpr {
    Expr::col((certificate_stores::Entity, column))
}

fn stores() -> SelectStatement {
    SqlQuery::select()
        .column(certificate_stores::Column::Id)
        .from(certificate_stores::Entity)
        .to_owned()
}

fn agents_select() -> SelectStatement {
    SqlQuery::select()
        .column(agents::Column::Id)
        .from(agents::Entity)
        .to_owned()
}

fn store_id() -> SimpleExpr {
    column(Column::StoreId)
}

fn machine() -> SimpleExpr {
    store(certificate_stores::Column::ClientMachineFold)
}

fn path() -> SimpleExpr {
    store(certificate_stores::Column::StorePathFold)
}

/// What a query may name.
pub(super) const FIELDS: &[Field] = &[
    field("Id", FieldKind::Guid, || column(Column::Id)),
    field("JobId", FieldKind::Guid, || column(Column::Id)),
    field("AgentId", FieldKind::Guid, || column(Column::AgentId)),
    field("StoreId", FieldKind::Guid, || column(Column::StoreId)),
    field("JobType", FieldKind::Folded, || {
        kind_text(column(Column::Kind))
    }),
    field("Requested", FieldKind::Date, || column(Column::RequestedAt)),
    field("Requester", FieldKind::Text, || column(Column::Requester)),
    field("ScheduleType", FieldKind::Folded, || {
        schedule_text(|| column(Column::Schedule))
    }),
    field_elsewhere(
        "ClientMachine",
        FieldKind::Folded,
        store_id,
        machine,
        stores,
    ),
    field_elsewhere("Target", FieldKind::Folded, store_id, path, stores),
    field_elsewhere("TargetPath", FieldKind::Folded, store_id, path, stores),
    field_elsewhere(
        "Agent",
        FieldKind::Folded,
        || column(Column::AgentId),
        || Expr::col((agents::Entity, agents::Column::ClientMachineFold)),
        agents_select,
    ),
];

/// The jobs that will be handed out: those that wait, and those that come back.
pub(super) fn select() -> Select<Entity> {
    let schedule = || Expr::col((queue_jobs::Entity, queue_jobs::Column::Schedule));
    let comes_back = schedule()
        .is_not_null()
        .and(schedule().ne(""))
        .and(schedule().not_like("O%"));
    let waiting = SqlQuery::select()
        .column(queue_jobs::Column::Id)
        .from(queue_jobs::Entity)
        .cond_where(
            Condition::any()
                .add(queue_jobs::Column::State.eq(0))
                .add(comes_back),
        )
        .to_owned();
    Entity::find()
        .filter(Column::Id.in_subquery(waiting))
        .filter(Column::Cancelled.eq(false))
}

/// The jobs that will be handed to agents.
#[utoipa::path(
    get,
    path = "/OrchestratorJobs/ScheduledJobs",
    tag = "OrchestratorJob",
    params(Paging),
    responses((status = 200, body = Vec<ScheduledJobResponse>, description = "The jobs; `X-Total-Count` says how many there are")),
    extensions(("x-permissions" = json!(["/agents/management/read/"])))
)]
pub(super) async fn scheduled(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<ScheduledJobResponse>, Error> {
    cx.authorize(Permission::AgentsRead)?;
    let (rows, total) = page(&cx, select(), &paging, FIELDS, "Requested", Column::Id).await?;
    let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.store_id).collect();
    let mut found: HashMap<Uuid, certificate_stores::Model> = HashMap::new();
    for part in ids.chunks(500) {
        let stores = certificate_stores::Entity::find()
            .filter(certificate_stores::Column::Id.is_in(part.iter().copied()))
            .all(cx.db().read())
            .await?;
        found.extend(stores.into_iter().map(|store| (store.id, store)));
    }
    let items = rows.into_iter().map(|row| {
        let store = row.store_id.and_then(|id| found.get(&id));
        ScheduledJobResponse {
            id: row.id,
            client_machine: store.map(|store| store.client_machine.clone()),
            target: store.map(|store| store.store_path.clone()),
            schedule: ScheduleOutput::of_compact(row.schedule.as_deref(), cx.now()),
            requested: Date(row.requested_at),
            job_type: row.job_type_id,
        }
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}
