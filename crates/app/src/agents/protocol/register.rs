//! `Session/Register`: enrollment, approval, rotation, and the jobs that are due (agent-protocol 4 and 5).
//!
//! Who may bring an agent: any account that is enabled. Registering gives nothing: a new agent waits until somebody with
//! the permission to change agents approves it, and only then gets a certificate. From then on the certificate is its name;
//! the account alone does not open it again, unless the certificate was never used (the answer was lost) or has expired (and
//! then it waits for approval again).

mod answer;

use std::sync::Arc;

use agent_protocol::{ResultStatus, SessionRegisterRequest, SessionRegisterResponse, code};
use db::tables::agents;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde_json::json;
use uuid::Uuid;

use answer::opened_answer;

use super::super::reset::forget_certificate;
use super::super::{PLATFORM_NATIVE, STATUS_APPROVED, STATUS_DISAPPROVED, STATUS_NEW};
use super::certificate::{Age, Csr, age};
use super::identity::Who;
use super::{Call, session};
use crate::audit::{self, Category, Entry, Operation};
use crate::authorities;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{lapse, queue_of};

/// How stale `last_seen` may get, in milliseconds: agents ask often, and each write costs.
const SEEN_MS: i64 = 30_000;
const CAPABILITIES_MAX: usize = 200;
const NAME_CHARACTERS_MAX: usize = 200;

/// What an agent says of itself, checked.
struct Given {
    client_machine: String,
    agent_id: Option<Uuid>,
    csr: Option<Csr>,
    platform: i32,
    version: String,
    capabilities: String,
    takes_extras: bool,
}

/// What becomes of a registration.
enum Outcome {
    /// A session, and the certificate when one was asked for.
    Open {
        agent: Box<agents::Model>,
        token: Uuid,
        certificate: Option<Vec<u8>>,
    },
    /// No session. Status 2 asks for a new certificate, 3 is a no.
    Closed {
        status: ResultStatus,
        code: &'static str,
        message: String,
    },
}

/// Registers an agent.
///
/// # Errors
/// A refusal for a request that says too little; faults of the server.
pub(super) async fn register(
    call: &Call,
    request: SessionRegisterRequest,
) -> Result<SessionRegisterResponse, Error> {
    let given = Given::new(request)?;
    if let Some(opened) = unchanged(call, &given).await? {
        return opened_answer(call, opened).await;
    }
    let issuer = match &given.csr {
        Some(_) => Some(authorities::agents_authority(call.cx.app()).await?.1),
        None => None,
    };
    let (cx, who) = (call.cx.clone(), Caller::of(&call.who));
    let outcome = call
        .cx
        .db()
        .write("agents.register", move |tx| {
            Box::pin(async move { decide(tx, &cx, &who, &given, issuer.as_ref()).await })
        })
        .await?;
    opened_answer(call, outcome).await
}

impl Given {
    fn new(request: SessionRegisterRequest) -> Result<Self, Error> {
        let client_machine = request.client_machine.trim().to_owned();
        if client_machine.is_empty() || client_machine.chars().count() > NAME_CHARACTERS_MAX {
            return Err(Error::bad_request(
                "ClientMachine: it has to have 1 to 200 characters.",
            ));
        }
        let csr = request.csr.filter(|text| !text.trim().is_empty());
        let names = request.capabilities.iter().take(CAPABILITIES_MAX);
        let capabilities: Vec<String> = names
            .map(|name| name.trim().chars().take(NAME_CHARACTERS_MAX).collect())
            .collect();
        let version = request.agent_version;
        Ok(Self {
            client_machine,
            agent_id: Uuid::parse_str(request.agent_id.trim())
                .ok()
                .filter(|id| !id.is_nil()),
            csr: csr.map(|text| Csr::read(&text)).transpose()?,
            platform: i32::try_from(request.agent_platform.value()).unwrap_or_default(),
            version: format!(
                "{}.{}.{}.{}",
                version >> 48,
                (version >> 32) & 0xffff,
                (version >> 16) & 0xffff,
                version & 0xffff
            ),
            capabilities: serde_json::to_string(&capabilities)?,
            takes_extras: request.chancery.is_some(),
        })
    }

