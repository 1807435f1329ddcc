//! What is in a store: written by agents, read by everybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_lc_rs::digest;
use db::tables::{
    certificate_stores, certificates, store_entries, store_entry_certificates, store_inventories,
};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel,
    PaginatorTrait, QueryFilter, QueryOrder,
};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::certificates::{Seen, record_seen};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;

/// Rows of one statement at most: SQLite takes 32,766 values in one.
const ROWS_MAX: usize = 500;

/// Part of every digest of a report: another one, where the same text begins to mean something else.
const READING: &[u8] = b"1";

/// What an agent reports of a store.
pub(crate) struct StoreReport {
    /// [`report_digest`] of it.
    pub(crate) digest: Vec<u8>,
    /// Nothing where it is not read, since it seems to be the last one again.
    pub(crate) items: Option<Vec<InventoryUpdate>>,
}

/// One entry that an agent reports.
#[derive(Clone, Debug)]
pub(crate) struct InventoryUpdate {
    /// The name of the entry in the store.
    pub(crate) alias: String,
    /// 0 full, 1 add, 2 modify, 3 remove, 4 unchanged.
    pub(crate) status: i32,
    /// Leaf first.
    pub(crate) certificates: Vec<Seen>,
    /// Whether the store holds the leaf's private key.
    pub(crate) private_key: bool,
    /// Values of entry parameters.
    pub(crate) parameters: Map<String, Value>,
}

/// One entry as it should be.
struct Wanted {
    alias: String,
    certificate_ids: Vec<i64>,
    private_key: bool,
    parameters: String,
}

/// Makes the stored inventory what the agent reports: aliases that are not mentioned are gone. Entries that are the same
/// already are not written; an alias that is reported twice counts once, with its first report. An entry with a certificate that
/// cannot be read counts as unchanged: what was known of it is still the best that is known.
///
/// The same report twice changes nothing the second time. So one that is the last one again is not compared with anything, as long as
/// the store has the places that it had then: besides inventories, places only go, with their certificates. Answers whether that is all;
/// when not, nothing was written, and the report has to come again with its items.
///
/// # Errors
/// Those of the database.
pub(crate) async fn record_inventory(
    tx: &db::Tx,
    cx: &Cx,
    store: &certificate_stores::Model,
    report: StoreReport,
) -> Result<bool, Error> {
    let last = store_inventories::Entity::find_by_id(store.id);
    let last = last.one(tx).await?;
    let StoreReport { digest, items } = report;
    let report = store_inventories::Model {
        store_id: store.id,
        digest,
        places: places(tx, store.id).await?,
    };
    if last.as_ref() != Some(&report) {
        let Some(items) = items else {
            return Ok(false);
        };
        let known = compare(tx, cx, store, items).await?;
        // One that could not be read whole is compared again: another server may read more of it.
        let report = store_inventories::Model {
            digest: known.map_or_else(Vec::new, |_| report.digest),
            places: known.unwrap_or_default(),
            ..report
        };
        let again = OnConflict::column(store_inventories::Column::StoreId)
            .update_columns([
                store_inventories::Column::Digest,
                store_inventories::Column::Places,
            ])
            .to_owned();
        store_inventories::Entity::insert(report.into_active_model())
            .on_conflict(again)
            .exec_without_returning(tx)
            .await?;
    }
    let seen = certificate_stores::ActiveModel {
        id: ActiveValue::Unchanged(store.id),
        last_inventory_at: ActiveValue::Set(Some(cx.now())),
        ..Default::default()
    };
    certificate_stores::Entity::update_many()
        .set(seen)
        .filter(certificate_stores::Column::Id.eq(store.id))
        .exec(tx)
        .await?;
    Ok(true)
}

/// Whether a report is the last one of a store again, as far as it says itself.
///
/// # Errors
/// Those of the database.
pub(crate) async fn is_last_report(
    connection: &impl ConnectionTrait,
    store_id: Uuid,
    digest: &[u8],
) -> Result<bool, Error> {
    let last = store_inventories::Entity::find_by_id(store_id);
    let last = last.one(connection).await?;
    Ok(last.is_some_and(|last| last.digest == digest))
}

async fn places(tx: &db::Tx, store_id: Uuid) -> Result<i64, Error> {
    let rows = store_entry_certificates::Entity::find()
        .filter(store_entry_certificates::Column::StoreId.eq(store_id));
    Ok(rows.count(tx).await?.cast_signed())
}

/// The SHA-256 of what a report says of the entries, as it was sent.
pub(crate) fn report_digest(text: &[u8]) -> Vec<u8> {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(READING);
    digest.update(text);
    digest.finish().as_ref().to_vec()
}

