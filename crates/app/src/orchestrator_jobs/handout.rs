//! Handing a job to its agent, and taking it back when the agent falls silent.

use db::tables::{agents, certificate_stores, job_history, orchestrator_jobs};
use jobs::Job;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder,
};
use uuid::Uuid;

use super::create::queue_of;
use super::outcome::{self, Ending};
use super::{STATUS_COMPLETED, STATUS_IN_PROCESS, STATUS_WILL_RETRY};
use crate::cx::Cx;
use crate::error::Error;

/// How often a job is handed out before silence counts as a failure.
pub(crate) const ATTEMPTS_MAX: i32 = 3;
/// How often an agent may fetch a job that it holds already, after it was restarted or an answer was lost.
const FETCHES_MAX: i32 = 20;

/// What became of an agent's wish for a job.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The agent has it. The number of its history row.
    Over(i64),
    /// It was cancelled, or is done.
    Cancelled,
    /// Another job of the store comes first, or it is not due.
    NotNow,
}

/// Hands `job` to its agent under a lease and opens its history. An agent that holds it already (it was restarted, or did
/// not get the answer) gets the same history row again and the lease anew.
pub(crate) async fn hand_out(
    tx: &db::Tx,
    cx: &Cx,
    agent: &agents::Model,
    job: &orchestrator_jobs::Model,
    store: &certificate_stores::Model,
) -> Result<Handed, Error> {
    let queue = queue_of(agent.id);
    lapse(tx, cx, &queue).await?;
    let Some(queued) = jobs::find(tx, job.id).await? else {
        return Ok(Handed::Cancelled);
    };
    let lease_ms = cx.app().options.job_lease_ms;
    if queued.lease_until.is_some() {
        return again(tx, cx, job.id, cx.now().saturating_add(lease_ms)).await;
    }
    let claimed =
        jobs::claim_one(tx, cx.db().dialect(), &queue, job.id, cx.now(), lease_ms).await?;
    let Some(claimed) = claimed else {
        return Ok(Handed::NotNow);
    };
    let row = job_history::ActiveModel {
        id: ActiveValue::NotSet,
        job_id: ActiveValue::Set(job.id),
        agent_id: ActiveValue::Set(agent.id),
        agent_machine: ActiveValue::Set(agent.client_machine.clone()),
        store_id: ActiveValue::Set(Some(store.id)),
        store_path: ActiveValue::Set(store.store_path.clone()),
        client_machine: ActiveValue::Set(store.client_machine.clone()),
        job_type: ActiveValue::Set(job.job_type.clone()),
        kind: ActiveValue::Set(job.kind),
        operation: ActiveValue::Set(job.operation),
        alias: ActiveValue::Set(job.alias.clone()),
        certificate_id: ActiveValue::Set(job.certificate_id),
        schedule: ActiveValue::Set(job.schedule.clone()),
        started_at: ActiveValue::Set(cx.now()),
        ended_at: ActiveValue::Set(None),
        message: ActiveValue::Set(String::new()),
        result: ActiveValue::Set(0),
        status: ActiveValue::Set(STATUS_IN_PROCESS),
        attempt: ActiveValue::Set(claimed.attempts),
    };
    Ok(Handed::Over(row.insert(tx).await?.id))
}

async fn again(tx: &db::Tx, cx: &Cx, job_id: Uuid, lease_until: i64) -> Result<Handed, Error> {
    let Some(row) = in_process(tx, job_id).await? else {
        return Ok(Handed::Cancelled);
    };
    if row.attempt >= FETCHES_MAX {
        let message = format!(
            "The agent fetched the job {} times and never reported on it.",
            row.attempt
        );
        outcome::end(tx, cx, &row, Ending::Failure, &message).await?;
        return Ok(Handed::Cancelled);
    }
    jobs::renew(tx, job_id, lease_until).await?;
    let (id, attempt) = (row.id, row.attempt + 1);
    let mut row = row.into_active_model();
    row.attempt = ActiveValue::Set(attempt);
    row.update(tx).await?;
    Ok(Handed::Over(id))
}

/// The history row of a job that an agent holds.
pub(crate) async fn in_process(
    tx: &db::Tx,
    job_id: Uuid,
) -> Result<Option<job_history::Model>, Error> {
    Ok(job_history::Entity::find()
        .filter(job_history::Column::JobId.eq(job_id))
        .filter(job_history::Column::Status.eq(STATUS_IN_PROCESS))
        .order_by_desc(job_history::Column::Id)
        .one(tx)
        .await?)
}

/// Takes back the jobs of a queue whose lease has run out. Each is handed out again, or fails when that was tried often
/// enough.
pub(crate) async fn lapse(tx: &db::Tx, cx: &Cx, queue: &str) -> Result<(), Error> {
    for job in jobs::claimed(tx, queue).await? {
        if job.lease_until.is_some_and(|until| until <= cx.now()) {
            lapse_one(tx, cx, &job).await?;
        }
    }
    Ok(())
}

async fn lapse_one(tx: &db::Tx, cx: &Cx, job: &Job) -> Result<(), Error> {
    let row = in_process(tx, job.id).await?;
    if job.attempts >= ATTEMPTS_MAX {
        let message = format!(
            "The agent was handed the job {} times and never reported on it.",
            job.attempts
        );
        return match row {
            Some(row) => outcome::end(tx, cx, &row, Ending::Failure, &message)
                .await
                .map(drop),
            None => Ok(jobs::finish(tx, job.id, cx.now()).await.map(drop)?),
        };
    }
    jobs::retry(tx, job.id, cx.now()).await?;
    if let Some(row) = row {
        let mut row = row.into_active_model();
        row.status = ActiveValue::Set(STATUS_WILL_RETRY);
        row.result = ActiveValue::Set(super::RESULT_FAILURE);
        row.ended_at = ActiveValue::Set(Some(cx.now()));
        row.message = ActiveValue::Set(
            "The agent did not report in time. The job will be handed out again.".into(),
        );
        row.update(tx).await?;
    }
    Ok(())
}

/// Whether a history row can still take a report: in process, or given up on while the job waits to be tried again.
pub(crate) async fn takes_report(tx: &db::Tx, row: &job_history::Model) -> Result<bool, Error> {
    Ok(match row.status {
        STATUS_IN_PROCESS => true,
        STATUS_WILL_RETRY => jobs::find(tx, row.job_id)
            .await?
            .is_some_and(|job| job.lease_until.is_none() && job.attempts > 0),
        // The job was withdrawn while the agent worked on it: what it did is worth knowing.
        STATUS_COMPLETED => {
            let job = orchestrator_jobs::Entity::find_by_id(row.job_id)
                .one(tx)
                .await?;
            job.is_some_and(|job| job.cancelled) && row.result == super::RESULT_FAILURE
        }
        _ => false,
    })
}
