//! A lot of certificates into the inventory, in one transaction with how far the import has come and with its record.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lc_rs::digest;
use db::tables::imports::Model;
use db::tables::{certificate_metadata, certificates, imports};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::json;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::progress::{self, RUNNING};
use super::reading::{Found, Lot};
use crate::application_settings::OwnerPolicy;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificates::record::{New, Origin, record_new, turn};
use crate::certificates::{Counted, counts, metadata, noted, stored};
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::metadata_fields;
use crate::security::{Permission, granted_now, role_by_id};

/// Certificates that are looked for in one statement.
const LOOKED_FOR: usize = 500;
/// Failures that are kept of an import.
const FAILURES_MAX: usize = 100;

/// What is to be said of all certificates of a stream.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) cx: Cx,
    /// The owner of new ones, where one is named.
    pub(super) owner_role_id: Option<i64>,
    pub(super) metadata: Vec<(String, String)>,
}

/// A lot, where it is in the stream.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The import, and the run that reads its stream now.
    pub(super) import: Uuid,
    pub(super) run: Uuid,
    pub(super) lot: Arc<Lot>,
    /// The octet that it begins with.
    pub(super) begin: i64,
    /// The lot before it and its first octet, where that is still being written.
    pub(super) before: Option<(i64, Arc<Lot>)>,
}

impl Placed {
    /// Waits until nobody writes the lot that begins here, and has it until the end of the transaction.
    async fn take_turn(&self, tx: &db::Tx, begin: i64) -> Result<(), Error> {
        Ok(db::take_turn(tx, &format!("import {} lot {begin}", self.import)).await?)
    }

    /// How far the import has come, which nobody else changes from here on.
    async fn row(&self, tx: &db::Tx) -> Result<Model, Error> {
        let row = progress::locked(tx, self.import).await?;
        let ours = row.filter(|row| row.run_id == self.run && row.state == RUNNING);
        ours.ok_or_else(|| goes_on_elsewhere(self.import))
    }

    /// Whether the lot before it has this certificate.
    fn follows(&self, sha256: &Vec<u8>) -> bool {
        let before = self.before.as_ref();
        before.is_some_and(|(_, lot)| lot.digests.contains(sha256))
    }
}

impl Plan {
    /// Writes a lot and answers the import's row as it is then. What takes longest is written beside the lot before it; what others wait
    /// for, as counters, once that is on disk. Says when it `has_turn`: the next may begin.
    ///
    /// # Errors
    /// 403 and 409 when the caller may not, or another request reads the stream; unavailable when the lot before could not be written;
    /// those of the database.
    pub(super) async fn write(
        self,
        tx: &db::Tx,
        placed: Placed,
        has_turn: oneshot::Sender<()>,
    ) -> Result<Model, Error> {
        let Placed { lot, begin, .. } = &placed;
        placed.take_turn(tx, *begin).await?;
        // Whoever waited for it may be gone.
        has_turn.send(()).unwrap_or_default();
        if placed.before.is_none() {
            let row = placed.row(tx).await?;
            if row.octets > *begin {
                // An earlier try, whose end nobody heard of.
                return Ok(row);
            }
        }
        let cx = &granted_now(tx, &self.cx).await?;
        self.authorize(tx, cx).await?;
        // Among few certificates at first, and soon among very many.
        db::plan_each(tx, true).await?;
        let known = known(tx, &lot.found).await?;
        db::plan_each(tx, false).await?;
        let mut seen = HashSet::with_capacity(lot.found.len());
        let mut new: Vec<&Found> = lot
            .found
            .iter()
            .filter(|found| !known.contains_key(&found.sha256) && !placed.follows(&found.sha256))
            .filter(|found| seen.insert(&found.sha256))
            .collect();
        new.sort_unstable_by_key(|found| turn(&found.certificate, &found.sha256));
        let metadata = metadata_fields::check_in(tx, &self.metadata).await?;
        let (ids, counted) = self.add(tx, placed.import, &new, &metadata).await?;
        if let Some((before, _)) = &placed.before {
            placed.take_turn(tx, *before).await?;
        }
        let mut row = placed.row(tx).await?;
        if row.octets != *begin {
            return Err(Error::new(
                Kind::Unavailable,
                "The lot before it is not on disk.",
            ));
        }
        let updated = self.update(tx, row.id, &known, &metadata).await?;
        counts::change(tx, counted).await?;
        let count = |of: usize| of.cast_signed() as i64;
        row.new_certificates += count(new.len());
        row.updated_certificates += count(updated.len());
        row.known_certificates += count(lot.found.len() - new.len() - updated.len());
        if new.len() + updated.len() > 0 {
            let entry = entry(&row, lot, &new, &ids, &updated);
            audit::record(tx, cx, entry).await?;
        }
        row.failed_certificates += count(lot.failures.len());
        if !lot.failures.is_empty() {
            let mut kept: Vec<(u64, String)> = serde_json::from_str(&row.failures)?;
            let room = FAILURES_MAX.saturating_sub(kept.len());
            let more = lot.failures.iter().take(room);
            kept.extend(more.map(|failure| (failure.offset, failure.reason.clone())));
            row.failures = serde_json::to_string(&kept)?;
        }
        row.octets = lot.end.cast_signed();
        let now = cx.now();
        row.active_ms += (now - row.updated_at).max(0);
        row.updated_at = now;
        save(tx, &row).await?;
        Ok(row)
    }

