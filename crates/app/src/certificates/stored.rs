//! Out of the inventory: certificates, chains and keys for the rest of the product, and their history.

use db::tables::{certificate_contents, certificate_history, certificate_keys, certificates};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::cx::Cx;
use crate::error::Error;

/// Certificates in a chain at most; longer ones are somebody's mistake.
const CHAIN_MAX: usize = 16;
/// Certificates of one name that are looked at.
const SAME_NAME_MAX: u64 = 64;

/// What a sealed key is bound to.
pub(super) fn key_purpose(certificate_id: i64) -> String {
    crate::sealing::CERTIFICATE_KEY.purpose(certificate_id)
}

/// The certificate with this id: its row and itself.
///
/// # Errors
/// Those of the database.
pub(crate) async fn load(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<(certificates::Model, pki::Certificate)>, Error> {
    let Some(row) = certificates::Entity::find_by_id(id).one(connection).await? else {
        return Ok(None);
    };
    let content = certificate_contents::Entity::find_by_id(id)
        .one(connection)
        .await?;
    // One that was deleted since its row was read is not there any more.
    match content {
        Some(content) => Ok(Some((row, read(&content.der)?))),
        None => Ok(None),
    }
}

/// The stored private key of a certificate, opened; `None` when none is stored.
///
/// # Errors
/// Those of the database, and a fault when the key does not open.
pub(crate) async fn private_key(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    id: i64,
) -> Result<Option<pki::PrivateKey>, Error> {
    let Some(row) = certificate_keys::Entity::find_by_id(id)
        .one(connection)
        .await?
    else {
        return Ok(None);
    };
    let sealed = secrets::Sealed::from_bytes(row.sealed_key)?;
    let opened = cx.app().keyring().open(&key_purpose(id), &sealed)?;
    let key = pki::PrivateKey::from_pkcs8_der(opened.expose()).map_err(Error::internal)?;
    Ok(Some(key))
}

/// The chain of a certificate, itself first, as far as its issuers are in the inventory.
///
/// # Errors
/// Those of the database.
pub(crate) async fn chain(
    connection: &impl ConnectionTrait,
    leaf: &pki::Certificate,
) -> Result<Vec<pki::Certificate>, Error> {
    let pool = issuers(connection, leaf).await?;
    Ok(pki::build_chain(leaf, &pool))
}

/// The certificates of authorities in the inventory that are called as the issuer of a certificate, those that are called as
/// the issuers of these, and so on; bounded.
///
/// # Errors
/// Those of the database.
pub(super) async fn issuers(
    connection: &impl ConnectionTrait,
    leaf: &pki::Certificate,
) -> Result<Vec<pki::Certificate>, Error> {
    let mut pool: Vec<pki::Certificate> = Vec::new();
    let mut wanted = vec![db::fold(leaf.issuer())];
    let mut asked = Vec::new();
    // Level by level: everything that is called what the last level's issuers are called.
    while let (Some(name), true) = (wanted.pop(), asked.len() < CHAIN_MAX) {
        if asked.contains(&name) {
            continue;
        }
        let ids: Vec<i64> = certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id)
            .filter(certificates::Column::SubjectFold.eq(&name))
            .filter(certificates::Column::IsAuthority.eq(true))
            .order_by_desc(certificates::Column::NotAfter)
            .limit(SAME_NAME_MAX)
            .into_tuple()
            .all(connection)
            .await?;
        let contents = certificate_contents::Entity::find()
            .filter(certificate_contents::Column::CertificateId.is_in(ids))
            .all(connection)
            .await?;
        for content in contents {
            let issuer = read(&content.der)?;
            wanted.push(db::fold(issuer.issuer()));
            pool.push(issuer);
        }
        asked.push(name);
    }
    Ok(pool)
}

/// A stored certificate. It may be as odd as those found in the field are.
///
/// # Errors
/// A fault when it is none at all.
pub(super) fn read(der: &[u8]) -> Result<pki::Certificate, Error> {
    let reading = pki::Certificate::read(der).map_err(Error::internal)?;
    Ok(reading.certificate)
}

/// Writes a line into the history of a certificate, in the caller's name.
///
/// # Errors
/// Those of the database.
pub(crate) async fn add_history(
    tx: &db::Tx,
    cx: &Cx,
    certificate_id: i64,
    action: &str,
    comment: &str,
) -> Result<(), Error> {
    certificate_history::Entity::insert(history_row(cx, certificate_id, action, comment))
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// A line of the history.
pub(super) fn history_row(
    cx: &Cx,
    certificate_id: i64,
    action: &str,
    comment: &str,
) -> certificate_history::ActiveModel {
    certificate_history::ActiveModel {
        id: ActiveValue::NotSet,
        certificate_id: ActiveValue::Set(certificate_id),
        started_at: ActiveValue::Set(cx.now()),
        ended_at: ActiveValue::Set(cx.now()),
        username: ActiveValue::Set(cx.caller_name()),
        comment: ActiveValue::Set(comment.to_owned()),
        action: ActiveValue::Set(action.to_owned()),
    }
}
