//! What a new database needs before the first request: authorities, templates, the administrator's role, store types.

use std::sync::Arc;

use db::tables::{role_permissions, roles, settings};
use sea_orm::{ActiveModelTrait, ActiveValue, ConnectionTrait, EntityTrait};
use secrets::Sealed;

use crate::app::{App, StartError};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{self, permission_sets};

/// The setting that says which sealing key this database belongs to: a sealed constant.
pub(crate) const SEAL_CHECK: &str = "seal_check";
const SEAL_CHECK_TEXT: &str = "chancery";

/// The role that may do everything. It cannot be changed or deleted.
pub const ADMINISTRATOR_ROLE: &str = "Administrator";

/// Sets up what is missing and checks that the key ring is this database's. Safe when two servers start at once.
pub(crate) async fn set_up(app: &Arc<App>) -> Result<(), StartError> {
    if seal_check(app.db.read()).await?.is_some() {
        return check_seal(app.db.read(), &app.keyring()).await;
    }
    let cx = Cx::system(Arc::clone(app), "first start");
    let prepared = crate::authorities::prepare_first(&cx)?;
    let sealed = app
        .keyring()
        .seal(SEAL_CHECK, SEAL_CHECK_TEXT.as_bytes())
        .map_err(Error::from)?;
    let first = app
        .db
        .write("start.set_up", move |tx| {
            Box::pin(async move {
                let mark = settings::ActiveModel {
                    key: ActiveValue::Set(SEAL_CHECK.into()),
                    value: ActiveValue::Set(hex::encode(sealed.as_bytes())),
                };
                // The second of two servers that start at once stops here, on the unique key.
                settings::Entity::insert(mark)
                    .exec_without_returning(tx)
                    .await?;
                permission_sets::create_first(tx, &cx).await?;
                administrator_role(tx, &cx).await?;
                crate::authorities::create_first(tx, &cx, prepared).await?;
                crate::templates::create_first(tx, &cx).await?;
                crate::certificate_store_types::create_first(tx, &cx).await?;
                Ok::<_, Error>(())
            })
        })
        .await;
    match first {
        Ok(()) => Ok(()),
        Err(error) => {
            if seal_check(app.db.read()).await?.is_none() {
                return Err(error.into());
            }
            check_seal(app.db.read(), &app.keyring()).await
        }
    }
}

/// The sealed constant that says which keys this database belongs to; none in one that was never set up.
///
/// # Errors
/// Those of the database, and a constant that is damaged.
pub(crate) async fn seal_check(connection: &impl ConnectionTrait) -> Result<Option<Sealed>, Error> {
    let found = settings::Entity::find_by_id(SEAL_CHECK)
        .one(connection)
        .await?;
    let octets = found
        .map(|row| hex::decode(row.value))
        .transpose()
        .map_err(Error::internal)?;
    Ok(octets.map(Sealed::from_bytes).transpose()?)
}

/// Refuses keys that are not this database's.
///
/// # Errors
/// [`StartError::SealingKey`], and those of the database.
pub(crate) async fn check_seal(
    connection: &impl ConnectionTrait,
    ring: &secrets::KeyRing,
) -> Result<(), StartError> {
    let sealed = seal_check(connection).await?.ok_or(StartError::Empty)?;
    match ring.open(SEAL_CHECK, &sealed) {
        Ok(secret) if secret.expose() == SEAL_CHECK_TEXT.as_bytes() => Ok(()),
        Ok(_) => Err(StartError::SealingKey(
            "the check value is another one".into(),
        )),
        Err(reason) => Err(StartError::SealingKey(reason.to_string())),
    }
}

async fn administrator_role(tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
    let role = roles::ActiveModel {
        id: ActiveValue::NotSet,
        name: ActiveValue::Set(ADMINISTRATOR_ROLE.into()),
        name_fold: ActiveValue::Set(db::fold(ADMINISTRATOR_ROLE)),
        description: ActiveValue::Set("May do everything.".into()),
        email_address: ActiveValue::Set(None),
        enabled: ActiveValue::Set(true),
        private: ActiveValue::Set(false),
        immutable: ActiveValue::Set(true),
        permission_set_id: ActiveValue::Set(permission_sets::GLOBAL),
        created_at: ActiveValue::Set(cx.now()),
    };
    let role = role.insert(tx).await?;
    let all = role_permissions::ActiveModel {
        role_id: ActiveValue::Set(role.id),
        permission: ActiveValue::Set("/".into()),
        object_id: ActiveValue::Set(0),
    };
    role_permissions::Entity::insert(all)
        .exec_without_returning(tx)
        .await?;
    security::changed(tx).await
}
