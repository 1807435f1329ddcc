//! `/Chancery/Audit`: checkpoint, tiles, proofs. With these and the public key anybody can check the log without trusting the
//! server: docs/audit.md.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use transparency::{Hash, TileId, Tiles, to_base64};
use utoipa::{IntoParams, ToSchema};

use super::keys::tree_row;
use super::state::State;
use super::{list, places, tiles};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Json, Query};

/// The newest checkpoint.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditCheckpoint {
    /// The signed note (C2SP tlog-checkpoint).
    checkpoint: String,
    /// The public key, `name+hash+key` (C2SP signed-note).
    verifier: String,
    /// The name of the log.
    origin: String,
    /// Records in the tree.
    size: u64,
    /// The root over them, base64.
    root_hash: String,
    /// Why no newer checkpoint is signed; null as long as nothing is wrong.
    suspended: Option<String>,
}

/// A tile.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditTile {
    level: u8,
    index: u64,
    /// Hashes in it: 256, or fewer in the last tile of its level.
    width: u64,
    /// The tile as C2SP tlog-tiles has it: the hashes, 32 octets each, one after the other; base64.
    hashes: String,
}

/// The proof that a record is in the tree.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditInclusionProof {
    /// The record's place, from 0.
    leaf_index: u64,
    /// Of the tree.
    size: u64,
    /// Base64.
    leaf_hash: String,
    /// RFC 6962 section 2.1.1, base64.
    proof: Vec<String>,
    /// The checkpoint whose root the proof leads to.
    checkpoint: String,
}

/// The proof that one tree is the beginning of another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditConsistencyProof {
    first_size: u64,
    second_size: u64,
    /// The root of the first, base64.
    first_root_hash: String,
    /// The root of the second, base64.
    second_root_hash: String,
    /// RFC 6962 section 2.1.2, base64.
    proof: Vec<String>,
}

/// The state, for callers; 409 when it is not to be believed.
async fn state(cx: &Cx) -> Result<State, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let keys = cx.app().audit.keys()?;
    State::read(tree_row(cx.db().read(), false).await?, &keys)
        .map_err(|reason| Error::conflict(format!("The audit log was tampered with: {reason}.")))
}

fn texts(proof: &[Hash]) -> Vec<String> {
    proof.iter().map(|hash| to_base64(hash)).collect()
}

/// The newest signed checkpoint of the audit log, and the key that verifies it.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/Checkpoint",
    tag = "Chancery",
    responses((status = 200, body = AuditCheckpoint, description = "The checkpoint"), (status = 409, description = "The log was tampered with", body = crate::error::ErrorBody)),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn checkpoint(cx: Cx) -> Result<Json<AuditCheckpoint>, Error> {
    let state = state(&cx).await?;
    Ok(Json(AuditCheckpoint {
        checkpoint: state.note,
        verifier: cx.app().audit.keys()?.signer.verifier().to_string(),
        origin: state.checkpoint.origin,
        size: state.checkpoint.size,
        root_hash: to_base64(&state.checkpoint.root),
        suspended: cx.app().audit.suspended(),
    }))
}

/// Which tile.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct TileFlags {
    /// 0 for the hashes of records; each further level is over 256 times as many.
    level: Option<u8>,
    /// From 0.
    index: Option<u64>,
}

/// A tile of the audit tree.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/Tile",
    tag = "Chancery",
    params(TileFlags),
    responses((status = 200, body = AuditTile, description = "The tile"), (status = 404, description = "The tree has no such tile", body = crate::error::ErrorBody), (status = 409, description = "The log was tampered with", body = crate::error::ErrorBody)),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn tile(cx: Cx, Query(flags): Query<TileFlags>) -> Result<Json<AuditTile>, Error> {
    let state = state(&cx).await?;
    let id = TileId {
        level: flags.level.unwrap_or(0),
        index: flags.index.unwrap_or(0),
    };
    let width = id.width(state.checkpoint.size);
    if width == 0 {
        let named = format!("{} of level {}", id.index, id.level);
        return Err(Error::not_found("tile", named));
    }
    let mut found = Tiles::default();
    tiles::load(cx.db().read(), &[id], &mut found)
        .await
        .map_err(Error::from)?;
    // Longer by now, when records came meanwhile: this is the tile of the checkpoint.
    let nodes = found
        .nodes(id)
        .and_then(|nodes| nodes.get(..usize::try_from(width).ok()?))
        .ok_or_else(|| Error::internal("a tile of the audit tree is missing"))?;
    Ok(Json(AuditTile {
        level: id.level,
        index: id.index,
        width,
        hashes: STANDARD.encode(nodes.concat()),
    }))
}

