//! How many certificates there are, without counting them each time.
//!
//! Kept counts stand by the day on which certificates expire, so that those that are still valid are a sum over the days to
//! come; only the certificates that expire today have to be looked at.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicI32, Ordering};

use db::tables::{certificates, counters};
use sea_orm::sea_query::{
    Expr, ExprTrait, Func, OnConflict, Query, QueryStatementBuilder, SimpleExpr, SubQueryStatement,
};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
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

/// The row of a day: those of a day follow each other.
fn shard(turn: i32, day: i64) -> i32 {
    i32::try_from(day.saturating_mul(SHARDS.into()) + i64::from(turn)).unwrap_or(i32::MAX)
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
        let kind = if counted.state == STATE_REVOKED {
            REVOKED
        } else {
            NOT_REVOKED
        };
        *more
            .entry((kind.into(), shard(turn, day(counted.not_after))))
            .or_default() += by;
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

/// Counts what is there by state, authority and type of key, once: databases from before these counts have certificates already.
///
/// # Errors
/// Those of the database.
pub(crate) async fn begin(app: &App) -> Result<(), Error> {
    const COUNTED: &str = "certificates counted";
    let key = (COUNTED.to_owned(), 0);
    let is_counted = counters::Entity::find_by_id(key)
        .one(app.db().read())
        .await?;
    if is_counted.is_some() {
        return Ok(());
    }
    app.db()
        .write("certificates.count", |tx| {
            Box::pin(async move {
                let mark = format!(
                    "INSERT INTO counters (name, shard, value) VALUES ('{COUNTED}', 0, 1) ON CONFLICT DO NOTHING"
                );
                // The second of two servers that start at once has nothing left to do.
                if tx.execute_unprepared(&mark).await?.rows_affected() == 0 {
                    return Ok::<_, Error>(());
                }
                for by in By::ALL {
                    let (prefix, column) = (by.prefix(), by.column());
                    let sql = format!(
                        "INSERT INTO counters (name, shard, value) \
                         SELECT '{prefix}' || CAST({column} AS TEXT), 0, COUNT(*) FROM certificates GROUP BY {column}"
                    );
                    tx.execute_unprepared(&sql).await?;
                }
                Ok(())
            })
        })
        .await
}

/// How many certificates there are of each state, authority or type of key. Exact.
///
/// # Errors
/// Those of the database.
pub(super) async fn by(
    connection: &impl ConnectionTrait,
    by: By,
) -> Result<BTreeMap<i64, i64>, Error> {
    let (name, prefix) = (Expr::col(counters::Column::Name), by.prefix());
    let begins = match (connection.get_database_backend(), db::after_prefix(prefix)) {
        // SQLite has no index for `LIKE`, since it takes small letters for capital ones.
        (DbBackend::Sqlite, Some(after)) => name.clone().gte(prefix).and(name.lt(after)),
        // Ranges of prefixes are ranges only where texts compare octet by octet.
        _ => counters::Column::Name.starts_with(prefix),
    };
    let rows: Vec<(String, i64)> = counters::Entity::find()
        .select_only()
        .columns([counters::Column::Name, counters::Column::Value])
        .filter(begins)
        .into_tuple()
        .all(connection)
        .await?;
    let mut counts = BTreeMap::new();
    for (name, value) in rows {
        let number = name
            .strip_prefix(by.prefix())
            .and_then(|number| number.parse().ok());
        *counts.entry(number.unwrap_or(0)).or_default() += value;
    }
    counts.retain(|_, count| *count != 0);
    Ok(counts)
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
    // Until the end of yesterday, of today, of each day ahead, and all. Each row is read once: there may be eight for each of some
    // thousand days.
    let ahead = days.iter().map(|ahead| today + ahead + 1);
    let ends = [today, today + 1].into_iter().chain(ahead);
    let (mut parts, mut from) = (Query::select(), i32::MIN);
    for end in ends.chain([i64::MAX / 2]) {
        let until = shard(0, end);
        parts.expr(SimpleExpr::SubQuery(None, Box::new(counted(from..until))));
        from = until;
    }
    let row = connection.query_one(&parts).await?;
    let row = row.ok_or_else(|| Error::internal("a sum without a row"))?;
    let (mut all, mut sum) = (Vec::with_capacity(days.len() + 3), 0);
    for index in 0..days.len() + 3 {
        sum += row.try_get_by_index::<i64>(index)?;
        all.push(sum);
    }
    let [yesterday, whole_today, ref windows @ .., whole] = all[..] else {
        return Err(Error::internal("sums are missing"));
    };
    let left = i64::try_from(valid_today(connection, false, now).await?).unwrap_or(0);
    // Those of today that have expired.
    let gone = yesterday + (whole_today - yesterday - left);
    Ok(Expiring {
        expired: gone,
        valid: whole - gone,
        windows: windows.iter().map(|sum| sum - gone).collect(),
    })
}

/// How many not revoked ones are counted in these rows.
fn counted(rows: Range<i32>) -> SubQueryStatement {
    let sum = Func::sum(Expr::col(counters::Column::Value));
    let sum = Func::coalesce([sum.into(), Expr::val(0)]).cast_as("BIGINT");
    Query::select()
        .expr(sum)
        .from(counters::Entity)
        .and_where(Expr::col(counters::Column::Name).eq(NOT_REVOKED))
        .and_where(Expr::col(counters::Column::Shard).gte(rows.start))
        .and_where(Expr::col(counters::Column::Shard).lt(rows.end))
        .take()
        .into_sub_query_statement()
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
        .column_as(
            Expr::col(counters::Column::Value).sum().cast_as("BIGINT"),
            "total",
        )
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