    /// Agents that run what they are given at once. All agents get due jobs only, without a schedule, so that none has to
    /// keep a calendar; these also get back what they held when they died.
    fn single_shot(&self) -> bool {
        self.platform == PLATFORM_NATIVE || self.takes_extras
    }

    fn is_as_stored(&self, agent: &agents::Model) -> bool {
        self.platform == agent.platform
            && self.version == agent.version
            && self.capabilities == agent.capabilities
            && self.takes_extras == agent.takes_extras
    }
}

/// The caller, owned, for the transaction.
enum Caller {
    Agent {
        id: Uuid,
        thumbprint: String,
    },
    Account {
        name: String,
        unknown_certificate: bool,
    },
    Stranger,
}

impl Caller {
    fn of(who: &Who) -> Self {
        match who {
            Who::Agent(agent, thumbprint) => Self::Agent {
                id: agent.id,
                thumbprint: thumbprint.clone(),
            },
            Who::Account {
                name,
                unknown_certificate,
                ..
            } => Self::Account {
                name: name.clone(),
                unknown_certificate: *unknown_certificate,
            },
            Who::Stranger => Self::Stranger,
        }
    }
}

/// The session of an agent that comes back with nothing new to say, as most calls are: answered without a write.
async fn unchanged(call: &Call, given: &Given) -> Result<Option<Outcome>, Error> {
    let (cx, Who::Agent(agent, thumbprint)) = (&call.cx, &call.who) else {
        return Ok(None);
    };
    let quiet = given.csr.is_none()
        && given.is_as_stored(agent)
        && agent.status == STATUS_APPROVED
        && agent.thumbprint.as_deref() == Some(thumbprint)
        && agent.previous_thumbprint.is_none()
        && agent.last_thumbprint_used.as_deref() == Some(thumbprint)
        && agent.authentication_reenrollment == 0
        && agent.last_error_message.is_none()
        && cx.now() - agent.last_seen < SEEN_MS
        && age(agent.certificate.as_deref(), cx.now()) == Age::Good;
    if !quiet {
        return Ok(None);
    }
    let held = jobs::claimed(cx.db().read(), &queue_of(agent.id)).await?;
    if held
        .iter()
        .any(|job| job.lease_until.is_some_and(|until| until <= cx.now()))
    {
        return Ok(None);
    }
    let token = session::running(cx.db().read(), cx, agent.id).await?;
    Ok(token.map(|token| Outcome::Open {
        agent: agent.clone(),
        token,
        certificate: None,
    }))
}

async fn decide(
    tx: &db::Tx,
    cx: &Cx,
    who: &Caller,
    given: &Given,
    issuer: Option<&Arc<pki::Issuer>>,
) -> Result<Outcome, Error> {
    let Some(agent) = find_or_create(tx, cx, who, given).await? else {
        return Ok(refused(
            "The server does not know this certificate. Enroll again.",
        ));
    };
    let mut row = agent.clone().into_active_model();
    row.platform = ActiveValue::Set(given.platform);
    row.version = ActiveValue::Set(given.version.clone());
    row.capabilities = ActiveValue::Set(given.capabilities.clone());
    row.single_shot = ActiveValue::Set(given.single_shot());
    row.takes_extras = ActiveValue::Set(given.takes_extras);
    row.last_seen = ActiveValue::Set(cx.now());
    if let Caller::Agent { thumbprint, .. } = who {
        row.last_thumbprint_used = ActiveValue::Set(Some(thumbprint.clone()));
    }
    let verdict = match agent.status {
        STATUS_NEW => Verdict::Closed(pending(&agent)),
        STATUS_DISAPPROVED => Verdict::Closed(refused(&format!(
            "Agent {} was disapproved.",
            agent.client_machine
        ))),
        _ => match (&given.csr, issuer) {
            (Some(csr), Some(issuer)) => {
                with_request(tx, cx, who, &agent, &mut row, csr, issuer).await?
            }
            _ => without_request(cx, who, &agent, &mut row),
        },
    };
    let message = match &verdict {
        Verdict::Closed(Outcome::Closed {
            message,
            status: ResultStatus::Error,
            ..
        }) if agent.status != STATUS_NEW => Some(message.clone()),
        _ => None,
    };
    row.last_error_code = ActiveValue::Set(None);
    row.last_error_message = ActiveValue::Set(message);
    let agent = row.update(tx).await?;
    match verdict {
        Verdict::Closed(outcome) => Ok(outcome),
        Verdict::Open(certificate) => {
            lapse(tx, cx, &queue_of(agent.id)).await?;
            let token = session::open(tx, cx, agent.id).await?;
            Ok(Outcome::Open {
                agent: Box::new(agent),
                token,
                certificate,
            })
        }
    }
}

