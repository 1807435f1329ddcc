//! What became of a job.

use agent_protocol::CompleteStatus;
use db::tables::{agents, certificate_stores, job_history, orchestrator_jobs};
use jobs::Finished;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder,
};
use uuid::Uuid;

use super::create::{INVENTORY, MANAGEMENT, inventory_due, inventory_now};
use super::handout::takes_report;
use super::{RESULT_FAILURE, RESULT_SUCCESS, RESULT_WARNING, STATUS_COMPLETED};
use crate::audit::{self, Category, Entry, Level, Operation};
use crate::certificates;
use crate::cx::Cx;
use crate::error::Error;

/// Characters of a message kept at most.
pub(crate) const MESSAGE_MAX_CHARACTERS: usize = 2_000;

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done.
    Success,
    /// Done, with a remark.
    Warning,
    /// Not done.
    Failure,
}

impl Ending {
    fn result(self) -> i32 {
        match self {
            Self::Success => RESULT_SUCCESS,
            Self::Warning => RESULT_WARNING,
            Self::Failure => RESULT_FAILURE,
        }
    }
}

/// What an agent says about a job.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Which job.
    pub(crate) job_id: Uuid,
    /// Its history row as the agent was told; 0 when the agent lost it.
    pub(crate) audit_id: i64,
    /// How it went.
    pub(crate) status: CompleteStatus,
    /// The agent's words.
    pub(crate) message: String,
}

/// Takes an agent's report. Said twice, it changes nothing the second time. Answers the inventory that follows, if one does.
///
/// # Errors
/// 404 when the agent was never handed such a job.
pub(crate) async fn complete(
    tx: &db::Tx,
    cx: &Cx,
    agent: &agents::Model,
    report: &Report,
) -> Result<Option<Uuid>, Error> {
    let rows = job_history::Entity::find()
        .filter(job_history::Column::JobId.eq(report.job_id))
        .filter(job_history::Column::AgentId.eq(agent.id));
    let rows = if report.audit_id > 0 {
        rows.filter(job_history::Column::Id.eq(report.audit_id))
    } else {
        rows
    };
    let row = rows.order_by_desc(job_history::Column::Id).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("job", report.job_id))?;
    if !takes_report(tx, &row).await? {
        // An agent that did not hear the answer is told the same again, as long as there is something to tell.
        return match row.store_id {
            Some(store_id) if row.kind == MANAGEMENT && row.result != RESULT_FAILURE => {
                inventory_due(tx, cx, store_id, row.agent_id).await
            }
            _ => Ok(None),
        };
    }
    let ending = match report.status {
        CompleteStatus::Success => Ending::Success,
        CompleteStatus::Warning => Ending::Warning,
        CompleteStatus::Error => Ending::Failure,
        // The C agent says 1 after some good removals and others before they are through: the lease decides.
        CompleteStatus::InProcess | CompleteStatus::Unknown => return Ok(None),
    };
    end(tx, cx, &row, ending, &report.message).await
}

/// Ends a job: its history, its place in the queue, what follows from it.
pub(crate) async fn end(
    tx: &db::Tx,
    cx: &Cx,
    row: &job_history::Model,
    ending: Ending,
    message: &str,
) -> Result<Option<Uuid>, Error> {
    let finished = jobs::finish(tx, row.job_id, cx.now()).await?;
    let message: String = message
        .trim()
        .chars()
        .take(MESSAGE_MAX_CHARACTERS)
        .collect();
    let mut ended = row.clone().into_active_model();
    ended.status = ActiveValue::Set(STATUS_COMPLETED);
    ended.result = ActiveValue::Set(ending.result());
    ended.ended_at = ActiveValue::Set(Some(cx.now()));
    ended.message = ActiveValue::Set(message.clone());
    ended.update(tx).await?;
    let job = orchestrator_jobs::Entity::find_by_id(row.job_id)
        .one(tx)
        .await?;
    let again = matches!(finished, Finished::Again { .. });
    if let (Some(job), false) = (&job, again) {
        // A failed job can be asked for again; a cancelled one, or one that is done, cannot, and its secrets go.
        if ending != Ending::Failure || job.cancelled {
            orchestrator_jobs::Entity::delete_by_id(job.id)
                .exec(tx)
                .await?;
        }
        if row.kind == INVENTORY {
            clear_schedule(tx, job.id).await?;
        }
    }
    if row.kind != MANAGEMENT {
        return Ok(None);
    }
    note(tx, cx, row, ending, &message).await?;
    let Some(store_id) = row.store_id else {
        return Ok(None);
    };
    if ending == Ending::Failure
        || certificate_stores::Entity::find_by_id(store_id)
            .one(tx)
            .await?
            .is_none()
    {
        return Ok(None);
    }
    inventory_now(tx, cx, store_id, row.agent_id)
        .await
        .map(Some)
}

/// A scheduled inventory that ran once is no longer scheduled.
async fn clear_schedule(tx: &db::Tx, job_id: Uuid) -> Result<(), Error> {
    let cleared = certificate_stores::ActiveModel {
        inventory_schedule: ActiveValue::Set(None),
        inventory_job_id: ActiveValue::Set(None),
        ..Default::default()
    };
    certificate_stores::Entity::update_many()
        .set(cleared)
        .filter(certificate_stores::Column::InventoryJobId.eq(job_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The audit record of a management job, and the line in the certificate's history.
async fn note(
    tx: &db::Tx,
    cx: &Cx,
    row: &job_history::Model,
    ending: Ending,
    message: &str,
) -> Result<(), Error> {
    let (done, tried) = match row.operation {
        2 => ("Added to certificate store", "Adding to certificate store"),
        3 => (
            "Removed from certificate store",
            "Removing from certificate store",
        ),
        _ => ("Created certificate store", "Creating certificate store"),
    };
    let target = format!("{} on {}", row.store_path, row.client_machine);
    let alias = row.alias.as_deref().filter(|alias| !alias.is_empty());
    let named = alias
        .map(|alias| format!(", alias {alias}"))
        .unwrap_or_default();
    let words = if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    };
    let (operation, level, text) = match ending {
        Ending::Success => (
            Operation::Completed,
            Level::Information,
            format!("{done} {target}{named}{words}"),
        ),
        Ending::Warning => (
            Operation::Completed,
            Level::Warning,
            format!("{done} {target}{named}{words}"),
        ),
        Ending::Failure => (
            Operation::Failed,
            Level::Failure,
            format!("{tried} {target}{named} failed{words}"),
        ),
    };
    if let (Some(certificate_id), true) = (row.certificate_id, ending != Ending::Failure) {
        let comment = format!("{target}{named}, by agent {}", row.agent_machine);
        certificates::add_history(tx, cx, certificate_id, done, &comment).await?;
    }
    let text = format!("Agent {}: {text}", row.agent_machine);
    let entry = Entry::new(operation, Category::OrchestratorJob, &row.job_type, text)
        .level(level)
        .after(serde_json::json!({
            "JobId": row.job_id, "JobHistoryId": row.id, "Result": ending.result(),
        }));
    audit::record(tx, cx, entry).await
}
