//! Writing a record: it takes the next position of a chain whose head is moved in the same transaction. A row that is deleted,
//! changed, moved or put there behind the server's back is missed or out of place from then on, before any checkpoint covers it.
//!
//! SQLite has one writer and one chain. PostgreSQL has many: a transaction takes the first head that nobody else holds, so that
//! no row is hot and nobody waits.

use db::Dialect;
use db::tables::audit_records::{Column, Entity, Model};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, Statement, Value,
};

use super::entry::Entry;
use super::keys::{Keys, Place, tree_row};
use super::state::State;
use super::{check, leaf};
use crate::cx::Cx;
use crate::error::Error;

/// How often a record looks for another id, when somebody else's row has the one it was given.
const ATTEMPTS: usize = 10;
/// Rows that are looked at together for the newest that is the server's.
const PAGE: u64 = 200;

const COLUMNS: &str = "id, chain, position, at, actor, on_behalf_of, address, operation, category, level, name, message, before, \
                       after, correlation_id, actor_fold, on_behalf_of_fold, name_fold, leaf_hash, mac";
const VALUES: &str =
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20";

/// Where a record goes.
struct Target {
    chain: i32,
    position: i64,
    id: i64,
}

/// Writes a record into the transaction of the change.
///
/// # Errors
/// Those of the database.
pub(crate) async fn record(tx: &db::Tx, cx: &Cx, entry: Entry) -> Result<(), Error> {
    let log = &cx.app().audit;
    let keys = log.keys()?;
    let dialect = cx.db().dialect();
    let mut target = match dialect {
        Dialect::Sqlite => sqlite_target(tx, cx, &keys).await?,
        Dialect::Postgres => postgres_target(tx, &keys).await?,
    };
    for _ in 0..ATTEMPTS {
        let row = row(cx, &keys, &entry, &target)?;
        if insert(tx, dialect, &keys, row).await? {
            if dialect == Dialect::Sqlite {
                log.set_place(Place {
                    position: target.position,
                    id: target.id,
                });
            }
            log.written.notify_one();
            return Ok(());
        }
        target.id = next_id(tx, dialect, target.id).await?;
    }
    Err(Error::internal("no id was free for an audit record"))
}

/// Writes many records, each in the name of its own caller, at consecutive positions of one chain and in few statements.
///
/// # Errors
/// Those of the database, and of it when somebody else's row has an id that was taken here: [`record`] finds another one.
pub(crate) async fn record_all(tx: &db::Tx, entries: Vec<(&Cx, Entry)>) -> Result<(), Error> {
    let Some((cx, _)) = entries.first() else {
        return Ok(());
    };
    let log = &cx.app().audit;
    let keys = log.keys()?;
    let first = match cx.db().dialect() {
        Dialect::Sqlite => sqlite_target(tx, cx, &keys).await?,
        Dialect::Postgres => postgres_target(tx, &keys).await?,
    };
    let mut ids = vec![first.id];
    match cx.db().dialect() {
        Dialect::Sqlite => ids.extend((first.id + 1..).take(entries.len() - 1)),
        Dialect::Postgres => {
            let [more] = db::reserve_ids(tx, ["audit_records"], entries.len() - 1).await?;
            ids.extend(more);
        }
    }
    let mut last = Place {
        position: first.position,
        id: first.id,
    };
    let mut rows = Vec::with_capacity(entries.len());
    for ((position, id), (cx, entry)) in (first.position..).zip(ids).zip(&entries) {
        last = Place { position, id };
        let target = Target {
            chain: first.chain,
            position,
            id,
        };
        let row = row(cx, &keys, entry, &target)?;
        rows.push(row.into_active_model().reset_all());
    }
    db::insert_all(tx, rows).await?;
    let head = Statement::from_sql_and_values(
        cx.db().dialect().backend(),
        "UPDATE audit_heads SET position = $1, mac = $2 WHERE chain = $3",
        [
            last.position.into(),
            keys.head_mac(first.chain, last.position).to_vec().into(),
            first.chain.into(),
        ],
    );
    tx.execute_raw(head).await?;
    if cx.db().dialect() == Dialect::Sqlite {
        log.set_place(last);
    }
    log.written.notify_one();
    Ok(())
}

