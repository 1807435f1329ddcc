//! Whether somebody may do something to an object: the same functions as the operations call, in a context of that somebody.

use db::tables::{certificate_stores, certificates, roles};
use sea_orm::EntityTrait;

use super::operation::{Needed, Owner};
use super::wire::ObjectInput;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{OwnerChange, Per, Permission, Through, role_by_id};

/// What an operation is about, loaded.
#[derive(Debug, Default)]
pub(super) struct Object {
    certificate_id: Option<i64>,
    current_owner: Option<roles::Model>,
    new_owner: Option<roles::Model>,
    store: Option<certificate_stores::Model>,
    collection_id: Option<i64>,
    container_id: Option<i64>,
}

impl Object {
    /// Loads what the request names.
    ///
    /// # Errors
    /// 400 for a store or role that does not exist. Certificates that do not exist are in no place.
    pub(super) async fn load(cx: &Cx, needed: &Needed, given: ObjectInput) -> Result<Self, Error> {
        let connection = cx.db().read();
        let mut object = Self {
            certificate_id: given.certificate_id,
            collection_id: given.collection_id.filter(|id| *id != 0),
            container_id: given.container_id.filter(|id| *id != 0),
            ..Self::default()
        };
        if let (Some(id), [way]) = (needed.object_id, needed.ways.as_slice()) {
            match way.first().map(|permission| permission.entry().per) {
                Some(Per::Collection) => object.collection_id = Some(id),
                Some(Per::Container) => object.container_id = Some(id),
                _ => {}
            }
        }
        if let Some(id) = given.store_id {
            let store = certificate_stores::Entity::find_by_id(id)
                .one(connection)
                .await?;
            object.store = Some(store.ok_or_else(|| {
                Error::bad_request(format!(
                    "Object.StoreId: there is no certificate store {id}."
                ))
            })?);
        }
        if let Some(id) = given.owner_role_id.filter(|_| needed.owner != Owner::Never) {
            let role = role_by_id(connection, id).await?;
            object.new_owner = Some(role.ok_or_else(|| {
                Error::bad_request(format!(
                    "Object.OwnerRoleId: there is no security role {id}."
                ))
            })?);
        }
        if let Some(id) = object
            .certificate_id
            .filter(|_| needed.owner == Owner::Changes)
        {
            let row = certificates::Entity::find_by_id(id).one(connection).await?;
            if let Some(owner) = row.and_then(|row| row.owner_role_id) {
                object.current_owner = role_by_id(connection, owner).await?;
            }
        }
        Ok(object)
    }

    /// Whether who asks decides what is in the collection that is named (`%ME%`).
    pub(super) fn depends_on_name(&self) -> bool {
        self.collection_id.is_some()
    }
}

/// What the caller of `cx` is answered: nothing, or the refusal.
///
/// # Errors
/// What is wrong with the question, and those of the database.
pub(super) async fn refusal(
    cx: &Cx,
    needed: &Needed,
    object: &Object,
) -> Result<Option<Error>, Error> {
    let decided = match needed.owner {
        Owner::Changes => change_owner(cx, needed, object).await,
        Owner::Never | Owner::First => any_way(cx, needed, object).await,
    };
    match decided {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == Kind::Forbidden => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

async fn any_way(cx: &Cx, needed: &Needed, object: &Object) -> Result<(), Error> {
    let mut refused = Ok(());
    for (index, way) in needed.ways.iter().enumerate() {
        let decided = whole_way(cx, needed, way, object).await;
        if decided.is_ok() {
            refused = decided;
            break;
        }
        if index == 0 {
            refused = decided;
        }
    }
    refused?;
    match (&object.new_owner, needed.owner) {
        (Some(role), Owner::First) => cx.authorize_first_owner(role),
        _ => Ok(()),
    }
}

async fn whole_way(
    cx: &Cx,
    needed: &Needed,
    way: &[Permission],
    object: &Object,
) -> Result<(), Error> {
    for permission in way {
        one(cx, needed, *permission, object).await?;
    }
    Ok(())
}

async fn change_owner(cx: &Cx, needed: &Needed, object: &Object) -> Result<(), Error> {
    let permitted = one(cx, needed, Permission::CertificatesChangeOwner, object).await;
    if let Err(error) = permitted.as_ref()
        && error.kind() != Kind::Forbidden
    {
        return permitted;
    }
    let owners = OwnerChange {
        current: object.current_owner.as_ref(),
        new: object.new_owner.as_ref(),
    };
    cx.authorize_owner(&owners, permitted)
}

async fn one(
    cx: &Cx,
    needed: &Needed,
    permission: Permission,
    object: &Object,
) -> Result<(), Error> {
    let through = Through::new(
        object.collection_id.filter(|_| needed.by_collection),
        object.container_id.filter(|_| needed.by_container),
    );
    match permission.entry().per {
        Per::Collection => match object.certificate_id {
            Some(id) => cx.authorize_certificate(permission, id, through).await,
            None if needed.shows_some => cx.authorize_somewhere(permission),
            None => cx.authorize_certificate_list(permission, through).await,
        },
        Per::Container if needed.by_container => on_stores(cx, needed, permission, object, through),
        Per::Container | Per::System | Per::PamProvider => cx.authorize(permission),
    }
}

fn on_stores(
    cx: &Cx,
    needed: &Needed,
    permission: Permission,
    object: &Object,
    through: Through,
) -> Result<(), Error> {
    match (&object.store, object.container_id) {
        (Some(store), _) if needed.reaches_through => {
            crate::certificate_stores::authorize(cx, permission, through, std::iter::once(store))
        }
        (Some(store), named) => {
            cx.authorize_store(permission, store.container_id)?;
            named.map_or(Ok(()), |id| cx.authorize_store(permission, Some(id)))
        }
        (None, Some(id)) => cx.authorize_store(permission, Some(id)),
        (None, None) if needed.shows_some => cx.authorize_somewhere(permission),
        (None, None) => cx.authorize(permission),
    }
}
