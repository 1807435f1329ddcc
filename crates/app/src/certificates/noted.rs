//! Which certificates changed, so that what is kept in memory of lists is brought up to date instead of thrown away, on every server.
//!
//! Whoever changes something that lists depend on notes whose ids in its own transaction. Whoever kept something remembers from which
//! mark on a transaction may have been missed; later it asks which ids have been noted from there on. On SQLite the mark is the
//! number of the next note. On PostgreSQL it is the oldest transaction that was under way: each that was not seen then has this
//! number or a higher one. So what is asked for may have been seen already, but nothing is left out, and nobody waits for anybody.

use db::tables::certificate_changes::{ActiveModel, Entity};
use sea_orm::{ActiveValue, ConnectionTrait, DbBackend, EntityTrait, Statement};

use crate::app::App;
use crate::cx::Cx;
use crate::error::Error;

/// Notes that are kept.
const KEPT: u64 = 10_000;
/// Ranges of ids in one note's transaction; of more, all certificates are said to have changed.
const RANGES_MAX: usize = 200;
/// Ids that are answered at most.
const IDS_MAX: usize = 2_000;
/// What is kept may be so much later than who looks at it. More, and the clock was put back.
const CLOCK_MS: i64 = 60_000;
/// Up to which note all were forgotten: a row of `counters`.
const FORGOTTEN: &str = "certificate changes forgotten";

