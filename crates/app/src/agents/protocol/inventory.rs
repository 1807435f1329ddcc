//! `AnyInventory/Configure` and `/Update` (agent-protocol 7).

use agent_protocol::{
    InventoryConfigureResponse, InventoryJob, InventorySubmitResponse, JobConfigureRequest,
    KnownInventoryItem, OperationResult, Redacted, path,
};
use db::tables::{agents, certificate_stores, orchestrator_jobs};
use sea_orm::EntityTrait;

use super::management::properties;
use super::report::Report;
use super::{Call, session};
use crate::certificate_stores::{
    StoreReport, is_last_report, last_inventory, record_inventory, secrets_of, store_with_type,
};
use crate::error::Error;
use crate::orchestrator_jobs::{Handed, INVENTORY, hand_out, in_process};

/// A job that an agent asks for: its row, its store, the store's type. `None` when there is no such job of this agent (any
/// more).
pub(super) async fn job_of(
    call: &Call,
    agent: &agents::Model,
    job_id: uuid::Uuid,
    kind: i32,
) -> Result<
    Option<(
        orchestrator_jobs::Model,
        certificate_stores::Model,
        db::tables::store_types::Model,
    )>,
    Error,
> {
    let read = call.cx.db().read();
    let job = orchestrator_jobs::Entity::find_by_id(job_id)
        .one(read)
        .await?;
    let Some(job) = job.filter(|job| job.agent_id == agent.id && job.kind == kind) else {
        return Ok(None);
    };
    let Some(store_id) = job.store_id else {
        return Ok(None);
    };
    Ok(store_with_type(read, store_id)
        .await?
        .map(|(store, store_type)| (job, store, store_type)))
}

/// Hands an inventory job to its agent.
///
/// # Errors
/// A refusal when the session or the job is not the agent's, or another job comes first.
pub(super) async fn configure(
    call: &Call,
    request: JobConfigureRequest,
) -> Result<InventoryConfigureResponse, Error> {
    let agent = session::agent_of(call, &request.session_token).await?;
    let cancelled = || InventoryConfigureResponse {
        job_cancelled: true,
        result: OperationResult::success(),
        ..Default::default()
    };
    let Some((job, store, store_type)) = job_of(call, &agent, request.job_id, INVENTORY).await?
    else {
        return Ok(cancelled());
    };
    let audit_id = match hand_over(call, &agent, &job, &store).await? {
        Handed::Over(audit_id) => audit_id,
        Handed::Cancelled => return Ok(cancelled()),
        Handed::NotNow => return Err(not_now()),
    };
    let secrets = secrets_of(&call.cx, &store).await?;
    let known = last_inventory(call.cx.db().read(), store.id).await?;
    let inventory =
        known.into_iter().map(
            |(alias, private_key_entry, thumbprints)| KnownInventoryItem {
                alias,
                private_key_entry,
                thumbprints,
            },
        );
    let password = secrets
        .password
        .as_ref()
        .map(|password| password.expose_str())
        .transpose()?;
    Ok(InventoryConfigureResponse {
        audit_id,
        job_cancelled: false,
        inventory_endpoint: Some(format!("/{}", path::INVENTORY_UPDATE)),
        result: OperationResult::success(),
        job: Some(InventoryJob {
            client_machine: Some(store.client_machine.clone()),
            store_path: Some(store.store_path.clone()),
            // Secrets go only where TLS with a client certificate was proven.
            store_password: password
                .filter(|_| call.who.has_certificate())
                .map(Redacted::from),
            category: store_type.id,
            inventory: inventory.collect(),
            properties: call
                .who
                .has_certificate()
                .then(|| properties(&agent, &store, &secrets))
                .transpose()?,
        }),
    })
}

/// What an agent is told when it fetches a job out of turn.
pub(super) fn not_now() -> Error {
    Error::bad_request(
        "Another job of this store comes first, or the job is not due. Register again.",
    )
}

/// Claims a job for the agent.
pub(super) async fn hand_over(
    call: &Call,
    agent: &agents::Model,
    job: &orchestrator_jobs::Model,
    store: &certificate_stores::Model,
) -> Result<Handed, Error> {
    let (cx, agent, job, store) = (call.cx.clone(), agent.clone(), job.clone(), store.clone());
    call.cx
        .db()
        .write("agents.configure", move |tx| {
            Box::pin(async move { hand_out(tx, &cx, &agent, &job, &store).await })
        })
        .await
}

/// Takes what an agent found in a store. Most reports say what the last one said, and are not read any further.
///
/// # Errors
/// A refusal when the job is not one that the agent holds; 400 for items that are not of the protocol's shape.
pub(super) async fn update(
    call: &Call,
    report: Report<'_>,
) -> Result<InventorySubmitResponse, Error> {
    let agent = session::agent_of(call, &report.session_token).await?;
    let gone = || Error::bad_request("There is no such inventory in process.");
    let (job, store, _) = job_of(call, &agent, report.job_id, INVENTORY)
        .await?
        .ok_or_else(gone)?;
    let mut is_last = is_last_report(call.cx.db().read(), store.id, &report.digest).await?;
    loop {
        let items = match is_last {
            true => None,
            false => Some(report.items()?),
        };
        let digest = report.digest.clone();
        let (cx, store, job_id) = (call.cx.clone(), store.clone(), job.id);
        let lease_ms = cx.app().options.job_lease_ms;
        let is_recorded = call
            .cx
            .db()
            .write_much("agents.inventory", move |tx| {
                Box::pin(async move {
                    let held = jobs::renew(tx, job_id, cx.now().saturating_add(lease_ms)).await?;
                    if !held || in_process(tx, job_id).await?.is_none() {
                        return Err(gone());
                    }
                    record_inventory(tx, &cx, &store, StoreReport { digest, items }).await
                })
            })
            .await?;
        if is_recorded {
            return Ok(InventorySubmitResponse {
                result: OperationResult::success(),
            });
        }
        // Some of the store's places are gone since.
        is_last = false;
    }
}
