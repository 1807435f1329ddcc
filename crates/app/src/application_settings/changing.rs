//! The settings there are, shown and changed.

use db::tables::roles;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::owner_policy::{OwnerMode, OwnerPolicy};
use super::wire::{SettingBulkUpdate, SettingOutput, SettingUpdate};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{self, Permission, role_by_id, role_by_name};

/// Settings in one request at most.
const AT_ONCE_MAX: usize = 100;

/// A setting. Its id never changes and is never used again.
struct Setting {
    id: i64,
    which: Which,
    short_name: &'static str,
    display_name: &'static str,
    description: &'static str,
    value_type: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    OwnerMode,
    DefaultOwnerId,
    DefaultOwnerName,
}

const SETTINGS: &[Setting] = &[
    Setting {
        id: 1,
        which: Which::OwnerMode,
        short_name: OwnerPolicy::MODE_SETTING,
        display_name: "Certificate Owner Role",
        description: "Whether certificates have owners: None, Optional or Required.",
        value_type: "String",
    },
    Setting {
        id: 2,
        which: Which::DefaultOwnerId,
        short_name: "DefaultCertificateOwnerRoleId",
        display_name: "Default Certificate Owner Role (id)",
        description: "The security role that owns new certificates for which nobody names one; empty for none.",
        value_type: "Integer",
    },
    Setting {
        id: 3,
        which: Which::DefaultOwnerName,
        short_name: "DefaultCertificateOwnerRoleName",
        display_name: "Default Certificate Owner Role",
        description: "The same role by name: changing one of the two changes the other.",
        value_type: "String",
    },
];

/// All settings as they are at one moment.
struct State {
    owner: OwnerPolicy,
    default_owner: Option<roles::Model>,
}

impl State {
    async fn load(connection: &impl ConnectionTrait) -> Result<Self, Error> {
        let owner = OwnerPolicy::load(connection).await?;
        let default_owner = match owner.default_role_id {
            Some(id) => role_by_id(connection, id).await?,
            None => None,
        };
        Ok(Self {
            owner,
            default_owner,
        })
    }

    fn value(&self, which: Which) -> String {
        let role = self.default_owner.as_ref();
        match which {
            Which::OwnerMode => self.owner.mode.name().into(),
            Which::DefaultOwnerId => role.map(|role| role.id.to_string()).unwrap_or_default(),
            Which::DefaultOwnerName => role.map(|role| role.name.clone()).unwrap_or_default(),
        }
    }

    fn output(&self, setting: &Setting) -> SettingOutput {
        SettingOutput {
            id: setting.id,
            display_name: setting.display_name,
            short_name: setting.short_name,
            description: setting.description,
            value: self.value(setting.which),
            value_type: setting.value_type,
        }
    }

    fn outputs(&self) -> Vec<SettingOutput> {
        SETTINGS
            .iter()
            .map(|setting| self.output(setting))
            .collect()
    }
}

/// # Errors
/// 403 without the permission.
pub(super) async fn list(cx: &Cx) -> Result<Vec<SettingOutput>, Error> {
    cx.authorize(Permission::ApplicationSettingsRead)?;
    Ok(State::load(cx.db().read()).await?.outputs())
}

/// # Errors
/// 403 without the permission; 404 for an unknown id.
pub(super) async fn one(cx: &Cx, id: i64) -> Result<SettingOutput, Error> {
    cx.authorize(Permission::ApplicationSettingsRead)?;
    let setting = SETTINGS.iter().find(|setting| setting.id == id);
    let setting = setting.ok_or_else(|| Error::not_found("application setting", id))?;
    Ok(State::load(cx.db().read()).await?.output(setting))
}

/// Changes one setting, by id or short name in any case.
///
/// # Errors
/// 403 without the permission; 404 for an unknown setting; 400 for a value it cannot have.
pub(super) async fn set(
    cx: &Cx,
    which: &str,
    request: SettingUpdate,
) -> Result<SettingOutput, Error> {
    cx.authorize(Permission::ApplicationSettingsModify)?;
    let named = |setting: &&Setting| {
        setting.short_name.eq_ignore_ascii_case(which) || which.parse() == Ok(setting.id)
    };
    let setting = SETTINGS.iter().find(named);
    let setting = setting.ok_or_else(|| Error::not_found("application setting", which))?;
    let change = Change {
        setting,
        place: "Value".into(),
        value: text(request.value),
    };
    Ok(apply(cx, vec![change]).await?.output(setting))
}