/// Writes where the report is another than what is stored. Answers how many places the store has by it; nothing when some of it cannot
/// be read. They are not counted in the table: on PostgreSQL some may have gone meanwhile, which the next report has to bring back.
async fn compare(
    tx: &db::Tx,
    cx: &Cx,
    store: &certificate_stores::Model,
    items: Vec<InventoryUpdate>,
) -> Result<Option<i64>, Error> {
    let found = store_entries::Entity::find()
        .filter(store_entries::Column::StoreId.eq(store.id))
        .all(tx)
        .await?;
    let mut chains = chains_of(tx, store.id).await?;
    let mut stored: HashMap<String, store_entries::Model> = found
        .into_iter()
        .map(|entry| (entry.alias_fold.clone(), entry))
        .collect();
    let mut gone: Vec<i64> = Vec::new();
    // Certificates that are in other places now.
    let mut moved: Vec<i64> = Vec::new();
    let (mut places, mut is_read) = (0, true);
    for (fold, wanted) in wanted(tx, cx, items, &stored).await? {
        let before = stored.remove(&fold);
        match (before, wanted) {
            // Unchanged, as the agent says without repeating it.
            (before, report @ (Report::Unchanged | Report::Unreadable)) => {
                is_read &= matches!(report, Report::Unchanged);
                let chain = before.and_then(|entry| chains.remove(&entry.id));
                places += chain.map_or(0, |chain| chain.len());
            }
            (None, Report::Removed) => {}
            (Some(entry), Report::Removed) => {
                moved.extend(chains.remove(&entry.id).unwrap_or_default());
                gone.push(entry.id);
            }
            (before, Report::Present(wanted)) => {
                let chain = before
                    .as_ref()
                    .and_then(|entry| chains.remove(&entry.id))
                    .unwrap_or_default();
                places += wanted.certificate_ids.len();
                if chain != wanted.certificate_ids {
                    moved.extend(chain.iter().chain(&wanted.certificate_ids));
                }
                put(tx, cx, store.id, fold, before, &chain, wanted).await?;
            }
        }
    }
    for entry in stored.values() {
        moved.extend(chains.remove(&entry.id).unwrap_or_default());
        gone.push(entry.id);
    }
    past::entries_change(tx, cx, &gone).await?;
    for ids in gone.chunks(ROWS_MAX) {
        // The chains go with their entries.
        let ids = ids.iter().copied();
        store_entries::Entity::delete_many()
            .filter(store_entries::Column::Id.is_in(ids))
            .exec(tx)
            .await?;
    }
    crate::certificates::note(tx, moved).await?;
    Ok(is_read.then_some(places as i64))
}

enum Report {
    Present(Wanted),
    Unchanged,
    /// It has a certificate that cannot be read: what was known of it is still the best that is known.
    Unreadable,
    Removed,
}

/// The reports by folded alias, in their order, with the ids of their certificates.
async fn wanted(
    tx: &db::Tx,
    cx: &Cx,
    items: Vec<InventoryUpdate>,
    stored: &HashMap<String, store_entries::Model>,
) -> Result<Vec<(String, Report)>, Error> {
    let mut seen = BTreeSet::new();
    let items: Vec<(String, InventoryUpdate)> = items
        .into_iter()
        .map(|item| (db::fold(&item.alias), item))
        .filter(|(fold, _)| seen.insert(fold.clone()))
        .collect();
    let mut all: Vec<&Seen> = Vec::new();
    for (_, item) in items.iter().filter(|(_, item)| item.status != 3) {
        all.extend(&item.certificates);
    }
    let mut ids = record_seen(tx, cx, &all).await?.into_iter();
    let mut reports = Vec::with_capacity(items.len());
    for (fold, item) in items {
        if item.status == 3 {
            reports.push((fold, Report::Removed));
            continue;
        }
        let of_item = ids.by_ref().take(item.certificates.len());
        let of_item: Vec<Option<i64>> = of_item.collect();
        let Some(certificate_ids) = of_item.into_iter().collect::<Option<Vec<i64>>>() else {
            let alias = item.alias;
            tracing::warn!(
                alias,
                "an inventory item has a certificate that cannot be read"
            );
            reports.push((fold, Report::Unreadable));
            continue;
        };
        // An entry that is said to be unchanged but is not known here is new all the same, if it says what it is.
        let report =
            if item.status == 4 && (stored.contains_key(&fold) || certificate_ids.is_empty()) {
                Report::Unchanged
            } else {
                Report::Present(Wanted {
                    alias: item.alias.trim().to_owned(),
                    certificate_ids,
                    private_key: item.private_key,
                    parameters: Value::Object(item.parameters).to_string(),
                })
            };
        reports.push((fold, report));
    }
    Ok(reports)
}

