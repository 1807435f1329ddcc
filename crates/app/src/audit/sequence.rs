//! The sequencer: takes records from their chains in order, puts them into the tree, and signs a checkpoint. One transaction; the
//! row of the tree is locked for it, so that of two servers on one database one does it at a time.
//!
//! A record that is missing from its chain or was changed there is not signed over: it stays out, and a record of its own, which
//! is signed, says so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use db::tables::{audit_heads, audit_records, audit_tree};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
};
use tokio::sync::watch;
use transparency::{Hash, from_base64, to_base64};

use super::entry::{Category, Entry, Level, Operation};
use super::kept::{self, Comparison};
use super::keys::{Keys, chains, tree_row};
use super::places::NewRuns;
use super::state::State;
use super::{chain, check, tiles};
use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;

/// Records of one chain that one transaction takes at most.
const BATCH: u64 = 4_096;
/// The shortest time between two checkpoints of a busy server.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest time without a look, when another server wrote.
const LONGEST: Duration = Duration::from_secs(5);

/// Puts every record into the tree that is not there yet, and signs. Answers the checkpoint as a signed note.
///
/// # Errors
/// 409 when the log is not the one that was signed before, with the reason; those of the database.
pub async fn checkpoint(app: &Arc<App>) -> Result<String, Error> {
    match sequence(app, None).await? {
        Ok(state) => Ok(state.note),
        Err(reason) => {
            suspend(app, reason.clone()).await;
            Err(Error::conflict(format!(
                "The audit log is not signed: {reason}."
            )))
        }
    }
}

/// Runs until `shutdown` turns true: woken by records, and now and then by the clock.
pub(crate) async fn run(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    while !*shutdown.borrow() {
        if let Err(error) = checkpoint(app).await
            && error.kind() != crate::error::Kind::Conflict
        {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "background: audit");
        }
        let woken = async {
            tokio::time::sleep(PAUSE).await;
            // A timeout is as good as a record: either way it looks.
            drop(tokio::time::timeout(LONGEST, app.audit.written.notified()).await);
        };
        tokio::select! {
            () = woken => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
    }
    // What was written last is signed before the server ends.
    drop(checkpoint(app).await);
}

/// Remembers why nothing is signed any more; the first time it is logged and recorded.
pub(super) async fn suspend(app: &Arc<App>, reason: String) {
    if app.audit.set_suspended(Some(reason.clone())) {
        report(app, reason).await;
    }
}

/// Logs and records that somebody else had his hands on the log.
pub(super) async fn report(app: &Arc<App>, reason: String) {
    tracing::error!(reason, "the audit log was tampered with");
    let cx = Cx::system(Arc::clone(app), "audit");
    let db = cx.db().clone();
    let recorded = db
        .write("audit.report", move |tx| {
            Box::pin(async move { tampering(tx, &cx, &reason).await })
        })
        .await;
    if let Err(error) = recorded {
        tracing::error!(%error, "audit: the tampering could not be recorded");
    }
}

async fn tampering(tx: &db::Tx, cx: &Cx, reason: &str) -> Result<(), Error> {
    let entry = Entry::new(
        Operation::Failed,
        Category::AuditLog,
        "audit log",
        format!("Tampering was found: {reason}."),
    );
    super::record(tx, cx, entry.level(Level::Failure)).await
}

/// The state after everything is in the tree, or why nothing is signed. `restored` is the line that a restore adds.
pub(super) async fn sequence(
    app: &Arc<App>,
    restored: Option<String>,
) -> Result<Result<State, String>, Error> {
    let keys = app.audit.keys()?;
    let mut restored = restored;
    loop {
        let batch = Batch {
            cx: Cx::system(Arc::clone(app), "audit"),
            keys: Arc::clone(&keys),
            restored: restored.take(),
        };
        let done = app
            .db
            .write("audit.sequence", move |tx| Box::pin(batch.run(tx)))
            .await?;
        let (state, more) = match done {
            Ok(done) => done,
            Err(reason) => return Ok(Err(reason)),
        };
        // What follows is compared with it: after a restore no longer with what was signed before.
        kept::save(app, &keys, &state).await;
        if !more {
            app.audit.set_suspended(None);
            return Ok(Ok(state));
        }
    }
}

