//! What is sealed in the database and with which key: the one list of sealed columns, and how they change keys.
//!
//! A rotation can be broken off anywhere and repeated. The key file holds the new key before the first value is sealed with it,
//! each batch of values is one transaction, and an old key is forgotten only when no value needs it any more.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use db::tables::settings;
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, Query};
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait, QueryResult, Value};
use secrets::{KeyId, KeyRing, Sealed};
use uuid::Uuid;

use crate::app::{App, Options, StartError};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::start::{self, SEAL_CHECK};

/// Values in one transaction of a rotation: few enough that other writers hardly wait.
const BATCH: u64 = 250;
/// Passes over the tables before a rotation gives up; a second one is needed only where servers seal with the old key meanwhile.
const PASSES: usize = 5;

/// What identifies a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Number,
    Guid,
}

/// A column of sealed values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedColumn {
    table: &'static str,
    column: &'static str,
    id_column: &'static str,
    id: Id,
}

/// The private keys of authorities.
pub(crate) const AUTHORITY_KEY: SealedColumn =
    SealedColumn::new("authorities", "sealed_key", "id", Id::Number);
/// The stored private keys of certificates.
pub(crate) const CERTIFICATE_KEY: SealedColumn = SealedColumn::new(
    "certificate_keys",
    "sealed_key",
    "certificate_id",
    Id::Number,
);
/// The private keys of requests that wait for approval.
pub(crate) const REQUEST_KEY: SealedColumn =
    SealedColumn::new("certificate_requests", "sealed_key", "id", Id::Number);
/// The secret properties of certificate stores.
pub(crate) const STORE_SECRETS: SealedColumn =
    SealedColumn::new("certificate_stores", "sealed_secrets", "id", Id::Guid);
/// The passwords of certificate stores.
pub(crate) const STORE_PASSWORD: SealedColumn =
    SealedColumn::new("certificate_stores", "sealed_password", "id", Id::Guid);
/// The passwords that a job carries to its agent.
pub(crate) const JOB_SECRETS: SealedColumn =
    SealedColumn::new("orchestrator_jobs", "sealed_secrets", "id", Id::Guid);

/// What this server proves itself with at identity providers.
pub(crate) const IDENTITY_PROVIDER_SECRET: SealedColumn =
    SealedColumn::new("identity_providers", "sealed_client_secret", "id", Id::Guid);
/// The keys that sign access tokens of our own.
pub(crate) const TOKEN_KEY: SealedColumn =
    SealedColumn::new("token_keys", "sealed_key", "id", Id::Guid);
/// The seed of the key that signs the audit log's checkpoints.
pub(crate) const AUDIT_SIGNING_KEY: SealedColumn =
    SealedColumn::new("audit_keys", "sealed_signing_key", "id", Id::Number);
/// The key over audit records that no checkpoint covers yet.
pub(crate) const AUDIT_RECORD_KEY: SealedColumn =
    SealedColumn::new("audit_keys", "sealed_record_key", "id", Id::Number);

/// Every sealed column. What is not here is lost when the key changes; a test compares it with the schema.
pub(crate) const SEALED_COLUMNS: &[SealedColumn] = &[
    AUTHORITY_KEY,
    CERTIFICATE_KEY,
    REQUEST_KEY,
    STORE_SECRETS,
    STORE_PASSWORD,
    JOB_SECRETS,
    IDENTITY_PROVIDER_SECRET,
    TOKEN_KEY,
    AUDIT_SIGNING_KEY,
    AUDIT_RECORD_KEY,
];

impl SealedColumn {
    const fn new(
        table: &'static str,
        column: &'static str,
        id_column: &'static str,
        id: Id,
    ) -> Self {
        Self {
            table,
            column,
            id_column,
            id,
        }
    }

    /// What a value of this column is sealed for, so that it opens nowhere else: `table.column/id`.
    pub(crate) fn purpose(self, id: impl std::fmt::Display) -> String {
        format!("{}.{}/{id}", self.table, self.column)
    }
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Values that were looked at, in the last pass.
    pub seen: u64,
    /// Values that changed keys.
    pub changed: u64,
}

struct Row {
    id: Value,
    purpose: String,
    sealed: Sealed,
}

/// How many sealed values each key is needed for.
///
/// # Errors
/// Those of the database, and a value that is not a sealed one.
pub async fn keys_in_use(app: &App) -> Result<BTreeMap<KeyId, u64>, Error> {
    let mut found = BTreeMap::new();
    let mut count = |sealed: &Sealed| *found.entry(sealed.key_id()).or_insert(0) += 1;
    if let Some(sealed) = start::seal_check(app.db().read()).await? {
        count(&sealed);
    }
    for column in SEALED_COLUMNS {
        let mut after = None;
        loop {
            let rows = page(app.db().read(), *column, after.as_ref()).await?;
            let Some(last) = rows.last() else { break };
            after = Some(last.id.clone());
            rows.iter().for_each(|row| count(&row.sealed));
        }
    }
    Ok(found)
}