async fn put(
    tx: &db::Tx,
    cx: &Cx,
    store_id: Uuid,
    fold: String,
    before: Option<store_entries::Model>,
    chain: &[i64],
    wanted: Wanted,
) -> Result<(), Error> {
    let entry_id = match before {
        Some(entry) => {
            // Places of certificates are called by the alias.
            let same_places = chain == wanted.certificate_ids && entry.alias == wanted.alias;
            if !same_places {
                past::entries_change(tx, cx, &[entry.id]).await?;
            }
            let same = entry.alias == wanted.alias
                && entry.private_key == wanted.private_key
                && entry.parameters == wanted.parameters;
            if !same {
                let row = store_entries::ActiveModel {
                    id: ActiveValue::Unchanged(entry.id),
                    alias: ActiveValue::Set(wanted.alias),
                    private_key: ActiveValue::Set(wanted.private_key),
                    parameters: ActiveValue::Set(wanted.parameters),
                    ..Default::default()
                };
                row.update(tx).await?;
            }
            if same_places {
                return Ok(());
            }
            store_entry_certificates::Entity::delete_many()
                .filter(store_entry_certificates::Column::EntryId.eq(entry.id))
                .exec(tx)
                .await?;
            entry.id
        }
        None => {
            let row = store_entries::ActiveModel {
                id: ActiveValue::NotSet,
                store_id: ActiveValue::Set(store_id),
                alias: ActiveValue::Set(wanted.alias),
                alias_fold: ActiveValue::Set(fold),
                private_key: ActiveValue::Set(wanted.private_key),
                parameters: ActiveValue::Set(wanted.parameters),
            };
            row.insert(tx).await?.id
        }
    };
    let rows = (0_i32..).zip(&wanted.certificate_ids).map(|(level, id)| {
        store_entry_certificates::ActiveModel {
            entry_id: ActiveValue::Set(entry_id),
            chain_level: ActiveValue::Set(level),
            certificate_id: ActiveValue::Set(*id),
            store_id: ActiveValue::Set(store_id),
            since: ActiveValue::Set(Some(cx.now())),
        }
    });
    let rows: Vec<_> = rows.collect();
    for part in rows.chunks(ROWS_MAX) {
        store_entry_certificates::Entity::insert_many(part.to_vec())
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// The certificates of each entry of a store, leaf first.
async fn chains_of(
    connection: &impl ConnectionTrait,
    store_id: Uuid,
) -> Result<HashMap<i64, Vec<i64>>, Error> {
    let rows = store_entry_certificates::Entity::find()
        .filter(store_entry_certificates::Column::StoreId.eq(store_id))
        .order_by_asc(store_entry_certificates::Column::EntryId)
        .order_by_asc(store_entry_certificates::Column::ChainLevel)
        .all(connection)
        .await?;
    let mut chains: HashMap<i64, Vec<i64>> = HashMap::new();
    for row in rows {
        chains
            .entry(row.entry_id)
            .or_default()
            .push(row.certificate_id);
    }
    Ok(chains)
}

/// What the last inventory found: for each entry its alias, whether the key is there, and the thumbprints, leaf first.
///
/// # Errors
/// Those of the database.
pub(crate) async fn last_inventory(
    connection: &impl ConnectionTrait,
    store_id: Uuid,
) -> Result<Vec<(String, bool, Vec<String>)>, Error> {
    let entries = store_entries::Entity::find()
        .filter(store_entries::Column::StoreId.eq(store_id))
        .order_by_asc(store_entries::Column::AliasFold)
        .all(connection)
        .await?;
    let mut chains = chains_of(connection, store_id).await?;
    let ids: BTreeSet<i64> = chains.values().flatten().copied().collect();
    let mut thumbprints: BTreeMap<i64, String> = BTreeMap::new();
    let ids: Vec<i64> = ids.into_iter().collect();
    for part in ids.chunks(ROWS_MAX) {
        let rows = certificates::Entity::find()
            .filter(certificates::Column::Id.is_in(part.iter().copied()))
            .all(connection)
            .await?;
        thumbprints.extend(rows.into_iter().map(|row| (row.id, row.thumbprint)));
    }
    let of = |id: i64| thumbprints.get(&id).cloned();
    Ok(entries
        .into_iter()
        .map(|entry| {
            let chain = chains.remove(&entry.id).unwrap_or_default();
            (
                entry.alias,
                entry.private_key,
                chain.into_iter().filter_map(of).collect(),
            )
        })
        .collect())
}
