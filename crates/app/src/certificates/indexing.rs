//! The index of names is filled behind the writes: a trigger notes certificates as they come, and what is noted goes into lots. Lots
//! are put together, so that there are few. Two servers may do it at once: what one has taken, the other does not find.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use db::tables::{
    certificate_grams, certificate_lots, certificate_names, certificates, certificates_unindexed,
    counters,
};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use search::grams::{self, Lot};
use tokio::sync::watch;

use crate::app::App;
use crate::error::{Error, Kind};

/// The counter of certificates from before the index: the highest id that is still to be noted.
pub(super) const TO_BE_NOTED: &str = "certificates to be noted";
/// How often it is looked for new certificates.
const TICK: Duration = Duration::from_secs(1);
/// Certificates that come between two looks at least while many are coming. Then larger lots are made: of small ones most is written
/// twice, and what writes certificates has to wait for it.
const MANY: u64 = 250;
/// Rows in one statement at most.
const ROWS_MAX: usize = 500;
/// Buckets of which pieces are put together at a time.
const BUCKETS_AT_ONCE: i32 = 512;

/// How large lots are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Certificates that wait until they are worth a lot; fewer are as well looked at one by one.
    pub(crate) least: usize,
    /// Certificates that are put into a lot at once: the write takes no longer than others can wait for it.
    pub(crate) at_once: usize,
    /// Certificates of a lot that is not put together with others any more.
    pub(crate) full: i64,
    /// Lots that are not full at most.
    pub(crate) small_lots: usize,
}

const SIZES: Sizes = Sizes {
    least: 1_000,
    at_once: 8_192,
    full: 65_536,
    small_lots: 8,
};

/// Fills the index until `shutdown` turns true.
pub(crate) async fn run(app: &Arc<App>, mut shutdown: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut left = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            changed = shutdown.changed() => if changed.is_err() { return },
        }
        if *shutdown.borrow() {
            return;
        }
        let filled = async {
            let noted = waiting(app, SIZES.at_once as u64).await?;
            let least = if noted >= left + MANY {
                SIZES.at_once
            } else {
                SIZES.least
            };
            fill(app, Sizes { least, ..SIZES }, &shutdown).await?;
            left = waiting(app, SIZES.at_once as u64).await?;
            Ok::<_, Error>(())
        };
        match filled.await {
            Err(error) if error.kind() == Kind::Unavailable => {
                tracing::debug!(%error, "background: the index of names");
            }
            Err(error) => {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "background: the index of names");
            }
            Ok(()) => {}
        }
    }
}

/// Puts what is noted into lots, and lots together, until nothing is left that is worth it.
///
/// # Errors
/// Those of the database; that another server does the same.
pub(crate) async fn fill(
    app: &Arc<App>,
    sizes: Sizes,
    shutdown: &watch::Receiver<bool>,
) -> Result<(), Error> {
    while !*shutdown.borrow() {
        if note_older(app, sizes).await? {
            continue;
        }
        let ids: Vec<i64> = certificates_unindexed::Entity::find()
            .select_only()
            .column(certificates_unindexed::Column::CertificateId)
            .order_by_asc(certificates_unindexed::Column::CertificateId)
            .limit(sizes.at_once as u64)
            .into_tuple()
            .all(app.db().read())
            .await?;
        if ids.len() < sizes.least {
            break;
        }
        add(app, ids).await?;
        put_together(app, sizes).await?;
    }
    Ok(())
}

/// How many certificates are noted, up to `max`.
async fn waiting(app: &App, max: u64) -> Result<u64, Error> {
    let noted = certificates_unindexed::Entity::find().limit(max);
    Ok(noted.count(app.db().read()).await?)
}