enum Verdict {
    Open(Option<Vec<u8>>),
    Closed(Outcome),
}

fn refused(message: &str) -> Outcome {
    Outcome::Closed {
        status: ResultStatus::Error,
        code: "",
        message: message.to_owned(),
    }
}

fn pending(agent: &agents::Model) -> Outcome {
    Outcome::Closed {
        status: ResultStatus::Error,
        code: "PENDING",
        message: format!("Agent {} waits for approval.", agent.client_machine),
    }
}

/// The agent's row. An account's agent is found by its id or by its name; a new name becomes a new agent.
async fn find_or_create(
    tx: &db::Tx,
    cx: &Cx,
    who: &Caller,
    given: &Given,
) -> Result<Option<agents::Model>, Error> {
    let name = match who {
        Caller::Agent { id, .. } => {
            return Ok(agents::Entity::find_by_id(*id)
                .lock_exclusive()
                .one(tx)
                .await?);
        }
        Caller::Account { name, .. } => name,
        Caller::Stranger => return Ok(None),
    };
    if let Some(id) = given.agent_id {
        let found = agents::Entity::find_by_id(id)
            .lock_exclusive()
            .one(tx)
            .await?;
        if let Some(found) = found.filter(|agent| agent.username == *name) {
            return Ok(Some(found));
        }
    }
    let fold = db::fold(&given.client_machine);
    let found = agents::Entity::find()
        .filter(agents::Column::ClientMachineFold.eq(&fold))
        .filter(agents::Column::Username.eq(name))
        .lock_exclusive()
        .one(tx)
        .await?;
    if found.is_some() {
        return Ok(found);
    }
    let row = agents::ActiveModel {
        id: ActiveValue::Set(cx.guid()),
        client_machine: ActiveValue::Set(given.client_machine.clone()),
        client_machine_fold: ActiveValue::Set(fold),
        username: ActiveValue::Set(name.clone()),
        platform: ActiveValue::Set(given.platform),
        version: ActiveValue::Set(given.version.clone()),
        status: ActiveValue::Set(STATUS_NEW),
        capabilities: ActiveValue::Set(given.capabilities.clone()),
        thumbprint: ActiveValue::Set(None),
        previous_thumbprint: ActiveValue::Set(None),
        last_thumbprint_used: ActiveValue::Set(None),
        request_key: ActiveValue::Set(None),
        certificate: ActiveValue::Set(None),
        authentication_reenrollment: ActiveValue::Set(0),
        last_error_code: ActiveValue::Set(None),
        last_error_message: ActiveValue::Set(None),
        single_shot: ActiveValue::Set(given.single_shot()),
        takes_extras: ActiveValue::Set(given.takes_extras),
        registered_at: ActiveValue::Set(cx.now()),
        last_seen: ActiveValue::Set(cx.now()),
    };
    let agent = row.insert(tx).await?;
    let message = format!(
        "Agent {} registered as {name} and waits for approval.",
        agent.client_machine
    );
    let entry = Entry::new(
        Operation::Created,
        Category::Agent,
        &agent.client_machine,
        message,
    )
    .after(json!({ "AgentId": agent.id, "Username": name, "AgentPlatform": given.platform }));
    audit::record(tx, cx, entry).await?;
    Ok(Some(agent))
}