struct Batch {
    cx: Cx,
    keys: Arc<Keys>,
    restored: Option<String>,
}

/// What was found between the tree and the heads.
#[derive(Default)]
struct Found {
    leaves: Vec<(i32, i64, Hash)>,
    wrong: Vec<String>,
    positions: BTreeMap<i32, i64>,
    more: bool,
}

impl Batch {
    async fn run(self, tx: &db::Tx) -> Result<Result<(State, bool), String>, Error> {
        let app = self.cx.app();
        let state = match State::read(tree_row(tx, true).await?, &self.keys) {
            Ok(state) => state,
            Err(reason) => return Ok(Err(reason)),
        };
        // After a restore that was declared, what was signed before it is not asked any more.
        if self.restored.is_none() {
            match kept::compare(tx, &app.audit.kept(), &state).await {
                Ok(()) => {}
                Err(Comparison::Differs(reason)) => return Ok(Err(reason)),
                Err(Comparison::Database(error)) => return Err(error),
            }
        }
        let found = self.waiting(tx, &state).await?;
        if found.leaves.is_empty() && found.wrong.is_empty() && self.restored.is_none() {
            return Ok(Ok((state, false)));
        }
        let mut tree = match tiles::resume(tx, state.checkpoint.size).await {
            Ok(tree) if tree.root() == state.checkpoint.root => tree,
            Ok(_) | Err(tiles::TilesError::Damaged) => {
                return Ok(Err("tiles of the audit tree are damaged".into()));
            }
            Err(tiles::TilesError::Database(error)) => return Err(error),
        };
        for reason in &found.wrong {
            tracing::error!(reason, "the audit log was tampered with");
            // Its own record follows in the next batch.
            tampering(tx, &self.cx, reason).await?;
        }
        let mut runs = NewRuns::default();
        for (chain, position, leaf) in &found.leaves {
            runs.push(tree.size().cast_signed(), *chain, *position);
            tree.append(*leaf);
        }
        let changed = tree.take_changed();
        if !changed.is_empty() {
            tiles::save(tx, changed).await?;
            runs.save(tx).await?;
        }
        let next = self.extended(state, &found, tree.size(), tree.root());
        let mut row = next
            .clone()
            .into_row(&self.keys)
            .into_active_model()
            .reset_all();
        row.id = sea_orm::ActiveValue::Unchanged(super::keys::ONLY);
        audit_tree::ActiveModel::update(row, tx).await?;
        Ok(Ok((next, found.more || !found.wrong.is_empty())))
    }

    fn extended(&self, state: State, found: &Found, size: u64, root: Hash) -> State {
        let mut checkpoint = state.checkpoint;
        if let Some(line) = &self.restored {
            checkpoint.extensions.push(line.clone());
        }
        checkpoint.size = size;
        checkpoint.root = root;
        let mut positions = state.positions;
        positions.extend(&found.positions);
        State {
            note: checkpoint.sign(&self.keys.signer),
            checkpoint,
            positions,
            pruned_before: state.pruned_before,
        }
    }

    /// The records of every chain after those in the tree, up to the chain's head.
    async fn waiting(&self, tx: &db::Tx, state: &State) -> Result<Found, Error> {
        let mut found = Found::default();
        let heads = audit_heads::Entity::find()
            .order_by_asc(audit_heads::Column::Chain)
            .all(tx)
            .await?;
        let there = heads.iter().map(|head| head.chain).collect();
        let gone = chains_without_head(self.cx.db().dialect(), &state.positions, &there);
        for chain in &gone {
            let position = chain::newest(tx, &self.keys, *chain, state.position(*chain)).await?;
            self.mend(tx, *chain, position).await?;
        }
        found.wrong.extend(heads_are_gone(&gone));
        for head in heads {
            let (chain, signed) = (head.chain, state.position(head.chain));
            if self.keys.head_mac(chain, head.position)[..] != head.mac[..] {
                found
                    .wrong
                    .push(format!("the head of chain {chain} was changed"));
                let position = chain::newest(tx, &self.keys, chain, signed).await?;
                self.mend(tx, chain, position).await?;
            } else if head.position < signed {
                found
                    .wrong
                    .push(format!("the head of chain {chain} was put back"));
                self.mend(tx, chain, signed).await?;
            } else if head.position > signed {
                self.waiting_in(tx, chain, signed, head.position, &mut found)
                    .await?;
            }
        }
        Ok(found)
    }

