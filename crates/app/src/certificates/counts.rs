//! How many certificates there are, without counting them each time.
//!
//! Kept counts stand by the day on which certificates expire, so that those that are still valid are a sum over the days to
//! come; only the certificates that expire today have to be looked at. Days that nobody asks for one by one are counted together too.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, Ordering};

use db::tables::{certificates, counters};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait,
    QueryFilter, QuerySelect,
};

use super::record::STATE_REVOKED;
use crate::app::App;
use crate::error::Error;

/// Rows in one statement at most: databases limit how many values a statement may have.
const ROWS_MAX: usize = 1_000;

/// Rows for each thing that is counted, so that writers of different certificates seldom wait for the same row.
const SHARDS: i32 = 8;
const NOT_REVOKED: &str = "certificates.not_revoked";
const REVOKED: &str = "certificates.revoked";
/// The same as of [`NOT_REVOKED`] by this many days: what expired years ago and what is valid for years is a few rows.
const NOT_REVOKED_SPANS: &str = "certificates.not_revoked.spans";
const SPAN: i64 = if cfg!(feature = "testing") { 3 } else { 64 };

/// What is counted of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) not_after: i64,
    pub(crate) state: i32,
    pub(crate) authority_id: Option<i64>,
    pub(crate) key_type: i32,
}

impl From<&certificates::Model> for Counted {
    fn from(row: &certificates::Model) -> Self {
        Self {
            not_after: row.not_after,
            state: row.state,
            authority_id: row.authority_id,
            key_type: row.key_type,
        }
    }
}

/// By what certificates are counted all together, revoked and expired ones too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    State,
    /// 0 for those of no authority here.
    Authority,
    KeyType,
}

impl By {
    const ALL: [Self; 3] = [Self::State, Self::Authority, Self::KeyType];

    fn prefix(self) -> &'static str {
        match self {
            Self::State => "certificates.state.",
            Self::Authority => "certificates.authority.",
            Self::KeyType => "certificates.key_type.",
        }
    }

    /// The same in the table.
    fn column(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Authority => "COALESCE(authority_id, 0)",
            Self::KeyType => "key_type",
        }
    }

    fn of(self, counted: &Counted) -> i64 {
        match self {
            Self::State => counted.state.into(),
            Self::Authority => counted.authority_id.unwrap_or(0),
            Self::KeyType => counted.key_type.into(),
        }
    }
}

fn day(at: i64) -> i64 {
    // Certificates that expired before 1970 count as expired on its first day.
    at.clamp(0, i64::MAX) / jobs::DAY_MS
}

/// The row of a day or a span: those of a day follow each other.
fn shard(turn: i32, number: i64) -> i32 {
    i32::try_from(number.saturating_mul(SHARDS.into()) + i64::from(turn)).unwrap_or(i32::MAX)
}

