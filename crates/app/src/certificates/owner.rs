//! The owner of a certificate: a security role, or none.

use db::tables::{certificates, roles};
use sea_orm::{ActiveValue, EntityTrait};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::stored;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through, role_by_id, role_by_name};
use crate::web::Maybe;

/// The new owner: one of the two members. `null`, or a name without text, clears the owner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateOwnerRequest)]
pub(crate) struct OwnerRequest {
    /// The id of a security role.
    #[serde(default)]
    #[schema(value_type = Option<i64>)]
    new_role_id: Maybe<i64>,
    /// The name of a security role, in any case.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    new_role_name: Maybe<String>,
}

/// Through what the caller reaches the certificate. A collection wins over a container.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct ReachedThrough {
    /// A certificate collection; 0 for none.
    collection_id: Option<i64>,
    /// A container of certificate stores; 0 for none.
    container_id: Option<i64>,
}

impl From<ReachedThrough> for Through {
    fn from(given: ReachedThrough) -> Self {
        Self::new(given.collection_id, given.container_id)
    }
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// No owner.
    Nobody,
    /// The role with this id.
    Id(i64),
    /// The role with this name.
    Name(String),
}

impl TryFrom<OwnerRequest> for Wanted {
    type Error = Error;

    /// A member that is `null` beside one with a value is what writers of all members send, and says nothing.
    fn try_from(request: OwnerRequest) -> Result<Self, Error> {
        let name = match request.new_role_name {
            Maybe::Value(name) if name.trim().is_empty() => Maybe::Null,
            other => other,
        };
        match (request.new_role_id, name) {
            (Maybe::Value(_), Maybe::Value(_)) => Err(Error::bad_request(
                "NewRoleId, NewRoleName: only one of the two can be given.",
            )),
            (Maybe::Value(id), _) => Ok(Self::Id(id)),
            (_, Maybe::Value(name)) => Ok(Self::Name(name.trim().to_owned())),
            (Maybe::Absent, Maybe::Absent) => Err(Error::bad_request(
                "NewRoleId, NewRoleName: one of the two has to be given; null clears the owner.",
            )),
            _ => Ok(Self::Nobody),
        }
    }
}

/// Gives a certificate another owner, or none. An owner that stays the same is no change and leaves no trace.
///
/// # Errors
/// 403 without the permission; 404 for an unknown certificate; 400 for both or neither member, and for a role that is unknown
/// or not enabled.
pub(super) async fn change(
    cx: &Cx,
    id: i64,
    through: Through,
    request: OwnerRequest,
) -> Result<(), Error> {
    cx.authorize_certificate(Permission::CertificatesChangeOwner, id, through)
        .await?;
    let wanted = Wanted::try_from(request)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificates.change_owner", move |tx| {
            Box::pin(async move {
                let certificate = certificates::Entity::find_by_id(id).one(tx).await?;
                let certificate = certificate.ok_or_else(|| Error::not_found("certificate", id))?;
                let role = role(tx, &wanted, certificate.owner_role_id).await?;
                let role_id = role.as_ref().map(|role| role.id);
                if role_id == certificate.owner_role_id {
                    return Ok(());
                }
                let before = match certificate.owner_role_id {
                    Some(id) => role_by_id(tx, id).await?.map(|role| role.name),
                    None => None,
                };
                let after = role.map(|role| role.name);
                let changed = certificates::ActiveModel {
                    id: ActiveValue::Unchanged(id),
                    owner_role_id: ActiveValue::Set(role_id),
                    ..Default::default()
                };
                certificates::Entity::update(changed)
                    .validate()?
                    .exec(tx)
                    .await?;
                let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".into());
                let comment = format!(
                    "The owner was changed from {} to {}.",
                    shown(&before),
                    shown(&after)
                );
                stored::add_history(tx, &cx, id, "Owner Changed", &comment).await?;
                let entry = Entry::new(
                    Operation::Updated,
                    Category::Certificate,
                    if certificate.subject.is_empty() {
                        certificate.thumbprint
                    } else {
                        certificate.subject
                    },
                    format!(
                        "The owner of certificate {id} was changed from {} to {}.",
                        shown(&before),
                        shown(&after)
                    ),
                )
                .before(
                    json!({ "OwnerRoleId": certificate.owner_role_id, "OwnerRoleName": before }),
                )
                .after(json!({ "OwnerRoleId": role_id, "OwnerRoleName": after }));
                audit::record(tx, &cx, entry).await
            })
        })
        .await
}

/// The role asked for. One that is not enabled can stay an owner, but not become one.
async fn role(
    tx: &db::Tx,
    wanted: &Wanted,
    current: Option<i64>,
) -> Result<Option<roles::Model>, Error> {
    let (role, member, named) = match wanted {
        Wanted::Nobody => return Ok(None),
        Wanted::Id(id) => (role_by_id(tx, *id).await?, "NewRoleId", id.to_string()),
        Wanted::Name(name) => (
            role_by_name(tx, name).await?,
            "NewRoleName",
            format!("{name:?}"),
        ),
    };
    let role = role.ok_or_else(|| {
        Error::bad_request(format!("{member}: there is no security role {named}."))
    })?;
    if !role.enabled && current != Some(role.id) {
        let message = format!(
            "{member}: the security role {:?} is not enabled and cannot own certificates.",
            role.name
        );
        return Err(Error::bad_request(message));
    }
    Ok(Some(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "it reads better where it is called"
    )]
    fn wanted(id: Maybe<i64>, name: Maybe<&str>) -> Result<Wanted, String> {
        let new_role_name = match name {
            Maybe::Absent => Maybe::Absent,
            Maybe::Null => Maybe::Null,
            Maybe::Value(name) => Maybe::Value(name.to_owned()),
        };
        Wanted::try_from(OwnerRequest {
            new_role_id: id,
            new_role_name,
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn every_combination_of_the_two_members() {
        use Maybe::{Absent, Null, Value};
        assert!(
            wanted(Absent, Absent)
                .unwrap_err()
                .contains("one of the two has to be given")
        );
        assert!(
            wanted(Value(3), Value("a"))
                .unwrap_err()
                .contains("only one")
        );
        for (id, name) in [
            (Absent, Null),
            (Null, Absent),
            (Null, Null),
            (Absent, Value("")),
            (Absent, Value("  ")),
            (Null, Value("")),
        ] {
            assert_eq!(wanted(id, name), Ok(Wanted::Nobody));
        }
        for name in [Absent, Null, Value(" ")] {
            assert_eq!(wanted(Value(3), name), Ok(Wanted::Id(3)));
        }
        for id in [Absent, Null] {
            assert_eq!(
                wanted(id, Value(" Owners ")),
                Ok(Wanted::Name("Owners".into()))
            );
        }
    }
}
