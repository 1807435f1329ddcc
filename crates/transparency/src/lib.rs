//! Append-only logs that prove themselves: Merkle trees (RFC 6962), hash tiles (C2SP tlog-tiles), inclusion and consistency
//! proofs, signed notes (C2SP signed-note, Ed25519), checkpoints (C2SP tlog-checkpoint), and the check of a whole export with
//! nothing but the public key.
//!
//! Nothing here reads or writes: callers bring the tiles, and say where they come from.

mod checkpoint;
mod export;
mod hash;
mod note;
mod proof;
mod tile;
mod tree;

pub use checkpoint::Checkpoint;
pub use export::{
    ExportHeader, ExportReader, Finding, PRUNED_MEMBER, Report, export_header, pruned_line,
};
pub use hash::{HASH_BYTES, Hash, empty_root, from_base64, leaf_hash, node_hash, to_base64};
pub use note::{Signer, Verifier};
pub use proof::{consistency, inclusion, root_at, verify_consistency, verify_inclusion};
pub use tile::{Missing, TILE_WIDTH, TileId, Tiles};
pub use tree::Tree;

/// Why something is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A note without the shape of one.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// A key without the shape of one.
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    /// A note that this key did not sign.
    #[error("the note carries no valid signature of {0}")]
    Signature(String),
    /// A note that is no checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A proof that does not lead to the root.
    #[error("the proof does not lead to the root")]
    Proof,
    /// Tiles that are not those of a tree of this size.
    #[error("the tiles are not those of the tree")]
    Tiles,
}
