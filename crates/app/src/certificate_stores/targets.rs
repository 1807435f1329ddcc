//! The stores that a request names: loaded together, checked together. A request with one bad target does nothing, and says
//! of each bad one what is wrong.

use std::collections::{BTreeSet, HashMap};

use db::tables::{agents, certificate_stores, store_types};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::certificate_store_types::{Definition, EntryParameter, FieldType, boolean};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::ManagementOperation;
use crate::security::{Permission, Target as Scope, Through};

/// Stores of one request at most.
pub(super) const TARGETS_MAX: usize = 10_000;
/// Characters of an alias at most.
pub(super) const ALIAS_MAX: usize = 1_024;
/// Values of one statement at most: SQLite takes 32,766.
pub(super) const VALUES_MAX: usize = 1_000;
/// Stores that a refusal names at most.
const NAMED_MAX: usize = 20;

/// A type and what it says.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) row: store_types::Model,
    pub(super) definition: Definition,
}

/// What is known of the stores of a request.
#[derive(Debug, Default)]
pub(super) struct Known {
    stores: HashMap<Uuid, certificate_stores::Model>,
    types: HashMap<i64, Kind>,
    agents: HashMap<Uuid, agents::Model>,
}

impl Known {
    /// Loads the stores of these ids with their types and agents.
    pub(super) async fn load(
        connection: &impl ConnectionTrait,
        ids: impl Iterator<Item = Uuid>,
    ) -> Result<Self, Error> {
        let ids: Vec<Uuid> = ids.collect::<BTreeSet<_>>().into_iter().collect();
        let mut known = Self::default();
        for part in ids.chunks(VALUES_MAX) {
            let part = part.iter().copied();
            let rows = certificate_stores::Entity::find()
                .filter(certificate_stores::Column::Id.is_in(part));
            known.stores.extend(
                rows.all(connection)
                    .await?
                    .into_iter()
                    .map(|row| (row.id, row)),
            );
        }
        let wanted: BTreeSet<i64> = known
            .stores
            .values()
            .map(|store| store.store_type_id)
            .collect();
        let wanted: Vec<i64> = wanted.into_iter().collect();
        for part in wanted.chunks(VALUES_MAX) {
            let part = part.iter().copied();
            let rows = store_types::Entity::find().filter(store_types::Column::Id.is_in(part));
            for row in rows.all(connection).await? {
                let definition = Definition::of(&row)?;
                known.types.insert(row.id, Kind { row, definition });
            }
        }
        let wanted: BTreeSet<Uuid> = known
            .stores
            .values()
            .filter_map(|store| store.agent_id)
            .collect();
        let wanted: Vec<Uuid> = wanted.into_iter().collect();
        for part in wanted.chunks(VALUES_MAX) {
            let part = part.iter().copied();
            let rows = agents::Entity::find().filter(agents::Column::Id.is_in(part));
            known.agents.extend(
                rows.all(connection)
                    .await?
                    .into_iter()
                    .map(|row| (row.id, row)),
            );
        }
        Ok(known)
    }

    /// The store of this id and its type, or why it cannot have jobs of any kind.
    pub(super) fn store(&self, id: Uuid) -> Result<(&certificate_stores::Model, &Kind), String> {
        let store = self
            .stores
            .get(&id)
            .ok_or("there is no such certificate store")?;
        let kind = self
            .types
            .get(&store.store_type_id)
            .ok_or("its type is gone")?;
        if !store.approved {
            return Err("it is not approved".into());
        }
        Ok((store, kind))
    }

    /// Refuses callers without `permission` on every one of these stores. A container that the request names is the only one
    /// through which they are reached; without one, each is reached through its own.
    ///
    /// # Errors
    /// 403 naming the stores that the caller may not use.
    pub(super) fn authorize(
        &self,
        cx: &Cx,
        permission: Permission,
        through: Through,
    ) -> Result<(), Error> {
        authorize(cx, permission, through, self.stores.values())
    }

    /// The store's agent, when it has one.
    pub(super) fn agent(&self, store: &certificate_stores::Model) -> Option<&agents::Model> {
        self.agents.get(&store.agent_id?)
    }
}

/// Refuses callers without `permission` on every one of these stores, see [`Known::authorize`].
///
/// # Errors
/// 403 naming the stores that the caller may not use.
pub(crate) fn authorize<'s>(
    cx: &Cx,
    permission: Permission,
    through: Through,
    stores: impl Iterator<Item = &'s certificate_stores::Model>,
) -> Result<(), Error> {
    if cx.may(permission) {
        return Ok(());
    }
    let allowed = |store: &certificate_stores::Model| match (through, store.container_id) {
        (_, None) => false,
        (Through::Container(named), Some(id)) if named != id => false,
        (_, Some(id)) => cx.may_on(permission, Scope::Container(id)),
    };
    let mut refused: Vec<String> = stores
        .filter(|store| !allowed(store))
        .map(|store| store.id.to_string())
        .collect();
    if refused.is_empty() {
        return Ok(());
    }
    refused.sort_unstable();
    let count = refused.len();
    refused.truncate(NAMED_MAX);
    let more = if count > NAMED_MAX { ", …" } else { "" };
    let place = match through {
        Through::Container(id) => format!(" through container {id}"),
        Through::System | Through::Collection(_) => String::new(),
    };
    Err(Error::forbidden(format!(
        "{} for {count} of the certificate stores{place}: {}{more}; nothing was changed.",
        cx.refused(&[permission]),
        refused.join(", ")
    )))
}

