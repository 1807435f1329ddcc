//! Asking an agent for something: management jobs, inventories, and taking them back.

use db::tables::{certificate_stores, job_history, orchestrator_jobs, store_types};
use jobs::{NewJob, Schedule};
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;

/// `orchestrator_jobs.kind` and `job_history.kind` of an inventory.
pub(crate) const INVENTORY: i32 = 1;
/// `orchestrator_jobs.kind` and `job_history.kind` of a management job.
pub(crate) const MANAGEMENT: i32 = 2;

/// A management job goes before an inventory of the same store (agent-protocol section 4).
const MANAGEMENT_PRIORITY: i32 = 3;
const INVENTORY_PRIORITY: i32 = 5;

/// What a management job does; the numbers are the protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum ManagementOperation {
    /// Puts a certificate into the store.
    Add = 2,
    /// Takes an entry out of the store.
    Remove = 3,
    /// Creates the store.
    Create = 4,
}

/// What an agent is to do to a store.
#[derive(Debug)]
pub(crate) struct ManagementJob {
    /// Who does it.
    pub(crate) agent_id: Uuid,
    /// Where.
    pub(crate) store_id: Uuid,
    /// What.
    pub(crate) operation: ManagementOperation,
    /// Which entry.
    pub(crate) alias: Option<String>,
    /// Which certificate is added; for a removal the one that the entry holds, if known, for its history.
    pub(crate) certificate_id: Option<i64>,
    /// Whether an entry of this alias may be replaced.
    pub(crate) overwrite: bool,
    /// Whether the stored private key goes along.
    pub(crate) include_private_key: bool,
    /// Entry parameters, by name.
    pub(crate) fields: Map<String, Value>,
    /// Password of the PKCS#12 that the agent is given; random when none.
    pub(crate) pfx_password: Option<secrets::Secret>,
    /// Password that protects the entry in the store.
    pub(crate) entry_password: Option<secrets::Secret>,
    /// When.
    pub(crate) schedule: Schedule,
}

/// The queue of an agent.
pub(crate) fn queue_of(agent_id: Uuid) -> String {
    format!("agent:{agent_id}")
}

/// What a job's secrets are sealed to.
pub(crate) fn secrets_place(job_id: Uuid) -> String {
    crate::sealing::JOB_SECRETS.purpose(job_id)
}

/// Queues a management job. Answers its id, which clients are told. The caller has authorized, checked the request and
/// writes the audit record.
///
/// # Errors
/// 400 when the store's type has no management jobs; 404 when there is no such store.
pub(crate) async fn create_management(
    tx: &db::Tx,
    cx: &Cx,
    job: &ManagementJob,
) -> Result<Uuid, Error> {
    let (_, store_type) = store_and_type(tx, job.store_id).await?;
    let job_type_id = store_type.management_job_type.ok_or_else(|| {
        Error::bad_request(format!(
            "Stores of type {} have no management jobs.",
            store_type.short_name
        ))
    })?;
    let id = cx.guid();
    let row = orchestrator_jobs::ActiveModel {
        id: ActiveValue::Set(id),
        agent_id: ActiveValue::Set(job.agent_id),
        store_id: ActiveValue::Set(Some(job.store_id)),
        kind: ActiveValue::Set(MANAGEMENT),
        operation: ActiveValue::Set(job.operation as i32),
        job_type_id: ActiveValue::Set(job_type_id),
        job_type: ActiveValue::Set(format!("{}Management", store_type.short_name)),
        schedule: ActiveValue::Set(Some(job.schedule.compact())),
        requested_at: ActiveValue::Set(cx.now()),
        requester: ActiveValue::Set(cx.caller_name()),
        alias: ActiveValue::Set(job.alias.clone()),
        certificate_id: ActiveValue::Set(job.certificate_id),
        overwrite: ActiveValue::Set(job.overwrite),
        include_private_key: ActiveValue::Set(job.include_private_key),
        fields: ActiveValue::Set(Value::Object(job.fields.clone()).to_string()),
        sealed_secrets: ActiveValue::Set(sealed_secrets(cx, id, job)?),
        cancelled: ActiveValue::Set(false),
    };
    orchestrator_jobs::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    enqueue(
        tx,
        cx,
        id,
        job.agent_id,
        job.store_id,
        MANAGEMENT,
        job.schedule,
    )
    .await?;
    Ok(id)
}

