//! What a change of metadata is: rows, history and audit of those certificates for which anything becomes different.

use std::collections::{BTreeMap, HashMap};

use db::tables::{certificate_metadata, certificates};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Map, Value, json};

use super::super::noted;
use super::super::stored::history_row;
use super::values;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::is_blank;

/// Characters of a value that the history shows.
const SHOWN_MAX: usize = 200;

/// A value to be set, checked against its field.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    name: String,
    fold: String,
    /// `None` clears.
    value: Option<String>,
    overwrite: bool,
}

impl Wanted {
    /// `overwrite` says whether it also takes the place of a value that is there.
    pub(super) fn new(name: String, value: String, overwrite: bool) -> Self {
        Self {
            fold: db::fold(&name),
            name,
            value: Some(value).filter(|value| !is_blank(value)),
            overwrite,
        }
    }
}

/// Sets values on certificates, which stay locked until the end of the write. Those that have them already are not written, and
/// get neither history nor audit record. Answers how many of the certificates there are.
///
/// # Errors
/// Those of the database.
pub(super) async fn set(
    tx: &db::Tx,
    cx: &Cx,
    ids: &[i64],
    wanted: &[Wanted],
) -> Result<usize, Error> {
    // In one order for everybody, so that nobody waits in a circle.
    let rows: Vec<(i64, String, String)> = certificates::Entity::find()
        .select_only()
        .columns([
            certificates::Column::Id,
            certificates::Column::Subject,
            certificates::Column::Thumbprint,
        ])
        .filter(certificates::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(certificates::Column::Id)
        .lock_exclusive()
        .into_tuple()
        .all(tx)
        .await?;
    let current: HashMap<(i64, String), String> = certificate_metadata::Entity::find()
        .filter(certificate_metadata::Column::CertificateId.is_in(ids.iter().copied()))
        .filter(
            certificate_metadata::Column::NameFold.is_in(wanted.iter().map(|wanted| &wanted.fold)),
        )
        .all(tx)
        .await?
        .into_iter()
        .map(|row| ((row.certificate_id, row.name_fold), row.value))
        .collect();
    let (mut put, mut cleared) = (Vec::new(), BTreeMap::<&str, Vec<i64>>::new());
    let (mut history, mut entries) = (Vec::new(), Vec::new());
    for (id, subject, thumbprint) in &rows {
        let (mut before, mut after) = (Map::new(), Map::new());
        let mut changes = Vec::new();
        for wanted in wanted {
            let old = current.get(&(*id, wanted.fold.clone()));
            let new = wanted.value.as_ref();
            if old == new || old.is_some() && !wanted.overwrite {
                continue;
            }
            match new {
                Some(value) => put.push((*id, &*wanted.name, &**value)),
                None => cleared.entry(&wanted.name).or_default().push(*id),
            }
            changes.push(format!(
                "{} was changed from {} to {}.",
                wanted.name,
                shown(old),
                shown(new)
            ));
            before.insert(wanted.name.clone(), json!(old));
            after.insert(wanted.name.clone(), json!(new));
        }
        if changes.is_empty() {
            continue;
        }
        history.push(history_row(cx, *id, "Metadata Changed", &changes.join(" ")));
        let title = if subject.is_empty() {
            thumbprint
        } else {
            subject
        };
        let message = format!("The metadata of certificate {id} was changed.");
        let entry = Entry::new(Operation::Updated, Category::Certificate, title, message)
            .before(json!({ "Metadata": Value::Object(before) }))
            .after(json!({ "Metadata": Value::Object(after) }));
        entries.push((cx, entry));
    }
    noted::note(tx, rows.iter().map(|(id, _, _)| *id)).await?;
    values::put(tx, cx, put).await?;
    for (name, ids) in cleared {
        values::clear(tx, cx, name, &ids).await?;
    }
    db::insert_all(tx, history).await?;
    audit::record_all(tx, entries).await?;
    Ok(rows.len())
}

fn shown(value: Option<&String>) -> String {
    let Some(value) = value else {
        return "none".into();
    };
    let mut letters = value.chars();
    let some: String = letters.by_ref().take(SHOWN_MAX).collect();
    let more = if letters.next().is_some() { "…" } else { "" };
    format!("{some:?}{more}")
}