/// Notes some of the certificates from before the index. Answers whether there may be more.
async fn note_older(app: &Arc<App>, sizes: Sizes) -> Result<bool, Error> {
    let row = counters::Entity::find_by_id((TO_BE_NOTED.to_owned(), 0))
        .one(app.db().read())
        .await?;
    let Some(highest) = row.map(|row| row.value).filter(|value| *value > 0) else {
        return Ok(false);
    };
    let least = sizes.least as u64;
    if waiting(app, least).await? >= least {
        return Ok(false);
    }
    let at_once = i64::try_from(sizes.at_once).unwrap_or(i64::MAX);
    let work = app.db().write("certificates.note", move |tx| {
        Box::pin(async move {
            let below = (highest - at_once).max(0);
            let ids = Query::select()
                .column(certificates::Column::Id)
                .from(certificates::Entity)
                .and_where(certificates::Column::Id.gt(below))
                .and_where(certificates::Column::Id.lte(highest))
                .to_owned();
            let mut insert = Query::insert();
            insert
                .into_table(certificates_unindexed::Entity)
                .columns([certificates_unindexed::Column::CertificateId])
                .on_conflict(
                    OnConflict::column(certificates_unindexed::Column::CertificateId)
                        .do_nothing()
                        .to_owned(),
                );
            insert.select_from(ids).map_err(Error::internal)?;
            tx.execute(&insert).await?;
            let moved = counters::Entity::update_many()
                .col_expr(counters::Column::Value, Expr::val(below))
                .filter(counters::Column::Name.eq(TO_BE_NOTED))
                .filter(counters::Column::Value.eq(highest))
                .exec(tx)
                .await?;
            match moved.rows_affected {
                1 => Ok(()),
                _ => Err(taken_by_another()),
            }
        })
    });
    work.await?;
    Ok(true)
}

fn taken_by_another() -> Error {
    Error::new(Kind::Unavailable, "Another server does it.")
}

/// Puts certificates into a lot of their own.
async fn add(app: &Arc<App>, ids: Vec<i64>) -> Result<(), Error> {
    let lot = texts(app.db().read(), &ids).await?;
    let pieces = tokio::task::spawn_blocking(move || {
        let mut made = Lot::default();
        for (id, texts) in &lot {
            made.add(*id, texts.iter().map(String::as_str));
        }
        (lot.len(), made.pieces())
    });
    let (count, pieces) = pieces.await.map_err(Error::internal)?;
    let newest_id = ids.last().copied().unwrap_or_default();
    let work = app.db().write_much("certificates.index", move |tx| {
        Box::pin(async move {
            take(tx, &ids).await?;
            let certificates = i64::try_from(count).unwrap_or(i64::MAX);
            insert(tx, certificates, newest_id, pieces).await
        })
    });
    work.await
}

/// Takes what is noted of these, which are in order and none between them is left out.
async fn take(tx: &db::Tx, ids: &[i64]) -> Result<(), Error> {
    use certificates_unindexed::{Column, Entity};
    let (Some(first), Some(last)) = (ids.first(), ids.last()) else {
        return Ok(());
    };
    // As a range: whatever a database believes of a table that is filled and emptied all the time, this is never each against each.
    let delete = Query::delete()
        .from_table(Entity)
        .and_where(Column::CertificateId.between(*first, *last))
        .returning_col(Column::CertificateId)
        .to_owned();
    let rows = tx.query_all(&delete).await?;
    let taken: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get_by_index(0)).collect();
    let mut taken = taken?;
    taken.sort_unstable();
    match taken == ids {
        true => Ok(()),
        false => Err(taken_by_another()),
    }
}

