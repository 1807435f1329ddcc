//! The rows of values.

use db::tables::certificate_metadata::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use crate::error::Error;
use crate::metadata_fields::{is_blank, number};

/// Characters of a value that its index has: with the name it has to fit into an entry of PostgreSQL's, of 2,704 octets.
pub(super) const KEY_MAX: usize = 400;
/// Rows in one statement at most: databases limit how many values a statement may have.
const ROWS_MAX: usize = 1_000;

/// Gives a certificate values under their fields' names, in place of those it has of these fields. A blank value clears.
///
/// # Errors
/// Those of the database.
pub(in crate::certificates) async fn enter(
    tx: &db::Tx,
    id: i64,
    metadata: &[(String, String)],
) -> Result<(), Error> {
    let (blank, there): (Vec<_>, Vec<_>) = metadata.iter().partition(|(_, value)| is_blank(value));
    let rows = there.into_iter().map(|(name, value)| row(id, name, value));
    put(tx, rows.collect()).await?;
    for (name, _) in blank {
        clear(tx, name, &[id]).await?;
    }
    Ok(())
}

/// A value of a certificate.
pub(super) fn row(id: i64, name: &str, value: &str) -> ActiveModel {
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
    }
}

/// Writes values over those that certificates have of the same fields.
pub(super) async fn put(tx: &db::Tx, rows: Vec<ActiveModel>) -> Result<(), Error> {
    let again = OnConflict::columns([Column::CertificateId, Column::NameFold])
        .update_columns([
            Column::Name,
            Column::Value,
            Column::ValueKey,
            Column::ValueLong,
            Column::Number,
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
pub(super) async fn clear(tx: &db::Tx, name: &str, ids: &[i64]) -> Result<(), Error> {
    if ids.is_empty() {
        return Ok(());
    }
    Entity::delete_many()
        .filter(Column::CertificateId.is_in(ids.iter().copied()))
        .filter(Column::NameFold.eq(db::fold(name)))
        .exec(tx)
        .await?;
    Ok(())
}