    /// A stream may go on long after it was allowed to begin: what counts for a lot is what its caller may when it is written.
    async fn authorize(&self, tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
        cx.authorize(Permission::CertificatesImport)?;
        if !self.metadata.is_empty() {
            cx.authorize(Permission::CertificatesMetadataModify)?;
        }
        let Some(id) = self.owner_role_id else {
            return Ok(());
        };
        let role = role_by_id(tx, id).await?;
        let gone =
            || Error::conflict("The security role that was to own the certificates is gone.");
        let role = role.ok_or_else(gone)?;
        cx.authorize_first_owner(&role)?;
        OwnerPolicy::load(tx).await?.usable("OwnerRoleId", &role)
    }

    /// The new ones. Answers their ids, and what is to be counted of them.
    async fn add(
        &self,
        tx: &db::Tx,
        import: Uuid,
        new: &[&Found],
        metadata: &[(String, String)],
    ) -> Result<(Vec<i64>, Vec<(Counted, i64)>), Error> {
        if new.is_empty() {
            return Ok(Default::default());
        }
        let owner_role_id = match self.owner_role_id {
            Some(id) => Some(id),
            None => OwnerPolicy::load(tx).await?.default_owner(tx).await?,
        };
        let [ids] = db::reserve_ids(tx, ["certificates"], new.len()).await?;
        let rows = new.iter().zip(&ids).map(|(found, id)| New {
            cx: &self.cx,
            id: *id,
            certificate: &found.certificate,
            origin: Origin {
                owner_role_id,
                metadata,
                history: Some((
                    "Imported",
                    format!("Imported as part of import {import}.{}", found.oddities),
                )),
                ..Origin::default()
            },
        });
        let counted = record_new(tx, &rows.collect::<Vec<_>>()).await?;
        Ok((ids, counted))
    }