/// Notes that certificates are new, gone, or different in something that a list may be filtered or sorted by. Has to stand in every
/// transaction that does so.
///
/// # Errors
/// Those of the database.
pub(crate) async fn note(tx: &db::Tx, ids: impl IntoIterator<Item = i64>) -> Result<(), Error> {
    let mut ids: Vec<i64> = ids.into_iter().collect();
    ids.sort_unstable();
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for id in ids {
        match ranges.last_mut() {
            Some((_, last)) if id <= *last + 1 => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    if ranges.len() > RANGES_MAX {
        return note_all(tx).await;
    }
    write(tx, ranges).await
}

/// Notes that something else changed which queries over certificates may name.
///
/// # Errors
/// Those of the database.
pub(crate) async fn note_all(tx: &db::Tx) -> Result<(), Error> {
    write(tx, vec![(0, i64::MAX)]).await
}

async fn write(tx: &db::Tx, ranges: Vec<(i64, i64)>) -> Result<(), Error> {
    if ranges.is_empty() {
        return Ok(());
    }
    let rows = ranges.into_iter().map(|(first, last)| ActiveModel {
        version: ActiveValue::NotSet,
        first_id: ActiveValue::Set(first),
        last_id: ActiveValue::Set(last),
    });
    Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// The moment of which something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Notes from here on may not have been seen.
    pub(super) mark: i64,
    /// No notes from here on have been seen.
    pub(super) end: i64,
    /// How many transactions before `end` were under way. With the same `mark` and `end` they can only have become fewer.
    pub(super) running: i64,
    /// The generations of what certificates do not have themselves: stores, and roles.
    pub(super) others: i64,
    /// The time by which it was decided what has expired.
    pub(super) at: i64,
    /// When the next certificate expires.
    pub(super) until: i64,
}

impl Moment {
    /// Whether what certificates do not have themselves is as it was `before`, where a statement asks of it.
    pub(super) fn holds(self, statement: &str, before: Self) -> bool {
        let asks = ["\"certificate_stores\"", "\"roles\""]
            .iter()
            .any(|table| statement.contains(table));
        !asks || before.others == self.others
    }

    fn transactions(self) -> (i64, i64, i64) {
        (self.mark, self.end, self.running)
    }
}

/// What changed since a moment.
#[derive(Debug)]
pub(super) enum Changed {
    /// Whatever these ids may be about. None: nothing did.
    Ids(Vec<i64>),
    /// Too much, or nobody knows.
    Unknown,
    /// The other moment is later.
    Later,
}

/// The database at one moment: all that is read through the snapshot is of it, and the context's clock stands still.
pub(super) struct View {
    pub(super) cx: Cx,
    pub(super) snapshot: db::Snapshot,
    pub(super) moment: Moment,
    /// Up to which note all were forgotten.
    forgotten: i64,
}

impl View {
    /// The present.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn open(cx: &Cx) -> Result<Self, Error> {
        let (snapshot, at) = (cx.db().snapshot().await?, cx.now());
        let backend = snapshot.get_database_backend();
        let (mark, end, running) = match backend {
            DbBackend::Sqlite => {
                let next = "(SELECT COALESCE(MAX(version), 0) + 1 FROM certificate_changes)";
                (next, next, "0")
            }
            _ => (
                "pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
                "pg_snapshot_xmax(pg_current_snapshot())::text::bigint",
                "(SELECT COUNT(*) FROM pg_snapshot_xip(pg_current_snapshot()))",
            ),
        };
        let sum = |names: &str| {
            format!(
                "(SELECT CAST(COALESCE(SUM(value), 0) AS BIGINT) FROM counters WHERE name IN ({names}))"
            )
        };
        let (forgotten, others) = (
            sum(&format!("'{FORGOTTEN}'")),
            sum("'security generation', 'certificate stores generation'"),
        );
        // The text is always the same, so that it is planned once.
        let sql = format!(
            "SELECT {mark} AS mark, {end} AS mark_end, CAST({running} AS BIGINT) AS running, {forgotten} AS forgotten,
             {others} AS others, (SELECT MIN(not_after) FROM certificates WHERE not_after > $1) AS until"
        );
        let statement = Statement::from_sql_and_values(backend, sql, [at.into()]);
        let row = snapshot.query_one_raw(statement).await?;
        let row = row.ok_or_else(|| Error::internal("a moment without a row"))?;
        let until: Option<i64> = row.try_get("", "until")?;
        let moment = Moment {
            mark: row.try_get("", "mark")?,
            end: row.try_get("", "mark_end")?,
            running: row.try_get("", "running")?,
            others: row.try_get("", "others")?,
            at,
            until: until.unwrap_or(i64::MAX),
        };
        let forgotten = row.try_get("", "forgotten")?;
        Ok(Self {
            cx: cx.with_clock_at(at),
            snapshot,
            moment,
            forgotten,
        })
    }

    /// What changed since another moment; what expired since then too, where what is kept is `by_time`.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn since(&self, before: Moment, by_time: bool) -> Result<Changed, Error> {
        let Moment {
            mark,
            end,
            running,
            at,
            ..
        } = self.moment;
        let is_same = before.transactions() == self.moment.transactions();
        // A little later by the clock is another server's or task's; much later, and the clock was put back.
        let is_later = before.mark > mark
            || before.end > end
            || ((before.mark, before.end) == (mark, end) && before.running < running)
            || (by_time && before.at > at && before.at <= at + CLOCK_MS);
        if is_later {
            return Ok(Changed::Later);
        }
        if before.mark <= self.forgotten || (by_time && before.at > at) {
            return Ok(Changed::Unknown);
        }
        if is_same && (!by_time || at < before.until) {
            return Ok(Changed::Ids(Vec::new()));
        }
        let backend = self.snapshot.get_database_backend();
        let mut sql =
            "SELECT first_id, last_id FROM certificate_changes WHERE version >= $1".to_owned();
        let mut values = vec![before.mark.into()];
        if by_time {
            sql += " UNION ALL SELECT id, id FROM certificates WHERE not_after > $2 AND not_after <= $3";
            values.extend([before.at.into(), at.into()]);
        }
        let sql = format!("{sql} LIMIT {}", IDS_MAX + 1);
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let mut ids: Vec<i64> = Vec::new();
        for row in self.snapshot.query_all_raw(statement).await? {
            let (first, last): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if last.saturating_sub(first) >= i64::try_from(IDS_MAX).unwrap_or(i64::MAX) {
                return Ok(Changed::Unknown);
            }
            ids.extend(first..=last);
            if ids.len() > IDS_MAX {
                return Ok(Changed::Unknown);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Changed::Ids(ids))
    }
}

/// Forgets all notes but the latest. On PostgreSQL also what a database brought along that was restored into another server, whose
/// transactions have lower numbers.
///
/// # Errors
/// Those of the database.
pub(crate) async fn sweep(app: &App) -> Result<(), Error> {
    let backend = app.db().dialect().backend();
    let sql = format!(
        "SELECT version FROM certificate_changes ORDER BY version DESC LIMIT 1 OFFSET {}",
        2 * KEPT
    );
    let old = app
        .db()
        .read()
        .query_one_raw(Statement::from_string(backend, sql))
        .await?;
    let mut statements = Vec::new();
    if backend == DbBackend::Postgres {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM certificate_changes WHERE version >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
             OR EXISTS (SELECT 1 FROM counters WHERE name = '{FORGOTTEN}' AND value >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
             AS strange"
        );
        let strange = app
            .db()
            .read()
            .query_one_raw(Statement::from_string(backend, sql))
            .await?;
        if strange.is_some_and(|row| row.try_get("", "strange") == Ok(true)) {
            const FUTURE: &str = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
            statements.push(format!(
                "DELETE FROM certificate_changes WHERE version >= {FUTURE}"
            ));
            statements.push(format!(
                "DELETE FROM counters WHERE name = '{FORGOTTEN}' AND value >= {FUTURE}"
            ));
        }
    }
    if old.is_some() {
        let latest = format!(
            "SELECT version FROM certificate_changes ORDER BY version DESC LIMIT 1 OFFSET {KEPT}"
        );
        statements.push(format!(
            "INSERT INTO counters (name, shard, value) SELECT '{FORGOTTEN}', 0, latest.version FROM ({latest}) AS latest WHERE TRUE
             ON CONFLICT (name, shard) DO UPDATE SET value = excluded.value"
        ));
        statements.push(format!(
            "DELETE FROM certificate_changes WHERE version <= (SELECT value FROM counters WHERE name = '{FORGOTTEN}')"
        ));
    }
    if statements.is_empty() {
        return Ok(());
    }
    app.db()
        .write("certificates.forget_changes", move |tx| {
            Box::pin(async move {
                for sql in &statements {
                    tx.execute_unprepared(sql).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
}