/// Changes several settings, all or none.
///
/// # Errors
/// 403 without the permission; 400 for an unknown id, and for a value that a setting cannot have.
pub(super) async fn replace(
    cx: &Cx,
    request: Vec<SettingBulkUpdate>,
) -> Result<Vec<SettingOutput>, Error> {
    cx.authorize(Permission::ApplicationSettingsModify)?;
    if request.len() > AT_ONCE_MAX {
        return Err(Error::bad_request(format!(
            "Body: there are more than {AT_ONCE_MAX} settings."
        )));
    }
    let mut changes: Vec<Change> = Vec::with_capacity(request.len());
    for (index, update) in request.into_iter().enumerate() {
        let setting = SETTINGS.iter().find(|setting| setting.id == update.id);
        let setting = setting.ok_or_else(|| {
            Error::bad_request(format!(
                "[{index}].Id: there is no application setting {}.",
                update.id
            ))
        })?;
        if changes.iter().any(|change| change.setting.id == setting.id) {
            return Err(Error::bad_request(format!(
                "[{index}].Id: {} is given twice.",
                setting.short_name
            )));
        }
        changes.push(Change {
            setting,
            place: format!("[{index}].Value"),
            value: text(update.value),
        });
    }
    Ok(apply(cx, changes).await?.outputs())
}

struct Change {
    setting: &'static Setting,
    place: String,
    value: String,
}

fn text(value: Option<String>) -> String {
    value.unwrap_or_default().trim().to_owned()
}

async fn apply(cx: &Cx, changes: Vec<Change>) -> Result<State, Error> {
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("application_settings.apply", move |tx| {
            Box::pin(async move {
                OwnerPolicy::lock(tx).await?;
                let before = State::load(tx).await?;
                let mut owner = before.owner.clone();
                let mut default_owner: Option<Option<roles::Model>> = None;
                for change in &changes {
                    if change.setting.which == Which::OwnerMode {
                        owner.mode = mode(change)?;
                        continue;
                    }
                    let role = default_role(tx, change).await?;
                    let id = |role: &Option<roles::Model>| role.as_ref().map(|role| role.id);
                    if default_owner.as_ref().is_some_and(|other| id(other) != id(&role)) {
                        return Err(Error::bad_request(format!(
                            "{}: DefaultCertificateOwnerRoleId and DefaultCertificateOwnerRoleName are different roles.",
                            change.place
                        )));
                    }
                    default_owner = Some(role);
                }
                if let Some(role) = default_owner {
                    owner.default_role_id = role.map(|role| role.id);
                }
                if owner == before.owner {
                    return Ok(before);
                }
                owner.store(tx).await?;
                security::changed(tx).await?;
                let after = State::load(tx).await?;
                let names: Vec<&str> = changes.iter().map(|change| change.setting.short_name).collect();
                let names = names.join(", ");
                let entry = Entry::new(
                    Operation::Updated,
                    Category::ApplicationSetting,
                    &names,
                    format!("Application settings were changed: {names}."),
                )
                .before(shown(&before))
                .after(shown(&after));
                audit::record(tx, &cx, entry).await?;
                Ok::<_, Error>(after)
            })
        })
        .await
}

fn shown(state: &State) -> Value {
    let members = SETTINGS.iter().map(|setting| {
        (
            setting.short_name.to_owned(),
            json!(state.value(setting.which)),
        )
    });
    Value::Object(members.collect())
}

fn mode(change: &Change) -> Result<OwnerMode, Error> {
    OwnerMode::parse(&change.value).ok_or_else(|| {
        Error::bad_request(format!(
            "{}: {} is None, Optional or Required.",
            change.place, change.setting.short_name
        ))
    })
}

async fn default_role(tx: &db::Tx, change: &Change) -> Result<Option<roles::Model>, Error> {
    let Change { place, value, .. } = change;
    if value.is_empty() {
        return Ok(None);
    }
    let role = match change.setting.which {
        Which::DefaultOwnerId => {
            let id = value
                .parse()
                .map_err(|_| Error::bad_request(format!("{place}: it is the id of a role.")))?;
            role_by_id(tx, id).await?
        }
        _ => role_by_name(tx, value).await?,
    };
    let role = role.ok_or_else(|| {
        Error::bad_request(format!("{place}: there is no security role {value}."))
    })?;
    if !role.enabled {
        return Err(Error::bad_request(format!(
            "{place}: the security role {:?} is not enabled and cannot own certificates.",
            role.name
        )));
    }
    Ok(Some(role))
}
