//! Creating and replacing certificate stores.

use db::tables::{agents, certificate_stores, store_containers, store_types};
use jobs::Schedule;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::display_name;
use super::order::stores_changed;
use super::properties::Properties;
use super::request::{Password, StoreRequest, Wanted};
use super::response::{Form, StoreResponse, shown};
use super::secrets::{StoreSecrets, open, seal};
use super::targets::{Work, agent_refusal};
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_store_containers::schedule_on_joining;
use crate::certificate_store_types::{Definition, StorePaths};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{
    ManagementJob, ManagementOperation, create_management, forget_store, schedule_inventory,
};
use crate::past;
use crate::security::Permission;
use crate::web::{Body, Json};

/// Creates a certificate store. It is approved at once. The permission is needed on its container.
#[utoipa::path(post, path = "/CertificateStores", tag = "CertificateStore", request_body = StoreRequest, responses((status = 200, body = StoreResponse, description = "The new store")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<StoreRequest>,
) -> Result<Json<StoreResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let store = create_store(&cx, request.try_into()?).await?;
    Ok(Json(
        shown(&cx, cx.db().read(), store, Form::CreationEcho).await?,
    ))
}

/// Replaces a certificate store: members left out are cleared. Type, machine, path, container, approval and secrets stay
/// where nothing else is said. The permission is needed on the container it is in and on the one it goes to.
#[utoipa::path(put, path = "/CertificateStores", tag = "CertificateStore", request_body = StoreRequest, responses((status = 200, body = StoreResponse, description = "The store as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such thing")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<StoreRequest>,
) -> Result<Json<StoreResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let store = replace_store(&cx, request.try_into()?).await?;
    Ok(Json(shown(&cx, cx.db().read(), store, Form::Read).await?))
}

/// A checked store, ready to be written.
struct Checked {
    row: certificate_stores::Model,
    kind: store_types::Model,
    definition: Definition,
    container: Option<store_containers::Model>,
}

/// Checks everything that is wanted against what there is. `before` is the store that is replaced.
async fn check(
    tx: &db::Tx,
    cx: &Cx,
    wanted: &Wanted,
    before: Option<&certificate_stores::Model>,
) -> Result<Checked, Error> {
    let mut wrong: Vec<String> = Vec::new();
    let type_id = before
        .map(|store| store.store_type_id)
        .or(wanted.store_type_id);
    let type_id =
        type_id.ok_or_else(|| Error::bad_request("CertStoreType: a value is required."))?;
    let kind = store_types::Entity::find_by_id(type_id).one(tx).await?;
    let kind = kind.ok_or_else(|| {
        Error::bad_request(format!(
            "CertStoreType: there is no certificate store type {type_id}."
        ))
    })?;
    let definition = Definition::of(&kind)?;
    if wanted
        .store_type_id
        .is_some_and(|id| id != 0 && id != type_id)
    {
        wrong.push(format!("CertStoreType: it is {type_id} and cannot change."));
    }

    let client_machine = given_or(
        &wanted.client_machine,
        before.map(|store| store.client_machine.as_str()),
    );
    if client_machine.is_empty() {
        wrong.push("ClientMachine: a value is required.".into());
    }
    let store_path = given_or(
        &wanted.store_path,
        before.map(|store| store.store_path.as_str()),
    );
    wrong.extend(path_mistake(&definition, &store_path));

    let agent = match wanted.agent_id {
        Some(id) => {
            let agent = agents::Entity::find_by_id(id).one(tx).await?;
            if agent.is_none() {
                wrong.push(format!("AgentId: there is no agent {id}."));
            } else if let Some(reason) = agent_refusal(agent.as_ref(), &kind, Work::Inventory) {
                wrong.push(format!("AgentId: {reason}."));
            }
            agent
        }
        None => None,
    };
    if agent.is_none() && wanted.agent_id.is_none() && wanted.schedule.is_some() {
        wrong.push(
            "InventorySchedule: a certificate store without an agent has no inventories.".into(),
        );
    }

    let container_id = wanted
        .container_id
        .or(before.and_then(|store| store.container_id));
    let container = match container_id {
        Some(id) => store_containers::Entity::find_by_id(id).one(tx).await?,
        None => None,
    };
    match (container_id, &container) {
        (Some(id), None) => wrong.push(format!("ContainerId: there is no container {id}.")),
        (_, Some(container)) if container.store_type_id.is_some_and(|id| id != type_id) => {
            wrong.push(format!(
                "ContainerId: container {} is for stores of another type.",
                container.name
            ));
        }
        _ => {}
    }

    let kept = match before {
        Some(store) => open(cx, store)?,
        None => StoreSecrets::default(),
    };
    let properties = match wanted.properties.check(&definition, &kept.properties) {
        Ok(properties) => properties,
        Err(reasons) => {
            wrong.extend(reasons);
            Properties::default()
        }
    };
    let password = match &wanted.password {
        Password::Value(value) => Some(value.clone()),
        Password::Unsaid | Password::NoValue => kept.password.clone(),
        Password::Empty => None,
    };
    // Some types want it said that there is no password (store-types.md 3); silence is a mistake.
    let said = before.is_some() || !matches!(wanted.password, Password::Unsaid);
    if definition.password_options.store_required && password.is_none() && !said {
        wrong.push(format!(
            "Password: certificate stores of type {} require one.",
            kind.short_name
        ));
    }

    let id = before.map_or_else(|| cx.guid(), |store| store.id);
    wrong.extend(
        twin(
            tx,
            cx,
            id,
            &kind,
            agent.as_ref(),
            &client_machine,
            &store_path,
        )
        .await?,
    );
    if !wrong.is_empty() {
        return Err(Error::bad_request(wrong.join(" ")));
    }
    let secrets = StoreSecrets {
        password,
        properties: properties.secrets,
    };
    let sealed = seal(cx, id, &secrets)?;
    let row = certificate_stores::Model {
        id,
        store_type_id: type_id,
        agent_id: agent.map(|agent| agent.id),
        container_id,
        client_machine_fold: db::fold(&client_machine),
        client_machine,
        store_path_fold: db::fold(&store_path),
        store_path,
        approved: before.is_none_or(|store| store.approved),
        create_if_missing: wanted.create_if_missing,
        properties: Value::Object(properties.open).to_string(),
        sealed_secrets: sealed.secrets,
        sealed_password: sealed.password,
        set_new_password_allowed: wanted.set_new_password_allowed,
        inventory_schedule: before.and_then(|store| store.inventory_schedule.clone()),
        inventory_job_id: before.and_then(|store| store.inventory_job_id),
        last_inventory_at: before.and_then(|store| store.last_inventory_at),
        created_at: before.map_or_else(|| cx.now(), |store| store.created_at),
    };
    Ok(Checked {
        row,
        kind,
        definition,
        container,
    })
}

