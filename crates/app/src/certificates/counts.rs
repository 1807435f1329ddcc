//! How many certificates there are, without counting them each time.
//!
//! Kept counts stand by the day on which certificates expire, so that those that are still valid are a sum over the days to
//! come; only the certificates that expire today have to be looked at.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use db::tables::{certificates, counters};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};

use super::record::STATE_REVOKED;
use crate::error::Error;

/// Rows for each day, so that writers of different certificates seldom wait for the same row.
const SHARDS: i64 = 8;

/// Which certificates a kept count is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All but the revoked ones.
    NotRevoked,
    /// The revoked ones.
    Revoked,
}

impl Kind {
    const ALL: [Self; 2] = [Self::NotRevoked, Self::Revoked];

    fn name(self) -> &'static str {
        match self {
            Self::NotRevoked => "certificates.not_revoked",
            Self::Revoked => "certificates.revoked",
        }
    }
}

fn day(at: i64) -> i64 {
    // Certificates that expired before 1970 count as expired on its first day.
    at.clamp(0, i64::MAX) / jobs::DAY_MS
}

/// The row in which somebody counts: a day's rows follow each other.
fn shard(by_whom: i64, day: i64) -> i32 {
    i32::try_from(day.saturating_mul(SHARDS) + by_whom.rem_euclid(SHARDS)).unwrap_or(i32::MAX)
}

/// Counts a certificate: +1 when it is recorded, -1 when it is deleted, and from one kind to the other when it is revoked.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add(
    tx: &db::Tx,
    kind: Kind,
    id: i64,
    not_after: i64,
    by: i64,
) -> Result<(), Error> {
    write(tx, kind, [(shard(id, day(not_after)), by)].into()).await
}

/// Counts new certificates, given when each expires.
///
/// # Errors
/// Those of the database.
pub(super) async fn add_all(
    tx: &db::Tx,
    kind: Kind,
    not_after: impl Iterator<Item = i64>,
) -> Result<(), Error> {
    // All of them in one row of a day, another one each time: those who write at the same moment seldom wait for each other.
    static TURN: AtomicI64 = AtomicI64::new(0);
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let mut more: BTreeMap<i32, i64> = BTreeMap::new();
    for at in not_after {
        *more.entry(shard(turn, day(at))).or_default() += 1;
    }
    write(tx, kind, more).await
}

/// Counts certificates, given the id of each, when it expires, and by how much.
///
/// # Errors
/// Those of the database.
pub(super) async fn add_each(
    tx: &db::Tx,
    kind: Kind,
    certificates: impl Iterator<Item = (i64, i64, i64)>,
) -> Result<(), Error> {
    let mut more: BTreeMap<i32, i64> = BTreeMap::new();
    for (id, not_after, by) in certificates {
        *more.entry(shard(id, day(not_after))).or_default() += by;
    }
    match more.is_empty() {
        true => Ok(()),
        false => write(tx, kind, more).await,
    }
}

/// Counts certificates as revoked that were not, given the id of each and when it expires.
///
/// # Errors
/// Those of the database.
pub(crate) async fn count_revoked(tx: &db::Tx, certificates: &[(i64, i64)]) -> Result<(), Error> {
    let each = |by: i64| certificates.iter().map(move |(id, at)| (*id, *at, by));
    add_each(tx, Kind::NotRevoked, each(-1)).await?;
    add_each(tx, Kind::Revoked, each(1)).await
}

/// Rows are written in one order by everybody, so that no two wait for each other in a circle.
async fn write(tx: &db::Tx, kind: Kind, more: BTreeMap<i32, i64>) -> Result<(), Error> {
    let rows = more.into_iter().map(|(shard, by)| counters::ActiveModel {
        name: ActiveValue::Set(kind.name().into()),
        shard: ActiveValue::Set(shard),
        value: ActiveValue::Set(by),
    });
    let sum = OnConflict::columns([counters::Column::Name, counters::Column::Shard])
        .value(
            counters::Column::Value,
            Expr::col((counters::Entity, counters::Column::Value))
                .add(Expr::col(("excluded", counters::Column::Value))),
        )
        .to_owned();
    counters::Entity::insert_many(rows)
        .on_conflict(sum)
        .exec_without_returning(tx)
        .await?;
    Ok(())
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
    let kinds = &Kind::ALL[..if include_revoked { 2 } else { 1 }];
    let mut kept = counters::Entity::find()
        .select_only()
        .column_as(
            Expr::col(counters::Column::Value).sum().cast_as("BIGINT"),
            "total",
        )
        .filter(counters::Column::Name.is_in(kinds.iter().map(|kind| kind.name())));
    let mut today = 0;
    if !include_expired {
        let tomorrow = (day(now) + 1) * jobs::DAY_MS;
        kept = kept.filter(counters::Column::Shard.gte(shard(0, day(tomorrow))));
        let mut valid = certificates::Entity::find()
            .filter(certificates::Column::NotAfter.gt(now))
            .filter(certificates::Column::NotAfter.lt(tomorrow));
        if !include_revoked {
            valid = valid.filter(certificates::Column::State.ne(STATE_REVOKED));
        }
        today = valid.count(connection).await?;
    }
    let kept: Option<Option<i64>> = kept.into_tuple().one(connection).await?;
    let kept = kept.flatten().unwrap_or(0);
    Ok(u64::try_from(kept).unwrap_or(0) + today)
}
