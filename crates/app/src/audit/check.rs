//! `GET /Audit/{id}/Validate` and `GET /Chancery/Audit/Verify`: one record, and the whole database, against what was signed.

use std::collections::{BTreeMap, BTreeSet};

use db::tables::audit_records::{self, Model};
use db::tables::{audit_heads, audit_runs, audit_tiles};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Serialize;
use transparency::{Hash, TileId, Tiles, Tree};
use utoipa::ToSchema;

use super::kept::{self, Comparison};
use super::keys::{Keys, tree_row};
use super::proofs::transparency_leaf;
use super::state::State;
use super::tiles::{self, TilesError};
use super::{chain, leaf, list, places, sequence};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Json, PathId};

/// Findings that are told; more say nothing new.
const FINDINGS_MAX: usize = 100;
/// Rows that are read at once.
const PAGE: u64 = 2_000;

/// Whether an audit record is as it was written: its MAC, its leaf, and its place in the tree of the signed checkpoint or, before
/// the next checkpoint, in its chain.
#[utoipa::path(
    get,
    path = "/Audit/{id}/Validate",
    tag = "AuditLog",
    params(("id" = i64, Path, description = "The record's id")),
    responses((status = 200, body = bool, content_type = "application/json", description = "True when it is")),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn validate(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<bool>, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let row = list::load(&cx, id).await?;
    let keys = cx.app().audit.keys()?;
    match sound(&cx, &keys, &row).await? {
        Ok(()) => Ok(Json(true)),
        Err(reason) => {
            tracing::error!(id, reason, "an audit record is not as it was written");
            Ok(Json(false))
        }
    }
}

async fn sound(cx: &Cx, keys: &Keys, row: &Model) -> Result<Result<(), String>, Error> {
    let kept = cx.app().audit.kept();
    let snapshot = cx.db().snapshot().await?;
    let hash = match own(keys, row) {
        Ok(hash) => hash,
        Err(reason) => return Ok(Err(reason.into())),
    };
    let state = match State::read(tree_row(&snapshot, false).await?, keys) {
        Ok(state) => state,
        Err(reason) => return Ok(Err(reason)),
    };
    match kept::compare(&snapshot, &kept, &state).await {
        Ok(()) => {}
        Err(Comparison::Differs(reason)) => return Ok(Err(reason)),
        Err(Comparison::Database(error)) => return Err(error),
    }
    if row.position > state.position(row.chain) {
        return waiting(&snapshot, keys, row.chain, state.position(row.chain)).await;
    }
    let Some(leaf) = places::leaf_of(&snapshot, row.chain, row.position).await? else {
        return Ok(Err("it is in no tree".into()));
    };
    let (index, size) = (leaf.cast_unsigned(), state.checkpoint.size);
    let mut known = Tiles::default();
    let proof = tiles::compute(&snapshot, &mut known, |tiles| {
        let proof = transparency::inclusion(tiles, index, size)?;
        Ok((transparency_leaf(tiles, index)?, proof))
    });
    let (there, proof) = match proof.await {
        Ok(proof) => proof,
        Err(TilesError::Damaged) => return Ok(Err("tiles of the tree are damaged".into())),
        Err(TilesError::Database(error)) => return Err(error),
    };
    if there != hash {
        return Ok(Err("another record is at its place in the tree".into()));
    }
    let proven = transparency::verify_inclusion(&hash, index, size, &proof, &state.checkpoint.root);
    Ok(proven.map_err(|error| error.to_string()))
}

/// The record's own hash, when columns, hash and MAC agree.
pub(super) fn own(keys: &Keys, row: &Model) -> Result<Hash, &'static str> {
    let hash = leaf::hash(row).ok_or("it cannot be read")?;
    if hash[..] != row.leaf_hash[..] {
        return Err("its columns were changed");
    }
    let (actor, on_behalf_of, name) = chain::folded(row);
    if actor != row.actor_fold || on_behalf_of != row.on_behalf_of_fold || name != row.name_fold {
        return Err("the columns that it is found by were changed");
    }
    if keys.record_mac(row.chain, row.position, &hash)[..] != row.mac[..] {
        return Err("this server did not write it");
    }
    Ok(hash)
}

