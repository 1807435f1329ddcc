//! The keys of the audit log, what this process remembers of it, and its beginning.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use aws_lc_rs::hmac;
use db::Dialect;
use db::tables::{audit_heads, audit_keys, audit_tree};
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait};
use secrets::{KeyRing, Sealed};
use transparency::{Hash, Signer};
use zeroize::Zeroizing;

use super::access::Access;
use super::kept::{self, Kept};
use super::state::State;
use crate::app::{App, StartError};
use crate::error::Error;
use crate::sealing::{AUDIT_RECORD_KEY, AUDIT_SIGNING_KEY};
use crate::start;

/// The only row of `audit_keys` and of `audit_tree`.
pub(super) const ONLY: i64 = 1;
/// Chains on PostgreSQL, where several transactions write at once: each takes a free one, so that none waits for another.
const POSTGRES_CHAINS: i32 = 64;

/// The chains of a new log, and of every one after it.
pub(super) fn chains(dialect: Dialect) -> i32 {
    match dialect {
        Dialect::Sqlite => 1,
        Dialect::Postgres => POSTGRES_CHAINS,
    }
}

/// The keys, opened. Neither leaves the process.
pub(super) struct Keys {
    pub(super) signer: Signer,
    record_key: hmac::Key,
}

impl Keys {
    /// Over the place of a record and the hash of its leaf.
    pub(super) fn record_mac(&self, chain: i32, position: i64, leaf: &[u8]) -> [u8; 32] {
        let parts = [&chain.to_be_bytes()[..], &position.to_be_bytes(), leaf];
        self.mac(b"record", &parts)
    }

    /// Over a chain's head.
    pub(super) fn head_mac(&self, chain: i32, position: i64) -> [u8; 32] {
        self.mac(b"head", &[&chain.to_be_bytes(), &position.to_be_bytes()])
    }

    /// Over the state of the tree.
    pub(super) fn state_mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(b"state", parts)
    }

    fn mac(&self, kind: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.record_key);
        for part in [&[kind], parts].concat() {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

/// Where the last record of this process went, on SQLite, whose one writer nearly always finds it true.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) position: i64,
    pub(super) id: i64,
}

/// What the process remembers of the log.
#[derive(Default)]
pub(crate) struct Log {
    keys: RwLock<Option<Arc<Keys>>>,
    place: Mutex<Option<Place>>,
    kept: Mutex<Kept>,
    suspended: Mutex<Option<String>>,
    /// What was told last, by who found it.
    told: Mutex<BTreeMap<&'static str, String>>,
    pub(crate) access: Access,
    /// Held by the check of the whole log: one at a time.
    pub(super) checking: tokio::sync::Mutex<()>,
    /// Up to which place of the tree this process has taken bodies away.
    pub(super) taken_away: AtomicI64,
    /// Told of every record, so that the sequencer wakes.
    pub(super) written: tokio::sync::Notify,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    pub(super) fn keys(&self) -> Result<Arc<Keys>, Error> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.clone()
            .ok_or_else(|| Error::internal("the audit log is not open"))
    }

    pub(super) fn place(&self) -> Option<Place> {
        *locked(&self.place)
    }

    pub(super) fn set_place(&self, place: Place) {
        *locked(&self.place) = Some(place);
    }

    /// The newest checkpoint that this process or its data folder knows. For a comparison with the database it is taken before
    /// that is read: the database may be newer, and never older.
    pub(super) fn kept(&self) -> Kept {
        locked(&self.kept).clone()
    }

    pub(super) fn keep(&self, kept: Kept) {
        *locked(&self.kept) = kept;
    }

    /// Whether somebody finds something other than the last time.
    pub(super) fn is_news(&self, finder: &'static str, found: &str) -> bool {
        let before = locked(&self.told).insert(finder, found.to_owned());
        before.as_deref() != Some(found)
    }

    /// Why no checkpoints are signed, if none are.
    pub(super) fn suspended(&self) -> Option<String> {
        locked(&self.suspended).clone()
    }

    /// Says that checkpoints are signed again, or why not. True when that is new.
    pub(super) fn set_suspended(&self, reason: Option<String>) -> bool {
        let mut suspended = locked(&self.suspended);
        let new = *suspended != reason;
        *suspended = reason;
        new
    }
}