    /// Metadata of those that are known and have other values. Answers their ids.
    async fn update(
        &self,
        tx: &db::Tx,
        import: Uuid,
        known: &HashMap<Vec<u8>, i64>,
        metadata: &[(String, String)],
    ) -> Result<Vec<i64>, Error> {
        use certificate_metadata::{Column, Entity};
        if metadata.is_empty() || known.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<i64> = known.values().copied().collect();
        ids.sort_unstable();
        let mut there: HashSet<(i64, String, String)> = HashSet::new();
        for some in ids.chunks(LOOKED_FOR) {
            let rows = Entity::find()
                .filter(Column::CertificateId.is_in(some.iter().copied()))
                .all(tx)
                .await?;
            there.extend(
                rows.into_iter()
                    .map(|row| (row.certificate_id, row.name_fold, row.value)),
            );
        }
        let is_there = |id: i64, name: &str, value: &str| {
            there.contains(&(id, db::fold(name), value.to_owned()))
        };
        ids.retain(|id| {
            !metadata
                .iter()
                .all(|(name, value)| is_there(*id, name, value))
        });
        for id in &ids {
            metadata::enter(tx, &self.cx, *id, metadata).await?;
        }
        noted::note(tx, ids.iter().copied()).await?;
        let lines = ids.iter().map(|id| {
            let comment = format!("Imported again as part of import {import}: new metadata.");
            stored::history_row(&self.cx, *id, "Imported", &comment)
        });
        db::insert_all(tx, lines).await?;
        Ok(ids)
    }
}

/// The ids of those that are known, by digest.
async fn known(tx: &db::Tx, found: &[Found]) -> Result<HashMap<Vec<u8>, i64>, Error> {
    use certificates::{Column, Entity};
    let mut known = HashMap::new();
    for some in found.chunks(LOOKED_FOR) {
        let thumbprints = some.iter().map(|found| found.certificate.thumbprint());
        let wanted: HashSet<&Vec<u8>> = some.iter().map(|found| &found.sha256).collect();
        let rows: Vec<(Vec<u8>, i64)> = Entity::find()
            .select_only()
            .columns([Column::Sha256, Column::Id])
            .filter(Column::Thumbprint.is_in(thumbprints))
            .into_tuple()
            .all(tx)
            .await?;
        // Others may have been made to have the same thumbprints.
        known.extend(
            rows.into_iter()
                .filter(|(sha256, _)| wanted.contains(sha256)),
        );
    }
    Ok(known)
}

/// Writes how far the import has come, as long as no other request reads its stream.
///
/// # Errors
/// 409 when another does.
pub(super) async fn save(tx: &db::Tx, row: &Model) -> Result<(), Error> {
    let changed = imports::ActiveModel {
        id: ActiveValue::NotSet,
        run_id: ActiveValue::NotSet,
        ..imports::ActiveModel::from(row.clone()).reset_all()
    };
    let written = imports::Entity::update_many()
        .set(changed)
        .filter(imports::Column::Id.eq(row.id))
        .filter(imports::Column::RunId.eq(row.run_id))
        .filter(imports::Column::State.eq(RUNNING))
        .exec(tx)
        .await?;
    match written.rows_affected {
        0 => Err(goes_on_elsewhere(row.id)),
        _ => Ok(()),
    }
}

fn goes_on_elsewhere(import: Uuid) -> Error {
    Error::conflict(format!("Import {import} goes on in another request."))
}

/// One record of a lot: which certificates came by it, by their ids and by a digest of their digests. The row says where the lot begins.
fn entry(row: &Model, lot: &Lot, new: &[&Found], ids: &[i64], updated: &[i64]) -> Entry {
    let mut digest = digest::Context::new(&digest::SHA256);
    new.iter().for_each(|found| digest.update(&found.sha256));
    let before = row.octets;
    let message = format!(
        "Import {}, octets {before} to {}: {} new certificates, {} updated.",
        row.id,
        lot.end,
        new.len(),
        updated.len()
    );
    let title = format!("Import {}", row.id);
    Entry::new(Operation::Imported, Category::Certificate, title, message).after(json!({
        "ImportId": row.id,
        "Octets": [before, lot.end],
        "New": new.len(),
        "FirstId": ids.iter().min(),
        "LastId": ids.iter().max(),
        // Of the SHA-256 of each, in the order of their ids.
        "Sha256": hex::encode_upper(digest.finish()),
        "Updated": updated,
    }))
}
