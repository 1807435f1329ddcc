//! Forwarding: the records of the tree, in its order, to receivers outside. A cursor in the database says how far each receiver is,
//! and a lease on it which server sends; so a record is sent at least once, and twice only when a server ended between sending and
//! saying so. How a receiver is reached is the program's matter.

use std::sync::Arc;

use db::tables::audit_cursors::{ActiveModel, Column, Entity};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use transparency::to_base64;
use uuid::Uuid;

use super::entry::Level;
use super::export::leaves_of;
use super::keys::tree_row;
use super::state::State;
use super::{leaf, sequence};
use crate::app::App;
use crate::error::Error;

/// Records that are handed out at once at most.
const BATCH: i64 = 256;
/// How long a server that sends is left alone, in milliseconds.
const LEASE_MS: i64 = 60_000;

/// A record to send.
#[derive(Clone, Debug)]
pub struct Forwarded {
    /// When it happened, epoch milliseconds.
    pub at: i64,
    /// 0 information, 1 warning, 2 failure.
    pub level: i32,
    /// The record as one line of JSON: its place in the tree, then the members of its leaf; `pruned` or `missing` with the hash of
    /// the leaf instead, when there is no such record any more.
    pub line: String,
}

/// A receiver's place in the log, held by this server.
#[derive(Debug)]
pub struct Forwarder {
    app: Arc<App>,
    name: &'static str,
    holder: Uuid,
}

/// Records to send, and where the receiver is when they are sent.
#[derive(Debug)]
pub struct Batch {
    /// In the order of the tree.
    pub records: Vec<Forwarded>,
    next: i64,
}

/// A line with the place in the tree in front of its members.
fn with_place(place: i64, line: &str) -> String {
    format!("{{\"leaf_index\":{place},{}", &line[1..])
}

impl Forwarder {
    /// For the receiver of this name. A new one gets the log from its beginning.
    pub fn new(app: Arc<App>, name: &'static str) -> Self {
        let holder = app.randomness.guid();
        Self { app, name, holder }
    }

    /// The next records that a checkpoint covers; `None` when there are none, or another server sends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next(&self) -> Result<Option<Batch>, Error> {
        let read = self.app.db.read();
        let keys = self.app.audit.keys()?;
        // What cannot be believed is not forwarded.
        let Ok(state) = State::read(tree_row(read, false).await?, &keys) else {
            return Ok(None);
        };
        let size = state.checkpoint.size.cast_signed();
        let known = Entity::find_by_id(self.name).one(read).await?;
        if known.is_some_and(|cursor| cursor.next_leaf >= size) {
            return Ok(None);
        }
        let Some(first) = self.hold().await? else {
            return Ok(None);
        };
        let end = size.min(first + BATCH);
        let leaves = leaves_of(read, first, end).await.map_err(Error::from)?;
        // Read after the records: a pruning says so before it takes bodies away.
        let Ok(state) = State::read(tree_row(read, false).await?, &keys) else {
            return Ok(None);
        };
        let mut records = Vec::with_capacity(leaves.len());
        for (place, hash, row) in leaves {
            let at_its_place = row.filter(|row| leaf::hash(row) == Some(hash));
            let record = match at_its_place {
                Some(row) => Forwarded {
                    at: row.at,
                    level: row.level,
                    line: with_place(place, &String::from_utf8_lossy(&leaf::line(&row)?)),
                },
                None if place < state.pruned_before => Forwarded {
                    at: self.app.clock.now(),
                    level: Level::Information as i32,
                    line: with_place(place, &transparency::pruned_line(&hash)),
                },
                None => {
                    let reason = format!(
                        "the record at place {place} of the tree is missing or another one"
                    );
                    if self.app.audit.is_news("forwarding", &reason) {
                        sequence::report(&self.app, reason).await;
                    }
                    Forwarded {
                        at: self.app.clock.now(),
                        level: Level::Failure as i32,
                        line: with_place(
                            place,
                            &format!("{{\"missing\":\"{}\"}}", to_base64(&hash)),
                        ),
                    }
                }
            };
            records.push(record);
        }
        Ok(Some(Batch { records, next: end }))
    }

    /// Takes or keeps the lease. Answers the receiver's place; `None` when another server has it.
    async fn hold(&self) -> Result<Option<i64>, Error> {
        let (name, holder, now) = (self.name, self.holder, self.app.clock.now());
        let db = self.app.db.clone();
        db.write("audit.forward", move |tx| {
            Box::pin(async move {
                let cursor = Entity::find_by_id(name).lock_exclusive().one(tx).await?;
                let until = ActiveValue::Set(now + LEASE_MS);
                let Some(cursor) = cursor else {
                    let first = ActiveModel {
                        name: ActiveValue::Set(name.into()),
                        next_leaf: ActiveValue::Set(0),
                        holder: ActiveValue::Set(holder),
                        held_until: until,
                    };
                    Entity::insert(first).exec_without_returning(tx).await?;
                    return Ok(Some(0));
                };
                if cursor.holder != holder && cursor.held_until > now {
                    return Ok(None);
                }
                let held = ActiveModel {
                    name: ActiveValue::Unchanged(name.into()),
                    holder: ActiveValue::Set(holder),
                    held_until: until,
                    ..Default::default()
                };
                Entity::update(held).exec(tx).await?;
                Ok::<_, Error>(Some(cursor.next_leaf))
            })
        })
        .await
    }

    /// Says that the batch has arrived.
    ///
    /// # Errors
    /// Those of the database; the records are then sent again.
    pub async fn sent(&self, batch: Batch) -> Result<(), Error> {
        let (name, holder, next) = (self.name, self.holder, batch.next);
        let db = self.app.db.clone();
        db.write("audit.forwarded", move |tx| {
            Box::pin(async move {
                Entity::update_many()
                    .col_expr(Column::NextLeaf, next.into())
                    .filter(Column::Name.eq(name))
                    .filter(Column::Holder.eq(holder))
                    .exec(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await
    }

    /// Gives the lease back, so that another server need not wait for its end.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn leave(&self) -> Result<(), Error> {
        let (name, holder) = (self.name, self.holder);
        let db = self.app.db.clone();
        db.write("audit.forward_leave", move |tx| {
            Box::pin(async move {
                Entity::update_many()
                    .col_expr(Column::HeldUntil, 0_i64.into())
                    .filter(Column::Name.eq(name))
                    .filter(Column::Holder.eq(holder))
                    .exec(tx)
                    .await?;
                Ok::<_, Error>(())
            })
        })
        .await
    }
}