/// Brings every sealed value under the newest key of the ring. Repeating it does only what is left.
///
/// # Errors
/// Those of the database, a value whose key is not in the ring, and a value that is damaged; what was done stays done.
pub async fn rewrap(cx: &Cx) -> Result<Rewrapped, Error> {
    cx.authorize(Permission::SecurityModify)?;
    let mut total = Rewrapped::default();
    for _ in 0..PASSES {
        let pass = rewrap_once(cx).await?;
        total = Rewrapped {
            seen: pass.seen,
            changed: total.changed + pass.changed,
        };
        if pass.changed == 0 {
            break;
        }
    }
    if total.changed > 0 {
        let newest = cx.app().keyring().primary_id();
        let message = format!(
            "{} sealed values were brought under sealing key {newest}.",
            total.changed
        );
        record(cx, Operation::Updated, "sealing key", message).await?;
    }
    Ok(total)
}

/// Records that keys were forgotten.
///
/// # Errors
/// Those of the database.
pub async fn record_retired(cx: &Cx, keys: &[KeyId]) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    let names: Vec<_> = keys.iter().map(ToString::to_string).collect();
    record(
        cx,
        Operation::Deleted,
        "sealing key",
        format!("Sealing keys were retired: {}.", names.join(", ")),
    )
    .await
}

/// Records that the database is about to be copied, so that the copy holds the record too.
///
/// # Errors
/// Those of the database.
pub async fn record_backup(cx: &Cx) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    record(
        cx,
        Operation::Downloaded,
        "backup",
        "A backup of the database was made.".into(),
    )
    .await
}

async fn record(
    cx: &Cx,
    operation: Operation,
    name: &'static str,
    message: String,
) -> Result<(), Error> {
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("sealing.record", move |tx| {
        Box::pin(async move {
            audit::record(
                tx,
                &cx,
                Entry::new(operation, Category::Installation, name, message),
            )
            .await
        })
    })
    .await
}

async fn rewrap_once(cx: &Cx) -> Result<Rewrapped, Error> {
    let mut pass = Rewrapped::default();
    for column in SEALED_COLUMNS {
        let mut after = None;
        while let Some((last, batch)) = rewrap_batch(cx, *column, after).await? {
            after = Some(last);
            pass.seen += batch.seen;
            pass.changed += batch.changed;
        }
    }
    // Last: as long as the check needs the old key, a ring without it does not open the database.
    let changed = rewrap_seal_check(cx).await?;
    Ok(Rewrapped {
        seen: pass.seen + 1,
        changed: pass.changed + u64::from(changed),
    })
}

async fn rewrap_batch(
    cx: &Cx,
    column: SealedColumn,
    after: Option<Value>,
) -> Result<Option<(Value, Rewrapped)>, Error> {
    let keyring = cx.app().keyring();
    let db = cx.db().clone();
    db.write("sealing.rewrap", move |tx| {
        Box::pin(async move {
            let rows = page(tx, column, after.as_ref()).await?;
            let Some(last) = rows.last().map(|row| row.id.clone()) else {
                return Ok(None);
            };
            let mut batch = Rewrapped {
                seen: rows.len() as u64,
                changed: 0,
            };
            for row in rows {
                let Some(new) = keyring.rewrap(&row.sealed, &row.purpose)? else {
                    continue;
                };
                // A value that somebody replaced meanwhile stays as it is.
                let update = Query::update()
                    .table(Alias::new(column.table))
                    .value(Alias::new(column.column), new.into_bytes())
                    .and_where(Expr::col(Alias::new(column.id_column)).eq(Expr::val(row.id)))
                    .and_where(Expr::col(Alias::new(column.column)).eq(row.sealed.into_bytes()))
                    .to_owned();
                batch.changed += tx.execute(&update).await?.rows_affected();
            }
            Ok::<_, Error>(Some((last, batch)))
        })
    })
    .await
}

async fn rewrap_seal_check(cx: &Cx) -> Result<bool, Error> {
    let keyring = cx.app().keyring();
    let db = cx.db().clone();
    db.write("sealing.rewrap_check", move |tx| {
        Box::pin(async move {
            let Some(sealed) = start::seal_check(tx).await? else {
                return Ok(false);
            };
            let Some(new) = keyring.rewrap(&sealed, SEAL_CHECK)? else {
                return Ok(false);
            };
            let row = settings::ActiveModel {
                key: ActiveValue::Unchanged(SEAL_CHECK.into()),
                value: ActiveValue::Set(hex::encode(new.as_bytes())),
            };
            settings::Entity::update(row).exec(tx).await?;
            Ok::<_, Error>(true)
        })
    })
    .await
}

/// The values after an id, in the order of ids.
async fn page(
    connection: &impl ConnectionTrait,
    column: SealedColumn,
    after: Option<&Value>,
) -> Result<Vec<Row>, Error> {
    let id = || Expr::col(Alias::new(column.id_column));
    let mut select = Query::select();
    select
        .column(Alias::new(column.id_column))
        .column(Alias::new(column.column))
        .from(Alias::new(column.table))
        .and_where(Expr::col(Alias::new(column.column)).is_not_null())
        .order_by(Alias::new(column.id_column), Order::Asc)
        .limit(BATCH);
    if let Some(after) = after {
        select.and_where(id().gt(Expr::val(after.clone())));
    }
    let rows = connection.query_all(&select).await?;
    rows.iter().map(|row| read(row, column)).collect()
}

