//! Sessions: tokens, heartbeats, and the end of jobs.

use agent_protocol::{
    HeartbeatRequest, HeartbeatResponse, JobCompleteRequest, JobCompleteResponse, OperationResult,
    Redacted,
};
use db::tables::{agent_sessions, agents};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::super::STATUS_APPROVED;
use super::Call;
use super::identity::Who;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{self, Report};

/// How long a session lives, in milliseconds.
const SESSION_MS: i64 = 8 * 60 * 60 * 1000;
/// A session younger than this is given again to an agent that registers again.
const REUSED_MS: i64 = SESSION_MS / 2;
/// Minutes between heartbeats.
pub(super) const HEARTBEAT_MINUTES: i64 = 5;

/// The agent of a session token, when the caller is that agent and may work.
///
/// # Errors
/// A refusal for a token that is unknown, expired, or another agent's.
pub(super) async fn agent_of(
    call: &Call,
    token: &Redacted<String>,
) -> Result<agents::Model, Error> {
    let unknown = || Error::forbidden("The session is unknown or has ended. Register again.");
    let token = Uuid::parse_str(token.expose().trim()).map_err(|_| unknown())?;
    let db = call.cx.db();
    let session = agent_sessions::Entity::find_by_id(token)
        .one(db.read())
        .await?;
    let session = session
        .filter(|session| session.expires_at > call.cx.now())
        .ok_or_else(unknown)?;
    let agent = agents::Entity::find_by_id(session.agent_id)
        .one(db.read())
        .await?
        .ok_or_else(unknown)?;
    let is_caller = match &call.who {
        Who::Agent(caller, _) => caller.id == agent.id,
        // An agent that works without a certificate; one that has a certificate has to present it.
        Who::Account { name, .. } => *name == agent.username && agent.thumbprint.is_none(),
        Who::Stranger => false,
    };
    if !is_caller {
        return Err(unknown());
    }
    if agent.status != STATUS_APPROVED {
        return Err(Error::forbidden(format!(
            "Agent {} is not approved.",
            agent.client_machine
        )));
    }
    Ok(agent)
}

/// The running session of an agent, if it is young enough to go on with.
pub(super) async fn running(
    connection: &impl sea_orm::ConnectionTrait,
    cx: &Cx,
    agent_id: Uuid,
) -> Result<Option<Uuid>, Error> {
    let found = agent_sessions::Entity::find()
        .filter(agent_sessions::Column::AgentId.eq(agent_id))
        .filter(agent_sessions::Column::CreatedAt.gt(cx.now() - REUSED_MS))
        .filter(agent_sessions::Column::ExpiresAt.gt(cx.now()))
        .order_by_desc(agent_sessions::Column::CreatedAt)
        .one(connection)
        .await?;
    Ok(found.map(|session| session.token))
}

/// The token of the agent's session: the running one, or a new one.
pub(super) async fn open(tx: &db::Tx, cx: &Cx, agent_id: Uuid) -> Result<Uuid, Error> {
    if let Some(token) = running(tx, cx, agent_id).await? {
        return Ok(token);
    }
    // A token is a secret: never from the randomness of tests, which counts.
    let mut octets = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Error::internal("no randomness"))?;
    let token = uuid::Builder::from_random_bytes(octets).into_uuid();
    let session = agent_sessions::ActiveModel {
        token: ActiveValue::Set(token),
        agent_id: ActiveValue::Set(agent_id),
        created_at: ActiveValue::Set(cx.now()),
        expires_at: ActiveValue::Set(cx.now() + SESSION_MS),
    };
    agent_sessions::Entity::insert(session)
        .exec_without_returning(tx)
        .await?;
    Ok(token)
}

/// `Session/Heartbeat`: whether the session still counts.
pub(super) async fn heartbeat(
    call: &Call,
    request: HeartbeatRequest,
) -> Result<HeartbeatResponse, Error> {
    let session_valid = match agent_of(call, &request.session_token).await {
        Ok(_) => true,
        Err(error) if error.kind() == crate::error::Kind::Forbidden => false,
        Err(error) => return Err(error),
    };
    Ok(HeartbeatResponse {
        result: OperationResult::success(),
        heartbeat_interval: HEARTBEAT_MINUTES,
        session_valid,
    })
}

/// `AnyInventory/Complete` and `AnyManagement/Complete`: how a job ended.
pub(super) async fn complete(
    call: &Call,
    request: JobCompleteRequest,
) -> Result<JobCompleteResponse, Error> {
    let agent = agent_of(call, &request.session_token).await?;
    let report = Report {
        job_id: request.job_id,
        audit_id: request.audit_id,
        status: request.status,
        message: message(&request),
    };
    let cx = call.cx.clone();
    let inventory_job = call
        .cx
        .db()
        .write("agents.complete", move |tx| {
            Box::pin(async move { orchestrator_jobs::complete(tx, &cx, &agent, &report).await })
        })
        .await?;
    Ok(JobCompleteResponse {
        result: OperationResult::success(),
        inventory_job,
    })
}

/// The agent's words, and what a deployment proved or failed to prove.
fn message(request: &JobCompleteRequest) -> String {
    let mut text: String = request
        .message
        .trim()
        .chars()
        .take(orchestrator_jobs::MESSAGE_MAX_CHARACTERS - 200)
        .collect();
    let Some(extra) = &request.chancery else {
        return text;
    };
    let mut remarks = Vec::new();
    let thumbprint = |text: &str| text.chars().take(40).collect::<String>();
    if let Some(expected) = extra
        .expected_thumbprint
        .as_deref()
        .filter(|expected| !text.contains(*expected))
    {
        remarks.push(format!("expected {}", thumbprint(expected)));
    }
    match extra.served_thumbprint.as_deref() {
        Some(served) if !text.contains(served) => {
            remarks.push(format!("served {}", thumbprint(served)));
        }
        None if extra.expected_thumbprint.is_some() => remarks.push("served nothing".into()),
        _ => {}
    }
    if extra.rolled_back {
        remarks.push("rolled back".into());
    }
    if !remarks.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("({})", remarks.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use agent_protocol::CompletionExtra;

    use super::*;

    #[test]
    fn what_was_served_stands_in_the_message() {
        let mut request = JobCompleteRequest {
            message: "the probe failed".into(),
            ..Default::default()
        };
        assert_eq!(message(&request), "the probe failed");
        request.chancery = Some(CompletionExtra {
            served_thumbprint: Some("AA".into()),
            expected_thumbprint: Some("BB".into()),
            rolled_back: true,
        });
        assert_eq!(
            message(&request),
            "the probe failed (expected BB, served AA, rolled back)"
        );
        request.message = "AA is served and not BB".into();
        assert_eq!(message(&request), "AA is served and not BB (rolled back)");
        request.message = "x".repeat(5_000);
        assert!(message(&request).chars().count() <= orchestrator_jobs::MESSAGE_MAX_CHARACTERS);
    }
}
