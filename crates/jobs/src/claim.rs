//! Handing jobs out.

use db::tables::queue_jobs::{Column, Entity, Model};
use db::{Dialect, Tx};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, FromQueryResult, QueryFilter, Statement};
use uuid::Uuid;

use crate::job::CLAIMED;
use crate::{Error, Job};

/// Due and waiting, or held under a lease that has run out; and first of its lane.
///
/// A lane is taken while one of its jobs is held, whatever became of the lease: that one is itself the next to be handed
/// out. A job that does not repeat and was sent back to be tried again stops those of its lane that arrived after it, due
/// or not, since they may depend on it. Of the due ones that are not stopped, the one that sorts first has the lane.
///
/// Windows and not joins: PostgreSQL has no statistics about what a `WITH` answers, and ten thousand lanes joined to ten
/// thousand jobs row by row take seconds.
const CANDIDATES: &str = "
    WITH due AS (
        SELECT lane FROM queue_jobs WHERE queue = $1 AND lane IS NOT NULL
            AND ((state = 0 AND due_at <= $2) OR (state = 1 AND lease_until <= $2))
    ), lanes AS (
        SELECT id, lane, priority, due_at, sequence, state, lease_until,
            MAX(state) OVER (PARTITION BY lane) AS held,
            MIN(CASE WHEN state = 0 AND attempts > 0
                AND (schedule IS NULL OR schedule = '' OR schedule LIKE 'O%') THEN sequence END)
                OVER (PARTITION BY lane) AS stop
        FROM queue_jobs WHERE queue = $1 AND lane IN (SELECT lane FROM due)
    ), places AS (
        SELECT id, ROW_NUMBER() OVER (PARTITION BY lane ORDER BY priority, due_at, sequence) AS place
        FROM lanes WHERE (state = 1 AND lease_until <= $2)
            OR (state = 0 AND due_at <= $2 AND held = 0 AND sequence <= COALESCE(stop, sequence))
    )
    SELECT * FROM queue_jobs
    WHERE queue = $1 AND ((state = 0 AND due_at <= $2) OR (state = 1 AND lease_until <= $2))
        AND (lane IS NULL OR id IN (SELECT id FROM places WHERE place = 1))";
/// The order in which they are handed out.
const ORDER: &str = "ORDER BY priority, due_at, sequence LIMIT $3";

/// Hands out up to `limit` jobs of `queue` that are due at `now`, in the order of priority, due time and arrival, and
/// holds them until `now + lease_ms`. Jobs whose lease has run out are handed out again. At most one job of a lane is
/// held at a time; a lane's jobs keep their order, also when one that does not repeat has to be tried again.
///
/// # Errors
/// What the database said, and [`Error::Schedule`] for a row that cannot be read.
pub async fn claim(
    tx: &Tx,
    dialect: Dialect,
    queue: &str,
    now: i64,
    lease_ms: i64,
    limit: u64,
) -> Result<Vec<Job>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [queue.into(), now.into(), limit.into()];
    take(
        tx,
        dialect,
        queue,
        ORDER,
        values.into(),
        now.saturating_add(lease_ms),
    )
    .await
}

/// Hands out the job `id` of `queue`, when [`claim`] could hand it out next in its lane; otherwise `None`.
///
/// # Errors
/// As [`claim`].
pub async fn claim_one(
    tx: &Tx,
    dialect: Dialect,
    queue: &str,
    id: Uuid,
    now: i64,
    lease_ms: i64,
) -> Result<Option<Job>, Error> {
    let values = [queue.into(), now.into(), id.into()];
    let lease_until = now.saturating_add(lease_ms);
    let found = take(
        tx,
        dialect,
        queue,
        "AND id = $3",
        values.into(),
        lease_until,
    )
    .await?;
    Ok(found.into_iter().next())
}

async fn take(
    tx: &Tx,
    dialect: Dialect,
    queue: &str,
    rest: &str,
    values: Vec<sea_orm::Value>,
    lease_until: i64,
) -> Result<Vec<Job>, Error> {
    // Rows that are skipped because they are locked say nothing about the lane of their neighbours, so whoever claims
    // from a queue does so alone. The statement that follows sees what the one before committed.
    db::take_turn(tx, queue).await?;
    let sql = match dialect {
        Dialect::Sqlite => format!("{CANDIDATES} {rest}"),
        Dialect::Postgres => format!("{CANDIDATES} {rest} FOR UPDATE SKIP LOCKED"),
    };
    let statement = Statement::from_sql_and_values(dialect.backend(), sql, values);
    let rows = Model::find_by_statement(statement).all(tx).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Entity::update_many()
        .col_expr(Column::State, Expr::value(CLAIMED))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .col_expr(Column::LeaseUntil, Expr::value(lease_until))
        .filter(Column::Id.is_in(rows.iter().map(|row| row.id)))
        .exec(tx)
        .await?;
    rows.into_iter()
        .map(|row| {
            Job::try_from(Model {
                state: CLAIMED,
                attempts: row.attempts + 1,
                lease_until: Some(lease_until),
                ..row
            })
        })
        .collect()
}