fn row(cx: &Cx, keys: &Keys, entry: &Entry, target: &Target) -> Result<Model, Error> {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
    let mut row = Model {
        id: target.id,
        chain: target.chain,
        position: target.position,
        at: cx.now(),
        actor: cx.caller_name(),
        // Not for oneself.
        on_behalf_of: entry
            .on_behalf_of
            .clone()
            .filter(|name| *name != cx.caller_name()),
        address: cx.address().map(|address| address.to_string()),
        operation: entry.operation as i32,
        category: entry.category as i32,
        level: entry.level as i32,
        name: entry.name.clone(),
        message: entry.message.clone(),
        before: text(&entry.before),
        after: text(&entry.after),
        correlation_id: cx.correlation_id(),
        actor_fold: String::new(),
        on_behalf_of_fold: None,
        name_fold: String::new(),
        leaf_hash: Vec::new(),
        mac: Vec::new(),
    };
    let hash = transparency::leaf_hash(&leaf::line(&row)?);
    (row.actor_fold, row.on_behalf_of_fold, row.name_fold) = folded(&row);
    row.leaf_hash = hash.to_vec();
    row.mac = keys.record_mac(row.chain, row.position, &hash).to_vec();
    Ok(row)
}

/// What a record's columns to be found by hold: actor, on behalf of, name.
pub(super) fn folded(row: &Model) -> (String, Option<String>, String) {
    let on_behalf_of = row.on_behalf_of.as_deref().map(db::fold);
    (db::fold(&row.actor), on_behalf_of, db::fold(&row.name))
}

/// False when another row has the id.
async fn insert(tx: &db::Tx, dialect: Dialect, keys: &Keys, row: Model) -> Result<bool, Error> {
    let mut sql = format!(
        "INSERT INTO audit_records ({COLUMNS}) VALUES ({VALUES}) ON CONFLICT (id) DO NOTHING"
    );
    let (chain, position) = (row.chain, row.position);
    let mut values: Vec<Value> = vec![
        row.id.into(),
        row.chain.into(),
        row.position.into(),
        row.at.into(),
        row.actor.into(),
        row.on_behalf_of.into(),
        row.address.into(),
        row.operation.into(),
        row.category.into(),
        row.level.into(),
        row.name.into(),
        row.message.into(),
        row.before.into(),
        row.after.into(),
        row.correlation_id.into(),
        row.actor_fold.into(),
        row.on_behalf_of_fold.into(),
        row.name_fold.into(),
        row.leaf_hash.into(),
        row.mac.into(),
    ];
    if dialect == Dialect::Postgres {
        // One way to the server instead of two.
        sql = format!(
            "WITH head AS (UPDATE audit_heads SET position = $3, mac = $21 WHERE chain = $2) {sql}"
        );
        values.push(keys.head_mac(chain, position).to_vec().into());
    }
    let statement = Statement::from_sql_and_values(dialect.backend(), sql, values);
    Ok(tx.execute_raw(statement).await?.rows_affected() == 1)
}

async fn next_id(tx: &db::Tx, dialect: Dialect, taken: i64) -> Result<i64, Error> {
    let sql = match dialect {
        Dialect::Sqlite => "SELECT COALESCE(MAX(id), 0) + 1 AS id FROM audit_records",
        Dialect::Postgres => "SELECT nextval(pg_get_serial_sequence('audit_records', 'id')) AS id",
    };
    let statement = Statement::from_string(dialect.backend(), sql);
    let row = tx.query_one_raw(statement).await?;
    let id: Option<i64> = row.map(|row| row.try_get("", "id")).transpose()?;
    Ok(id.unwrap_or(taken + 1))
}

const SQLITE_CHAIN: i32 = 0;

