//! `GET /Chancery/Audit/Export`, and the same for the command line: the whole log as lines that `chancery audit verify` checks
//! without a server.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use db::tables::audit_records::{Column, Entity, Model};
use db::tables::audit_runs;
use futures::stream;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder};
use transparency::{Hash, TILE_WIDTH, TileId, Tiles, export_header, pruned_line, to_base64};

use super::keys::tree_row;
use super::state::State;
use super::tiles::TilesError;
use super::{leaf, places, proofs, sequence, tiles};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;

/// The whole audit log as text, tile by tile. Records that came after the export began are not in it.
#[derive(Debug)]
pub struct Export {
    cx: Cx,
    size: u64,
    next: u64,
    /// Bodies before this place may be gone, as the log says that is exported.
    pruned_before: i64,
    header: Option<String>,
}

impl Export {
    /// Signs what is not signed yet and begins.
    ///
    /// # Errors
    /// 403; 409 when the log was tampered with so that nothing can be signed; those of the database.
    pub async fn begin(cx: &Cx) -> Result<Self, Error> {
        cx.authorize(Permission::AuditingRead)?;
        let app = cx.app();
        let keys = app.audit.keys()?;
        let state = sequence::sequence(app, None).await?.map_err(|reason| {
            Error::conflict(format!("The audit log was tampered with: {reason}."))
        })?;
        // Before the first line is out: an answer that breaks off says less.
        let damaged = || Error::conflict("The audit log was tampered with: its tiles are damaged.");
        match tiles::root_at(cx.db().read(), state.checkpoint.size).await {
            Ok(root) if root == state.checkpoint.root => {}
            Ok(_) | Err(tiles::TilesError::Damaged) => return Err(damaged()),
            Err(tiles::TilesError::Database(error)) => return Err(error),
        }
        Ok(Self {
            cx: cx.clone(),
            size: state.checkpoint.size,
            next: 0,
            pruned_before: state.pruned_before,
            header: Some(export_header(keys.signer.verifier(), &state.note)),
        })
    }

    /// How many records it has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next lines; `None` after the last.
    ///
    /// # Errors
    /// Those of the database, and damaged tiles.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        if let Some(header) = self.header.take() {
            return Ok(Some(header + "\n"));
        }
        if self.next >= self.size {
            return Ok(None);
        }
        let first = self.next;
        let count = TILE_WIDTH.min(self.size - first);
        let id = TileId {
            level: 0,
            index: first / TILE_WIDTH,
        };
        let above = TileId {
            level: 1,
            index: id.index / TILE_WIDTH,
        };
        let read = self.cx.db().read();
        let (start, end) = (first.cast_signed(), (first + count).cast_signed());
        let leaves = leaves_of(read, start, end).await.map_err(Error::from)?;
        let gone = |(place, _, row): &&(i64, Hash, Option<Model>)| {
            row.is_none() && *place >= self.pruned_before
        };
        if let Some((place, ..)) = leaves.iter().find(gone) {
            self.check_pruned(*place).await?;
        }
        let mut text = String::with_capacity(128 * 1024);
        for (_, node, row) in leaves {
            // A row that makes no line any more is as good as none.
            let line = row.and_then(|row| leaf::line(&row).ok());
            match line.map(String::from_utf8) {
                // A line end in a record would be one that the server never wrote: the hash of the line tells.
                Some(Ok(line)) => text.push_str(&line.replace('\n', " ")),
                _ => text.push_str(&pruned_line(&node)),
            }
            text.push('\n');
        }
        if count == TILE_WIDTH {
            let mut known = Tiles::default();
            tiles::load(read, &[above], &mut known)
                .await
                .map_err(Error::from)?;
            let at = usize::try_from(id.index % TILE_WIDTH).unwrap_or_default();
            let root = known.nodes(above).and_then(|nodes| nodes.get(at));
            let root =
                root.ok_or_else(|| Error::internal("the tiles of the audit tree are damaged"))?;
            text.push_str(&format!("{{\"tile\":\"{}\"}}\n", to_base64(root)));
        }
        self.next += count;
        Ok(Some(text))
    }

    /// Breaks the export off when it is overtaken by a pruning that its own records do not tell of: whoever checked it would take
    /// the bodies for missing.
    async fn check_pruned(&self, place: i64) -> Result<(), Error> {
        let keys = self.cx.app().audit.keys()?;
        let state = State::read(tree_row(self.cx.db().read(), false).await?, &keys);
        match state {
            Ok(state) if place < state.pruned_before => Err(Error::conflict(
                "Records were pruned while they were exported. Begin again.",
            )),
            _ => Ok(()),
        }
    }
}

