//! The state of the tree, as its one row holds it: covered by a MAC, and by the signature of the checkpoint in it.

use std::collections::BTreeMap;

use db::tables::audit_tree::Model;
use transparency::{Checkpoint, empty_root};

use super::keys::{Keys, ONLY};

/// The state, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) checkpoint: Checkpoint,
    pub(super) note: String,
    /// The newest position of each chain that the tree has, or that was passed over with a record that says so.
    pub(super) positions: BTreeMap<i32, i64>,
    /// Bodies of records before this place may be gone.
    pub(super) pruned_before: i64,
}

impl State {
    /// Of a tree without records.
    pub(super) fn empty(keys: &Keys) -> Self {
        let checkpoint = Checkpoint {
            origin: keys.signer.verifier().name().to_owned(),
            size: 0,
            root: empty_root(),
            extensions: Vec::new(),
        };
        Self {
            note: checkpoint.sign(&keys.signer),
            checkpoint,
            positions: BTreeMap::new(),
            pruned_before: 0,
        }
    }

    /// What the row says, or why it is not to be believed.
    pub(super) fn read(row: Option<Model>, keys: &Keys) -> Result<Self, String> {
        let row = row.ok_or("the state of the tree is gone")?;
        if mac(&row, keys)[..] != row.mac[..] {
            return Err("the state of the tree was changed by somebody else".into());
        }
        let checkpoint = Checkpoint::open(&row.checkpoint, keys.signer.verifier())
            .map_err(|reason| format!("the checkpoint in the database: {reason}"))?;
        if i64::try_from(checkpoint.size) != Ok(row.size) {
            return Err("the checkpoint in the database is of another size".into());
        }
        let positions = row.positions.split(',').filter(|part| !part.is_empty());
        let positions = positions.map(|part| {
            let (chain, position) = part.split_once(':')?;
            Some((chain.parse().ok()?, position.parse().ok()?))
        });
        Ok(Self {
            checkpoint,
            note: row.checkpoint,
            positions: positions
                .collect::<Option<_>>()
                .ok_or("the positions of the tree cannot be read")?,
            pruned_before: row.pruned_before,
        })
    }

    /// The row that holds it.
    pub(super) fn into_row(self, keys: &Keys) -> Model {
        let positions: Vec<String> = self
            .positions
            .iter()
            .map(|(chain, position)| format!("{chain}:{position}"))
            .collect();
        let mut row = Model {
            id: ONLY,
            // Nobody has 2^63 records.
            size: i64::try_from(self.checkpoint.size).unwrap_or(i64::MAX),
            positions: positions.join(","),
            pruned_before: self.pruned_before,
            checkpoint: self.note,
            mac: Vec::new(),
        };
        row.mac = mac(&row, keys).to_vec();
        row
    }

    /// The newest position of a chain in the tree.
    pub(super) fn position(&self, chain: i32) -> i64 {
        self.positions.get(&chain).copied().unwrap_or(0)
    }
}

fn mac(row: &Model, keys: &Keys) -> [u8; 32] {
    keys.state_mac(&[
        &row.size.to_be_bytes(),
        row.positions.as_bytes(),
        &row.pruned_before.to_be_bytes(),
        row.checkpoint.as_bytes(),
    ])
}