    async fn waiting_in(
        &self,
        tx: &db::Tx,
        chain: i32,
        signed: i64,
        head: i64,
        found: &mut Found,
    ) -> Result<(), Error> {
        let end = head.min(signed + BATCH.cast_signed());
        found.more |= end < head;
        let rows = audit_records::Entity::find()
            .filter(audit_records::Column::Chain.eq(chain))
            .filter(audit_records::Column::Position.gt(signed))
            .filter(audit_records::Column::Position.lte(end))
            .order_by_asc(audit_records::Column::Position)
            .order_by_asc(audit_records::Column::Id)
            .all(tx)
            .await?;
        let mut next = signed + 1;
        let gap = |from: i64, to: i64| match to - from {
            1 => format!("record {from} of chain {chain} is missing"),
            _ => format!("records {from} to {} of chain {chain} are missing", to - 1),
        };
        for row in rows {
            let position = row.position;
            let Ok(hash) = check::own(&self.keys, &row) else {
                found.wrong.push(format!(
                    "record {position} of chain {chain} was changed or put there"
                ));
                continue;
            };
            if position < next {
                found
                    .wrong
                    .push(format!("record {position} of chain {chain} is there twice"));
                continue;
            }
            if position > next {
                found.wrong.push(gap(next, position));
            }
            found.leaves.push((chain, position, hash));
            next = position + 1;
        }
        if next <= end {
            found.wrong.push(gap(next, end + 1));
        }
        found.positions.insert(chain, end);
        Ok(())
    }

    /// Gives a chain a head again. The next record leaves no gap: what was wrong is in a record already.
    async fn mend(&self, tx: &db::Tx, chain: i32, position: i64) -> Result<(), Error> {
        use sea_orm::ActiveValue::Set;
        let row = audit_heads::ActiveModel {
            chain: Set(chain),
            position: Set(position),
            mac: Set(self.keys.head_mac(chain, position).to_vec()),
        };
        let replace = sea_orm::sea_query::OnConflict::column(audit_heads::Column::Chain)
            .update_columns([audit_heads::Column::Position, audit_heads::Column::Mac])
            .to_owned();
        audit_heads::Entity::insert(row)
            .on_conflict(replace)
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }
}

/// The chains that have no head although they are used, or were made with the log.
pub(super) fn chains_without_head(
    dialect: db::Dialect,
    used: &BTreeMap<i32, i64>,
    there: &BTreeSet<i32>,
) -> BTreeSet<i32> {
    let all = (0..chains(dialect)).chain(used.keys().copied());
    all.filter(|chain| !there.contains(chain)).collect()
}

/// The same as people read it.
pub(super) fn heads_are_gone(chains: &BTreeSet<i32>) -> Option<String> {
    let names: Vec<String> = chains.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("the head of chain {one} is gone")),
        all => Some(format!("the heads of chains {} are gone", all.join(", "))),
    }
}

/// The line of a checkpoint that tells of a restore.
pub(super) fn restored_line(size: u64, root: &Hash) -> String {
    format!("restored {size} {}", to_base64(root))
}

/// Size and root of such a line.
pub(super) fn parse_restored(line: &str) -> Option<(u64, Hash)> {
    let (size, root) = line.strip_prefix("restored ")?.split_once(' ')?;
    Some((size.parse().ok()?, from_base64(root)?))
}
