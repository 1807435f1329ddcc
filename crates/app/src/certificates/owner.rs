//! The owner of a certificate: a security role, or none.

use db::tables::{certificates, roles};
use sea_orm::{ActiveValue, EntityTrait, QuerySelect};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{noted, stored};
use crate::application_settings::{OwnerMode, OwnerPolicy};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::past;
use crate::security::{OwnerChange, Permission, Reach, Through, role_by_id, role_by_name};
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

impl Wanted {
    /// The member that says it.
    fn member(&self) -> &'static str {
        match self {
            Self::Nobody | Self::Id(_) => "NewRoleId",
            Self::Name(_) => "NewRoleName",
        }
    }
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
/// 403 for who may not, naming what is lacking; 404 for an unknown certificate, to who might change any; 400 for both or
/// neither member, for a role that is unknown or not enabled, and for what the owner policy does not allow.
pub(super) async fn change(
    cx: &Cx,
    id: i64,
    through: Through,
    request: OwnerRequest,
) -> Result<(), Error> {
    const NEEDED: Permission = Permission::CertificatesChangeOwner;
    let nowhere =
        |permission| matches!(cx.reach(permission), Reach::Objects(ids) if ids.is_empty());
    let expanded = cx.may(Permission::CertificatesExpandedChangeOwner);
    if !expanded && nowhere(NEEDED) && nowhere(Permission::StoresChangeOwner) {
        return cx.authorize(NEEDED);
    }
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificates.change_owner", move |tx| {
            Box::pin(async move {
                let certificate = certificates::Entity::find_by_id(id)
                    .lock_exclusive()
                    .one(tx)
                    .await?;
                // Where the certificate is counts as it is in this transaction.
                let permitted = cx
                    .authorize_certificates_in(tx, NEEDED, &[id], through)
                    .await;
                if let Err(error) = permitted.as_ref()
                    && (error.kind() != Kind::Forbidden || !expanded)
                {
                    return permitted;
                }
                let wanted = Wanted::try_from(request)?;
                let current_id = certificate.as_ref().and_then(|row| row.owner_role_id);
                let current = match current_id {
                    Some(id) => role_by_id(tx, id).await?,
                    None => None,
                };
                let new = wanted_role(tx, &wanted).await?;
                let owners = OwnerChange {
                    current: current.as_ref(),
                    new: new.as_ref(),
                };
                cx.authorize_owner(&owners, permitted)?;
                let certificate = certificate.ok_or_else(|| Error::not_found("certificate", id))?;
                check(&OwnerPolicy::load(tx).await?, &wanted, &owners)?;
                if new.as_ref().map(|role| role.id) == current_id {
                    return Ok(());
                }
                write(tx, &cx, certificate, &owners).await
            })
        })
        .await
}

/// What holds whoever asks. A role that is not enabled can stay an owner, but not become one.
fn check(policy: &OwnerPolicy, wanted: &Wanted, owners: &OwnerChange<'_>) -> Result<(), Error> {
    let member = wanted.member();
    let Some(new) = owners.new else {
        return match policy.mode {
            OwnerMode::Required => Err(Error::bad_request(format!(
                "{member}: every certificate has to have an owner (application setting {}), so it cannot be cleared.",
                OwnerPolicy::MODE_SETTING
            ))),
            _ => Ok(()),
        };
    };
    if owners.current.is_some_and(|current| current.id == new.id) {
        return Ok(());
    }
    policy.usable(member, new)
}

async fn write(
    tx: &db::Tx,
    cx: &Cx,
    certificate: certificates::Model,
    owners: &OwnerChange<'_>,
) -> Result<(), Error> {
    let id = certificate.id;
    let changed = certificates::ActiveModel {
        id: ActiveValue::Unchanged(id),
        owner_role_id: ActiveValue::Set(owners.new.map(|role| role.id)),
        ..Default::default()
    };
    past::certificates_change(tx, cx, &[id]).await?;
    certificates::Entity::update(changed)
        .validate()?
        .exec(tx)
        .await?;
    noted::note(tx, [id]).await?;
    let name = |role: Option<&roles::Model>| role.map(|role| role.name.clone());
    let (before, after) = (name(owners.current), name(owners.new));
    let shown = |name: &Option<String>| name.clone().unwrap_or_else(|| "none".into());
    let change = format!("was changed from {} to {}.", shown(&before), shown(&after));
    stored::add_history(tx, cx, id, "Owner Changed", &format!("The owner {change}")).await?;
    let title = if certificate.subject.is_empty() {
        certificate.thumbprint
    } else {
        certificate.subject
    };
    let entry = Entry::new(
        Operation::Updated,
        Category::Certificate,
        title,
        format!("The owner of certificate {id} {change}"),
    )
    .before(json!({ "OwnerRoleId": certificate.owner_role_id, "OwnerRoleName": before }))
    .after(json!({ "OwnerRoleId": owners.new.map(|role| role.id), "OwnerRoleName": after }));
    audit::record(tx, cx, entry).await
}

/// The role asked for.
async fn wanted_role(tx: &db::Tx, wanted: &Wanted) -> Result<Option<roles::Model>, Error> {
    let (role, named) = match wanted {
        Wanted::Nobody => return Ok(None),
        Wanted::Id(id) => (role_by_id(tx, *id).await?, id.to_string()),
        Wanted::Name(name) => (role_by_name(tx, name).await?, format!("{name:?}")),
    };
    let missing = || {
        Error::bad_request(format!(
            "{}: there is no security role {named}.",
            wanted.member()
        ))
    };
    role.ok_or_else(missing).map(Some)
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