/// Whether the records of a chain that no checkpoint covers yet are all there.
async fn waiting(
    connection: &impl ConnectionTrait,
    keys: &Keys,
    chain: i32,
    signed: i64,
) -> Result<Result<(), String>, Error> {
    let head = audit_heads::Entity::find_by_id(chain)
        .one(connection)
        .await?;
    let Some(head) = head else {
        return Ok(Err(format!("the head of chain {chain} is gone")));
    };
    if keys.head_mac(chain, head.position)[..] != head.mac[..] {
        return Ok(Err(format!("the head of chain {chain} was changed")));
    }
    let rows = audit_records::Entity::find()
        .filter(audit_records::Column::Chain.eq(chain))
        .filter(audit_records::Column::Position.gt(signed))
        .count(connection)
        .await?;
    if i64::try_from(rows) != Ok(head.position - signed) {
        return Ok(Err(format!(
            "chain {chain} has {rows} records after the checkpoint, and {} were written",
            head.position - signed
        )));
    }
    Ok(Ok(()))
}

/// What a check of the whole audit log found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuditVerification {
    /// Whether nothing is wrong.
    valid: bool,
    /// Records in the tree of the signed checkpoint.
    size: u64,
    /// Of these, the ones whose bodies were pruned.
    pruned: u64,
    /// Records that no checkpoint covers yet.
    waiting: u64,
    /// What is wrong, a hundred things at most.
    findings: Vec<String>,
}

/// Checks every record of the database, the tree over them, and the newest checkpoint. Takes some seconds for a million records, so
/// one check runs at a time. What it finds is logged and recorded.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/Verify",
    tag = "Chancery",
    responses((status = 200, body = AuditVerification, description = "What was found")),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn verify(cx: Cx) -> Result<Json<AuditVerification>, Error> {
    cx.authorize(Permission::AuditingRead)?;
    let log = &cx.app().audit;
    let _turn = log.checking.try_lock().map_err(|_| {
        Error::too_many(
            "The audit log is being checked already. Ask again later.",
            1_000,
        )
    })?;
    let keys = log.keys()?;
    let kept = log.kept();
    let snapshot = cx.db().snapshot().await?;
    let mut check = Check {
        keys: &keys,
        dialect: cx.db().dialect(),
        findings: Vec::new(),
    };
    let mut verification = AuditVerification {
        valid: false,
        size: 0,
        pruned: 0,
        waiting: 0,
        findings: Vec::new(),
    };
    match State::read(tree_row(&snapshot, false).await?, &keys) {
        Err(reason) => check.find(reason),
        Ok(state) => {
            match kept::compare(&snapshot, &kept, &state).await {
                Ok(()) => {}
                Err(Comparison::Differs(reason)) => check.find(reason),
                Err(Comparison::Database(error)) => return Err(error),
            }
            verification.size = state.checkpoint.size;
            let leaves = check.leaves(&snapshot, &state).await?;
            (verification.pruned, verification.waiting) =
                check.records(&snapshot, &state, &leaves).await?;
        }
    }
    drop(snapshot);
    if let Some(first) = check.findings.first() {
        let reason = format!("{} findings, the first: {first}", check.findings.len());
        if log.is_news("check", &reason) {
            sequence::report(cx.app(), reason).await;
        }
    }
    verification.valid = check.findings.is_empty();
    verification.findings = check.findings;
    Ok(Json(verification))
}

struct Check<'a> {
    keys: &'a Keys,
    dialect: db::Dialect,
    findings: Vec<String>,
}

