//! Inclusion and consistency proofs: made from tiles (RFC 6962 section 2.1.1 and 2.1.2), checked without any (RFC 9162
//! sections 2.1.3.2 and 2.1.4.2).

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::Error;
use crate::hash::{HASH_BYTES, Hash, empty_root, node_hash, perfect};
use crate::tile::{Missing, TILE_HEIGHT, TILE_WIDTH, TileId, Tiles};

/// Reads nodes out of tiles and notes the tiles that are not there.
struct Reader<'a> {
    tiles: &'a Tiles,
    missing: RefCell<BTreeSet<TileId>>,
}

impl<'a> Reader<'a> {
    fn new(tiles: &'a Tiles) -> Self {
        Self {
            tiles,
            missing: RefCell::default(),
        }
    }

    fn done<T>(self, value: T) -> Result<T, Missing> {
        let missing = self.missing.into_inner();
        if missing.is_empty() {
            Ok(value)
        } else {
            Err(Missing(missing.into_iter().collect()))
        }
    }

    /// The root of the records from `begin` up to `end`.
    fn range(&self, begin: u64, end: u64) -> Hash {
        let count = end - begin;
        if count.is_power_of_two() && begin.is_multiple_of(count) {
            return self.subtree(begin, count);
        }
        let left = split(count);
        node_hash(
            &self.range(begin, begin + left),
            &self.range(begin + left, end),
        )
    }

    /// The root of `count` records, a power of two, from `begin` on, a multiple of it.
    fn subtree(&self, begin: u64, count: u64) -> Hash {
        let level = count.trailing_zeros() / TILE_HEIGHT;
        let span = 1_u64 << (level * TILE_HEIGHT);
        let (first, nodes) = (begin / span, count / span);
        let id = TileId {
            level: u8::try_from(level).unwrap_or(u8::MAX),
            index: first / TILE_WIDTH,
        };
        let offset = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let nodes = usize::try_from(nodes).unwrap_or(usize::MAX);
        let found = self.tiles.nodes(id);
        if let Some(found) = found.and_then(|tile| tile.get(offset..offset + nodes)) {
            return perfect(found);
        }
        self.missing.borrow_mut().insert(id);
        [0; HASH_BYTES]
    }

    /// RFC 6962 section 2.1.1, `PATH(index, D[begin:end])`.
    fn path(&self, index: u64, begin: u64, end: u64, proof: &mut Vec<Hash>) {
        let count = end - begin;
        if count <= 1 {
            return;
        }
        let middle = begin + split(count);
        if index < middle {
            self.path(index, begin, middle, proof);
            proof.push(self.range(middle, end));
        } else {
            self.path(index, middle, end, proof);
            proof.push(self.range(begin, middle));
        }
    }

    /// RFC 6962 section 2.1.2, `SUBPROOF(old, D[begin:end], whole)`.
    fn subproof(&self, old: u64, begin: u64, end: u64, whole: bool, proof: &mut Vec<Hash>) {
        if old == end {
            if !whole {
                proof.push(self.range(begin, end));
            }
            return;
        }
        let middle = begin + split(end - begin);
        if old <= middle {
            self.subproof(old, begin, middle, whole, proof);
            proof.push(self.range(middle, end));
        } else {
            self.subproof(old, middle, end, false, proof);
            proof.push(self.range(begin, middle));
        }
    }
}

/// The largest power of two below `count`, which is 2 or more.
fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// The root of the first `size` records.
///
/// # Errors
/// [`Missing`] names the tiles to bring.
pub fn root_at(tiles: &Tiles, size: u64) -> Result<Hash, Missing> {
    if size == 0 {
        return Ok(empty_root());
    }
    let reader = Reader::new(tiles);
    let root = reader.range(0, size);
    reader.done(root)
}

/// The proof that record `index` is in the tree of the first `size` records. Empty when `index` is not below `size`.
///
/// # Errors
/// [`Missing`] names the tiles to bring.
pub fn inclusion(tiles: &Tiles, index: u64, size: u64) -> Result<Vec<Hash>, Missing> {
    let reader = Reader::new(tiles);
    let mut proof = Vec::new();
    if index < size {
        reader.path(index, 0, size, &mut proof);
    }
    reader.done(proof)
}

