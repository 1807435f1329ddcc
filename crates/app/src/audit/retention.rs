//! Retention: after a number of days the bodies of records go; the hashes of their leaves stay, so that every proof stays what it
//! was. A record of its own says up to where bodies were pruned, and is what tells a verifier that they are not missing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use db::tables::{audit_records, audit_runs, audit_tree};
use sea_orm::sea_query::SimpleExpr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::json;
use tokio::sync::watch;

use super::entry::{Category, Entry, Operation};
use super::export::leaves_of;
use super::keys::{Keys, ONLY, tree_row};
use super::state::State;
use super::tiles::TilesError;
use super::{check, places, sequence};
use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;
use crate::web::Date;

/// How often old records are looked for.
const PAUSE: Duration = Duration::from_secs(60 * 60);
/// Records that one transaction takes away at most.
const BATCH: i64 = 2_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Prunes now and then, until `shutdown` turns true. Every step can be repeated, and two servers may do it at once.
pub(crate) async fn run(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        if let Err(error) = prune(app).await
            && error.kind() != crate::error::Kind::Conflict
        {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: audit retention");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
}

/// Takes away the bodies of records that are older than the configured number of days. Answers up to which place of the tree
/// bodies may be gone. What was tampered with is not pruned: it would count as pruned and no longer as missing.
///
/// # Errors
/// 409 when the log was tampered with, which is logged and recorded; those of the database.
pub async fn prune(app: &Arc<App>) -> Result<i64, Error> {
    let days = i64::from(app.options.audit_retention_days);
    let before = app.clock.now().saturating_sub(days.saturating_mul(DAY_MS));
    let keys = app.audit.keys()?;
    let refused =
        |reason: String| Error::conflict(format!("The audit log was tampered with: {reason}."));
    if let Some(reason) = app.audit.suspended() {
        return Err(refused(reason));
    }
    // Of one moment: another server may be pruning.
    let snapshot = app.db.snapshot().await?;
    let state = State::read(tree_row(&snapshot, false).await?, &keys).map_err(refused)?;
    let mut end = end_of_old(&snapshot, &state, before).await?;
    if end > state.pruned_before {
        if let Some(found) = wrong_in(&snapshot, &keys, state.pruned_before, end).await? {
            let reason = format!("{found}; nothing is pruned any more");
            drop(snapshot);
            if app.audit.is_news("retention", &reason) {
                sequence::report(app, reason.clone()).await;
            }
            return Err(refused(reason));
        }
        declare(app, end, before).await?;
    }
    drop(snapshot);
    end = end.max(state.pruned_before);
    // The first time also what a run that was broken off left behind.
    let taken = app.audit.taken_away.load(Ordering::Relaxed);
    let runs = audit_runs::Entity::find()
        .filter(audit_runs::Column::FirstLeaf.lt(end))
        .filter(ends_after(taken))
        .order_by_asc(audit_runs::Column::FirstLeaf)
        .all(app.db.read())
        .await?;
    for run in runs {
        let skipped = (taken - run.first_leaf).max(0);
        let length = run.length.min(end - run.first_leaf);
        let last = run.first_position + length - 1;
        take_away(app, run.chain, run.first_position + skipped, last).await?;
    }
    app.audit.taken_away.fetch_max(end, Ordering::Relaxed);
    Ok(end)
}

/// Runs that reach beyond a place.
fn ends_after(place: i64) -> SimpleExpr {
    use sea_orm::sea_query::{Expr, ExprTrait as _};
    let first = Expr::col(audit_runs::Column::FirstLeaf);
    first.add(Expr::col(audit_runs::Column::Length)).gt(place)
}

/// What is not as it was signed in these places of the tree, if anything is.
async fn wrong_in(
    connection: &impl ConnectionTrait,
    keys: &Keys,
    first: i64,
    end: i64,
) -> Result<Option<String>, Error> {
    let mut from = first;
    while from < end {
        let to = end.min(from + BATCH);
        let leaves = match leaves_of(connection, from, to).await {
            Ok(leaves) => leaves,
            Err(TilesError::Damaged) => {
                return Ok(Some("tiles of the audit tree are damaged".into()));
            }
            Err(TilesError::Database(error)) => return Err(error),
        };
        for (place, hash, row) in leaves {
            let wrong = match row.as_ref().map(|row| check::own(keys, row)) {
                Some(Ok(own)) if own == hash => continue,
                Some(Ok(_)) => "another one is at its place",
                Some(Err(reason)) => reason,
                None => "it is missing",
            };
            return Ok(Some(format!(
                "the record at place {place} of the tree: {wrong}"
            )));
        }
        from = to;
    }
    Ok(None)
}

/// The place of the first record in the tree that is not old yet.
async fn end_of_old(
    connection: &impl ConnectionTrait,
    state: &State,
    before: i64,
) -> Result<i64, Error> {
    let size = state.checkpoint.size.cast_signed();
    let mut place = state.pruned_before;
    while place < size {
        let Some(run) = places::run_of(connection, place).await? else {
            break;
        };
        let first = run.first_position + (place - run.first_leaf);
        let last = run.first_position + run.length - 1;
        let young: Option<i64> = audit_records::Entity::find()
            .select_only()
            .column(audit_records::Column::Position)
            .filter(audit_records::Column::Chain.eq(run.chain))
            .filter(audit_records::Column::Position.between(first, last))
            .filter(audit_records::Column::At.gte(before))
            .order_by_asc(audit_records::Column::Position)
            .into_tuple()
            .one(connection)
            .await?;
        if let Some(position) = young {
            return Ok(run.first_leaf + (position - run.first_position));
        }
        place = run.first_leaf + run.length;
    }
    Ok(place)
}

/// Says, before anything is taken away, up to where: in the state of the tree and in a record.
async fn declare(app: &Arc<App>, end: i64, before: i64) -> Result<(), Error> {
    let cx = Cx::system(Arc::clone(app), "audit retention");
    let keys = app.audit.keys()?;
    let days = app.options.audit_retention_days;
    let db = cx.db().clone();
    db.write("audit.prune", move |tx| {
        Box::pin(async move {
            let state = State::read(tree_row(tx, true).await?, &keys).map_err(Error::conflict)?;
            if state.pruned_before >= end {
                // Another server was first.
                return Ok(());
            }
            let next = State {
                pruned_before: end,
                ..state
            };
            let mut row = next.into_row(&keys).into_active_model().reset_all();
            row.id = ActiveValue::Unchanged(ONLY);
            audit_tree::ActiveModel::update(row, tx).await?;
            let message = format!(
                "The bodies of the first {end} audit records, older than {days} days, were pruned; their hashes stay."
            );
            let entry = Entry::new(Operation::Deleted, Category::AuditLog, "audit log", message);
            let after = json!({ transparency::PRUNED_MEMBER: end, "older_than": Date(before).text() });
            super::record(tx, &cx, entry.after(after)).await
        })
    })
    .await
}

async fn take_away(app: &App, chain: i32, first: i64, last: i64) -> Result<(), Error> {
    let mut from = first;
    while from <= last {
        let to = last.min(from + BATCH - 1);
        app.db
            .write("audit.take_away", move |tx| {
                Box::pin(async move {
                    audit_records::Entity::delete_many()
                        .filter(audit_records::Column::Chain.eq(chain))
                        .filter(audit_records::Column::Position.between(from, to))
                        .exec(tx)
                        .await?;
                    Ok::<_, Error>(())
                })
            })
            .await?;
        from = to + 1;
    }
    Ok(())
}