fn given_or(given: &str, before: Option<&str>) -> String {
    if given.is_empty() {
        before.unwrap_or_default()
    } else {
        given
    }
    .to_owned()
}

fn path_mistake(definition: &Definition, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("StorePath: a value is required.".into());
    }
    match definition.store_paths() {
        StorePaths::OneOf(choices)
            if !choices
                .iter()
                .any(|choice| choice.eq_ignore_ascii_case(path)) =>
        {
            Some(format!(
                "StorePath: {path:?} is none of {}.",
                choices.join(", ")
            ))
        }
        _ => None,
    }
}

/// Refuses a second store of the same type, agent, machine and path. Which the first is learns who may read it.
async fn twin(
    tx: &db::Tx,
    cx: &Cx,
    id: Uuid,
    kind: &store_types::Model,
    agent: Option<&agents::Model>,
    client_machine: &str,
    store_path: &str,
) -> Result<Option<String>, Error> {
    use certificate_stores::Column;
    let mut same = certificate_stores::Entity::find()
        .filter(Column::StoreTypeId.eq(kind.id))
        .filter(Column::ClientMachineFold.eq(db::fold(client_machine)))
        .filter(Column::StorePath.eq(store_path))
        .filter(Column::Id.ne(id));
    same = match agent {
        Some(agent) => same.filter(Column::AgentId.eq(agent.id)),
        None => same.filter(Column::AgentId.is_null()),
    };
    Ok(same.one(tx).await?.map(|other| {
        let named = cx.authorize_store(Permission::StoresRead, other.container_id);
        format!(
            "StorePath: a certificate store of type {} at {} already exists{}.",
            kind.short_name,
            display_name(client_machine, store_path),
            named.map_or_else(|_| String::new(), |()| format!(" ({})", other.id))
        )
    }))
}

async fn create_store(cx: &Cx, wanted: Wanted) -> Result<certificate_stores::Model, Error> {
    cx.authorize_store(Permission::StoresModify, wanted.container_id)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.create", move |tx| {
            Box::pin(async move {
                let checked = check(tx, &cx, &wanted, None).await?;
                let row = &checked.row;
                let active: certificate_stores::ActiveModel = row.clone().into();
                certificate_stores::Entity::insert(active)
                    .exec_without_returning(tx)
                    .await?;
                let schedule = schedule_of(&wanted, checked.container.as_ref(), cx.now());
                if let (Some(agent_id), Some(schedule)) = (row.agent_id, schedule) {
                    schedule_inventory(tx, &cx, row.id, agent_id, Some(schedule)).await?;
                }
                if row.create_if_missing {
                    create_on_machine(tx, &cx, &checked).await?;
                }
                let name = display_name(&row.client_machine, &row.store_path);
                let message = format!("Certificate store {name} was created.");
                let entry = Entry::new(
                    Operation::Created,
                    Category::CertificateStore,
                    name,
                    message,
                );
                audit::record(tx, &cx, entry.after(audited(row))).await?;
                // Last, since those who create at the same moment wait for each other here.
                stores_changed(tx).await?;
                again(tx, row.id).await
            })
        })
        .await
}

