//! `POST /Agents/Reset` and `POST /Agents/{id}/Reset`

use db::tables::agents;
use sea_orm::{ActiveModelTrait, ActiveValue, IntoActiveModel};
use serde_json::json;
use uuid::Uuid;

use super::STATUS_NEW;
use super::approve::{end_sessions, named};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Body, NoContent, PathId};

/// Puts agents back to new: their certificates count no longer, their sessions end, and they have to enroll and be approved
/// again. Their stores and jobs stay. When one of the ids is unknown, nothing is changed.
#[utoipa::path(
    post,
    path = "/Agents/Reset",
    tag = "Agent",
    request_body = Vec<String>,
    responses((status = 204, description = "Reset")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn reset_all(cx: Cx, Body(ids): Body<Vec<String>>) -> Result<NoContent, Error> {
    reset(&cx, ids, None).await
}

/// Puts an agent back to new, as `/Agents/Reset` does.
#[utoipa::path(
    post,
    path = "/Agents/{id}/Reset",
    tag = "Agent",
    params(("id" = Uuid, Path, description = "The agent's id")),
    responses((status = 204, description = "Reset")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn reset_one(cx: Cx, PathId(id): PathId<Uuid>) -> Result<NoContent, Error> {
    reset(&cx, vec![id.to_string()], Some(id)).await
}

/// `in_path`: the id stands in the path, so an unknown one is a 404.
async fn reset(cx: &Cx, ids: Vec<String>, in_path: Option<Uuid>) -> Result<NoContent, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("agents.reset", move |tx| {
        Box::pin(async move {
            let found = named(tx, &ids).await;
            let found = match (found, in_path) {
                (Err(error), Some(id)) if error.kind() == crate::error::Kind::BadRequest => {
                    return Err(Error::not_found("agent", id));
                }
                (found, _) => found?,
            };
            for agent in found {
                forget(tx, &cx, agent).await?;
            }
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}

async fn forget(tx: &db::Tx, cx: &Cx, agent: agents::Model) -> Result<(), Error> {
    let name = agent.client_machine.clone();
    let entry = Entry::new(
        Operation::Reset,
        Category::Agent,
        &name,
        format!("Agent {name} was reset."),
    )
    .before(json!({ "AgentId": agent.id, "Status": agent.status, "Thumbprint": agent.thumbprint }))
    .after(json!({ "AgentId": agent.id, "Status": STATUS_NEW }));
    end_sessions(tx, agent.id).await?;
    let mut agent = agent.into_active_model();
    agent.status = ActiveValue::Set(STATUS_NEW);
    forget_certificate(&mut agent);
    agent.update(tx).await?;
    audit::record(tx, cx, entry).await
}

/// Lets an agent's certificate count no longer.
pub(super) fn forget_certificate(agent: &mut agents::ActiveModel) {
    agent.thumbprint = ActiveValue::Set(None);
    agent.previous_thumbprint = ActiveValue::Set(None);
    agent.last_thumbprint_used = ActiveValue::Set(None);
    agent.request_key = ActiveValue::Set(None);
    agent.certificate = ActiveValue::Set(None);
    agent.authentication_reenrollment = ActiveValue::Set(0);
}