impl Check<'_> {
    fn find(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    /// The hashes of all leaves, after comparing every tile with them and them with the signed root.
    async fn leaves(&mut self, tx: &db::Snapshot, state: &State) -> Result<Vec<Hash>, Error> {
        let size = state.checkpoint.size;
        let mut tree = Tree::default();
        let mut leaves = Vec::new();
        let mut computed: BTreeMap<TileId, Vec<u8>> = BTreeMap::new();
        for number in 0..size.div_ceil(transparency::TILE_WIDTH) {
            let id = TileId {
                level: 0,
                index: number,
            };
            let mut known = Tiles::default();
            let loaded = tiles::load(tx, &[id], &mut known).await;
            let width = usize::try_from(id.width(size)).unwrap_or(usize::MAX);
            let nodes = known.nodes(id).and_then(|nodes| nodes.get(..width));
            let Some(nodes) = nodes.filter(|_| loaded.is_ok()) else {
                self.find(format!("tile {number} of level 0 is missing or damaged"));
                return Ok(leaves);
            };
            for node in nodes {
                tree.append(*node);
                leaves.push(*node);
            }
            computed.extend(
                tree.take_changed()
                    .into_iter()
                    .filter(|(id, _)| id.level > 0),
            );
        }
        if tree.root() != state.checkpoint.root {
            self.find("the hashes of the records do not make the root that was signed".into());
        }
        for (id, octets) in computed {
            let row =
                audit_tiles::Entity::find_by_id((i32::from(id.level), id.index.cast_signed()));
            let there = row.one(tx).await?;
            let same = there.is_some_and(|row| row.hashes.starts_with(&octets));
            if !same {
                self.find(format!(
                    "tile {} of level {} is damaged",
                    id.index, id.level
                ));
            }
        }
        Ok(leaves)
    }

    /// Compares every record with its leaf. Answers how many were pruned, and how many wait for a checkpoint.
    async fn records(
        &mut self,
        tx: &db::Snapshot,
        state: &State,
        leaves: &[Hash],
    ) -> Result<(u64, u64), Error> {
        let places = Places::load(tx).await?;
        let mut seen = vec![false; leaves.len()];
        let mut waiting: BTreeMap<i32, BTreeSet<i64>> = BTreeMap::new();
        let mut after = i64::MIN;
        loop {
            let rows = audit_records::Entity::find()
                .filter(audit_records::Column::Id.gt(after))
                .order_by_asc(audit_records::Column::Id)
                .limit(PAGE)
                .all(tx)
                .await?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in rows {
                let hash = match own(self.keys, &row) {
                    Ok(hash) => Some(hash),
                    Err(reason) => {
                        self.find(format!("record {}: {reason}", row.id));
                        None
                    }
                };
                if row.position > state.position(row.chain) {
                    if !waiting.entry(row.chain).or_default().insert(row.position) {
                        self.find(format!("record {}: another one is at its place", row.id));
                    }
                    continue;
                }
                let place = places.find(row.chain, row.position);
                match place.and_then(|place| Some((place, leaves.get(place)?))) {
                    None => self.find(format!("record {}: it is in no tree", row.id)),
                    Some((place, there)) if hash == Some(*there) && !seen[place] => {
                        seen[place] = true;
                    }
                    // Said above.
                    Some((place, _)) if hash.is_none() => seen[place] = true,
                    Some(_) => self.find(format!(
                        "record {}: another one is at its place in the tree",
                        row.id
                    )),
                }
            }
        }
        let pruned_before = usize::try_from(state.pruned_before).unwrap_or(0);
        let mut pruned = 0;
        for (place, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
            if place < pruned_before {
                pruned += 1;
            } else {
                self.find(format!(
                    "the record at place {place} of the tree is missing"
                ));
            }
        }
        let waits = waiting
            .values()
            .map(|positions| positions.len() as u64)
            .sum();
        self.heads(tx, state, &waiting).await?;
        Ok((pruned, waits))
    }

    /// Whether the records that no checkpoint covers are those that were written, no more and no fewer.
    async fn heads(
        &mut self,
        tx: &db::Snapshot,
        state: &State,
        waiting: &BTreeMap<i32, BTreeSet<i64>>,
    ) -> Result<(), Error> {
        let none = BTreeSet::new();
        let heads = audit_heads::Entity::find().all(tx).await?;
        let known: BTreeSet<i32> = heads.iter().map(|head| head.chain).collect();
        let mut used = state.positions.clone();
        used.extend(waiting.keys().map(|chain| (*chain, 0)));
        let gone = sequence::chains_without_head(self.dialect, &used, &known);
        if let Some(finding) = sequence::heads_are_gone(&gone) {
            self.find(finding);
        }
        for head in heads {
            let (chain, signed) = (head.chain, state.position(head.chain));
            if self.keys.head_mac(chain, head.position)[..] != head.mac[..] {
                self.find(format!("the head of chain {chain} was changed"));
                continue;
            }
            if head.position < signed {
                self.find(format!("the head of chain {chain} was put back"));
            }
            let there = waiting.get(&chain).unwrap_or(&none);
            for position in signed + 1..=head.position {
                if !there.contains(&position) {
                    self.find(format!("record {position} of chain {chain} is missing"));
                }
            }
            for position in there.iter().filter(|position| **position > head.position) {
                self.find(format!("record {position} of chain {chain} was put there"));
            }
        }
        Ok(())
    }
}

/// All runs, to be searched.
struct Places(Vec<audit_runs::Model>);

impl Places {
    async fn load(tx: &db::Snapshot) -> Result<Self, Error> {
        let runs = audit_runs::Entity::find()
            .order_by_asc(audit_runs::Column::Chain)
            .order_by_asc(audit_runs::Column::FirstPosition)
            .all(tx)
            .await?;
        Ok(Self(runs))
    }

    fn find(&self, chain: i32, position: i64) -> Option<usize> {
        let after = self
            .0
            .partition_point(|run| (run.chain, run.first_position) <= (chain, position));
        let run = self.0.get(after.checked_sub(1)?)?;
        let offset = position.checked_sub(run.first_position)?;
        let inside = run.chain == chain && offset < run.length;
        inside.then(|| usize::try_from(run.first_leaf + offset).ok())?
    }
}