/// Opens the log, makes its keys in a new database, and compares it with the checkpoint in the data folder.
///
/// # Errors
/// [`StartError::SealingKey`] when the ring does not open the keys; [`StartError::AuditKeys`] when somebody took them away; those of
/// the database.
pub(crate) async fn open(app: &Arc<App>) -> Result<(), StartError> {
    // An installation is set up after its keys are there, by this server or another one that starts at the same time.
    let set_up = start::seal_check(app.db.read()).await?.is_some();
    let row = match row(app).await? {
        Some(row) => row,
        None if set_up => return Err(StartError::AuditKeys),
        None => create(app).await?,
    };
    let keys = opened(&app.keyring(), row)?;
    *app.audit
        .keys
        .write()
        .unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(keys));
    kept::load(app).await?;
    Ok(())
}

async fn row(app: &App) -> Result<Option<audit_keys::Model>, Error> {
    Ok(audit_keys::Entity::find_by_id(ONLY)
        .one(app.db.read())
        .await?)
}

fn opened(ring: &KeyRing, row: audit_keys::Model) -> Result<Keys, StartError> {
    let open = |purpose: String, octets: Vec<u8>| {
        Sealed::from_bytes(octets)
            .and_then(|sealed| ring.open(&purpose, &sealed))
            .map_err(|reason| StartError::SealingKey(reason.to_string()))
    };
    let seed = open(AUDIT_SIGNING_KEY.purpose(ONLY), row.sealed_signing_key)?;
    let record_key = open(AUDIT_RECORD_KEY.purpose(ONLY), row.sealed_record_key)?;
    Ok(Keys {
        signer: Signer::new(&row.origin, seed.expose()).map_err(Error::internal)?,
        record_key: hmac::Key::new(hmac::HMAC_SHA256, record_key.expose()),
    })
}

/// Makes keys, heads and an empty tree. Another server that starts at the same time may be first.
async fn create(app: &Arc<App>) -> Result<audit_keys::Model, StartError> {
    let (seed, record_key) = (random()?, random()?);
    let ring = app.keyring();
    let seal = |purpose: String, octets: &[u8]| -> Result<Vec<u8>, Error> {
        Ok(ring.seal(&purpose, octets)?.into_bytes())
    };
    let keys_row = audit_keys::Model {
        id: ONLY,
        origin: origin(app),
        sealed_signing_key: seal(AUDIT_SIGNING_KEY.purpose(ONLY), seed.as_slice())?,
        sealed_record_key: seal(AUDIT_RECORD_KEY.purpose(ONLY), record_key.as_slice())?,
    };
    let keys = opened(&ring, keys_row.clone())?;
    let chains = chains(app.db.dialect());
    let made = app
        .db
        .write("audit.set_up", move |tx| {
            Box::pin(async move { insert_first(tx, &keys, keys_row, chains).await })
        })
        .await;
    match row(app).await? {
        Some(row) => Ok(row),
        None => Err(made
            .err()
            .unwrap_or_else(|| Error::internal("the keys of the audit log were not kept"))
            .into()),
    }
}

async fn insert_first(
    tx: &db::Tx,
    keys: &Keys,
    keys_row: audit_keys::Model,
    chains: i32,
) -> Result<(), Error> {
    let row: audit_keys::ActiveModel = keys_row.into();
    audit_keys::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    let heads = (0..chains).map(|chain| audit_heads::ActiveModel {
        chain: ActiveValue::Set(chain),
        position: ActiveValue::Set(0),
        mac: ActiveValue::Set(keys.head_mac(chain, 0).to_vec()),
    });
    audit_heads::Entity::insert_many(heads)
        .exec_without_returning(tx)
        .await?;
    let row: audit_tree::ActiveModel = State::empty(keys).into_row(keys).into();
    audit_tree::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

fn random() -> Result<Zeroizing<Hash>, Error> {
    Signer::generate_seed().map_err(Error::internal)
}

/// A name that no other installation has: the host by which this one is known, and a random part.
fn origin(app: &App) -> String {
    let host = app.options.public_url.as_deref().and_then(|url| {
        let rest = url.split_once("://")?.1;
        rest.split(['/', ':']).next().filter(|host| {
            !host.is_empty()
                && host
                    .chars()
                    .all(|letter| letter.is_ascii_alphanumeric() || ".-".contains(letter))
        })
    });
    let random = hex::encode(app.randomness.octets::<4>());
    format!("{}/chancery/audit/{random}", host.unwrap_or("localhost"))
}

/// The row of the tree, locked where the database has such locks, so that one server at a time extends it.
pub(super) async fn tree_row(
    connection: &impl ConnectionTrait,
    lock: bool,
) -> Result<Option<audit_tree::Model>, Error> {
    use sea_orm::QuerySelect;
    let select = audit_tree::Entity::find_by_id(ONLY);
    let select = if lock {
        select.lock_exclusive()
    } else {
        select
    };
    Ok(select.one(connection).await?)
}
