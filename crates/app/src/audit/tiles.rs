//! Tiles in the database, and what is computed from them.

use db::tables::audit_tiles;
use sea_orm::sea_query::{ExprTrait, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use transparency::{Hash, Missing, TileId, Tiles, Tree};

use crate::error::Error;

/// Why a computation over the tiles has no result.
#[derive(Debug)]
pub(super) enum TilesError {
    /// The tiles are not there, or are not what the server wrote.
    Damaged,
    /// The database failed.
    Database(Error),
}

impl From<Error> for TilesError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<TilesError> for Error {
    fn from(error: TilesError) -> Self {
        match error {
            TilesError::Damaged => Self::internal("the tiles of the audit tree are damaged"),
            TilesError::Database(error) => error,
        }
    }
}

/// Reads these tiles; what is not there stays missing.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    ids: &[TileId],
    tiles: &mut Tiles,
) -> Result<(), TilesError> {
    if ids.is_empty() {
        return Ok(());
    }
    let wanted = ids.iter().fold(Condition::any(), |any, id| {
        any.add(
            audit_tiles::Column::Level
                .eq(i32::from(id.level))
                .and(audit_tiles::Column::Number.eq(id.index.cast_signed())),
        )
    });
    let rows = audit_tiles::Entity::find().filter(wanted).all(connection);
    for row in rows.await.map_err(Error::from)? {
        let id = tile_id(row.level, row.number).ok_or(TilesError::Damaged)?;
        tiles
            .insert(id, &row.hashes)
            .map_err(|_| TilesError::Damaged)?;
    }
    Ok(())
}

pub(super) fn tile_id(level: i32, number: i64) -> Option<TileId> {
    Some(TileId {
        level: u8::try_from(level).ok()?,
        index: u64::try_from(number).ok()?,
    })
}

/// Runs a computation and brings the tiles that it asks for.
pub(super) async fn compute<T>(
    connection: &impl ConnectionTrait,
    tiles: &mut Tiles,
    computation: impl Fn(&Tiles) -> Result<T, Missing>,
) -> Result<T, TilesError> {
    match computation(tiles) {
        Ok(value) => Ok(value),
        Err(Missing(ids)) => {
            load(connection, &ids, tiles).await?;
            // What is missing now is not there.
            computation(tiles).map_err(|_| TilesError::Damaged)
        }
    }
}

/// The root over the first `size` records, as the tiles have it.
pub(super) async fn root_at(
    connection: &impl ConnectionTrait,
    size: u64,
) -> Result<Hash, TilesError> {
    compute(connection, &mut Tiles::default(), |tiles| {
        transparency::root_at(tiles, size)
    })
    .await
}

/// The tree of this size, ready to grow.
pub(super) async fn resume(
    connection: &impl ConnectionTrait,
    size: u64,
) -> Result<Tree, TilesError> {
    let mut tiles = Tiles::default();
    load(connection, &Tree::edge_tiles(size), &mut tiles).await?;
    Tree::resume(size, &tiles).map_err(|_| TilesError::Damaged)
}

/// Writes tiles that are new or longer.
pub(super) async fn save(tx: &db::Tx, changed: Vec<(TileId, Vec<u8>)>) -> Result<(), Error> {
    let rows = changed
        .into_iter()
        .map(|(id, hashes)| audit_tiles::ActiveModel {
            level: ActiveValue::Set(i32::from(id.level)),
            number: ActiveValue::Set(id.index.cast_signed()),
            hashes: ActiveValue::Set(hashes),
        });
    let replace = OnConflict::columns([audit_tiles::Column::Level, audit_tiles::Column::Number])
        .update_column(audit_tiles::Column::Hashes)
        .to_owned();
    audit_tiles::Entity::insert_many(rows)
        .on_conflict(replace)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
