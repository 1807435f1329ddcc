//! Who came in, who did not, and who was refused. Sign-ins have one record for each credential, address and hour; failures and
//! refusals have one each, written beside the answer. Where more wait than a server should remember, the answer waits with them, so
//! that none is left out.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderValue, Method};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::tables::audit_sign_ins::{ActiveModel, Column, Entity};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::entry::{Category, Entry, Level, Operation};
use crate::app::App;
use crate::cx::{Caller, Cx, Identity};
use crate::error::Error;

const HOUR_MS: i64 = 60 * 60 * 1000;
/// Records that are written beside answers at once at most.
const BESIDE_MAX: u32 = 64;
/// Sign-ins that are remembered at most.
const REMEMBERED_MAX: usize = 50_000;
/// Characters of what a caller says that a record holds: a name, a path, a reason.
const TEXT_MAX: usize = 300;

/// Whose sign-in, from where.
type SignIn = (String, String);

/// What a server remembers of callers.
pub(crate) struct Access {
    /// The hour, and the sign-ins of it that have their record.
    seen: Mutex<(i64, HashSet<SignIn>)>,
    /// The hour in which what has passed was last cleared away.
    cleared: AtomicI64,
    beside: Arc<Semaphore>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            cleared: AtomicI64::new(0),
            beside: Arc::new(Semaphore::new(BESIDE_MAX as usize)),
        }
    }
}

impl Access {
    /// Whether the sign-in has its record of this hour, as far as this server remembers.
    fn knows(&self, sign_in: &SignIn, hour: i64) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.0 == hour && seen.1.contains(sign_in)
    }

    fn remember(&self, sign_in: SignIn, hour: i64) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != hour || seen.1.len() >= REMEMBERED_MAX {
            *seen = (hour, HashSet::new());
        }
        seen.1.insert(sign_in);
    }

    /// Waits until everything that was to be written beside answers is written.
    pub(crate) async fn settle(&self) {
        // An error means that the semaphore is closed, which it never is.
        drop(self.beside.acquire_many(BESIDE_MAX).await);
    }
}

/// Records a sign-in, the first time in this hour that this credential is used from this address. That costs others nothing but a
/// look into memory.
pub(crate) async fn signed_in(
    app: &Arc<App>,
    identity: &Identity,
    address: Option<IpAddr>,
    correlation_id: Uuid,
) {
    let hour = app.clock.now().div_euclid(HOUR_MS);
    let credential = format!("{}: {}", identity.provider, identity.subject);
    let place = address.map_or_else(String::new, |address| address.to_string());
    let sign_in = (credential, place);
    let access = &app.audit.access;
    if access.knows(&sign_in, hour) {
        return;
    }
    let cx = Cx::new(
        Arc::clone(app),
        Caller::System("sign-in"),
        correlation_id,
        address,
    );
    let name = shortened(&identity.name);
    let entry = Entry::new(
        Operation::SignedIn,
        Category::Access,
        name.clone(),
        format!("{name} signed in with {}.", identity.provider),
    );
    match first_of_the_hour(&cx, sign_in.clone(), hour, entry).await {
        Ok(()) => access.remember(sign_in, hour),
        // The caller did nothing wrong; the next call tries again.
        Err(error) => tracing::error!(%error, "a sign-in could not be recorded"),
    }
}

/// Writes the record, unless another server on the same database has.
async fn first_of_the_hour(
    cx: &Cx,
    (credential, address): SignIn,
    hour: i64,
    entry: Entry,
) -> Result<(), Error> {
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("audit.sign_in", move |tx| {
        Box::pin(async move {
            let row = ActiveModel {
                credential: ActiveValue::Set(credential),
                address: ActiveValue::Set(address),
                hour: ActiveValue::Set(hour),
            };
            let first = Entity::insert(row)
                .on_conflict(OnConflict::new().do_nothing().to_owned())
                .exec_without_returning(tx)
                .await?;
            if first == 0 {
                return Ok(());
            }
            if cx.app().audit.access.cleared.swap(hour, Ordering::Relaxed) != hour {
                // What has passed is in the records; two hours are kept for clocks that differ.
                Entity::delete_many()
                    .filter(Column::Hour.lt(hour - 1))
                    .exec(tx)
                    .await?;
            }
            super::record(tx, &cx, entry).await
        })
    })
    .await
}

/// Whom the header `Authorization` names without proof.
pub(crate) fn tried(value: &HeaderValue) -> String {
    let named = value.to_str().ok().and_then(|text| {
        let (scheme, rest) = text.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Some(format!("a {} token", shortened(scheme)));
        }
        let octets = STANDARD.decode(rest.trim()).ok()?;
        let text = String::from_utf8(octets).ok()?;
        let (name, _) = text.split_once(':')?;
        Some(shortened(name))
    });
    named.unwrap_or_else(|| "an unreadable credential".into())
}

/// Records a sign-in that failed. `tried` is what the caller claimed to be.
pub(crate) async fn sign_in_failed(
    app: &Arc<App>,
    tried: String,
    reason: &Error,
    address: Option<IpAddr>,
    correlation_id: Uuid,
) {
    let cx = Cx::new(
        Arc::clone(app),
        Caller::System("sign-in"),
        correlation_id,
        address,
    );
    let message = format!("Sign-in failed: {}", shortened(reason.message()));
    let tried = shortened(&tried);
    let entry = Entry::new(Operation::SignInFailed, Category::Access, tried, message);
    beside(&cx, entry.level(Level::Warning)).await;
}

/// Records that a caller was refused.
pub(crate) async fn refused(cx: &Cx, method: &Method, path: &str, reason: &Error) {
    let name = format!("{method} {}", shortened(path));
    let message = format!("Refused: {}", shortened(reason.message()));
    let entry = Entry::new(Operation::Rejected, Category::Access, name, message)
        .after(json!({ "Code": reason.status().1 }));
    beside(cx, entry.level(Level::Warning)).await;
}

/// Writes a record beside the answer, or before it when too many are being written.
async fn beside(cx: &Cx, entry: Entry) {
    let write = {
        let cx = cx.clone();
        async move {
            let writer = cx.clone();
            let written = cx.db().write("audit.beside", move |tx| {
                Box::pin(async move { super::record(tx, &writer, entry).await })
            });
            if let Err(error) = written.await {
                tracing::error!(%error, "a refusal could not be recorded");
            }
        }
    };
    match Arc::clone(&cx.app().audit.access.beside).try_acquire_owned() {
        Ok(permit) => {
            tokio::spawn(async move {
                write.await;
                drop(permit);
            });
        }
        Err(_) => write.await,
    }
}

/// What a caller says, without what would break a line or a database, and not longer than a record should be.
fn shortened(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .take(TEXT_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_claims_to_be() {
        let of = |value: &str| tried(&value.parse().unwrap());
        assert_eq!(of("Basic YWxpY2U6c2VjcmV0"), "alice");
        assert_eq!(of("Bearer abc.def"), "a Bearer token");
        assert_eq!(of("Basic !"), "an unreadable credential");
        assert_eq!(of("x"), "an unreadable credential");
        let long = format!(
            "Basic {}",
            STANDARD.encode(format!("{}\u{0}:x", "a".repeat(1_000)))
        );
        assert_eq!(of(&long).len(), TEXT_MAX);
    }
}
