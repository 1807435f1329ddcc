//! The two kinds of hash of RFC 6962 section 2.1, SHA-256.

use aws_lc_rs::digest::{self, Context, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of a hash.
pub const HASH_BYTES: usize = 32;

/// A node of the tree.
pub type Hash = [u8; HASH_BYTES];

/// The hash of a record: `SHA-256(0x00 || data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(data);
    finished(context)
}

/// The hash above two nodes: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut octets = [0; 1 + 2 * HASH_BYTES];
    octets[0] = 1;
    octets[1..=HASH_BYTES].copy_from_slice(left);
    octets[1 + HASH_BYTES..].copy_from_slice(right);
    of(&octets)
}

/// The root of a tree without records: the SHA-256 of nothing.
pub fn empty_root() -> Hash {
    of(&[])
}

/// SHA-256 of plain octets.
pub(crate) fn of(octets: &[u8]) -> Hash {
    let digest = digest::digest(&SHA256, octets);
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Standard base64 with padding, as notes write hashes.
pub fn to_base64(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// The hash that [`to_base64`] wrote; `None` for anything else.
pub fn from_base64(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn finished(context: Context) -> Hash {
    let digest = context.finish();
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// The root over a run of nodes whose number is a power of two.
pub(crate) fn perfect(nodes: &[Hash]) -> Hash {
    debug_assert!(nodes.len().is_power_of_two());
    let mut row: Vec<Hash> = nodes.to_vec();
    while row.len() > 1 {
        for at in 0..row.len() / 2 {
            row[at] = node_hash(&row[2 * at], &row[2 * at + 1]);
        }
        row.truncate(row.len() / 2);
    }
    row[0]
}
