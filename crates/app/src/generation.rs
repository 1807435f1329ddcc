//! Generations: numbers that say whether something kept in memory is still what the database says. Whoever changes the thing
//! moves its generation in the same transaction; whoever uses what is remembered reads the generation first, so that a change
//! counts at once in every server on the same database.

use std::sync::atomic::{AtomicI32, Ordering};

use db::tables::counters;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query, SimpleExpr};
use sea_orm::{ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::error::Error;

/// What has a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generation {
    /// Roles, what they grant and who holds them, claims, permission sets, identity providers, the keys of our tokens; and, since every
    /// request reads it, what every enrollment goes by: templates, metadata fields, the owner policy.
    Security,
    /// Which certificate stores there are, their machines and their containers.
    CertificateStores,
}

impl Generation {
    fn name(self) -> &'static str {
        match self {
            Self::Security => "security generation",
            Self::CertificateStores => "certificate stores generation",
        }
    }

    /// Rows of the generation. Changes of security wait for each other on their only row (`security/administration.rs`); those of
    /// stores, which are many, seldom do.
    fn shards(self) -> i32 {
        match self {
            Self::Security => 1,
            Self::CertificateStores => 8,
        }
    }

    /// Has to stand in every transaction that changes the thing.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn moved(self, tx: &db::Tx) -> Result<(), Error> {
        static TURN: AtomicI32 = AtomicI32::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let row = counters::ActiveModel {
            name: ActiveValue::Set(self.name().to_owned()),
            shard: ActiveValue::Set(turn.rem_euclid(self.shards())),
            value: ActiveValue::Set(1),
        };
        let one_more = OnConflict::columns([counters::Column::Name, counters::Column::Shard])
            .value(
                counters::Column::Value,
                Expr::col((counters::Entity, counters::Column::Value)).add(1),
            )
            .to_owned();
        counters::Entity::insert(row)
            .on_conflict(one_more)
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }

    /// The generation as it is now.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn now(self, connection: &impl ConnectionTrait) -> Result<i64, Error> {
        let sum: Option<Option<i64>> = counters::Entity::find()
            .select_only()
            .column_as(sum(), "generation")
            .filter(counters::Column::Name.eq(self.name()))
            .into_tuple()
            .one(connection)
            .await?;
        Ok(sum.flatten().unwrap_or_default())
    }

    /// The generation, to be selected with whatever is read anyway. Null as long as nothing was changed.
    pub(crate) fn query(self) -> SimpleExpr {
        let query = Query::select()
            .expr(sum())
            .from(counters::Entity)
            .and_where(counters::Column::Name.eq(self.name()))
            .to_owned();
        SimpleExpr::SubQuery(None, Box::new(query.into()))
    }
}

/// Each row only grows, so their sum says that one of them did.
fn sum() -> SimpleExpr {
    Expr::col(counters::Column::Value).sum().cast_as("BIGINT")
}