/// An approved agent asks for a certificate.
async fn with_request(
    tx: &db::Tx,
    cx: &Cx,
    who: &Caller,
    agent: &agents::Model,
    row: &mut agents::ActiveModel,
    csr: &Csr,
    issuer: &Arc<pki::Issuer>,
) -> Result<Verdict, Error> {
    let age = age(agent.certificate.as_deref(), cx.now());
    let expired = matches!(age, Age::Expired);
    if agent.request_key.as_deref() == Some(&csr.key) && !expired && age != Age::None {
        // Asked again for the same key: the answer was lost.
        return Ok(Verdict::Open(agent.certificate.clone()));
    }
    let presented = match who {
        Caller::Agent { thumbprint, .. } => Some(thumbprint.clone()),
        Caller::Account { .. } | Caller::Stranger => None,
    };
    let used = agent.thumbprint.is_some() && agent.thumbprint == agent.last_thumbprint_used;
    if presented.is_none() && used {
        if !expired {
            let message = format!(
                "Agent {} has a certificate and did not present it. Reset the agent to enroll it anew.",
                agent.client_machine
            );
            return Ok(Verdict::Closed(refused(&message)));
        }
        forget_certificate(row);
        row.status = ActiveValue::Set(STATUS_NEW);
        return Ok(Verdict::Closed(pending(agent)));
    }
    let certificate = csr.issue(cx, issuer, &agent.client_machine)?;
    let thumbprint = certificate.thumbprint();
    let message = format!(
        "Agent {} was given the certificate {thumbprint}.",
        agent.client_machine
    );
    let entry = Entry::new(
        Operation::Updated,
        Category::Agent,
        &agent.client_machine,
        message,
    )
    .before(json!({ "AgentId": agent.id, "Thumbprint": agent.thumbprint }))
    .after(json!({ "AgentId": agent.id, "Thumbprint": thumbprint }));
    audit::record(tx, cx, entry).await?;
    let der = certificate.der().to_vec();
    row.certificate = ActiveValue::Set(Some(der.clone()));
    row.thumbprint = ActiveValue::Set(Some(thumbprint));
    // The agent may die before it has saved the new one.
    row.previous_thumbprint = ActiveValue::Set(presented);
    row.request_key = ActiveValue::Set(Some(csr.key.clone()));
    row.authentication_reenrollment = ActiveValue::Set(0);
    Ok(Verdict::Open(Some(der)))
}

/// An approved agent opens a session.
fn without_request(
    cx: &Cx,
    who: &Caller,
    agent: &agents::Model,
    row: &mut agents::ActiveModel,
) -> Verdict {
    let renew = |code: &'static str| {
        let message = format!(
            "Agent {} has to renew its certificate.",
            agent.client_machine
        );
        Verdict::Closed(Outcome::Closed {
            status: ResultStatus::Warning,
            code,
            message,
        })
    };
    match who {
        Caller::Agent { thumbprint, .. } => {
            if agent.thumbprint.as_ref() == Some(thumbprint) {
                // The new one has been seen: the old one counts no longer.
                row.previous_thumbprint = ActiveValue::Set(None);
            }
            let age = age(agent.certificate.as_deref(), cx.now());
            match agent.authentication_reenrollment {
                1 => renew(code::CERTIFICATE_RENEWAL_REQUESTED),
                2 => renew(code::CERTIFICATE_RENEWAL_REQUIRED),
                _ if age == Age::Old && agent.platform == PLATFORM_NATIVE => {
                    renew(code::CERTIFICATE_RENEWAL_REQUESTED)
                }
                _ => Verdict::Open(None),
            }
        }
        Caller::Account { .. } | Caller::Stranger if agent.thumbprint.is_some() => {
            let message = format!(
                "Agent {} has a certificate and has to present it.",
                agent.client_machine
            );
            Verdict::Closed(refused(&message))
        }
        // It was reset and approved again, and still has its old certificate.
        Caller::Account {
            unknown_certificate: true,
            ..
        } => renew(code::CERTIFICATE_RENEWAL_REQUIRED),
        Caller::Account { .. } | Caller::Stranger => Verdict::Open(None),
    }
}
