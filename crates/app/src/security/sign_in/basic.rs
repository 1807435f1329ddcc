//! Sign-in with HTTP Basic (clients.md 2.3): `name`, `DOMAIN\name` or `name@domain`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::{constant_time, hmac};
use axum::http::{HeaderMap, header};
use base64::Engine;
use db::tables::accounts;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, FromQueryResult, IntoActiveModel,
    QueryFilter, QuerySelect,
};
use zeroize::Zeroizing;

use crate::app::App;
use crate::cx::Identity;
use crate::error::{Error, Kind};
use crate::generation::Generation;
use crate::lookups::Lookups;
use crate::security::claims::LOCAL_PROVIDER;
use crate::security::passwords;

/// Wrong passwords in a row before an account is locked.
const FAILURES_BEFORE_LOCK: i64 = 5;
/// The first lock, in milliseconds; each further failure doubles it.
const FIRST_LOCK_MS: i64 = 30_000;
/// The longest lock, in milliseconds.
const LONGEST_LOCK_MS: i64 = 60 * 60 * 1000;
/// No account has this id: to count its failures takes as long and changes nothing.
const NOBODY: i64 = 0;
/// How long a verified password is remembered after its last use, in milliseconds: every call of a Basic client carries it.
const REMEMBERED_MS: i64 = 60_000;
/// Passwords remembered at most.
const REMEMBERED_MAX: usize = 10_000;

/// Passwords verified a moment ago, as keyed hashes bound to the stored hash, so that a changed password counts at once.
pub(crate) struct CredentialCache {
    key: hmac::Key,
    verified: Mutex<HashMap<i64, (hmac::Tag, i64)>>,
}

impl Default for CredentialCache {
    fn default() -> Self {
        let mut key = [0; 32];
        // A process without randomness must not run at all.
        aws_lc_rs::rand::fill(&mut key).expect("the operating system gives randomness");
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            verified: Mutex::default(),
        }
    }
}

impl CredentialCache {
    /// Over the parts, so that no copy of the password is made.
    fn tag(&self, password: &str, hash: &str) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(hash.as_bytes());
        context.update(&[0]);
        context.update(password.as_bytes());
        context.sign()
    }

    fn knows(&self, account_id: i64, password: &str, hash: &str, now: i64) -> bool {
        let mut verified = self
            .verified
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some((tag, until)) = verified.get_mut(&account_id) else {
            return false;
        };
        let given = self.tag(password, hash);
        let is_known = *until > now
            && constant_time::verify_slices_are_equal(given.as_ref(), tag.as_ref()).is_ok();
        if is_known {
            // Proving it anew would say no more: who calls all the time would wait for it each minute.
            *until = now + REMEMBERED_MS;
        }
        is_known
    }

    fn remember(&self, account_id: i64, password: &str, hash: &str, now: i64) {
        let tag = self.tag(password, hash);
        let mut verified = self
            .verified
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if verified.len() >= REMEMBERED_MAX {
            verified.retain(|_, (_, until)| *until > now);
        }
        if verified.len() < REMEMBERED_MAX {
            verified.insert(account_id, (tag, now + REMEMBERED_MS));
        }
    }
}

/// The account that the headers name and prove.
///
/// # Errors
/// 401 without saying which of name and password is wrong.
pub(super) async fn sign_in(
    app: &Arc<App>,
    headers: &HeaderMap,
    address: Option<IpAddr>,
) -> Result<Identity, Error> {
    let possible = [credentials(headers)?];
    let (account, generation) = prove(app, &possible, address).await?;
    identity(app, account, generation).await
}

/// The identity of an account that was proven, with what it is granted in this generation.
///
/// # Errors
/// Those of the database.
pub(super) async fn identity(
    app: &App,
    account: accounts::Model,
    generation: i64,
) -> Result<Identity, Error> {
    let claim_ids = vec![account.claim_id];
    Ok(Identity {
        account_id: Some(account.id),
        must_change_password: account.must_change,
        name: account.name,
        provider: LOCAL_PROVIDER.to_owned(),
        subject: account.id.to_string(),
        session_id: None,
        grants: super::grants::of(app, &claim_ids, generation).await?,
        claim_ids,
        generation,
    })
}