fn read(row: &QueryResult, column: SealedColumn) -> Result<Row, Error> {
    let (id, purpose) = match column.id {
        Id::Number => {
            let id: i64 = row.try_get("", column.id_column)?;
            (Value::from(id), column.purpose(id))
        }
        Id::Guid => {
            let id: Uuid = row.try_get("", column.id_column)?;
            (Value::from(id), column.purpose(id))
        }
    };
    let octets: Vec<u8> = row.try_get("", column.column)?;
    let sealed = Sealed::from_bytes(octets)
        .map_err(|error| Error::internal(format!("{purpose}: {error}")))?;
    Ok(Row {
        id,
        purpose,
        sealed,
    })
}

impl App {
    /// Uses another key ring from now on; `false` when it is the one in use.
    ///
    /// # Errors
    /// [`StartError::SealingKey`] when it does not open this database; the ring in use then stays.
    pub async fn take_up_keys(&self, ring: KeyRing) -> Result<bool, StartError> {
        if self.keyring().key_ids().eq(ring.key_ids()) {
            return Ok(false);
        }
        start::check_seal(self.db().read(), &ring).await?;
        *self.keyring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(true)
    }

    /// Opens a database that was set up before, and never sets one up.
    ///
    /// # Errors
    /// [`StartError::Empty`] when it was not; otherwise those of [`App::open`].
    pub async fn open_existing(options: Options) -> Result<Arc<Self>, StartError> {
        let db = db::Db::open(&options.database_url, &options.pool).await?;
        let there = start::seal_check(db.read()).await;
        db.close().await;
        match there? {
            Some(_) => Self::open(options).await,
            None => Err(StartError::Empty),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::PasswordCost;

    async fn application(folder: &std::path::Path, ring: KeyRing) -> Result<Arc<App>, StartError> {
        let url = format!("sqlite:{}", folder.join("test.db").display());
        App::open(Options {
            password_cost: PasswordCost::Small,
            ..Options::new(url, folder.into(), ring)
        })
        .await
    }

    #[test]
    fn a_purpose_names_table_column_and_row() {
        assert_eq!(
            CERTIFICATE_KEY.purpose(42),
            "certificate_keys.sealed_key/42"
        );
        let guid = Uuid::from_u128(1);
        assert_eq!(
            STORE_PASSWORD.purpose(guid),
            format!("certificate_stores.sealed_password/{guid}")
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_sealed_column_of_the_schema_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        let app = application(folder.path(), KeyRing::generate().unwrap())
            .await
            .unwrap();
        let sql = "SELECT m.name AS t, c.name AS c FROM sqlite_master m JOIN pragma_table_info(m.name) c \
                   WHERE m.type = 'table' AND c.name LIKE 'sealed%'";
        let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, sql);
        let rows = app.db().read().query_all_raw(statement).await.unwrap();
        let mut found: Vec<(String, String)> = rows
            .iter()
            .map(|row| (row.try_get("", "t").unwrap(), row.try_get("", "c").unwrap()))
            .collect();
        let mut listed: Vec<_> = SEALED_COLUMNS
            .iter()
            .map(|c| (c.table.to_owned(), c.column.to_owned()))
            .collect();
        found.sort();
        listed.sort();
        assert_eq!(found, listed);
        app.close().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn after_a_rotation_the_old_key_is_not_needed() {
        let folder = tempfile::tempdir().unwrap();
        let mut ring = KeyRing::generate().unwrap();
        let old = ring.primary_id();
        let app = application(folder.path(), ring.clone()).await.unwrap();
        let cx = Cx::system(Arc::clone(&app), "test");
        let before = keys_in_use(&app).await.unwrap();
        assert_eq!(before.keys().copied().collect::<Vec<_>>(), [old]);

        let new = ring.rotate().unwrap();
        assert!(app.take_up_keys(ring.clone()).await.unwrap());
        assert!(!app.take_up_keys(ring.clone()).await.unwrap());
        let done = rewrap(&cx).await.unwrap();
        assert_eq!(done.changed, before[&old]);
        assert_eq!(
            keys_in_use(&app).await.unwrap(),
            BTreeMap::from([(new, before[&old])])
        );
        assert_eq!(rewrap(&cx).await.unwrap().changed, 0);

        ring.retire(old).unwrap();
        app.close().await;
        application(folder.path(), ring)
            .await
            .unwrap()
            .close()
            .await;
        let refused = application(folder.path(), KeyRing::generate().unwrap()).await;
        assert!(matches!(refused, Err(StartError::SealingKey(_))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_empty_database_is_not_set_up_by_open_existing() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let options = || {
            Options::new(
                url.clone(),
                folder.path().into(),
                KeyRing::generate().unwrap(),
            )
        };
        assert!(matches!(
            App::open_existing(options()).await,
            Err(StartError::Empty)
        ));
        assert!(matches!(
            App::open_existing(options()).await,
            Err(StartError::Empty)
        ));
    }
}
