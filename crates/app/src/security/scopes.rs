//! Rights that are limited to certificate collections and to containers of certificate stores, in the order of
//! command-behaviour.md A.0: system-wide first; else through the collection that the request names, if the certificate is in
//! it; else through the container, if the certificate is in one of its stores; else refused. Grants only add.

use sea_orm::ConnectionTrait;

use super::decide::{Reach, Target};
use super::permissions::Permission;
use crate::cx::{Caller, Cx};
use crate::error::Error;

/// What a request names to be allowed through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Through {
    /// Nothing: rights on the whole system count alone.
    #[default]
    System,
    /// A certificate collection.
    Collection(i64),
    /// A container of certificate stores.
    Container(i64),
}

impl Through {
    /// 0 is none, and a collection wins over a container.
    pub(crate) fn new(collection_id: Option<i64>, container_id: Option<i64>) -> Self {
        match (
            collection_id.filter(|id| *id != 0),
            container_id.filter(|id| *id != 0),
        ) {
            (Some(id), _) => Self::Collection(id),
            (None, Some(id)) => Self::Container(id),
            (None, None) => Self::System,
        }
    }
}

impl Permission {
    /// The permission on stores that gives the same right on the certificates in them.
    pub(crate) fn through_stores(self) -> Option<Self> {
        match self {
            Self::CertificatesChangeOwner => Some(Self::StoresChangeOwner),
            Self::CertificatesRevoke => Some(Self::StoresRevoke),
            Self::CertificatesMetadataModify => Some(Self::StoresMetadataModify),
            Self::CertificatesRecover => Some(Self::StoresPrivateKeyRead),
            _ => None,
        }
    }
}

impl Cx {
    /// Where the caller holds `permission`.
    pub(crate) fn reach(&self, permission: Permission) -> Reach {
        match self.caller() {
            Caller::Identity(identity) => {
                let reach = identity.grants.reach(permission);
                if let Some(recorder) = self.recorder() {
                    recorder.reach(permission, reach);
                }
                reach.clone()
            }
            Caller::System(_) => Reach::All,
        }
    }

    /// Whether the caller holds `permission` on `target`.
    pub(crate) fn may_on(&self, permission: Permission, target: Target) -> bool {
        match self.caller() {
            Caller::Identity(identity) => match self.recorder() {
                None => identity.grants.allow(permission, target),
                Some(recorder) => recorder.decide(&identity.grants, permission, target),
            },
            Caller::System(_) => true,
        }
    }

    /// Refuses callers who hold `permission` nowhere at all. Called before anything is loaded, when the object decides.
    ///
    /// # Errors
    /// 403 in the words that clients look for.
    pub(crate) fn authorize_somewhere(&self, permission: Permission) -> Result<(), Error> {
        match self.reach(permission) {
            Reach::Objects(ids) if ids.is_empty() => self.authorize(permission),
            _ => Ok(()),
        }
    }

    /// Refuses callers without `permission` on the store's container, or system-wide. A store without a container needs the
    /// system-wide right.
    ///
    /// # Errors
    /// 403 in the words that clients look for.
    pub(crate) fn authorize_store(
        &self,
        permission: Permission,
        container_id: Option<i64>,
    ) -> Result<(), Error> {
        match container_id {
            Some(id) if self.may_on(permission, Target::Container(id)) => Ok(()),
            _ => self.authorize(permission),
        }
    }

    /// [`Cx::authorize_certificates`] for one.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn authorize_certificate(
        &self,
        permission: Permission,
        certificate_id: i64,
        through: Through,
    ) -> Result<(), Error> {
        self.authorize_certificates(permission, &[certificate_id], through)
            .await
    }

    /// Refuses callers without `permission` on all of these certificates. A certificate that does not exist is in no
    /// collection and no store, so that who is limited to some learns nothing of the others.
    ///
    /// # Errors
    /// 403, naming what would do: the collections that give the right, or what is not in the collection that was named.
    pub(crate) async fn authorize_certificates(
        &self,
        permission: Permission,
        certificate_ids: &[i64],
        through: Through,
    ) -> Result<(), Error> {
        let connection = self.db().read();
        self.authorize_certificates_in(connection, permission, certificate_ids, through)
            .await
    }

    /// [`Cx::authorize_certificates`] inside a write: what counts is what is true in its transaction.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn authorize_certificates_in(
        &self,
        connection: &impl ConnectionTrait,
        permission: Permission,
        certificate_ids: &[i64],
        through: Through,
    ) -> Result<(), Error> {
        if self.may(permission) {
            return Ok(());
        }
        match through {
            Through::Collection(id) if self.may_on(permission, Target::Collection(id)) => {
                let missing =
                    crate::collections::missing(connection, self, id, certificate_ids).await?;
                self.all_in(&missing, &format!("certificate collection {id}"))
            }
            Through::Container(id)
                if self.may_through_stores(permission, Target::Container(id)) =>
            {
                let missing = crate::certificate_stores::certificates_not_in(
                    connection,
                    certificate_ids,
                    Some(id),
                )
                .await?;
                self.all_in(&missing, &format!("a certificate store of container {id}"))
            }
            Through::System if self.may_through_stores(permission, Target::System) => {
                let missing = crate::certificate_stores::certificates_not_in(
                    connection,
                    certificate_ids,
                    None,
                )
                .await?;
                self.all_in(&missing, "a certificate store")
            }
            _ => Err(self.refused_with_hint(connection, permission).await?),
        }
    }

    /// Refuses a list of certificates to callers who may read neither all of them nor the collection they name.
    ///
    /// # Errors
    /// 403, naming the collections that would do.
    pub(crate) async fn authorize_certificate_list(
        &self,
        permission: Permission,
        through: Through,
    ) -> Result<(), Error> {
        match through {
            _ if self.may(permission) => Ok(()),
            Through::Collection(id) if self.may_on(permission, Target::Collection(id)) => Ok(()),
            _ => Err(self.refused_with_hint(self.db().read(), permission).await?),
        }
    }

    fn all_in(&self, missing: &[i64], place: &str) -> Result<(), Error> {
        if let Some(recorder) = self.recorder() {
            recorder.place(place, missing);
        }
        not_in(missing, place)
    }

    fn may_through_stores(&self, permission: Permission, target: Target) -> bool {
        permission
            .through_stores()
            .is_some_and(|stores| self.may_on(stores, target))
    }

    /// The refusal, with the collections through which the caller would be allowed.
    async fn refused_with_hint(
        &self,
        connection: &impl ConnectionTrait,
        permission: Permission,
    ) -> Result<Error, Error> {
        let refused = self.refused(&[permission]);
        let Reach::Objects(ids) = self.reach(permission) else {
            return Ok(refused);
        };
        let named = crate::collections::names(connection, &ids).await?;
        if named.is_empty() {
            return Ok(refused);
        }
        Ok(Error::forbidden(format!(
            "{refused}. Allowed with CollectionId {}.",
            named.join(", ")
        )))
    }
}

fn not_in(missing: &[i64], place: &str) -> Result<(), Error> {
    if missing.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = missing.iter().take(20).map(ToString::to_string).collect();
    let (noun, verb) = match missing {
        [_] => ("Certificate", "is"),
        _ => ("Certificates", "are"),
    };
    Err(Error::forbidden(format!(
        "{noun} {} {verb} not in {place}.",
        ids.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_wins_and_zero_is_none() {
        assert_eq!(Through::new(Some(1), Some(2)), Through::Collection(1));
        assert_eq!(Through::new(Some(0), Some(2)), Through::Container(2));
        assert_eq!(Through::new(None, Some(0)), Through::System);
    }
}