/// All names of certificates as they are looked for, in the order of the ids.
async fn texts(
    connection: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<Vec<(i64, Vec<String>)>, Error> {
    use certificates::Column as C;
    type Row = (i64, String, Option<String>, Option<String>, Option<String>);
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(ROWS_MAX) {
        let rows: Vec<Row> = certificates::Entity::find()
            .select_only()
            .columns([
                C::Id,
                C::SubjectFold,
                C::CommonNameFold,
                C::OrganizationalUnit,
                C::Email,
            ])
            .filter(C::Id.is_in(some.iter().copied()))
            .order_by_asc(C::Id)
            .into_tuple()
            .all(connection)
            .await?;
        let names: Vec<(i64, String)> = certificate_names::Entity::find()
            .select_only()
            .columns([
                certificate_names::Column::CertificateId,
                certificate_names::Column::ValueFold,
            ])
            .filter(certificate_names::Column::CertificateId.is_in(some.iter().copied()))
            .into_tuple()
            .all(connection)
            .await?;
        let mut by_id: HashMap<i64, Vec<String>> = HashMap::new();
        for (id, name) in names {
            by_id.entry(id).or_default().push(name);
        }
        for (id, subject, common_name, unit, email) in rows {
            let mut texts = by_id.remove(&id).unwrap_or_default();
            texts.push(subject);
            texts.extend(common_name);
            // These compare as they are stored, but for the case of A to Z.
            let plain = [unit, email].into_iter().flatten();
            texts.extend(plain.map(|text| text.to_ascii_lowercase()));
            found.push((id, texts));
        }
    }
    Ok(found)
}

async fn insert(
    tx: &db::Tx,
    certificates: i64,
    newest_id: i64,
    pieces: Vec<(i32, Vec<u8>)>,
) -> Result<(), Error> {
    let lot = certificate_lots::ActiveModel {
        id: ActiveValue::NotSet,
        certificates: ActiveValue::Set(certificates),
        newest_id: ActiveValue::Set(newest_id),
    };
    let lot_id = lot.insert(tx).await?.id;
    let rows = pieces
        .into_iter()
        .map(|(bucket, postings)| certificate_grams::ActiveModel {
            bucket: ActiveValue::Set(bucket),
            lot_id: ActiveValue::Set(lot_id),
            postings: ActiveValue::Set(postings),
        });
    Ok(db::insert_all(tx, rows).await?)
}

/// Makes one lot of the small ones when there are many.
async fn put_together(app: &Arc<App>, sizes: Sizes) -> Result<(), Error> {
    let small = certificate_lots::Entity::find()
        .filter(certificate_lots::Column::Certificates.lt(sizes.full))
        .order_by_asc(certificate_lots::Column::Id)
        .all(app.db().read())
        .await?;
    if small.len() < sizes.small_lots {
        return Ok(());
    }
    let (mut lots, mut certificates, mut newest_id) = (Vec::new(), 0, 0);
    for lot in small {
        lots.push(lot.id);
        newest_id = lot.newest_id.max(newest_id);
        certificates += lot.certificates;
        if certificates >= sizes.full {
            break;
        }
    }
    let mut pieces = Vec::new();
    for from in (0..).step_by(BUCKETS_AT_ONCE as usize) {
        if from >= grams::BUCKETS as i32 {
            break;
        }
        let rows = certificate_grams::Entity::find()
            .filter(certificate_grams::Column::Bucket.gte(from))
            .filter(certificate_grams::Column::Bucket.lt(from + BUCKETS_AT_ONCE))
            .filter(certificate_grams::Column::LotId.is_in(lots.iter().copied()))
            .order_by_asc(certificate_grams::Column::Bucket)
            .all(app.db().read())
            .await?;
        let some = tokio::task::spawn_blocking(move || merged(&rows));
        pieces.extend(some.await.map_err(Error::internal)??);
    }
    let work = app
        .db()
        .write_much("certificates.index_together", move |tx| {
            Box::pin(async move {
                let gone = certificate_lots::Entity::delete_many()
                    .filter(certificate_lots::Column::Id.is_in(lots.iter().copied()))
                    .exec(tx)
                    .await?;
                if gone.rows_affected != lots.len() as u64 {
                    return Err(taken_by_another());
                }
                let buckets: Vec<i32> = pieces.iter().map(|(bucket, _)| *bucket).collect();
                for some in buckets.chunks(ROWS_MAX) {
                    certificate_grams::Entity::delete_many()
                        .filter(certificate_grams::Column::Bucket.is_in(some.iter().copied()))
                        .filter(certificate_grams::Column::LotId.is_in(lots.iter().copied()))
                        .exec(tx)
                        .await?;
                }
                insert(tx, certificates, newest_id, pieces).await
            })
        });
    work.await
}

/// The pieces of each bucket as one.
fn merged(rows: &[certificate_grams::Model]) -> Result<Vec<(i32, Vec<u8>)>, Error> {
    rows.chunk_by(|one, next| one.bucket == next.bucket)
        .map(|rows| {
            let pieces: Vec<&[u8]> = rows.iter().map(|row| row.postings.as_slice()).collect();
            let merged = grams::merged(&pieces);
            let merged = merged.ok_or_else(|| Error::internal("a lot of the index is damaged"))?;
            Ok((rows[0].bucket, merged))
        })
        .collect()
}
