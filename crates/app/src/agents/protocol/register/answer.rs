//! What a registration is answered: the session, and the jobs that are due.

use std::collections::{HashMap, HashSet};

use agent_protocol::{OperationResult, Session, SessionJob, SessionRegisterResponse, path};
use base64::Engine;
use db::tables::{agents, orchestrator_jobs};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::super::{Call, session};
use super::Outcome;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{INVENTORY, queue_of};

/// Jobs in one session at most; the next session has the next ones.
const JOBS_MAX: usize = 1_000;
/// `Priority` of management jobs in the session's list; those of inventories have the default.
const MANAGEMENT_PRIORITY: i64 = 3;

/// The answer to what became of a registration.
///
/// # Errors
/// Those of the database.
pub(super) async fn opened_answer(
    call: &Call,
    outcome: Outcome,
) -> Result<SessionRegisterResponse, Error> {
    match outcome {
        Outcome::Closed {
            status,
            code,
            message,
        } => Ok(SessionRegisterResponse {
            session: Some(Session {
                heartbeat_interval: session::HEARTBEAT_MINUTES,
                ..Session::default()
            }),
            result: OperationResult::failure(status, &message, code),
        }),
        Outcome::Open {
            agent,
            token,
            certificate,
        } => Ok(SessionRegisterResponse {
            session: Some(Session {
                token: Some(token.to_string().into()),
                agent_id: Some(agent.id.to_string()),
                heartbeat_interval: session::HEARTBEAT_MINUTES,
                jobs: due_jobs(&call.cx, &agent).await?,
                client_parameters: std::collections::BTreeMap::new(),
                client_machine: Some(agent.client_machine.clone()),
                certificate: certificate
                    .map(|der| base64::engine::general_purpose::STANDARD.encode(der)),
                chancery: None,
            }),
            result: OperationResult::success(),
        }),
    }
}

/// The jobs that the agent can fetch now, in the order in which they are to be done. An agent that registers has nothing
/// running, so one that runs a job at a time also gets what it held when it died.
async fn due_jobs(cx: &Cx, agent: &agents::Model) -> Result<Vec<SessionJob>, Error> {
    let queue = queue_of(agent.id);
    let held = jobs::claimed(cx.db().read(), &queue).await?;
    let busy: HashSet<String> = held.iter().filter_map(|job| job.lane.clone()).collect();
    let due = jobs::due_within(cx.db().read(), &queue, cx.now()).await?;
    let free = due
        .into_iter()
        .filter(|job| job.lane.as_ref().is_none_or(|lane| !busy.contains(lane)));
    let held = held.into_iter().filter(|_| agent.single_shot);
    let ids: Vec<Uuid> = held.chain(free).map(|job| job.id).take(JOBS_MAX).collect();
    let mut found: HashMap<Uuid, (i32, Uuid)> = HashMap::new();
    for part in ids.chunks(500) {
        let rows: Vec<(Uuid, i32, Uuid)> = orchestrator_jobs::Entity::find()
            .select_only()
            .column(orchestrator_jobs::Column::Id)
            .column(orchestrator_jobs::Column::Kind)
            .column(orchestrator_jobs::Column::JobTypeId)
            .filter(orchestrator_jobs::Column::Id.is_in(part.iter().copied()))
            .into_tuple()
            .all(cx.db().read())
            .await?;
        found.extend(
            rows.into_iter()
                .map(|(id, kind, job_type_id)| (id, (kind, job_type_id))),
        );
    }
    Ok(ids
        .into_iter()
        .filter_map(|id| {
            let (kind, job_type_id) = *found.get(&id)?;
            let (configure, complete, priority) = if kind == INVENTORY {
                (path::INVENTORY_CONFIGURE, path::INVENTORY_COMPLETE, None)
            } else {
                (
                    path::MANAGEMENT_CONFIGURE,
                    path::MANAGEMENT_COMPLETE,
                    Some(MANAGEMENT_PRIORITY),
                )
            };
            Some(SessionJob {
                job_id: id,
                job_type_id,
                configuration_endpoint: Some(configure.to_owned()),
                completion_endpoint: Some(complete.to_owned()),
                schedule: None,
                cron: None,
                priority: Some(priority.unwrap_or(5)),
            })
        })
        .collect())
}