fn sealed_secrets(cx: &Cx, id: Uuid, job: &ManagementJob) -> Result<Option<Vec<u8>>, Error> {
    let text = |secret: &Option<secrets::Secret>| {
        secret
            .as_ref()
            .map(secrets::Secret::expose_str)
            .transpose()
            .map_err(Error::from)
            .map(|text| text.map(str::to_owned))
    };
    let (pfx, entry) = (text(&job.pfx_password)?, text(&job.entry_password)?);
    if pfx.is_none() && entry.is_none() {
        return Ok(None);
    }
    let plain =
        zeroize::Zeroizing::new(json!({ "PfxPassword": pfx, "EntryPassword": entry }).to_string());
    Ok(Some(
        cx.app()
            .keyring()
            .seal(&secrets_place(id), plain.as_bytes())?
            .into_bytes(),
    ))
}

/// Replaces the inventory schedule of a store; `None` takes it away. Answers the new job's id. The store's columns
/// `inventory_schedule` and `inventory_job_id` are kept in step.
///
/// # Errors
/// 404 when there is no such store.
pub(crate) async fn schedule_inventory(
    tx: &db::Tx,
    cx: &Cx,
    store_id: Uuid,
    agent_id: Uuid,
    schedule: Option<Schedule>,
) -> Result<Option<Uuid>, Error> {
    let (store, store_type) = store_and_type(tx, store_id).await?;
    if let Some(old) = store.inventory_job_id {
        let held = jobs::find(tx, old)
            .await?
            .is_some_and(|job| job.lease_until.is_some());
        if held {
            // The agent that works on it may finish it; it does not come back.
            jobs::reschedule(tx, old, None, cx.now()).await?;
        } else {
            withdraw(tx, cx, old, "The inventory was scheduled anew.").await?;
        }
    }
    let id = match schedule {
        Some(schedule) => {
            Some(create_inventory(tx, cx, store_id, agent_id, &store_type, schedule).await?)
        }
        None => None,
    };
    let changed = certificate_stores::ActiveModel {
        id: ActiveValue::Unchanged(store_id),
        inventory_schedule: ActiveValue::Set(schedule.map(|schedule| schedule.compact())),
        inventory_job_id: ActiveValue::Set(id),
        ..Default::default()
    };
    changed.update(tx).await?;
    Ok(id)
}

/// Queues an inventory now, beside the scheduled one, unless one is waiting that nobody has been handed and that is due
/// already. Answers the id of the one that will run.
pub(crate) async fn inventory_now(
    tx: &db::Tx,
    cx: &Cx,
    store_id: Uuid,
    agent_id: Uuid,
) -> Result<Uuid, Error> {
    if let Some(waiting) = inventory_due(tx, cx, store_id, agent_id).await? {
        return Ok(waiting);
    }
    let (_, store_type) = store_and_type(tx, store_id).await?;
    create_inventory(tx, cx, store_id, agent_id, &store_type, Schedule::Immediate).await
}

/// The inventory of a store that is due and that nobody has been handed yet.
pub(crate) async fn inventory_due(
    tx: &db::Tx,
    cx: &Cx,
    store_id: Uuid,
    agent_id: Uuid,
) -> Result<Option<Uuid>, Error> {
    let lane = store_id.to_string();
    let due = jobs::due_within(tx, &queue_of(agent_id), cx.now()).await?;
    let waiting = due
        .iter()
        .find(|job| job.lane.as_deref() == Some(&lane) && job.kind == kind_name(INVENTORY));
    Ok(waiting.map(|job| job.id))
}

