//! The keys that sign our own access tokens: made at the first start, sealed in the database, changed by themselves. The newest
//! signs; the others are published and believed until every token that they signed has ended.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::tables::token_keys::{ActiveModel, Column, Entity, Model};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use secrets::Sealed;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::generation::Generation;
use crate::sealing::TOKEN_KEY;
use crate::security::{Permission, changed};

/// How long a key signs, in milliseconds.
const SIGNS_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// How long a key is believed after another took its place, in milliseconds: longer than any token lives.
const OVERLAP_MS: i64 = 24 * 60 * 60 * 1000;

/// What was read of the keys, and in which generation.
#[derive(Default)]
pub(crate) struct TokenKeyCache(Mutex<Option<(i64, Keys)>>);

type Keys = Arc<[Model]>;

/// Makes the first key.
///
/// # Errors
/// Those of the database.
pub(crate) async fn ensure(app: &Arc<App>) -> Result<(), Error> {
    if newest(app).await?.is_none() {
        let cx = Cx::system(Arc::clone(app), "first start");
        replace(&cx, false, true).await?;
    }
    Ok(())
}

/// Makes a new key, which signs from now on. With `withdraw` the others are not believed any more: the tokens that they
/// signed end at once, on every server.
///
/// # Errors
/// 403 without the permission to change security; those of the database.
pub async fn rotate(cx: &Cx, withdraw: bool) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    replace(cx, withdraw, false).await
}

/// `unless_fresh`: somebody else may have made one a moment ago, which does.
async fn replace(cx: &Cx, withdraw: bool, unless_fresh: bool) -> Result<(), Error> {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(Error::internal)?;
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref())
        .map_err(|error| Error::internal(error.to_string()))?;
    let id = Uuid::new_v4();
    let sealed = cx
        .app()
        .keyring()
        .seal(&TOKEN_KEY.purpose(id), pkcs8.as_ref())?;
    let row = ActiveModel {
        id: ActiveValue::Set(id),
        sealed_key: ActiveValue::Set(sealed.into_bytes()),
        public_key: ActiveValue::Set(pair.public_key().as_ref().to_vec()),
        created_at: ActiveValue::Set(cx.now()),
    };
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("token_keys.replace", move |tx| {
        Box::pin(async move {
            changed(tx).await?;
            let before = Entity::find()
                .order_by_desc(Column::CreatedAt)
                .all(tx)
                .await?;
            let newest = before.first().map(|key| key.created_at);
            if unless_fresh && newest.is_some_and(|at| cx.now() - at < SIGNS_MS) {
                return Ok(());
            }
            if withdraw {
                Entity::delete_many().exec(tx).await?;
            } else if let Some(newest) = newest {
                // Whoever was replaced so long ago has signed nothing that is still valid.
                Entity::delete_many()
                    .filter(Column::CreatedAt.lt(newest))
                    .filter(Column::CreatedAt.lt(cx.now() - SIGNS_MS - OVERLAP_MS))
                    .exec(tx)
                    .await?;
            }
            Entity::insert(row).exec_without_returning(tx).await?;
            let message = if withdraw {
                "A new key signs access tokens; the old ones were withdrawn."
            } else {
                "A new key signs access tokens."
            };
            let entry = Entry::new(
                Operation::Created,
                Category::Installation,
                "token key",
                message,
            );
            audit::record(tx, &cx, entry.after(json!({ "Id": id }))).await
        })
    })
    .await
}

/// The keys, the newest first.
async fn all(app: &App) -> Result<Keys, Error> {
    let generation = Generation::Security.now(app.db.read()).await?;
    {
        let remembered = app
            .token_keys
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, keys)) = remembered
            .as_ref()
            .filter(|(known, _)| *known == generation)
        {
            return Ok(Arc::clone(keys));
        }
    }
    let keys: Keys = Entity::find()
        .order_by_desc(Column::CreatedAt)
        .order_by_asc(Column::Id)
        .all(app.db.read())
        .await?
        .into();
    let mut remembered = app
        .token_keys
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *remembered = Some((generation, Arc::clone(&keys)));
    Ok(keys)
}

async fn newest(app: &App) -> Result<Option<Model>, Error> {
    Ok(all(app).await?.first().cloned())
}

/// The key that signs now, and its id. One that has signed long enough is replaced first.
///
/// # Errors
/// Those of the database, and a key that cannot be opened.
pub(super) async fn signing(app: &Arc<App>) -> Result<(String, jsonwebtoken::EncodingKey), Error> {
    let now = app.clock.now();
    let mut key = newest(app).await?;
    if key
        .as_ref()
        .is_none_or(|key| now - key.created_at >= SIGNS_MS)
    {
        let cx = Cx::system(Arc::clone(app), "rotation of the token key");
        replace(&cx, false, true).await?;
        key = newest(app).await?;
    }
    let key = key.ok_or_else(|| Error::internal("there is no token key"))?;
    let sealed = Sealed::from_bytes(key.sealed_key)?;
    let opened = app.keyring().open(&TOKEN_KEY.purpose(key.id), &sealed)?;
    let pair = jsonwebtoken::EncodingKey::from_ec_der(opened.expose());
    Ok((key.id.to_string(), pair))
}

/// The key of this id, to verify with.
///
/// # Errors
/// Those of the database.
pub(super) async fn verifying(
    app: &App,
    id: &str,
) -> Result<Option<jsonwebtoken::DecodingKey>, Error> {
    let Ok(id) = Uuid::parse_str(id) else {
        return Ok(None);
    };
    let keys = all(app).await?;
    let found = keys.iter().find(|key| key.id == id);
    Ok(found.map(|key| jsonwebtoken::DecodingKey::from_ec_der(&key.public_key)))
}

/// The key set of RFC 7517 that others verify our tokens with.
///
/// # Errors
/// Those of the database.
pub(super) async fn key_set(app: &App) -> Result<Value, Error> {
    let keys = all(app).await?;
    let keys: Vec<Value> = keys
        .iter()
        .filter_map(|key| {
            let point = key.public_key.get(1..)?;
            let (x, y) = point.split_at_checked(32)?;
            Some(json!({
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.id,
                "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
            }))
        })
        .collect();
    Ok(json!({ "keys": keys }))
}
