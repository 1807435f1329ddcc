//! A job, as asked for and as kept.

use db::tables::queue_jobs;
use uuid::Uuid;

use crate::{Error, Schedule};

/// State of a job that nobody holds.
pub(crate) const WAITING: i32 = 0;
/// State of a job that was handed out.
pub(crate) const CLAIMED: i32 = 1;

/// A job to put in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Chosen by the caller. A second job of the same id is taken for the first one said twice.
    pub id: Uuid,
    /// Who may claim it, for instance one agent.
    pub queue: String,
    /// Jobs of one lane of a queue are handed out one at a time and in order; those without a lane all at once.
    pub lane: Option<String>,
    /// What it is, for the one who claims it.
    pub kind: String,
    /// Smaller goes first.
    pub priority: i32,
    /// When it may be handed out first, epoch milliseconds; usually [`Schedule::first_due`].
    pub due_at: i64,
    /// When it comes back after it is finished. `None` and the schedules that do not repeat: never.
    pub schedule: Option<Schedule>,
    /// The queue does not read it.
    pub payload: String,
}

/// A job in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Id.
    pub id: Uuid,
    /// Who may claim it.
    pub queue: String,
    /// Jobs of one lane of a queue are handed out one at a time and in order.
    pub lane: Option<String>,
    /// What it is.
    pub kind: String,
    /// Smaller goes first.
    pub priority: i32,
    /// When it may be handed out, epoch milliseconds.
    pub due_at: i64,
    /// When it comes back after it is finished.
    pub schedule: Option<Schedule>,
    /// What was enqueued.
    pub payload: String,
    /// How often it was handed out since it was enqueued or, when it repeats, since its last finish.
    pub attempts: i32,
    /// Until when somebody holds it, epoch milliseconds. `None`: it waits.
    pub lease_until: Option<i64>,
    /// When it was enqueued, epoch milliseconds.
    pub created_at: i64,
}

impl Job {
    /// Whether it comes back after it is finished.
    pub fn repeats(&self) -> bool {
        self.schedule.is_some_and(|schedule| schedule.repeats())
    }
}

impl TryFrom<queue_jobs::Model> for Job {
    type Error = Error;

    fn try_from(row: queue_jobs::Model) -> Result<Self, Error> {
        let schedule = row
            .schedule
            .as_deref()
            .map(Schedule::parse_compact)
            .transpose()
            .map_err(|source| Error::Schedule { id: row.id, source })?;
        Ok(Self {
            id: row.id,
            queue: row.queue,
            lane: row.lane,
            kind: row.kind,
            priority: row.priority,
            due_at: row.due_at,
            schedule,
            payload: row.payload,
            attempts: row.attempts,
            lease_until: if row.state == CLAIMED {
                row.lease_until
            } else {
                None
            },
            created_at: row.created_at,
        })
    }
}
