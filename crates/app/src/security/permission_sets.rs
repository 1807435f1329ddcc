//! Permission sets: what the roles in them may hold at most (command-behaviour.md B.13).

use db::tables::{permission_set_permissions, permission_sets};
use sea_orm::{ActiveValue, EntityTrait};
use uuid::{Uuid, uuid};

use crate::cx::Cx;
use crate::error::Error;

/// The set of everything, there from the start. Clients know it by this id.
pub const GLOBAL: Uuid = uuid!("099c05f0-deba-4562-a5b1-f491e19c0749");

/// The set that is there from the start.
///
/// # Errors
/// Those of the database.
pub(crate) async fn create_first(tx: &db::Tx, cx: &Cx) -> Result<(), Error> {
    let set = permission_sets::ActiveModel {
        id: ActiveValue::Set(GLOBAL),
        name: ActiveValue::Set("Global".into()),
        name_fold: ActiveValue::Set(db::fold("Global")),
        created_at: ActiveValue::Set(cx.now()),
    };
    permission_sets::Entity::insert(set)
        .exec_without_returning(tx)
        .await?;
    let everything = permission_set_permissions::ActiveModel {
        permission_set_id: ActiveValue::Set(GLOBAL),
        permission: ActiveValue::Set("/".into()),
        object_id: ActiveValue::Set(0),
    };
    permission_set_permissions::Entity::insert(everything)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
