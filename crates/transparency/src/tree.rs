//! A tree that grows: what of it has to be remembered, and the tiles that an append changes.

use crate::Error;
use crate::hash::{Hash, empty_root, node_hash, perfect};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, Tiles};

/// The right edge of a tree: at each level of tiles, the last one that is not full. That is all an append needs.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    edge: Vec<Vec<Hash>>,
    /// Tiles that are complete or longer since [`Tree::take_changed`].
    full: Vec<(TileId, Vec<Hash>)>,
    changed: Vec<bool>,
}

impl Tree {
    /// The tiles that [`Tree::resume`] needs for a tree of `size` records.
    pub fn edge_tiles(size: u64) -> Vec<TileId> {
        let mut found = Vec::new();
        for level in 0_u8..8 {
            let nodes = size
                .checked_shr(TILE_HEIGHT * u32::from(level))
                .unwrap_or(0);
            if nodes == 0 {
                break;
            }
            if !nodes.is_multiple_of(TILE_WIDTH) {
                found.push(TileId {
                    level,
                    index: nodes / TILE_WIDTH,
                });
            }
        }
        found
    }

    /// A tree of `size` records, from the tiles of its edge.
    ///
    /// # Errors
    /// [`Error::Tiles`] when one is missing or too short.
    pub fn resume(size: u64, tiles: &Tiles) -> Result<Self, Error> {
        let mut tree = Self {
            size,
            ..Self::default()
        };
        for id in Self::edge_tiles(size) {
            let width = usize::try_from(id.width(size)).map_err(|_| Error::Tiles)?;
            let nodes = tiles.nodes(id).and_then(|nodes| nodes.get(..width));
            tree.level(usize::from(id.level))
                .extend_from_slice(nodes.ok_or(Error::Tiles)?);
        }
        tree.changed.fill(false);
        Ok(tree)
    }

    fn level(&mut self, level: usize) -> &mut Vec<Hash> {
        if self.edge.len() <= level {
            self.edge.resize_with(level + 1, Vec::new);
            self.changed.resize(level + 1, false);
        }
        self.changed[level] = true;
        &mut self.edge[level]
    }

    /// How many records.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a record by its hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        let mut nodes = self.size;
        self.size += 1;
        for level in 0_u8.. {
            let edge = self.level(usize::from(level));
            edge.push(node);
            if (edge.len() as u64) < TILE_WIDTH {
                break;
            }
            let tile = std::mem::take(edge);
            self.changed[usize::from(level)] = false;
            node = perfect(&tile);
            let index = nodes / TILE_WIDTH;
            self.full.push((TileId { level, index }, tile));
            nodes = index;
        }
    }

    /// The tiles that are new or longer since the last call, in the form in which they are published.
    pub fn take_changed(&mut self) -> Vec<(TileId, Vec<u8>)> {
        let mut taken: Vec<_> = std::mem::take(&mut self.full)
            .into_iter()
            .map(|(id, tile)| (id, tile.concat()))
            .collect();
        for (level, edge) in (0_u8..).zip(&self.edge) {
            if self.changed[usize::from(level)] && !edge.is_empty() {
                let nodes = self.size >> (TILE_HEIGHT * u32::from(level));
                let index = nodes / TILE_WIDTH;
                taken.push((TileId { level, index }, edge.concat()));
            }
        }
        self.changed.fill(false);
        taken
    }

    /// The root (RFC 6962 section 2.1).
    pub fn root(&self) -> Hash {
        let mut subtrees = Vec::new();
        for edge in self.edge.iter().rev() {
            let mut at = 0;
            for bit in (0..TILE_HEIGHT).rev() {
                let count = 1 << bit;
                if edge.len() & count != 0 {
                    subtrees.push(perfect(&edge[at..at + count]));
                    at += count;
                }
            }
        }
        let folded = subtrees
            .into_iter()
            .rev()
            .reduce(|right, left| node_hash(&left, &right));
        folded.unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::leaf_hash;

    /// The leaves and roots that implementations of Certificate Transparency test themselves with.
    const LEAVES: [&str; 8] = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn known_roots() {
        let mut tree = Tree::default();
        assert_eq!(hex::encode(tree.root()), ROOTS[0]);
        for (leaf, root) in LEAVES.iter().zip(&ROOTS[1..]) {
            tree.append(leaf_hash(&hex::decode(leaf).unwrap()));
            assert_eq!(hex::encode(tree.root()), **root);
        }
        assert_eq!(tree.size(), 8);
    }

    #[test]
    fn a_tree_goes_on_from_its_tiles() {
        let leaf = |number: u64| leaf_hash(&number.to_be_bytes());
        let mut whole = Tree::default();
        let mut tiles = Tiles::default();
        let mut resumed = Tree::default();
        for number in 0..70_000 {
            whole.append(leaf(number));
            resumed.append(leaf(number));
            if number % 997 == 0 || number == 255 || number == 65_535 {
                for (id, octets) in resumed.take_changed() {
                    tiles.insert(id, &octets).unwrap();
                }
                resumed = Tree::resume(number + 1, &tiles).unwrap();
                assert_eq!(resumed.root(), whole.root(), "{number}");
            }
        }
        assert_eq!(resumed.root(), whole.root());
        assert!(Tree::resume(70_000, &Tiles::default()).is_err());
    }
}
