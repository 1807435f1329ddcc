//! Complete certificate revocation lists (RFC 5280 §5) of the authorities here: signed in the transaction that revokes, so that what
//! was answered is in the list, and anew every day. Served without sign-in at the address that stands in certificates.

use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use db::tables::{authorities, revocation_lists, revocations};
use sea_orm::sea_query::{LockType, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::memory::{KnownAuthority, all};
use crate::app::App;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::web::PeerAddress;

/// Where the lists are, below the server's public address.
pub(crate) const PATH: &str = "/crl";

/// How long a list is good for: as long as nobody can reach this server, relying parties do without a newer one.
const LIFE_MS: i64 = 7 * jobs::DAY_MS;
/// How old a list may become.
const AGE_MS: i64 = jobs::DAY_MS;
/// How long expired certificates stay in lists: beyond the end of every list that had them before they expired (RFC 5280 §3.3).
const AFTER_EXPIRY_MS: i64 = LIFE_MS + AGE_MS;

/// The address of an authority's list; none where nobody said how clients reach this server. It names the key, since lists of
/// another key of the same authority are other lists.
pub(super) fn address(app: &App, issuer: &pki::Issuer) -> Option<String> {
    let url = app.options.public_url.as_deref()?.trim_end_matches('/');
    Some(format!("{url}{PATH}/{}", file_name(issuer)))
}

fn file_name(issuer: &pki::Issuer) -> String {
    format!("{}.crl", hex::encode(issuer.key_id()))
}

/// Whether a certificate, given its SHA-256, is an authority's own.
pub(crate) fn is_own(known: &[Arc<KnownAuthority>], sha256: &[u8]) -> bool {
    known
        .iter()
        .any(|authority| authority.issuer.certificate().sha256() == sha256)
}

/// Signs an authority's next list from what is revoked now. Who does so waits for others who do.
///
/// # Errors
/// Those of the database, and a fault of signing.
pub(crate) async fn publish(tx: &db::Tx, cx: &Cx, authority: &KnownAuthority) -> Result<(), Error> {
    sign(tx, cx, authority, i64::MAX).await
}

/// Signs the next list, if the last one was made at `made_until` or before.
async fn sign(
    tx: &db::Tx,
    cx: &Cx,
    authority: &KnownAuthority,
    made_until: i64,
) -> Result<(), Error> {
    // The one lock that certificates which refer to the authority do not wait for.
    authorities::Entity::find_by_id(authority.id)
        .select_only()
        .column(authorities::Column::Id)
        .lock(LockType::NoKeyUpdate)
        .into_tuple::<i64>()
        .one(tx)
        .await?;
    let last: Option<(i64, i64)> = revocation_lists::Entity::find_by_id(authority.id)
        .select_only()
        .columns([
            revocation_lists::Column::Number,
            revocation_lists::Column::ThisUpdate,
        ])
        .into_tuple()
        .one(tx)
        .await?;
    let (number, made_at) = last.unwrap_or((0, i64::MIN));
    if made_at > made_until {
        return Ok(());
    }
    let now = cx.now();
    revocations::Entity::delete_many()
        .filter(revocations::Column::AuthorityId.eq(authority.id))
        .filter(revocations::Column::NotAfter.lt(now - AFTER_EXPIRY_MS))
        .exec(tx)
        .await?;
    let revoked: Vec<(String, i64, i32)> = revocations::Entity::find()
        .select_only()
        .columns([
            revocations::Column::SerialNumber,
            revocations::Column::RevokedAt,
            revocations::Column::Reason,
        ])
        .filter(revocations::Column::AuthorityId.eq(authority.id))
        .order_by_asc(revocations::Column::SerialNumber)
        .into_tuple()
        .all(tx)
        .await?;
    let number = number + 1;
    let der = pki::CertificateRevocationList::build(
        &authority.issuer,
        u64::try_from(number).map_err(Error::internal)?,
        now,
        now + LIFE_MS,
        &revoked,
    )
    .map_err(Error::internal)?;
    let row = revocation_lists::ActiveModel {
        authority_id: ActiveValue::Set(authority.id),
        number: ActiveValue::Set(number),
        this_update: ActiveValue::Set(now),
        next_update: ActiveValue::Set(now + LIFE_MS),
        der: ActiveValue::Set(der),
    };
    let again = OnConflict::column(revocation_lists::Column::AuthorityId)
        .update_columns([
            revocation_lists::Column::Number,
            revocation_lists::Column::ThisUpdate,
            revocation_lists::Column::NextUpdate,
            revocation_lists::Column::Der,
        ])
        .to_owned();
    revocation_lists::Entity::insert(row)
        .on_conflict(again)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Signs the lists that are a day old, and those that were never made. An authority that has expired signs no more.
///
/// # Errors
/// Those of the database, and a fault of signing.
pub(crate) async fn renew(app: &Arc<App>) -> Result<(), Error> {
    let known = all(app).await?;
    let made: Vec<(i64, i64)> = revocation_lists::Entity::find()
        .select_only()
        .columns([
            revocation_lists::Column::AuthorityId,
            revocation_lists::Column::ThisUpdate,
        ])
        .into_tuple()
        .all(app.db.read())
        .await?;
    let now = app.clock.now();
    let due = known.iter().filter(|authority| {
        let last = made.iter().find(|(id, _)| *id == authority.id);
        let is_old = last.is_none_or(|(_, made_at)| *made_at <= now - AGE_MS);
        is_old && now < authority.issuer.certificate().not_after()
    });
    for authority in due {
        renew_one(app, authority, now - AGE_MS).await?;
    }
    Ok(())
}

async fn renew_one(
    app: &Arc<App>,
    authority: &Arc<KnownAuthority>,
    made_until: i64,
) -> Result<(), Error> {
    let cx = Cx::system(Arc::clone(app), "revocation lists");
    let authority = Arc::clone(authority);
    cx.db()
        .clone()
        .write("authorities.renew_revocation_list", move |tx| {
            Box::pin(async move { sign(tx, &cx, &authority, made_until).await })
        })
        .await
}

/// Answers `GET /crl/{key}.crl`.
///
/// # Errors
/// 404 for another path, 405 for another method, 429 for too many requests; those of the database.
pub(crate) async fn serve(app: &Arc<App>, request: &Parts, below: &str) -> Result<Response, Error> {
    let address = request.extensions.get::<PeerAddress>();
    app.rates
        .knock(address.map(|peer| peer.0.ip()), app.clock.now())?;
    let known = all(app).await?;
    let authority = known.iter().find(|authority| {
        below.trim_start_matches('/').to_ascii_lowercase() == file_name(&authority.issuer)
    });
    let authority =
        authority.ok_or_else(|| Error::new(Kind::NotFound, "There is no such path."))?;
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Error::new(
            Kind::BadMethod,
            "The path does not know this method.",
        ));
    }
    if number(app, authority.id).await?.is_none() {
        // The first moments of a new installation.
        renew_one(app, authority, i64::MIN).await?;
    }
    let number = number(app, authority.id).await?.unwrap_or_default();
    let fields = [
        (header::ETAG, format!("\"{number}\"")),
        // Kept, but asked for again each time: a revocation counts from the moment when it was answered.
        (header::CACHE_CONTROL, "public, no-cache".into()),
        (header::CONTENT_TYPE, "application/pkix-crl".into()),
    ];
    let held = request.headers.get(header::IF_NONE_MATCH);
    if held.is_some_and(|held| held.as_bytes() == fields[0].1.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, fields).into_response());
    }
    let list = revocation_lists::Entity::find_by_id(authority.id)
        .one(app.db.read())
        .await?
        .ok_or_else(|| Error::internal("an authority has no revocation list"))?;
    let [_, caching, kind] = fields;
    let tag = (header::ETAG, format!("\"{}\"", list.number));
    Ok(([tag, caching, kind], list.der).into_response())
}

async fn number(app: &App, authority_id: i64) -> Result<Option<i64>, Error> {
    let number = revocation_lists::Entity::find_by_id(authority_id)
        .select_only()
        .column(revocation_lists::Column::Number)
        .into_tuple()
        .one(app.db.read())
        .await?;
    Ok(number)
}
