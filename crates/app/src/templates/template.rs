//! A template as the other slices see it.

use std::sync::Arc;

use db::tables::templates;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::settings::Settings;
use crate::cx::Cx;
use crate::error::Error;
use crate::remembered::Remembered;

/// A template, its JSON read.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub(crate) row: templates::Model,
    pub(crate) extended_key_usages: Vec<String>,
    pub(crate) allowed_requesters: Vec<String>,
    pub(crate) settings: Settings,
}

/// What becomes of a private key that the server made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyRetention {
    /// It is handed out and forgotten.
    None,
    /// It is kept.
    Indefinite,
    /// It is kept for some days after the certificate has expired.
    AfterExpiration,
    /// It is kept for some days after the certificate was issued.
    FromIssuance,
}

impl KeyRetention {
    /// Every one, at its number.
    pub(crate) const ALL: [(Self, &'static str); 4] = [
        (Self::None, "None"),
        (Self::Indefinite, "Indefinite"),
        (Self::AfterExpiration, "AfterExpiration"),
        (Self::FromIssuance, "FromIssuance"),
    ];

    /// By number or by name, blanks and case aside.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text: String = text
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        let found = Self::ALL.iter().enumerate().find(|(number, (_, name))| {
            name.eq_ignore_ascii_case(&text) || text.parse() == Ok(*number)
        });
        found.map(|(_, (retention, _))| *retention)
    }

    /// The name, as it is stored and shown.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// Whether a number of days belongs to it.
    pub(crate) fn has_days(self) -> bool {
        matches!(self, Self::AfterExpiration | Self::FromIssuance)
    }
}

impl TryFrom<templates::Model> for Template {
    type Error = Error;

    fn try_from(row: templates::Model) -> Result<Self, Error> {
        Ok(Self {
            extended_key_usages: serde_json::from_str(&row.extended_key_usages)?,
            allowed_requesters: serde_json::from_str(&row.allowed_requesters)?,
            settings: serde_json::from_str(&row.settings)?,
            row,
        })
    }
}

impl Template {
    /// What becomes of a key that the server makes.
    pub(crate) fn key_retention(&self) -> KeyRetention {
        KeyRetention::parse(&self.row.key_retention).unwrap_or(KeyRetention::None)
    }

    /// Whether the caller may have anything to do with this template: everybody, or the holders of a named role.
    pub(crate) fn allows(&self, cx: &Cx) -> bool {
        !self.row.use_allowed_requesters
            || self
                .allowed_requesters
                .iter()
                .any(|role| cx.holds_role_named(role))
    }

    /// What certificates from this template have in common.
    pub(crate) fn profile(&self) -> ca::Profile {
        ca::Profile {
            key_usage: u16::try_from(self.row.key_usage).unwrap_or_default(),
            extended_key_usages: self.extended_key_usages.clone(),
            validity_days: self.row.validity_days,
        }
    }

    /// Whether certificates from this template are for servers, which are known by their DNS names.
    pub(crate) fn is_for_servers(&self) -> bool {
        self.extended_key_usages
            .iter()
            .any(|usage| usage == "1.3.6.1.5.5.7.3.1")
    }

    /// The key that the server makes when the caller names none.
    pub(crate) fn key_spec(&self) -> Result<pki::KeySpec, Error> {
        let length = self.row.key_size.parse().ok();
        pki::KeySpec::parse(&self.row.key_type, length, None).map_err(Error::internal)
    }
}

/// The template with this id.
///
/// # Errors
/// Those of the database.
pub(crate) async fn by_id(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<Template>, Error> {
    templates::Entity::find_by_id(id)
        .one(connection)
        .await?
        .map(Template::try_from)
        .transpose()
}

/// Templates by their short names, folded.
pub(crate) type Names = Remembered<String, Arc<Template>>;

/// The template with this short name, without regard to case.
///
/// # Errors
/// Those of the database.
pub(crate) async fn by_name(cx: &Cx, name: &str) -> Result<Option<Arc<Template>>, Error> {
    let name = db::fold(name);
    let query = async || {
        let row = templates::Entity::find()
            .filter(templates::Column::NameFold.eq(&name))
            .one(cx.app().db.read())
            .await?;
        row.map(|row| row.try_into().map(Arc::new)).transpose()
    };
    cx.app().templates.find(cx, name.clone(), query).await
}