/// The account that a name and a password prove, and the generation of what is granted. There may be several ways to read
/// what a client sent; a failure of all of them counts once.
///
/// # Errors
/// 401 without saying which of name and password is wrong; for accounts that are locked or disabled. 429 when too many
/// sign-ins from this address have failed.
pub(crate) async fn prove(
    app: &Arc<App>,
    possible: &[(String, Zeroizing<String>)],
    address: Option<IpAddr>,
) -> Result<(accounts::Model, i64), Error> {
    // One refusal for all of it: neither it nor the time it takes tells whether there is such an account.
    let refused = || {
        let message = "The name or the password is wrong, or the account is locked for a while after wrong passwords.";
        Error::new(Kind::Unauthenticated, message)
    };
    let mut found = (None, 0);
    for (name, _) in possible.iter().filter(|(name, _)| !name.contains('\0')) {
        found = find(app, name).await?;
        if found.0.is_some() {
            break;
        }
    }
    let (account, generation) = found;
    let passwords: Vec<&Zeroizing<String>> = possible
        .iter()
        .map(|(_, password)| password)
        .filter(|password| password.len() <= passwords::PASSWORD_OCTETS_MAX)
        .collect();
    let now = app.clock.now();
    let Some(account) = account else {
        let _failed = app.rates.proof(address, now)?;
        // As much work as for a wrong password of an account that exists.
        for password in passwords {
            passwords::hash(password.clone(), app.options.password_cost).await?;
        }
        count_failure(app, NOBODY, now).await?;
        return Err(refused());
    };
    if account.locked_until.is_some_and(|until| until > now) {
        let _failed = app.rates.proof(address, now)?;
        // Whatever comes out: a right password does not end the lock, nor does a wrong one make it longer.
        for password in passwords {
            passwords::verify(password.clone(), account.password_hash.clone()).await?;
        }
        count_failure(app, NOBODY, now).await?;
        return Err(refused());
    }
    let hash = &account.password_hash;
    let known =
        |password: &&&Zeroizing<String>| app.credentials.knows(account.id, password, hash, now);
    if !passwords.iter().any(|password| known(&password)) {
        let proof = app.rates.proof(address, now)?;
        let mut right = None;
        for password in passwords {
            if passwords::verify(password.clone(), hash.clone()).await? {
                right = Some(password);
                break;
            }
        }
        let Some(password) = right else {
            tracing::warn!(account = account.name, address = ?address, "sign-in failed");
            count_failure(app, account.id, now).await?;
            return Err(refused());
        };
        if account.disabled {
            tracing::warn!(account = account.name, address = ?address, "sign-in of a disabled account");
            count_failure(app, NOBODY, now).await?;
            return Err(refused());
        }
        proof.succeeded();
        app.credentials.remember(account.id, password, hash, now);
    } else if account.disabled {
        return Err(refused());
    }
    // Also for a remembered password: only wrong ones in a row count.
    if account.failures != 0 {
        clear_failures(app, account.id).await?;
    }
    Ok((account, generation))
}

/// The account of an id, and the generation of what is granted.
///
/// # Errors
/// Those of the database.
pub(super) async fn find_by_id(
    app: &App,
    id: i64,
) -> Result<Option<(accounts::Model, i64)>, Error> {
    let found = accounts::Entity::find_by_id(id)
        .expr_as(Generation::Security.query(), "generation")
        .into_model::<Found>()
        .one(app.db.read())
        .await?;
    Ok(found.map(|found| (found.account, found.generation.unwrap_or_default())))
}

fn credentials(headers: &HeaderMap) -> Result<(String, Zeroizing<String>), Error> {
    let missing = || {
        Error::new(
            Kind::Unauthenticated,
            "Sign in with HTTP Basic: the name and password of an account.",
        )
    };
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let text = value.to_str().map_err(|_| missing())?;
    let (scheme, encoded) = text.trim().split_once(' ').ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let octets = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .map_err(|_| missing())?;
    let octets = Zeroizing::new(octets);
    let text = std::str::from_utf8(&octets).map_err(|_| missing())?;
    let (name, password) = text.split_once(':').ok_or_else(missing)?;
    // No name holds U+0000, and PostgreSQL does not take it.
    if password.len() > passwords::PASSWORD_OCTETS_MAX || name.contains('\0') {
        return Err(missing());
    }
    Ok((name.to_owned(), Zeroizing::new(password.to_owned())))
}

