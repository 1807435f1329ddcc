//! What a new database needs before the first request: authorities, templates, the administrator's role, store types.

use std::sync::Arc;

use db::tables::{role_permissions, roles, settings};
use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait};

use crate::app::{App, StartError};
use crate::cx::Cx;
use crate::error::Error;

/// The setting that says which sealing key this database belongs to: a sealed constant.
const SEAL_CHECK: &str = "seal_check";
const SEAL_CHECK_TEXT: &str = "chancery";

/// The role that may do everything. It cannot be changed or deleted.
pub const ADMINISTRATOR_ROLE: &str = "Administrator";

/// Sets up what is missing and checks that the key ring is this database's. Safe when two servers start at once.
pub(crate) async fn set_up(app: &Arc<App>) -> Result<(), StartError> {
    let found = settings::Entity::find_by_id(SEAL_CHECK)
        .one(app.db.read())
        .await
        .map_err(Error::from)?;
    if let Some(row) = found {
        return check_seal(app, &row.value);
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
            let found = settings::Entity::find_by_id(SEAL_CHECK)
                .one(app.db.read())
                .await
                .map_err(Error::from)?;
            found.map_or(Err(error.into()), |row| check_seal(app, &row.value))
        }
    }
}

fn check_seal(app: &App, value: &str) -> Result<(), StartError> {
    let opened = hex::decode(value)
        .map_err(|error| error.to_string())
        .and_then(|octets| secrets::Sealed::from_bytes(octets).map_err(|error| error.to_string()))
        .and_then(|sealed| {
            app.keyring()
                .open(SEAL_CHECK, &sealed)
                .map_err(|error| error.to_string())
        });
    match opened {
        Ok(secret) if secret.expose() == SEAL_CHECK_TEXT.as_bytes() => Ok(()),
        Ok(_) => Err(StartError::SealingKey(
            "the check value is another one".into(),
        )),
        Err(reason) => Err(StartError::SealingKey(reason)),
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
        created_at: ActiveValue::Set(cx.now()),
    };
    let role = role.insert(tx).await?;
    let all = role_permissions::ActiveModel {
        role_id: ActiveValue::Set(role.id),
        permission: ActiveValue::Set("/".into()),
    };
    role_permissions::Entity::insert(all)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