/// What stands at places `first` up to `end` of the tree: place, hash of the leaf, and the record as far as it is there.
pub(super) async fn leaves_of(
    connection: &impl sea_orm::ConnectionTrait,
    first: i64,
    end: i64,
) -> Result<Vec<(i64, Hash, Option<Model>)>, TilesError> {
    let tile = |place: i64| TileId {
        level: 0,
        index: place.cast_unsigned() / TILE_WIDTH,
    };
    let mut ids: Vec<TileId> = (first..end).map(tile).collect();
    ids.dedup();
    let mut known = Tiles::default();
    tiles::load(connection, &ids, &mut known).await?;
    let mut rows = records_of(connection, first, end).await?;
    (first..end)
        .map(|place| {
            let hash = proofs::transparency_leaf(&known, place.cast_unsigned());
            let hash = hash.map_err(|_| TilesError::Damaged)?;
            Ok((place, hash, rows.remove(&place)))
        })
        .collect()
}

/// The records that stand at places `first` up to `end` of the tree, with their places, as far as they are there.
async fn records_of(
    connection: &impl sea_orm::ConnectionTrait,
    first: i64,
    end: i64,
) -> Result<BTreeMap<i64, Model>, Error> {
    let mut runs: Vec<audit_runs::Model> = places::run_of(connection, first)
        .await?
        .into_iter()
        .collect();
    runs.extend(
        audit_runs::Entity::find()
            .filter(audit_runs::Column::FirstLeaf.gt(first))
            .filter(audit_runs::Column::FirstLeaf.lt(end))
            .all(connection)
            .await?,
    );
    let mut wanted = Condition::any();
    let mut parts = Vec::new();
    for run in runs {
        let skip = (first - run.first_leaf).max(0);
        let until = run.length.min(end - run.first_leaf);
        let (low, high) = (run.first_position + skip, run.first_position + until - 1);
        wanted = wanted.add(
            Condition::all()
                .add(Column::Chain.eq(run.chain))
                .add(Column::Position.between(low, high)),
        );
        parts.push((run.chain, low, high, run.first_leaf + skip));
    }
    if parts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = Entity::find()
        .filter(wanted)
        .order_by_desc(Column::Id)
        .all(connection)
        .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let part = parts.iter().find(|(chain, low, high, _)| {
            row.chain == *chain && (*low..=*high).contains(&row.position)
        });
        if let Some((_, low, _, leaf)) = part {
            // Of two rows at one place the older one counts; the check of the database finds the other.
            found.insert(leaf + (row.position - low), row);
        }
    }
    Ok(found)
}

/// The whole audit log for `chancery audit verify`: a line of JSON for each record, after one with the signed checkpoint.
#[utoipa::path(
    get,
    path = "/Chancery/Audit/Export",
    tag = "Chancery",
    responses((status = 200, description = "The log; docs/audit.md describes the lines", content_type = "application/jsonl", body = String), (status = 409, description = "The log was tampered with", body = crate::error::ErrorBody)),
    extensions(("x-permissions" = json!(["/auditing/read/"])))
)]
pub(super) async fn download(cx: Cx) -> Result<Response, Error> {
    let export = Export::begin(&cx).await?;
    let parts = stream::unfold(Some(export), |export| async move {
        let mut export = export?;
        match export.next().await {
            Ok(Some(text)) => Some((Ok(Bytes::from(text)), Some(export))),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, source = ?std::error::Error::source(&error), "audit export broken off");
                Some((Err(error), None))
            }
        }
    });
    let media = HeaderValue::from_static("application/jsonl");
    let name = HeaderValue::from_static("attachment; filename=\"audit.jsonl\"");
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