/// Reads a GUID of a request; the nil one and an empty text are none.
pub(super) fn guid(text: Option<&str>) -> Result<Option<Uuid>, String> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    let id = Uuid::parse_str(text).map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?} is not a GUID")
    })?;
    Ok(Some(id).filter(|id| !id.is_nil()))
}

/// What an agent is to do for a store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Work {
    /// Change it, with or without a private key.
    Management(ManagementOperation, bool),
    /// Read it.
    Inventory,
}

/// Why this agent cannot do this for stores of a type; `None` when it can.
pub(super) fn agent_refusal(
    agent: Option<&agents::Model>,
    kind: &store_types::Model,
    work: Work,
) -> Option<String> {
    let Some(agent) = agent else {
        return Some("it has no agent".into());
    };
    let reason = match work {
        Work::Management(operation, key) => {
            crate::agents::refusal_reason(agent, kind, operation, key)
        }
        Work::Inventory => crate::agents::inventory_refusal_reason(agent, kind),
    };
    reason.map(|reason| reason.trim_end_matches('.').to_owned())
}

/// What an entry is for when its parameters are checked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Occasion {
    Add { private_key: bool },
    Remove,
}

/// Checks the entry parameters of a job. Answers them by their declared names, without those that are null.
pub(super) fn job_fields(
    definition: &Definition,
    given: &Map<String, Value>,
    occasion: Occasion,
    wrong: &mut Vec<String>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in given {
        let wanted = name.trim();
        let found = definition
            .entry_parameters
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(wanted));
        let Some(parameter) = found else {
            wrong.push(format!(
                "JobFields.{wanted}: its type has no such entry parameter"
            ));
            continue;
        };
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                wrong.push(format!(
                    "JobFields.{}: expected a text, a number or a boolean",
                    parameter.name
                ));
                continue;
            }
        };
        if parameter.kind == FieldType::Secret {
            // A job's fields are not sealed.
            wrong.push(format!(
                "JobFields.{}: secret entry parameters cannot be given",
                parameter.name
            ));
            continue;
        }
        if let Some(reason) = Some(&text)
            .filter(|text| !text.trim().is_empty())
            .and_then(|text| parameter.wrong(text))
        {
            wrong.push(format!("JobFields.{}: {reason}", parameter.name));
            continue;
        }
        if fields
            .insert(parameter.name.clone(), value.clone())
            .is_some()
        {
            wrong.push(format!("JobFields.{}: it is given twice", parameter.name));
        }
    }
    for parameter in definition
        .entry_parameters
        .iter()
        .filter(|parameter| required(parameter, occasion))
    {
        let there = |name: &str| {
            fields
                .iter()
                .any(|(field, value)| field.eq_ignore_ascii_case(name) && !blank(value))
        };
        let counts =
            parameter.depends_on.is_empty() || on(definition, &fields, &parameter.depends_on);
        let named = wrong
            .iter()
            .any(|reason| reason.starts_with(&format!("JobFields.{}:", parameter.name)));
        if counts && !named && !there(&parameter.name) {
            wrong.push(format!("JobFields.{}: a value is required", parameter.name));
        }
    }
    fields
}

fn blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn required(parameter: &EntryParameter, occasion: Occasion) -> bool {
    match occasion {
        Occasion::Add { private_key } => {
            parameter.required_when.on_add || private_key && parameter.required_when.has_private_key
        }
        Occasion::Remove => parameter.required_when.on_remove,
    }
}

/// Whether the parameter that another depends on is on: true, or not empty.
fn on(definition: &Definition, fields: &Map<String, Value>, name: &str) -> bool {
    let parameter = definition
        .entry_parameters
        .iter()
        .find(|parameter| parameter.name.eq_ignore_ascii_case(name));
    let given = fields
        .iter()
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
    let default = || parameter.and_then(|parameter| parameter.default_value.clone());
    let text = given.or_else(default).unwrap_or_default();
    match parameter.map(|parameter| parameter.kind) {
        Some(FieldType::Bool) => boolean(&text) == Some(true),
        _ => !text.trim().is_empty(),
    }
}

/// Remembers which store and alias came first, and says so of those that come again.
#[derive(Debug, Default)]
pub(super) struct Repeats(HashMap<(Uuid, String), usize>);

impl Repeats {
    pub(super) fn check(&mut self, index: usize, store_id: Uuid, alias: &str) -> Option<String> {
        let key = (store_id, db::fold(alias));
        if let Some(first) = self.0.get(&key) {
            return Some(format!(
                "the same store and alias stand at CertificateStores[{first}]"
            ));
        }
        self.0.insert(key, index);
        None
    }
}

/// What is wrong with a target, in one line that names it.
pub(super) fn reason(place: &str, index: usize, id: Option<&str>, wrong: &[String]) -> String {
    let id = id.unwrap_or_default().trim();
    let shown: String = if id.is_empty() {
        "without id".into()
    } else {
        id.chars().take(40).collect()
    };
    format!(
        "{place}[{index}], certificate store {shown}: {}.",
        wrong.join("; ")
    )
}

/// Refuses a list that is empty or too long.
pub(super) fn count(place: &str, count: usize) -> Result<(), Error> {
    if count == 0 {
        return Err(Error::bad_request(format!(
            "{place}: at least one certificate store is required."
        )));
    }
    if count > TARGETS_MAX {
        return Err(Error::bad_request(format!(
            "{place}: {count} certificate stores; {TARGETS_MAX} are possible at once."
        )));
    }
    Ok(())
}