/// An account, and the generation of what is granted, so that one query does for both.
#[derive(Clone, FromQueryResult)]
pub(crate) struct Found {
    #[sea_orm(nested)]
    account: accounts::Model,
    generation: Option<i64>,
}

/// Accounts by what callers call them, folded.
pub(crate) type AccountNames = Lookups<String, Found>;

/// The account of a name in any of its forms.
async fn find(app: &App, name: &str) -> Result<(Option<accounts::Model>, i64), Error> {
    let connection = app.db.read().clone();
    let query = move |names: Vec<String>| {
        let connection = connection.clone();
        async move {
            let wanted = names.iter().flat_map(|name| [name.as_str(), short(name)]);
            let found = accounts::Entity::find()
                .expr_as(Generation::Security.query(), "generation")
                .filter(accounts::Column::NameFold.is_in(wanted))
                .into_model::<Found>()
                .all(&connection)
                .await?;
            // The whole name comes first, since an account may be called `a@b`.
            let called = |name: &str| found.iter().find(|found| found.account.name_fold == name);
            let best = |name: &String| called(name).or_else(|| called(short(name))).cloned();
            let best = |name: String| best(&name).map(|found| (name, found));
            Ok(names.into_iter().filter_map(best).collect())
        }
    };
    let found = app.account_names.find(db::fold(name), query).await?;
    Ok(found.map_or((None, 0), |found| {
        (Some(found.account), found.generation.unwrap_or_default())
    }))
}

/// `DOMAIN\name` and `name@domain` without their domains.
fn short(name: &str) -> &str {
    let name = name.rsplit('\\').next().unwrap_or_default();
    name.split('@').next().unwrap_or_default()
}

/// Counts a wrong password. After some in a row the account is locked, each time for longer.
///
/// # Errors
/// Those of the database.
pub(crate) async fn count_failure(app: &App, account_id: i64, now: i64) -> Result<(), Error> {
    app.db
        .write("security.count_failure", move |tx| {
            Box::pin(async move {
                let Some(account) = accounts::Entity::find_by_id(account_id).one(tx).await? else {
                    return Ok(());
                };
                let failures = account.failures + 1;
                let mut changed = account.into_active_model();
                changed.failures = ActiveValue::Set(failures);
                if failures >= FAILURES_BEFORE_LOCK {
                    let doublings = u32::try_from(failures - FAILURES_BEFORE_LOCK)
                        .unwrap_or(u32::MAX)
                        .min(20);
                    let lock = FIRST_LOCK_MS
                        .saturating_mul(1 << doublings)
                        .min(LONGEST_LOCK_MS);
                    changed.locked_until = ActiveValue::Set(Some(now + lock));
                }
                changed.update(tx).await?;
                Ok::<_, Error>(())
            })
        })
        .await
}

async fn clear_failures(app: &App, account_id: i64) -> Result<(), Error> {
    app.db
        .write("security.clear_failures", move |tx| {
            Box::pin(async move {
                let cleared = accounts::ActiveModel {
                    id: ActiveValue::Unchanged(account_id),
                    failures: ActiveValue::Set(0),
                    locked_until: ActiveValue::Set(None),
                    ..Default::default()
                };
                cleared.update(tx).await?;
                Ok::<_, Error>(())
            })
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_remembered_for_a_minute_after_its_last_use() {
        let cache = CredentialCache::default();
        assert!(!cache.knows(1, "right", "hash", 0));
        cache.remember(1, "right", "hash", 0);
        assert!(cache.knows(1, "right", "hash", 40_000));
        assert!(cache.knows(1, "right", "hash", 80_000));
        // What does not fit is no use of it.
        for (account_id, password, hash) in [
            (1, "wrong", "hash"),
            (1, "right", "new hash"),
            (2, "right", "hash"),
        ] {
            assert!(!cache.knows(account_id, password, hash, 139_000));
        }
        assert!(!cache.knows(1, "right", "hash", 140_000));
    }
}
