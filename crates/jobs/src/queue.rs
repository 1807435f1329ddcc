//! Everything that happens to a job but being claimed.

use std::sync::atomic::{AtomicI64, Ordering};

use db::Tx;
use db::tables::queue_jobs::{ActiveModel, Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};
use uuid::Uuid;

use crate::job::{CLAIMED, WAITING};
use crate::{Error, Job, NewJob, Schedule};

/// What became of a finished job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// There is no such job: it was finished or cancelled before.
    Unknown,
    /// It was done once and is gone.
    Removed,
    /// It repeats and waits for its next time.
    Again {
        /// Epoch milliseconds.
        due_at: i64,
    },
}

impl Finished {
    /// Whether there was such a job.
    pub fn existed(self) -> bool {
        self != Self::Unknown
    }
}

/// Puts a job in its queue. A job of the same id that is there already stays as it is.
///
/// # Errors
/// What the database said.
pub async fn enqueue(tx: &Tx, job: &NewJob, now: i64) -> Result<(), Error> {
    let row = ActiveModel {
        id: Set(job.id),
        queue: Set(job.queue.clone()),
        lane: Set(job.lane.clone()),
        kind: Set(job.kind.clone()),
        priority: Set(job.priority),
        due_at: Set(job.due_at),
        schedule: Set(job.schedule.map(|schedule| schedule.compact())),
        state: Set(WAITING),
        attempts: Set(0),
        lease_until: Set(None),
        payload: Set(job.payload.clone()),
        created_at: Set(now),
        sequence: Set(next_sequence(now)),
    };
    Entity::insert(row)
        .on_conflict_do_nothing_on([Column::Id])
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A number above all that this process gave, and above those of earlier milliseconds that others gave.
fn next_sequence(now: i64) -> i64 {
    /// How many jobs may arrive in a millisecond before the numbers run ahead of the clock, which they may.
    const IN_A_MILLISECOND: i64 = 4_096;
    static LAST: AtomicI64 = AtomicI64::new(0);
    let floor = now.saturating_mul(IN_A_MILLISECOND);
    let next = |last: i64| last.saturating_add(1).max(floor);
    let (Ok(last) | Err(last)) = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(next(last))
    });
    next(last)
}

/// The jobs of `queue` that somebody holds, also those whose lease has run out and that nobody has taken since.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn claimed(connection: &impl ConnectionTrait, queue: &str) -> Result<Vec<Job>, Error> {
    let held = Entity::find()
        .filter(Column::Queue.eq(queue))
        .filter(Column::State.eq(CLAIMED));
    jobs(connection, held).await
}

/// The jobs of `queue` that wait and are due at or before `until`, in the order in which they will be handed out. Whether
/// their lane is free is not looked at.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn due_within(
    connection: &impl ConnectionTrait,
    queue: &str,
    until: i64,
) -> Result<Vec<Job>, Error> {
    let due = Entity::find()
        .filter(Column::Queue.eq(queue))
        .filter(Column::State.eq(WAITING))
        .filter(Column::DueAt.lte(until));
    jobs(connection, due).await
}

async fn jobs(connection: &impl ConnectionTrait, query: Select<Entity>) -> Result<Vec<Job>, Error> {
    query
        .order_by_asc(Column::Priority)
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::Sequence)
        .all(connection)
        .await?
        .into_iter()
        .map(Job::try_from)
        .collect()
}

/// When the first waiting job of any queue is due, epoch milliseconds.
///
/// # Errors
/// What the database said.
pub async fn earliest_due(connection: &impl ConnectionTrait) -> Result<Option<i64>, Error> {
    earliest(connection, Entity::find()).await
}

/// When the first waiting job of `queue` is due, epoch milliseconds.
///
/// # Errors
/// What the database said.
pub async fn earliest_due_in(
    connection: &impl ConnectionTrait,
    queue: &str,
) -> Result<Option<i64>, Error> {
    earliest(connection, Entity::find().filter(Column::Queue.eq(queue))).await
}

