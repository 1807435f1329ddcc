//! The owner policy: whether certificates have owners, and which role owns those for which nobody names one. The application
//! settings hold the one of the whole system; an enrollment pattern's policy has the same form.

use db::tables::{roles, settings};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ConnectionTrait, EntityTrait, QuerySelect};
use serde::{Deserialize, Serialize};

use crate::cx::Cx;
use crate::error::Error;
use crate::remembered::Remembered;
use crate::security::role_by_id;

/// Where it stands among the facts about the installation.
const KEY: &str = "owner_policy";

/// Whether certificates have owners (the contract's CertificateOwnerRole).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OwnerMode {
    /// None can be given. Those that are there can stay or be cleared.
    None,
    /// Whoever wants to gives one.
    #[default]
    Optional,
    /// Every new certificate has one, and none can be cleared.
    Required,
}

impl OwnerMode {
    /// All of them, as settings show them.
    pub(crate) const ALL: [(Self, &'static str); 3] = [
        (Self::None, "None"),
        (Self::Optional, "Optional"),
        (Self::Required, "Required"),
    ];

    /// As settings show it.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The mode of this name, in any case.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let named = Self::ALL
            .into_iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text));
        named.map(|(mode, _)| mode)
    }
}

/// The policy of the whole system and its default owner.
pub(crate) type OwnerPolicies = Remembered<(), (OwnerPolicy, Option<i64>)>;

/// Whether certificates have owners, and which one is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerPolicy {
    /// Whether certificates have owners.
    pub(crate) mode: OwnerMode,
    /// The role that owns new certificates for which nobody names one: enrolled, imported, or found in a store.
    pub(crate) default_role_id: Option<i64>,
}

impl OwnerPolicy {
    /// The short name of the setting that holds the mode; refusals name it.
    pub(crate) const MODE_SETTING: &'static str = "CertificateOwnerRole";

    /// That of the whole system.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn load(connection: &impl ConnectionTrait) -> Result<Self, Error> {
        let row = settings::Entity::find_by_id(KEY).one(connection).await?;
        Ok(row
            .map(|row| serde_json::from_str(&row.value))
            .transpose()?
            .unwrap_or_default())
    }

    /// That of the whole system, and the role that owns certificates for which nobody names one.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn with_default(cx: &Cx) -> Result<(Self, Option<i64>), Error> {
        let query = async || {
            let policy = Self::load(cx.app().db.read()).await?;
            let default = policy.default_owner(cx.app().db.read()).await?;
            Ok(Some((policy, default)))
        };
        let found = cx.app().owner_policies.find(cx, (), query).await?;
        Ok(found.unwrap_or_default())
    }

    /// Has to stand before the policy is read in a transaction that changes it: of two such, one waits.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn lock(tx: &db::Tx) -> Result<(), Error> {
        // There has to be a row to wait for.
        settings::Entity::insert(Self::default().row()?)
            .on_conflict(
                OnConflict::column(settings::Column::Key)
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(tx)
            .await?;
        let row = settings::Entity::find_by_id(KEY).lock_exclusive();
        row.one(tx).await?;
        Ok(())
    }

    fn row(&self) -> Result<settings::ActiveModel, Error> {
        Ok(settings::ActiveModel {
            key: ActiveValue::Set(KEY.into()),
            value: ActiveValue::Set(serde_json::to_string(self)?),
        })
    }

    /// Makes this that of the whole system.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn store(&self, tx: &db::Tx) -> Result<(), Error> {
        let again = OnConflict::column(settings::Column::Key)
            .update_column(settings::Column::Value)
            .to_owned();
        settings::Entity::insert(self.row()?)
            .on_conflict(again)
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }

    /// The role that owns certificates for which nobody names one. A role that is gone or not enabled owns nothing new.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn default_owner(
        &self,
        connection: &impl ConnectionTrait,
    ) -> Result<Option<i64>, Error> {
        let Some(id) = self
            .default_role_id
            .filter(|_| self.mode != OwnerMode::None)
        else {
            return Ok(None);
        };
        let role = role_by_id(connection, id).await?;
        Ok(role.filter(|role| role.enabled).map(|role| role.id))
    }

    /// Refuses roles that cannot become an owner. `member` is where the role was named.
    ///
    /// # Errors
    /// 400, naming the member.
    pub(crate) fn usable(&self, member: &str, role: &roles::Model) -> Result<(), Error> {
        if self.mode == OwnerMode::None {
            return Err(Error::bad_request(format!(
                "{member}: certificates have no owners here (application setting {}).",
                Self::MODE_SETTING
            )));
        }
        if !role.enabled {
            return Err(Error::bad_request(format!(
                "{member}: the security role {:?} is not enabled and cannot own certificates.",
                role.name
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_read_back() {
        for (index, (mode, name)) in OwnerMode::ALL.into_iter().enumerate() {
            assert_eq!(mode as usize, index);
            assert_eq!(mode.name(), name);
            assert_eq!(OwnerMode::parse(&name.to_lowercase()), Some(mode));
        }
        assert_eq!(OwnerMode::parse("0"), None);
    }
}
