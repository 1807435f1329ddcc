//! Tiles: the nodes of a tree in runs of 256, at every eighth level (C2SP tlog-tiles).

use std::collections::BTreeMap;

use crate::hash::{HASH_BYTES, Hash};

/// Nodes in a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Levels of the tree in one level of tiles.
pub(crate) const TILE_HEIGHT: u32 = 8;

/// Which tile. Its nodes `i` are the roots of `256^level` records from `(256 * index + i) * 256^level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// From 0, the records themselves.
    pub level: u8,
    /// From 0.
    pub index: u64,
}

impl TileId {
    /// How many nodes of this tile a tree of `size` records has; 0 when it has none of it.
    pub fn width(self, size: u64) -> u64 {
        let nodes = size
            .checked_shr(TILE_HEIGHT * u32::from(self.level))
            .unwrap_or(0);
        let before = self.index.saturating_mul(TILE_WIDTH);
        nodes.saturating_sub(before).min(TILE_WIDTH)
    }
}

/// Tiles that a proof needs and that were not brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub Vec<TileId>);

/// Tiles in memory.
#[derive(Clone, Debug, Default)]
pub struct Tiles(BTreeMap<TileId, Vec<Hash>>);

impl Tiles {
    /// Adds a tile in the form in which tiles are published: the hashes, one after the other.
    ///
    /// # Errors
    /// [`crate::Error::Tiles`] when the octets are not whole hashes, or more than a tile holds.
    pub fn insert(&mut self, id: TileId, octets: &[u8]) -> Result<(), crate::Error> {
        let (hashes, rest) = octets.as_chunks::<HASH_BYTES>();
        if !rest.is_empty() || hashes.len() as u64 > TILE_WIDTH {
            return Err(crate::Error::Tiles);
        }
        self.0.insert(id, hashes.to_vec());
        Ok(())
    }

    /// The nodes of a tile, as far as they are there.
    pub fn nodes(&self, id: TileId) -> Option<&[Hash]> {
        self.0.get(&id).map(Vec::as_slice)
    }
}