async fn earliest(
    connection: &impl ConnectionTrait,
    query: Select<Entity>,
) -> Result<Option<i64>, Error> {
    Ok(query
        .select_only()
        .column(Column::DueAt)
        .filter(Column::State.eq(WAITING))
        .order_by_asc(Column::DueAt)
        .limit(1)
        .into_tuple()
        .one(connection)
        .await?)
}

/// The job of this id.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn find(connection: &impl ConnectionTrait, id: Uuid) -> Result<Option<Job>, Error> {
    Entity::find_by_id(id)
        .one(connection)
        .await?
        .map(Job::try_from)
        .transpose()
}

/// Holds a job longer, until `lease_until` (epoch milliseconds). False when nobody holds it any more.
///
/// # Errors
/// What the database said.
pub async fn renew(tx: &Tx, id: Uuid, lease_until: i64) -> Result<bool, Error> {
    let updated = Entity::update_many()
        .col_expr(Column::LeaseUntil, Expr::value(lease_until))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(CLAIMED))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Records that a job is done. One that repeats waits for its next time after `now`; any other is removed. Said twice, it
/// changes nothing the second time.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn finish(tx: &Tx, id: Uuid, now: i64) -> Result<Finished, Error> {
    let Some(row) = locked(tx, id).await? else {
        return Ok(Finished::Unknown);
    };
    let never_handed_out = row.state == WAITING && row.attempts == 0;
    let job = Job::try_from(row)?;
    if job.repeats() && never_handed_out {
        return Ok(Finished::Again { due_at: job.due_at });
    }
    match job.schedule.and_then(|schedule| schedule.next_after(now)) {
        Some(due_at) => {
            Entity::update_many()
                .col_expr(Column::State, Expr::value(WAITING))
                .col_expr(Column::Attempts, Expr::value(0))
                .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
                .col_expr(Column::DueAt, Expr::value(due_at))
                .filter(Column::Id.eq(id))
                .exec(tx)
                .await?;
            Ok(Finished::Again { due_at })
        }
        None => {
            Entity::delete_by_id(id).exec(tx).await?;
            Ok(Finished::Removed)
        }
    }
}

/// Sends a job back to wait until `due_at`, with the attempts it has had. One that does not repeat keeps its place before
/// the jobs of its lane that arrived later. False when there is no such job.
///
/// # Errors
/// What the database said.
pub async fn retry(tx: &Tx, id: Uuid, due_at: i64) -> Result<bool, Error> {
    let updated = Entity::update_many()
        .col_expr(Column::State, Expr::value(WAITING))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// Removes a job, also one that somebody holds, and answers what it was.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn cancel(tx: &Tx, id: Uuid) -> Result<Option<Job>, Error> {
    let Some(row) = locked(tx, id).await? else {
        return Ok(None);
    };
    Entity::delete_by_id(id).exec(tx).await?;
    Job::try_from(row).map(Some)
}

/// Gives a job another schedule and due time. Somebody who holds it keeps it; for that one `due_at` says nothing, since
/// finishing computes the next time. False when there is no such job.
///
/// # Errors
/// What the database said.
pub async fn reschedule(
    tx: &Tx,
    id: Uuid,
    schedule: Option<Schedule>,
    due_at: i64,
) -> Result<bool, Error> {
    let updated = Entity::update_many()
        .col_expr(
            Column::Schedule,
            Expr::value(schedule.map(|schedule| schedule.compact())),
        )
        .col_expr(Column::DueAt, Expr::value(due_at))
        .filter(Column::Id.eq(id))
        .exec(tx)
        .await?;
    Ok(updated.rows_affected > 0)
}

/// The row, locked against everyone else until the transaction ends.
async fn locked(tx: &Tx, id: Uuid) -> Result<Option<Model>, Error> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}
