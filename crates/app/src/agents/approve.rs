//! `POST /Agents/Approve` and `POST /Agents/Disapprove`

use db::tables::{agent_sessions, agents};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde_json::json;
use uuid::Uuid;

use super::{STATUS_APPROVED, STATUS_DISAPPROVED, STATUS_NEW};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::{Body, NoContent};

/// Lets agents work: they get their certificate at their next call, and jobs. When one of the ids is unknown, nothing is
/// changed.
#[utoipa::path(
    post,
    path = "/Agents/Approve",
    tag = "Agent",
    request_body = Vec<String>,
    responses((status = 204, description = "Approved")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn approve(cx: Cx, Body(ids): Body<Vec<String>>) -> Result<NoContent, Error> {
    judge(&cx, &ids, STATUS_APPROVED).await
}

/// Stops agents from working: their sessions end and they get no jobs. Their stores and jobs stay. When one of the ids is
/// unknown, nothing is changed.
#[utoipa::path(
    post,
    path = "/Agents/Disapprove",
    tag = "Agent",
    request_body = Vec<String>,
    responses((status = 204, description = "Disapproved")),
    extensions(("x-permissions" = json!(["/agents/management/modify/"])))
)]
pub(super) async fn disapprove(cx: Cx, Body(ids): Body<Vec<String>>) -> Result<NoContent, Error> {
    judge(&cx, &ids, STATUS_DISAPPROVED).await
}

async fn judge(cx: &Cx, ids: &[String], status: i32) -> Result<NoContent, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let (cx, ids) = (cx.clone(), ids.to_vec());
    let db = cx.db().clone();
    db.write("agents.judge", move |tx| {
        Box::pin(async move {
            for agent in named(tx, &ids).await? {
                set_status(tx, &cx, agent, status).await?;
            }
            Ok::<_, Error>(NoContent)
        })
    })
    .await
}

/// Approves the new agents of this name. Answers how many there were.
///
/// # Errors
/// 404 when no agent of this name has registered; 403 without the permission.
pub async fn approve_by_name(cx: &Cx, name: &str) -> Result<usize, Error> {
    cx.authorize(Permission::AgentsModify)?;
    let (cx, name) = (cx.clone(), name.trim().to_owned());
    let db = cx.db().clone();
    db.write("agents.approve_by_name", move |tx| {
        Box::pin(async move {
            let fold = db::fold(&name);
            let found = agents::Entity::find()
                .filter(agents::Column::ClientMachineFold.eq(fold))
                .all(tx)
                .await?;
            if found.is_empty() {
                return Err(Error::not_found("agent", format!("{name:?}")));
            }
            let new: Vec<agents::Model> = found
                .into_iter()
                .filter(|agent| agent.status == STATUS_NEW)
                .collect();
            let count = new.len();
            for agent in new {
                set_status(tx, &cx, agent, STATUS_APPROVED).await?;
            }
            Ok(count)
        })
    })
    .await
}

async fn set_status(tx: &db::Tx, cx: &Cx, agent: agents::Model, status: i32) -> Result<(), Error> {
    if agent.status == status {
        return Ok(());
    }
    let (operation, word) = match status {
        STATUS_APPROVED => (Operation::Approved, "approved"),
        _ => (Operation::Disapproved, "disapproved"),
    };
    let name = agent.client_machine.clone();
    let entry = Entry::new(
        operation,
        Category::Agent,
        &name,
        format!("Agent {name} was {word}."),
    )
    .before(json!({ "AgentId": agent.id, "Status": agent.status }))
    .after(json!({ "AgentId": agent.id, "Status": status }));
    if status == STATUS_DISAPPROVED {
        end_sessions(tx, agent.id).await?;
    }
    let mut agent = agent.into_active_model();
    agent.status = ActiveValue::Set(status);
    agent.update(tx).await?;
    audit::record(tx, cx, entry).await
}

/// Ends the sessions of an agent.
pub(super) async fn end_sessions(tx: &db::Tx, agent_id: Uuid) -> Result<(), Error> {
    agent_sessions::Entity::delete_many()
        .filter(agent_sessions::Column::AgentId.eq(agent_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The agents that a request names.
///
/// # Errors
/// 400 naming each id that is no GUID or names no agent, and an empty list.
pub(super) async fn named(tx: &db::Tx, ids: &[String]) -> Result<Vec<agents::Model>, Error> {
    if ids.is_empty() {
        return Err(Error::bad_request("Give the ids of agents."));
    }
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for text in ids {
        let shown: String = text.chars().take(40).collect();
        let Ok(id) = Uuid::parse_str(text.trim()) else {
            wrong.push(format!("{shown:?} is not a GUID."));
            continue;
        };
        match agents::Entity::find_by_id(id).one(tx).await? {
            None => wrong.push(format!("There is no agent {id}.")),
            Some(agent) if found.contains(&agent) => {}
            Some(agent) => found.push(agent),
        }
    }
    if wrong.is_empty() {
        Ok(found)
    } else {
        Err(Error::bad_parts("Nothing was changed.", wrong))
    }
}
