//! The rows of values.

use std::collections::BTreeMap;

use db::tables::certificate_metadata::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, Condition, EntityTrait, QueryFilter, QuerySelect};

use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::{is_blank, number};
use crate::past;

/// Characters of a value that its index has: with the name it has to fit into an entry of PostgreSQL's, of 2,704 octets.
pub(super) const KEY_MAX: usize = 400;
/// Rows in one statement at most: databases limit how many values a statement may have.
const ROWS_MAX: usize = 1_000;

/// Gives a new certificate values under their fields' names.
///
/// # Errors
/// Those of the database.
pub(in crate::certificates) async fn enter_new(
    tx: &db::Tx,
    id: i64,
    metadata: &[(String, String)],
) -> Result<(), Error> {
    let there = metadata.iter().filter(|(_, value)| !is_blank(value));
    let rows = there.map(|(name, value)| row(id, name, value, None));
    write(tx, rows.collect()).await
}

/// Gives a certificate values under their fields' names, in place of those it has of these fields. A blank value clears. Values that
/// it has already are not written.
///
/// # Errors
/// Those of the database.
pub(in crate::certificates) async fn enter(
    tx: &db::Tx,
    cx: &Cx,
    id: i64,
    metadata: &[(String, String)],
) -> Result<(), Error> {
    if metadata.is_empty() {
        return Ok(());
    }
    let known: Vec<(String, String)> = Entity::find()
        .select_only()
        .columns([Column::Name, Column::Value])
        .filter(Column::CertificateId.eq(id))
        .into_tuple()
        .all(tx)
        .await?;
    let new = metadata.iter().filter(|one| !known.contains(one));
    let (blank, there): (Vec<_>, Vec<_>) = new.partition(|(_, value)| is_blank(value));
    let values = there
        .into_iter()
        .map(|(name, value)| (id, &**name, &**value));
    put(tx, cx, values.collect()).await?;
    for (name, _) in blank {
        clear(tx, cx, name, &[id]).await?;
    }
    Ok(())
}

/// A value of a certificate.
fn row(id: i64, name: &str, value: &str, since: Option<i64>) -> ActiveModel {
    // Queries trim what they look for.
    let folded = db::fold(value.trim());
    let end = folded.char_indices().nth(KEY_MAX).map(|(end, _)| end);
    let key = end.map_or(folded.as_str(), |end| &folded[..end]).to_owned();
    ActiveModel {
        certificate_id: ActiveValue::Set(id),
        name_fold: ActiveValue::Set(db::fold(name)),
        name: ActiveValue::Set(name.to_owned()),
        value: ActiveValue::Set(value.to_owned()),
        value_key: ActiveValue::Set(key),
        value_long: ActiveValue::Set(end.map(|_| folded)),
        number: ActiveValue::Set(number(value)),
        since: ActiveValue::Set(since),
    }
}

/// Writes values, by certificate and name, over those that the certificates have of the same fields.
pub(super) async fn put(tx: &db::Tx, cx: &Cx, values: Vec<(i64, &str, &str)>) -> Result<(), Error> {
    let mut by_name: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (id, name, _) in &values {
        by_name.entry(name).or_default().push(*id);
    }
    for (name, ids) in by_name {
        keep(tx, cx, name, &ids).await?;
    }
    let rows = values
        .into_iter()
        .map(|(id, name, value)| row(id, name, value, Some(cx.now())));
    write(tx, rows.collect()).await
}

async fn write(tx: &db::Tx, rows: Vec<ActiveModel>) -> Result<(), Error> {
    let again = OnConflict::columns([Column::CertificateId, Column::NameFold])
        .update_columns([
            Column::Name,
            Column::Value,
            Column::ValueKey,
            Column::ValueLong,
            Column::Number,
            Column::Since,
        ])
        .to_owned();
    for some in rows.chunks(ROWS_MAX) {
        Entity::insert_many(some.iter().cloned())
            .on_conflict(again.clone())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// Takes the values of a field away from certificates.
pub(super) async fn clear(tx: &db::Tx, cx: &Cx, name: &str, ids: &[i64]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    keep(tx, cx, name, ids).await?;
    Entity::delete_many()
        .filter(of_field(name, ids))
        .exec(tx)
        .await?;
    Ok(())
}

/// What certificates have of a field stays known as what they had.
async fn keep(tx: &db::Tx, cx: &Cx, name: &str, ids: &[i64]) -> Result<(), Error> {
    for some in ids.chunks(ROWS_MAX) {
        past::metadata_changes(tx, cx, of_field(name, some)).await?;
    }
    Ok(())
}

fn of_field(name: &str, ids: &[i64]) -> Condition {
    Condition::all()
        .add(Column::CertificateId.is_in(ids.iter().copied()))
        .add(Column::NameFold.eq(db::fold(name)))
}