/// Which record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct InclusionFlags {
    /// The record's id; or its place:
    id: Option<i64>,
    /// The record's place in the tree, from 0.
    leaf_index: Option<i64>,
}

/// The proof that a record is in the audit tree, as of the newest checkpoint.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/InclusionProof",
    tag = "Chancery",
    params(InclusionFlags),
    responses((status = 200, body = AuditInclusionProof, description = "The proof"), (status = 404, description = "There is no such record, or no checkpoint covers it yet", body = crate::error::ErrorBody), (status = 409, description = "The log was tampered with", body = crate::error::ErrorBody)),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn inclusion(
    cx: Cx,
    Query(flags): Query<InclusionFlags>,
) -> Result<Json<AuditInclusionProof>, Error> {
    let state = state(&cx).await?;
    let size = state.checkpoint.size;
    let leaf = match (flags.id, flags.leaf_index) {
        (Some(id), None) => {
            let row = list::load(&cx, id).await?;
            places::leaf_of(cx.db().read(), row.chain, row.position).await?
        }
        (None, Some(leaf)) => Some(leaf),
        _ => return Err(Error::bad_request("Id, LeafIndex: give one of the two.")),
    };
    let covered = leaf
        .and_then(|leaf| u64::try_from(leaf).ok())
        .filter(|leaf| *leaf < size);
    let index = covered.ok_or_else(|| {
        Error::new(
            crate::error::Kind::NotFound,
            "No checkpoint covers such a record.",
        )
    })?;
    let mut known = Tiles::default();
    let read = cx.db().read();
    let proof = tiles::compute(read, &mut known, |tiles| {
        let proof = transparency::inclusion(tiles, index, size)?;
        Ok((transparency_leaf(tiles, index)?, proof))
    });
    let (leaf_hash, proof) = proof.await.map_err(Error::from)?;
    Ok(Json(AuditInclusionProof {
        leaf_index: index,
        size,
        leaf_hash: to_base64(&leaf_hash),
        proof: texts(&proof),
        checkpoint: state.note,
    }))
}

/// The hash of one record, from its tile.
pub(super) fn transparency_leaf(tiles: &Tiles, index: u64) -> Result<Hash, transparency::Missing> {
    let id = TileId {
        level: 0,
        index: index / transparency::TILE_WIDTH,
    };
    let at = usize::try_from(index % transparency::TILE_WIDTH).unwrap_or(usize::MAX);
    let found = tiles.nodes(id).and_then(|nodes| nodes.get(at));
    found
        .copied()
        .ok_or_else(|| transparency::Missing(vec![id]))
}

/// Between which sizes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct ConsistencyFlags {
    /// Records in the earlier tree.
    first_size: Option<u64>,
    /// Records in the later tree; those of the newest checkpoint unless told.
    second_size: Option<u64>,
}

/// The proof that the audit log of an earlier checkpoint is the beginning of that of a later one.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/ConsistencyProof",
    tag = "Chancery",
    params(ConsistencyFlags),
    responses((status = 200, body = AuditConsistencyProof, description = "The proof"), (status = 409, description = "The log was tampered with", body = crate::error::ErrorBody)),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn consistency(
    cx: Cx,
    Query(flags): Query<ConsistencyFlags>,
) -> Result<Json<AuditConsistencyProof>, Error> {
    let state = state(&cx).await?;
    let first = flags
        .first_size
        .ok_or_else(|| Error::bad_request("FirstSize is missing."))?;
    let second = flags.second_size.unwrap_or(state.checkpoint.size);
    if first > second || second > state.checkpoint.size {
        return Err(Error::bad_request(format!(
            "FirstSize, SecondSize: the tree has {} records, and the first size is the smaller one.",
            state.checkpoint.size
        )));
    }
    let mut known = Tiles::default();
    let read = cx.db().read();
    let (old, new) = (
        compute_root(read, &mut known, first).await?,
        compute_root(read, &mut known, second).await?,
    );
    let proof = tiles::compute(read, &mut known, |tiles| {
        transparency::consistency(tiles, first, second)
    });
    let proof = proof.await.map_err(Error::from)?;
    Ok(Json(AuditConsistencyProof {
        first_size: first,
        second_size: second,
        first_root_hash: to_base64(&old),
        second_root_hash: to_base64(&new),
        proof: texts(&proof),
    }))
}

async fn compute_root(
    connection: &impl sea_orm::ConnectionTrait,
    known: &mut Tiles,
    size: u64,
) -> Result<Hash, Error> {
    let root = tiles::compute(connection, known, |tiles| {
        transparency::root_at(tiles, size)
    });
    root.await.map_err(Error::from)
}
