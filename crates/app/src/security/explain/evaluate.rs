//! Whether somebody may do something to an object: the same functions as the operations call, in a context of that somebody.

use std::collections::HashMap;

use db::tables::{certificate_stores, certificates, roles};
use sea_orm::EntityTrait;

use super::operation::{Needed, Owner};
use super::wire::ObjectInput;
use crate::collections;
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{OwnerChange, Per, Permission, Reach, Target, Through, role_by_id};

/// What an operation is about, loaded.
#[derive(Debug, Default)]
pub(super) struct Object {
    certificate_id: Option<i64>,
    current_owner: Option<roles::Model>,
    new_owner: Option<roles::Model>,
    store: Option<certificate_stores::Model>,
    collection_id: Option<i64>,
    container_id: Option<i64>,
    /// Who asks decides what is in the collection (`%ME%`).
    differs_by_caller: bool,
}

/// What was found of some permission, for callers whose rights on the object are alike. A question about everybody asks the database
/// once for all of those.
#[derive(Debug, Default)]
pub(super) struct Found(HashMap<(Permission, Vec<bool>, Option<String>), bool>);

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
        if let Some(id) = object.collection_id {
            object.differs_by_caller = collections::differs_by_caller(connection, id).await?;
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

    /// All that a decision about the permission depends on, of who asks.
    fn key(&self, cx: &Cx, permission: Permission) -> (Permission, Vec<bool>, Option<String>) {
        let targets = [
            Some(Target::System),
            self.collection_id.map(Target::Collection),
            self.container_id.map(Target::Container),
            self.store
                .as_ref()
                .and_then(|store| store.container_id)
                .map(Target::Container),
        ];
        let mut rights = Vec::new();
        for permission in std::iter::once(permission).chain(permission.through_stores()) {
            let held = targets.into_iter().flatten();
            rights.extend(held.map(|target| cx.may_on(permission, target)));
            rights.push(cx.reach(permission) != Reach::Objects(Vec::new()));
        }
        let name = self.differs_by_caller.then(|| cx.caller_name());
        (permission, rights, name)
    }
}

/// What the caller of `cx` is answered: nothing, or the refusal, which has no text where it was found before.
///
/// # Errors
/// What is wrong with the question, and those of the database.
pub(super) async fn refusal(
    cx: &Cx,
    needed: &Needed,
    object: &Object,
    found: Option<&mut Found>,
) -> Result<Option<Error>, Error> {
    let decided = match needed.owner {
        Owner::Changes => change_owner(cx, needed, object, found).await,
        Owner::Never | Owner::First => any_way(cx, needed, object, found).await,
    };
    match decided {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == Kind::Forbidden => Ok(Some(error)),
        Err(error) => Err(error),
    }
}

async fn any_way(
    cx: &Cx,
    needed: &Needed,
    object: &Object,
    mut found: Option<&mut Found>,
) -> Result<(), Error> {
    let mut refused = Ok(());
    for (index, way) in needed.ways.iter().enumerate() {
        let decided = whole_way(cx, needed, way, object, found.as_deref_mut()).await;
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
    mut found: Option<&mut Found>,
) -> Result<(), Error> {
    for permission in way {
        one(cx, needed, *permission, object, found.as_deref_mut()).await?;
    }
    Ok(())
}

async fn change_owner(
    cx: &Cx,
    needed: &Needed,
    object: &Object,
    found: Option<&mut Found>,
) -> Result<(), Error> {
    let permission = Permission::CertificatesChangeOwner;
    let permitted = one(cx, needed, permission, object, found).await;
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
    found: Option<&mut Found>,
) -> Result<(), Error> {
    let Some(found) = found else {
        return decided(cx, needed, permission, object).await;
    };
    let key = object.key(cx, permission);
    if let Some(allowed) = found.0.get(&key) {
        let refused = || Error::forbidden(String::new());
        return allowed.then_some(()).ok_or_else(refused);
    }
    let decided = decided(cx, needed, permission, object).await;
    match &decided {
        Err(error) if error.kind() != Kind::Forbidden => {}
        decided => {
            found.0.insert(key, decided.is_ok());
        }
    }
    decided
}

async fn decided(
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