async fn create_inventory(
    tx: &db::Tx,
    cx: &Cx,
    store_id: Uuid,
    agent_id: Uuid,
    store_type: &store_types::Model,
    schedule: Schedule,
) -> Result<Uuid, Error> {
    let id = cx.guid();
    let row = orchestrator_jobs::ActiveModel {
        id: ActiveValue::Set(id),
        agent_id: ActiveValue::Set(agent_id),
        store_id: ActiveValue::Set(Some(store_id)),
        kind: ActiveValue::Set(INVENTORY),
        operation: ActiveValue::Set(1),
        job_type_id: ActiveValue::Set(store_type.inventory_job_type),
        job_type: ActiveValue::Set(format!("{}Inventory", store_type.short_name)),
        schedule: ActiveValue::Set(Some(schedule.compact())),
        requested_at: ActiveValue::Set(cx.now()),
        requester: ActiveValue::Set(cx.caller_name()),
        alias: ActiveValue::Set(None),
        certificate_id: ActiveValue::Set(None),
        overwrite: ActiveValue::Set(false),
        include_private_key: ActiveValue::Set(false),
        fields: ActiveValue::Set("{}".into()),
        sealed_secrets: ActiveValue::Set(None),
        cancelled: ActiveValue::Set(false),
    };
    orchestrator_jobs::Entity::insert(row)
        .exec_without_returning(tx)
        .await?;
    enqueue(tx, cx, id, agent_id, store_id, INVENTORY, schedule).await?;
    Ok(id)
}

/// Puts what `orchestrator_jobs` describes into the agent's queue.
pub(crate) async fn enqueue(
    tx: &db::Tx,
    cx: &Cx,
    id: Uuid,
    agent_id: Uuid,
    store_id: Uuid,
    kind: i32,
    schedule: Schedule,
) -> Result<(), Error> {
    let job = NewJob {
        id,
        queue: queue_of(agent_id),
        lane: Some(store_id.to_string()),
        kind: kind_name(kind).to_owned(),
        priority: if kind == MANAGEMENT {
            MANAGEMENT_PRIORITY
        } else {
            INVENTORY_PRIORITY
        },
        due_at: schedule.first_due(cx.now()),
        schedule: Some(schedule),
        payload: String::new(),
    };
    Ok(jobs::enqueue(tx, &job, cx.now()).await?)
}

/// The queue's word for a kind.
pub(crate) fn kind_name(kind: i32) -> &'static str {
    if kind == MANAGEMENT {
        "management"
    } else {
        "inventory"
    }
}

/// Cancels the jobs of a store that is about to be deleted, and ends the history of those that an agent holds. An agent
/// that asks for one of them is told that it is cancelled.
///
/// # Errors
/// Those of the database.
pub(crate) async fn forget_store(tx: &db::Tx, cx: &Cx, store_id: Uuid) -> Result<(), Error> {
    let rows = orchestrator_jobs::Entity::find()
        .filter(orchestrator_jobs::Column::StoreId.eq(store_id))
        .all(tx)
        .await?;
    for row in rows {
        withdraw(tx, cx, row.id, "The certificate store was deleted.").await?;
    }
    Ok(())
}

/// Takes a job back. One that an agent holds ends as a failure with `reason`: it cannot be called back, but it will not be
/// handed out again, and if the agent reports on it all the same, that is recorded. False when it was not in the queue.
pub(crate) async fn withdraw(tx: &db::Tx, cx: &Cx, id: Uuid, reason: &str) -> Result<bool, Error> {
    let Some(queued) = jobs::cancel(tx, id).await? else {
        return Ok(false);
    };
    if queued.lease_until.is_some() {
        job_history::Entity::update_many()
            .col_expr(job_history::Column::Status, 3.into())
            .col_expr(job_history::Column::Result, 4.into())
            .col_expr(job_history::Column::Message, reason.into())
            .col_expr(job_history::Column::EndedAt, cx.now().into())
            .filter(job_history::Column::JobId.eq(id))
            .filter(job_history::Column::Status.eq(2))
            .exec(tx)
            .await?;
    }
    let cancelled = orchestrator_jobs::ActiveModel {
        id: ActiveValue::Unchanged(id),
        cancelled: ActiveValue::Set(true),
        ..Default::default()
    };
    cancelled.update(tx).await?;
    Ok(true)
}

/// The store of a job and its type.
pub(crate) async fn store_and_type(
    tx: &db::Tx,
    store_id: Uuid,
) -> Result<(certificate_stores::Model, store_types::Model), Error> {
    let store = certificate_stores::Entity::find_by_id(store_id)
        .one(tx)
        .await?;
    let store = store.ok_or_else(|| Error::not_found("certificate store", store_id))?;
    let store_type = store_types::Entity::find_by_id(store.store_type_id)
        .one(tx)
        .await?;
    let store_type =
        store_type.ok_or_else(|| Error::internal("a store has a type that is not there"))?;
    Ok((store, store_type))
}