/// Counts certificates: each by +1 when it is recorded, by -1 when it is deleted, and both when it becomes another. Who waits for a
/// count waits with everything else written, so that nobody waits in a circle: this stands last in a transaction.
///
/// # Errors
/// Those of the database.
pub(crate) async fn change(
    tx: &db::Tx,
    changes: impl IntoIterator<Item = (Counted, i64)>,
) -> Result<(), Error> {
    // All of them in one row of a thing, another one each time: those who write at the same moment seldom wait for each other.
    static TURN: AtomicI32 = AtomicI32::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed).rem_euclid(SHARDS);
    // Rows are written in one order by everybody, so that no two wait for each other in a circle.
    let mut more: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for (counted, by) in changes {
        let day = day(counted.not_after);
        let kind = if counted.state == STATE_REVOKED {
            REVOKED
        } else {
            let span = (NOT_REVOKED_SPANS.into(), shard(turn, day / SPAN));
            *more.entry(span).or_default() += by;
            NOT_REVOKED
        };
        *more.entry((kind.into(), shard(turn, day))).or_default() += by;
        for dimension in By::ALL {
            let name = format!("{}{}", dimension.prefix(), dimension.of(&counted));
            *more.entry((name, turn)).or_default() += by;
        }
    }
    more.retain(|_, by| *by != 0);
    let rows: Vec<counters::ActiveModel> = more
        .into_iter()
        .map(|((name, shard), by)| counters::ActiveModel {
            name: ActiveValue::Set(name),
            shard: ActiveValue::Set(shard),
            value: ActiveValue::Set(by),
        })
        .collect();
    for rows in rows.chunks(ROWS_MAX) {
        let sum = OnConflict::columns([counters::Column::Name, counters::Column::Shard])
            .value(
                counters::Column::Value,
                Expr::col((counters::Entity, counters::Column::Value))
                    .add(Expr::col(("excluded", counters::Column::Value))),
            )
            .to_owned();
        counters::Entity::insert_many(rows.to_vec())
            .on_conflict(sum)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Counts what is there by state, authority and type of key, and by spans of days, once: databases from before these counts have
/// certificates already.
///
/// # Errors
/// Those of the database.
pub(crate) async fn begin(app: &App) -> Result<(), Error> {
    let each = By::ALL.map(|by| {
        let (prefix, column) = (by.prefix(), by.column());
        format!(
            "INSERT INTO counters (name, shard, value) \
             SELECT '{prefix}' || CAST({column} AS TEXT), 0, COUNT(*) FROM certificates GROUP BY {column}"
        )
    });
    once(app, "certificates counted", each.into()).await?;
    let days = i64::from(SHARDS) * SPAN;
    let spans = format!(
        "INSERT INTO counters (name, shard, value) \
         SELECT '{NOT_REVOKED_SPANS}', shard / {days} * {SHARDS}, SUM(value) FROM counters \
         WHERE name = '{NOT_REVOKED}' GROUP BY shard / {days}"
    );
    once(app, "certificates counted by spans", vec![spans]).await
}

/// Counts what nobody has counted before.
async fn once(app: &App, mark: &'static str, counting: Vec<String>) -> Result<(), Error> {
    let key = (mark.to_owned(), 0);
    let is_counted = counters::Entity::find_by_id(key)
        .one(app.db().read())
        .await?;
    if is_counted.is_some() {
        return Ok(());
    }
    app.db()
        .write("certificates.count", move |tx| {
            Box::pin(async move {
                let mark = format!(
                    "INSERT INTO counters (name, shard, value) VALUES ('{mark}', 0, 1) ON CONFLICT DO NOTHING"
                );
                // The second of two servers that start at once has nothing left to do.
                if tx.execute_unprepared(&mark).await?.rows_affected() == 0 {
                    return Ok::<_, Error>(());
                }
                for sql in counting {
                    tx.execute_unprepared(&sql).await?;
                }
                Ok(())
            })
        })
        .await
}

/// How many certificates there are of each state, of each authority and of each type of key. Exact.
///
/// # Errors
/// Those of the database.
pub(super) async fn each(
    connection: &impl ConnectionTrait,
) -> Result<[BTreeMap<i64, i64>; By::ALL.len()], Error> {
    let name = Expr::col(counters::Column::Name);
    let begins = |by: By| match (
        connection.get_database_backend(),
        db::after_prefix(by.prefix()),
    ) {
        // SQLite has no index for `LIKE`, since it takes small letters for capital ones.
        (DbBackend::Sqlite, Some(after)) => {
            name.clone().gte(by.prefix()).and(name.clone().lt(after))
        }
        // Ranges of prefixes are ranges only where texts compare octet by octet.
        _ => counters::Column::Name.starts_with(by.prefix()),
    };
    let any = By::ALL
        .into_iter()
        .fold(Condition::any(), |any, by| any.add(begins(by)));
    // In one statement, which PostgreSQL answers by looking through the whole table.
    let rows: Vec<(String, i64)> = counters::Entity::find()
        .select_only()
        .column(counters::Column::Name)
        .column_as(sum_of_values(), "sum")
        .filter(any)
        .group_by(counters::Column::Name)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(By::ALL.map(|by| {
        let counts = rows.iter().filter_map(|(name, count)| {
            let number = name.strip_prefix(by.prefix())?;
            (*count != 0).then_some((number.parse().unwrap_or(0), *count))
        });
        counts.collect()
    }))
}

/// When certificates expire that are not revoked.
pub(super) struct Expiring {
    pub(super) expired: i64,
    pub(super) valid: i64,
    /// Of the valid ones, those of each number of days ahead.
    pub(super) windows: Vec<i64>,
}

/// Counts what expires until the end of the day so many days ahead, which ascend. Exact.
///
/// # Errors
/// Those of the database.
pub(super) async fn expiring(
    connection: &impl ConnectionTrait,
    days: &[i64],
    now: i64,
) -> Result<Expiring, Error> {
    let today = day(now);
    // Until the end of yesterday, of today, and of each day ahead; the last part is what comes after.
    let ahead = days.iter().map(|ahead| today + ahead + 1);
    let ends: Vec<i64> = [today, today + 1].into_iter().chain(ahead).collect();
    let last = i32::try_from(ends.len()).unwrap_or(i32::MAX);
    // Each day only from the begin of today's span to the end of that of the last day: there may be eight rows for each of some
    // thousand days. In one statement that reads each row once.
    let one_by_one = today / SPAN..ends.last().unwrap_or(&today) / SPAN + 1;
    let (name, row) = (
        Expr::col(counters::Column::Name),
        Expr::col(counters::Column::Shard),
    );
    let of = |rows: &str, from| {
        let rows = Condition::all().add(name.clone().eq(rows));
        rows.add(row.clone().gte(from))
    };
    let span = |number| shard(0, number);
    let day = |span: i64| shard(0, span.saturating_mul(SPAN));
    let (near, ahead) = (of(NOT_REVOKED, day(one_by_one.start)), span(one_by_one.end));
    let read = Condition::any()
        .add(near.add(row.clone().lt(day(one_by_one.end))))
        .add(of(NOT_REVOKED_SPANS, 0).add(row.clone().lt(span(one_by_one.start))))
        .add(of(NOT_REVOKED_SPANS, ahead));
    let is_span = || name.clone().eq(NOT_REVOKED_SPANS);
    let mut part = CaseStatement::new()
        .case(is_span().and(row.clone().lt(span(one_by_one.start))), 0)
        .case(is_span(), last);
    for (number, end) in (0..last).zip(&ends) {
        part = part.case(row.clone().lt(shard(0, *end)), number);
    }
    let parts = counters::Entity::find()
        .select_only()
        .column_as(SimpleExpr::Case(Box::new(part.finally(last))), "part")
        .column_as(sum_of_values(), "sum")
        .filter(read)
        .group_by(Expr::col("part"));
    let parts: Vec<(i32, i64)> = parts.into_tuple().all(connection).await?;
    let parts: BTreeMap<i32, i64> = parts.into_iter().collect();
    let until = |part| parts.range(..=part).map(|(_, count)| count).sum::<i64>();
    let (yesterday, whole_today) = (until(0), until(1));
    let left = i64::try_from(valid_today(connection, false, now).await?).unwrap_or(0);
    // Those of today that have expired.
    let gone = yesterday + (whole_today - yesterday - left);
    Ok(Expiring {
        expired: gone,
        valid: until(last) - gone,
        windows: (2..last).map(|part| until(part) - gone).collect(),
    })
}

fn sum_of_values() -> SimpleExpr {
    let sum = Expr::col((counters::Entity, counters::Column::Value)).sum();
    sum.cast_as("BIGINT")
}

/// Those that expire today and have not yet.
async fn valid_today(
    connection: &impl ConnectionTrait,
    include_revoked: bool,
    now: i64,
) -> Result<u64, Error> {
    let tomorrow = (day(now) + 1) * jobs::DAY_MS;
    let mut valid = certificates::Entity::find()
        .filter(certificates::Column::NotAfter.gt(now))
        .filter(certificates::Column::NotAfter.lt(tomorrow));
    if !include_revoked {
        valid = valid.filter(certificates::Column::State.ne(STATE_REVOKED));
    }
    Ok(valid.count(connection).await?)
}

/// How many certificates an unfiltered list has. Exact.
///
/// # Errors
/// Those of the database.
pub(crate) async fn total(
    connection: &impl ConnectionTrait,
    include_revoked: bool,
    include_expired: bool,
    now: i64,
) -> Result<u64, Error> {
    let kinds = &[NOT_REVOKED, REVOKED][..if include_revoked { 2 } else { 1 }];
    let mut kept = counters::Entity::find()
        .select_only()
        .column_as(sum_of_values(), "total")
        .filter(counters::Column::Name.is_in(kinds.iter().copied()));
    let mut today = 0;
    if !include_expired {
        kept = kept.filter(counters::Column::Shard.gte(shard(0, day(now) + 1)));
        today = valid_today(connection, include_revoked, now).await?;
    }
    let kept: Option<Option<i64>> = kept.into_tuple().one(connection).await?;
    let kept = kept.flatten().unwrap_or(0);
    Ok(u64::try_from(kept).unwrap_or(0) + today)
}
