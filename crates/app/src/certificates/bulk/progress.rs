//! How far an import has come: its row, as it is shown, and which imports this server reads just now.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use db::Dialect;
use db::tables::imports::{Column, Entity, Model};
use sea_orm::sea_query::Expr;
use sea_orm::{EntityTrait, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::stream::Format;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Date, List, Paging};

/// Imports of one account at a time on one server.
const AT_ONCE_OF_ONE: usize = 2;
/// Imports of all accounts at a time on one server: each has some lots of certificates in memory.
const AT_ONCE: usize = 8;
/// The server that reads a stream says so this often at least, in milliseconds.
pub(super) const HEARTBEAT_MS: i64 = 15_000;
/// An import of which no server has said anything for so long is read by none, in milliseconds.
const SILENCE_MS: i64 = 60_000;

pub(super) const RUNNING: i32 = 0;
pub(super) const COMPLETE: i32 = 1;
pub(super) const INTERRUPTED: i32 = 2;
pub(super) const FAILED: i32 = 3;

impl Format {
    pub(super) fn number(self) -> i32 {
        match self {
            Self::Pem => 1,
            Self::Der => 2,
        }
    }
}

/// An import of certificates.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChanceryCertificateImport)]
pub(in crate::certificates) struct ImportResponse {
    /// Its id.
    id: Uuid,
    /// `Running`, `Complete`, `Interrupted` (it can go on at `Octets`) or `Failed` (the stream cannot be read on from `Octets`).
    state: &'static str,
    /// Why it is interrupted or failed.
    reason: Option<String>,
    /// `PEM` or `DER`.
    format: &'static str,
    /// Who began it.
    username: String,
    /// Octets of the stream whose certificates are on disk. It goes on here.
    octets: i64,
    /// New, known, updated and failed ones together.
    certificates: i64,
    /// Certificates that were not in the inventory.
    new: i64,
    /// Certificates that were, and stay as they are.
    known: i64,
    /// Certificates that were, and have new metadata.
    updated: i64,
    /// Parts of the stream that are no certificate.
    failed: i64,
    /// The first 100 of these.
    failures: Vec<ImportFailure>,
    /// Requests that sent of the stream.
    runs: i32,
    /// Milliseconds in which the server read of it.
    milliseconds: i64,
    started_at: Date,
    /// When something was written last.
    updated_at: Date,
    ended_at: Option<Date>,
}

/// A part of the stream that is no certificate.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ChanceryCertificateImportFailure)]
struct ImportFailure {
    /// Where it begins in the stream.
    octet: u64,
    reason: String,
}

/// The search reference of imports.
const FIELDS: &[Field] = &[
    field("StartedAt", FieldKind::Date, || {
        Expr::col(Column::StartedAt)
    }),
    field("Username", FieldKind::Text, || Expr::col(Column::Username)),
    field("Id", FieldKind::Guid, || Expr::col(Column::Id)),
];

/// # Errors
/// 403; 400 for a bad query, sort field or page.
pub(super) async fn list(cx: &Cx, paging: &Paging) -> Result<List<ImportResponse>, Error> {
    cx.authorize(Permission::CertificatesImport)?;
    let (rows, total) = page(cx, Entity::find(), paging, FIELDS, "StartedAt", Column::Id).await?;
    let items = rows.into_iter().map(|row| shown(cx, row));
    Ok(List {
        items: items.collect::<Result<_, _>>()?,
        total,
    })
}

/// # Errors
/// 403; 404.
pub(super) async fn one(cx: &Cx, id: Uuid) -> Result<ImportResponse, Error> {
    cx.authorize(Permission::CertificatesImport)?;
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    shown(cx, row.ok_or_else(|| Error::not_found("import", id))?)
}

/// The row of an import, until the transaction's end nobody else's.
pub(super) async fn locked(tx: &db::Tx, id: Uuid) -> Result<Option<Model>, Error> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(tx).await?)
}

/// Whether a row says that it is running, and no server reads its stream any more, unless this one does.
pub(super) fn is_orphaned(cx: &Cx, row: &Model) -> bool {
    // One server has a SQLite file.
    let is_ours_alone = cx.db().dialect() == Dialect::Sqlite;
    row.state == RUNNING && (is_ours_alone || row.updated_at + SILENCE_MS < cx.now())
}

fn shown(cx: &Cx, row: Model) -> Result<ImportResponse, Error> {
    let orphaned = is_orphaned(cx, &row) && !cx.app().imports.has(row.id);
    let state = match row.state {
        _ if orphaned => "Interrupted",
        RUNNING => "Running",
        COMPLETE => "Complete",
        INTERRUPTED => "Interrupted",
        _ => "Failed",
    };
    let gone = "The server that read the stream has ended.";
    let failures: Vec<(u64, String)> = serde_json::from_str(&row.failures)?;
    let counts = [
        row.new_certificates,
        row.known_certificates,
        row.updated_certificates,
        row.failed_certificates,
    ];
    Ok(ImportResponse {
        id: row.id,
        state,
        reason: if orphaned {
            Some(gone.into())
        } else {
            row.reason
        },
        format: if row.format == Format::Pem.number() {
            "PEM"
        } else {
            "DER"
        },
        username: row.username,
        octets: row.octets,
        certificates: counts.iter().sum(),
        new: row.new_certificates,
        known: row.known_certificates,
        updated: row.updated_certificates,
        failed: row.failed_certificates,
        failures: failures
            .into_iter()
            .map(|(octet, reason)| ImportFailure { octet, reason })
            .collect(),
        runs: row.runs,
        milliseconds: row.active_ms,
        started_at: Date(row.started_at),
        updated_at: Date(row.updated_at),
        ended_at: row.ended_at.map(Date),
    })
}

/// The imports that this server reads just now, and whose they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Imports(Arc<Mutex<HashMap<Uuid, u64>>>);

impl Imports {
    /// # Errors
    /// 409 when it is read already; 429 when the account has as many as it may have, 503 when the server has.
    pub(super) fn begin(&self, id: Uuid, whose: impl Hash) -> Result<Reading, Error> {
        let whose = {
            use std::hash::Hasher;
            let mut hasher = std::hash::DefaultHasher::new();
            whose.hash(&mut hasher);
            hasher.finish()
        };
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains_key(&id) {
            return Err(is_running(id));
        }
        if running.values().filter(|other| **other == whose).count() >= AT_ONCE_OF_ONE {
            let message = format!(
                "{AT_ONCE_OF_ONE} imports of this account are under way; more are not possible at a time."
            );
            return Err(Error::too_many(message, 10_000));
        }
        if running.len() >= AT_ONCE {
            return Err(Error::new(
                crate::error::Kind::Unavailable,
                "The server has as many imports under way as it can. Try again later.",
            ));
        }
        running.insert(id, whose);
        Ok(Reading {
            id,
            imports: self.clone(),
        })
    }

    fn has(&self, id: Uuid) -> bool {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.contains_key(&id)
    }
}

pub(super) fn is_running(id: Uuid) -> Error {
    Error::conflict(format!("Import {id} is under way."))
}

/// An import that this server reads, as long as this lives.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) id: Uuid,
    imports: Imports,
}

impl Reading {
    /// Whether this server reads no other import.
    pub(super) fn is_alone(&self) -> bool {
        let running = self.imports.0.lock();
        running.unwrap_or_else(PoisonError::into_inner).len() == 1
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut running = self
            .imports
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.remove(&self.id);
    }
}