/// Moves the head of the one chain. What this process wrote last is nearly always where it stands.
async fn sqlite_target(tx: &db::Tx, cx: &Cx, keys: &Keys) -> Result<Target, Error> {
    let log = &cx.app().audit;
    if let Some(last) = log.place() {
        let moved = Statement::from_sql_and_values(
            DbBackend::Sqlite,
            "UPDATE audit_heads SET position = $1, mac = $2 WHERE chain = 0 AND position = $3 AND mac = $4",
            [
                (last.position + 1).into(),
                keys.head_mac(SQLITE_CHAIN, last.position + 1)
                    .to_vec()
                    .into(),
                last.position.into(),
                keys.head_mac(SQLITE_CHAIN, last.position).to_vec().into(),
            ],
        );
        if tx.execute_raw(moved).await?.rows_affected() == 1 {
            return Ok(Target {
                chain: SQLITE_CHAIN,
                position: last.position + 1,
                id: last.id + 1,
            });
        }
    }
    // The first record of this process, or the last one was rolled back, or another process wrote.
    let newest = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT position, mac FROM audit_heads WHERE chain = 0",
    );
    let head = match tx.query_one_raw(newest).await? {
        Some(row) => Some((row.try_get("", "position")?, row.try_get("", "mac")?)),
        None => None,
    };
    let position = next_position(tx, keys, SQLITE_CHAIN, head).await?;
    let put = Statement::from_sql_and_values(
        DbBackend::Sqlite,
        "INSERT INTO audit_heads (chain, position, mac) VALUES (0, $1, $2)
         ON CONFLICT (chain) DO UPDATE SET position = excluded.position, mac = excluded.mac",
        [
            position.into(),
            keys.head_mac(SQLITE_CHAIN, position).to_vec().into(),
        ],
    );
    tx.execute_raw(put).await?;
    let known = log.place().map_or(0, |place| place.id + 1);
    let id = next_id(tx, Dialect::Sqlite, 0).await?.max(known);
    Ok(Target {
        chain: SQLITE_CHAIN,
        position,
        id,
    })
}

/// Takes the first head that no other transaction holds, and a new id.
async fn postgres_target(tx: &db::Tx, keys: &Keys) -> Result<Target, Error> {
    let select = |rest: &str| {
        let sql = format!(
            "SELECT chain, position, mac, nextval(pg_get_serial_sequence('audit_records', 'id')) AS id
             FROM audit_heads ORDER BY chain LIMIT 1 FOR UPDATE {rest}"
        );
        Statement::from_string(DbBackend::Postgres, sql)
    };
    let mut found = tx.query_one_raw(select("SKIP LOCKED")).await?;
    if found.is_none() {
        // All are held: more transactions at once than there are chains.
        found = tx.query_one_raw(select("")).await?;
    }
    let (chain, head, id) = match &found {
        Some(row) => {
            let head = (row.try_get("", "position")?, row.try_get("", "mac")?);
            (
                row.try_get("", "chain")?,
                Some(head),
                row.try_get("", "id")?,
            )
        }
        None => {
            // Somebody deleted them all.
            let put = "INSERT INTO audit_heads (chain, position, mac) VALUES (0, 0, '') ON CONFLICT DO NOTHING";
            tx.execute_raw(Statement::from_string(DbBackend::Postgres, put))
                .await?;
            (0, None, next_id(tx, Dialect::Postgres, 0).await?)
        }
    };
    let position = next_position(tx, keys, chain, head).await?;
    Ok(Target {
        chain,
        position,
        id,
    })
}

/// The position after the head's. After a head that somebody else changed or deleted, one is left out on purpose: the sequencer
/// finds it missing and writes that down, whatever was deleted to hide what.
async fn next_position(
    tx: &db::Tx,
    keys: &Keys,
    chain: i32,
    head: Option<(i64, Vec<u8>)>,
) -> Result<i64, Error> {
    if let Some((position, mac)) = &head
        && keys.head_mac(chain, *position)[..] == mac[..]
    {
        return Ok(position + 1);
    }
    tracing::error!(
        chain,
        "the head of an audit chain was changed by somebody else"
    );
    let signed =
        State::read(tree_row(tx, false).await?, keys).map_or(0, |state| state.position(chain));
    Ok(newest(tx, keys, chain, signed).await? + 2)
}

/// The position of the newest record that this server wrote to a chain; `signed` when there is none after that. What others put
/// there, and what a head claims that is not the server's, say nothing.
pub(super) async fn newest(
    tx: &db::Tx,
    keys: &Keys,
    chain: i32,
    signed: i64,
) -> Result<i64, Error> {
    let mut below = i64::MAX;
    loop {
        let rows = Entity::find()
            .filter(Column::Chain.eq(chain))
            .filter(Column::Position.gt(signed))
            .filter(Column::Position.lte(below))
            .order_by_desc(Column::Position)
            .limit(PAGE)
            .all(tx)
            .await?;
        if let Some(row) = rows.iter().find(|row| check::own(keys, row).is_ok()) {
            return Ok(row.position);
        }
        match rows.last() {
            Some(last) if last.position > signed + 1 => below = last.position - 1,
            _ => return Ok(signed),
        }
    }
}