/// The inventory schedule of a store that is made in, or comes to, a container.
fn schedule_of(
    wanted: &Wanted,
    container: Option<&store_containers::Model>,
    now: i64,
) -> Option<Schedule> {
    match container {
        Some(container) => schedule_on_joining(container, wanted.schedule, now),
        None => wanted.schedule,
    }
}

/// Has the agent make the store, where its type and its agent can.
async fn create_on_machine(tx: &db::Tx, cx: &Cx, checked: &Checked) -> Result<(), Error> {
    let row = &checked.row;
    let Some(agent_id) = row
        .agent_id
        .filter(|_| checked.definition.supported_operations.create)
    else {
        return Ok(());
    };
    let agent = agents::Entity::find_by_id(agent_id).one(tx).await?;
    if agent_refusal(
        agent.as_ref(),
        &checked.kind,
        Work::Management(ManagementOperation::Create, false),
    )
    .is_some()
    {
        return Ok(());
    }
    let job = ManagementJob {
        agent_id,
        store_id: row.id,
        operation: ManagementOperation::Create,
        alias: None,
        certificate_id: None,
        overwrite: false,
        include_private_key: false,
        fields: Map::new(),
        pfx_password: None,
        entry_password: None,
        schedule: Schedule::Immediate,
    };
    create_management(tx, cx, &job).await.map(drop)
}

async fn replace_store(cx: &Cx, wanted: Wanted) -> Result<certificate_stores::Model, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let id = wanted
        .id
        .ok_or_else(|| Error::bad_request("Id: a value is required."))?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.replace", move |tx| {
            Box::pin(async move {
                let before = certificate_stores::Entity::find_by_id(id)
                    .lock_exclusive()
                    .one(tx)
                    .await?;
                let before = before.ok_or_else(|| Error::not_found("certificate store", id))?;
                cx.authorize_store(Permission::StoresModify, before.container_id)?;
                if wanted.container_id.is_some() {
                    cx.authorize_store(Permission::StoresModify, wanted.container_id)?;
                }
                let mut checked = check(tx, &cx, &wanted, Some(&before)).await?;
                let moved = before.agent_id.is_some() && before.agent_id != checked.row.agent_id;
                if moved {
                    // What the old agent has not done it must not do any more.
                    forget_store(tx, &cx, id).await?;
                    checked.row.inventory_job_id = None;
                    checked.row.inventory_schedule = None;
                }
                if place(&before) != place(&checked.row) {
                    past::store_moves(tx, &cx, id).await?;
                }
                let active: certificate_stores::ActiveModel = checked.row.clone().into();
                active.reset_all().update(tx).await?;
                let row = &checked.row;
                let joins = before.container_id != row.container_id;
                if joins
                    || before.client_machine_fold != row.client_machine_fold
                    || before.store_path_fold != row.store_path_fold
                {
                    stores_changed(tx).await?;
                }
                let schedule = match &checked.container {
                    Some(container) if joins || container.overwrite_schedules => {
                        schedule_of(&wanted, Some(container), cx.now())
                    }
                    _ => wanted.schedule,
                };
                let compact = schedule.map(|schedule| schedule.compact());
                // The same schedule again is no reason to start anew.
                if compact != row.inventory_schedule
                    && let Some(agent_id) = row.agent_id
                {
                    schedule_inventory(tx, &cx, id, agent_id, schedule).await?;
                }
                if row.create_if_missing && !before.create_if_missing {
                    create_on_machine(tx, &cx, &checked).await?;
                }
                let name = display_name(&row.client_machine, &row.store_path);
                let message = format!("Certificate store {name} was changed.");
                let entry = Entry::new(
                    Operation::Updated,
                    Category::CertificateStore,
                    name,
                    message,
                );
                audit::record(tx, &cx, entry.before(audited(&before)).after(audited(row))).await?;
                again(tx, id).await
            })
        })
        .await
}

/// What certificates in the store show of where they are.
fn place(row: &certificate_stores::Model) -> (&str, &str, i64) {
    (&row.client_machine, &row.store_path, row.store_type_id)
}

/// The row as it is after its jobs were made.
async fn again(tx: &db::Tx, id: Uuid) -> Result<certificate_stores::Model, Error> {
    let row = certificate_stores::Entity::find_by_id(id).one(tx).await?;
    row.ok_or_else(|| Error::internal("a store is gone inside the write that made it"))
}

/// The store as audit records show it: of secrets only that they are there.
pub(super) fn audited(row: &certificate_stores::Model) -> Value {
    json!({
        "Id": row.id,
        "CertStoreType": row.store_type_id,
        "AgentId": row.agent_id,
        "ContainerId": row.container_id,
        "ClientMachine": row.client_machine,
        "StorePath": row.store_path,
        "Approved": row.approved,
        "CreateIfMissing": row.create_if_missing,
        "Properties": serde_json::from_str::<Value>(&row.properties).unwrap_or_default(),
        "Password": row.sealed_password.is_some(),
    })
}