/// The proof that the tree of the first `old` records is the beginning of the tree of the first `new`. Empty when there is
/// nothing to prove: `old` is 0, or not below `new`.
///
/// # Errors
/// [`Missing`] names the tiles to bring.
pub fn consistency(tiles: &Tiles, old: u64, new: u64) -> Result<Vec<Hash>, Missing> {
    let reader = Reader::new(tiles);
    let mut proof = Vec::new();
    if old > 0 && old < new {
        reader.subproof(old, 0, new, true, &mut proof);
    }
    reader.done(proof)
}

/// Checks a proof of [`inclusion`].
///
/// # Errors
/// [`Error::Proof`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), Error> {
    if index >= size {
        return Err(Error::Proof);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(Error::Proof);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root {
        Ok(())
    } else {
        Err(Error::Proof)
    }
}

/// Checks a proof of [`consistency`].
///
/// # Errors
/// [`Error::Proof`].
pub fn verify_consistency(
    old_size: u64,
    old_root: &Hash,
    new_size: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Error> {
    let given = |holds: bool| if holds { Ok(()) } else { Err(Error::Proof) };
    if old_size > new_size {
        return Err(Error::Proof);
    }
    if old_size == new_size {
        return given(proof.is_empty() && old_root == new_root);
    }
    if old_size == 0 {
        return given(proof.is_empty() && *old_root == empty_root());
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() {
        Some(old_root)
    } else {
        path.next()
    };
    let mut old_hash = *first.ok_or(Error::Proof)?;
    let mut new_hash = old_hash;
    let (mut node, mut last) = (old_size - 1, new_size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    for sibling in path {
        if last == 0 {
            return Err(Error::Proof);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    given(last == 0 && old_hash == *old_root && new_hash == *new_root)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::leaf_hash;
    use crate::tree::Tree;

    fn grown(size: u64) -> (Tiles, Vec<Hash>) {
        let (mut tree, mut tiles) = (Tree::default(), Tiles::default());
        let mut roots = vec![tree.root()];
        for number in 0..size {
            tree.append(leaf_hash(&number.to_be_bytes()));
            roots.push(tree.root());
        }
        for (id, octets) in tree.take_changed() {
            tiles.insert(id, &octets).unwrap();
        }
        (tiles, roots)
    }

    #[test]
    fn all_proofs_of_small_trees() {
        let (tiles, roots) = grown(40);
        for size in 1..=40_u64 {
            let root = roots[size as usize];
            assert_eq!(root_at(&tiles, size).unwrap(), root);
            for index in 0..size {
                let leaf = leaf_hash(&index.to_be_bytes());
                let proof = inclusion(&tiles, index, size).unwrap();
                verify_inclusion(&leaf, index, size, &proof, &root).unwrap();
                assert!(
                    verify_inclusion(&leaf, index + 1, size, &proof, &root).is_err() || size == 1
                );
                assert!(verify_inclusion(&root, index, size, &proof, &root).is_err() || size == 1);
            }
            for old in 0..=size {
                let old_root = roots[old as usize];
                let proof = consistency(&tiles, old, size).unwrap();
                verify_consistency(old, &old_root, size, &root, &proof).unwrap();
                let other = leaf_hash(b"other");
                assert!(verify_consistency(old, &other, size, &root, &proof).is_err());
                // Every tree begins with the empty one.
                assert!(
                    verify_consistency(old, &old_root, size, &other, &proof).is_err() || old == 0
                );
                let mut longer = proof.clone();
                longer.push(other);
                assert!(verify_consistency(old, &old_root, size, &root, &longer).is_err());
            }
        }
    }

    #[test]
    fn missing_tiles_are_named() {
        let Missing(ids) = inclusion(&Tiles::default(), 300, 70_000).unwrap_err();
        let id = |level, index| TileId { level, index };
        assert_eq!(ids, [id(0, 1), id(0, 273), id(1, 0), id(1, 1)]);
        assert_eq!(id(0, 273).width(70_000), 112);
        assert_eq!(id(2, 0).width(70_000), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn proofs_of_larger_trees(size in 1_u64..3_000, a in 0_u64..3_000, b in 0_u64..3_000) {
            let (tiles, roots) = grown(size);
            let root = roots[size as usize];
            let (index, old) = (a % size, b % (size + 1));
            let proof = inclusion(&tiles, index, size).unwrap();
            verify_inclusion(&leaf_hash(&index.to_be_bytes()), index, size, &proof, &root).unwrap();
            let proof = consistency(&tiles, old, size).unwrap();
            verify_consistency(old, &roots[old as usize], size, &root, &proof).unwrap();
        }
    }
}
