//! `POST /CertificateStores/Schedule`: when the inventories of stores are taken.

use std::collections::BTreeSet;

use jobs::Schedule;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::display_name;
use super::targets::{self, Known, Work};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::schedule_inventory;
use crate::security::{Permission, Through};
use crate::web::schedule::{Given, ScheduleInput};
use crate::web::{Body, NoContent};

/// Which stores, and when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertStoresScheduleRequest)]
pub(super) struct ScheduleRequest {
    /// The stores.
    #[schema(value_type = Vec<Uuid>)]
    store_ids: Option<Vec<String>>,
    /// Any form; `Off` takes the schedule away.
    #[serde(default)]
    schedule: ScheduleInput,
}

/// Sets when the inventories of stores are taken, of all of them or of none.
#[utoipa::path(post, path = "/CertificateStores/Schedule", tag = "CertificateStore", request_body = ScheduleRequest, responses((status = 204, description = "It is set")), extensions(("x-permissions" = json!(["/certificate_stores/schedule/"]))))]
pub(super) async fn schedule(
    cx: Cx,
    Body(request): Body<ScheduleRequest>,
) -> Result<NoContent, Error> {
    cx.authorize_somewhere(Permission::StoresSchedule)?;
    let schedule = match request.schedule.check("Schedule")? {
        Given::Nothing => {
            return Err(Error::bad_request(
                "Schedule: Off, Immediate, Interval, Daily, Weekly, Monthly or ExactlyOnce is required.",
            ));
        }
        given => given.schedule(),
    };
    schedule_stores(&cx, request.store_ids.unwrap_or_default(), schedule)
        .await
        .map(|()| NoContent)
}

async fn schedule_stores(
    cx: &Cx,
    ids: Vec<String>,
    schedule: Option<Schedule>,
) -> Result<(), Error> {
    targets::count("StoreIds", ids.len())?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.schedule", move |tx| {
            Box::pin(async move {
                let known = Known::load(
                    tx,
                    ids.iter()
                        .filter_map(|id| targets::guid(Some(id)).ok().flatten()),
                )
                .await?;
                known.authorize(&cx, Permission::StoresSchedule, Through::System)?;
                let mut failed = Vec::new();
                let mut wanted = Vec::with_capacity(ids.len());
                let mut seen = BTreeSet::new();
                for (index, text) in ids.iter().enumerate() {
                    match check(&known, text, schedule) {
                        // The same store twice is scheduled once.
                        Ok(id) if seen.insert(id) => wanted.push(id),
                        Ok(_) => {}
                        Err(wrong) => {
                            failed.push(targets::reason("StoreIds", index, Some(text), &[wrong]));
                        }
                    }
                }
                if !failed.is_empty() {
                    let message = format!(
                        "{} of {} certificate stores cannot be scheduled; nothing was changed.",
                        failed.len(),
                        ids.len()
                    );
                    return Err(Error::bad_parts(message, failed));
                }
                for id in wanted {
                    let Ok((store, _)) = known.store(id) else {
                        continue;
                    };
                    // Without an agent there is nothing to take away.
                    if let Some(agent_id) = store.agent_id {
                        schedule_inventory(tx, &cx, id, agent_id, schedule).await?;
                    }
                    let name = display_name(&store.client_machine, &store.store_path);
                    let message = format!("The inventory of {name} was scheduled.");
                    let entry = Entry::new(
                        Operation::Scheduled,
                        Category::CertificateStore,
                        name,
                        message,
                    )
                    .before(json!({ "InventorySchedule": store.inventory_schedule }))
                    .after(
                        json!({ "InventorySchedule": schedule.map(|schedule| schedule.compact()) }),
                    );
                    audit::record(tx, &cx, entry).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .await
}

fn check(known: &Known, text: &str, schedule: Option<Schedule>) -> Result<Uuid, String> {
    let id = targets::guid(Some(text))?.ok_or("a value is required")?;
    let (store, kind) = known.store(id)?;
    let refusal = schedule
        .and_then(|_| targets::agent_refusal(known.agent(store), &kind.row, Work::Inventory));
    refusal.map_or(Ok(id), Err)
}
