//! `AnyManagement/Configure` (agent-protocol 8).

use agent_protocol::{
    CompleteStatus, JobConfigureRequest, ManagementConfigureResponse, ManagementExtra,
    ManagementJob, OperationResult, OperationType, Redacted, property,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use db::tables::{agents, certificate_stores, orchestrator_jobs as jobs_table, store_types};
use pki::pkcs12::{self, Encryption};
use secrets::Sealed;
use serde::Deserialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::super::PLATFORM_NATIVE;
use super::inventory::{hand_over, job_of, not_now};
use super::{Call, session};
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_stores::{StoreSecrets, secrets_of};
use crate::certificates;
use crate::error::{Error, Kind};
use crate::orchestrator_jobs::{self, Handed, MANAGEMENT, Report, secrets_place};

/// Passwords of a job, as they are sealed.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JobSecrets {
    pfx_password: Option<Redacted<String>>,
    entry_password: Option<Redacted<String>>,
}

/// Hands a management job to its agent, with its secrets: this is the one place where they are opened. A job that cannot be
/// put together (its certificate or key is gone) ends as a failure here.
///
/// # Errors
/// A refusal when the session or the job is not the agent's, another job comes first, or the connection does not prove the
/// agent's certificate.
pub(super) async fn configure(
    call: &Call,
    request: JobConfigureRequest,
) -> Result<ManagementConfigureResponse, Error> {
    let agent = session::agent_of(call, &request.session_token).await?;
    if !call.who.has_certificate() {
        return Err(Error::forbidden(
            "Management jobs carry secrets: they are given to agents with a certificate only.",
        ));
    }
    let cancelled = || ManagementConfigureResponse {
        job_cancelled: true,
        result: OperationResult::success(),
        ..Default::default()
    };
    let Some((job, store, store_type)) = job_of(call, &agent, request.job_id, MANAGEMENT).await?
    else {
        return Ok(cancelled());
    };
    let audit_id = match hand_over(call, &agent, &job, &store).await? {
        Handed::Over(audit_id) => audit_id,
        Handed::Cancelled => return Ok(cancelled()),
        Handed::NotNow => return Err(not_now()),
    };
    match work(call, &agent, &job, &store, &store_type).await {
        Ok(work) => Ok(ManagementConfigureResponse {
            audit_id,
            job_cancelled: false,
            result: OperationResult::success(),
            job: Some(work),
        }),
        Err(error) if error.kind() == Kind::BadRequest => {
            give_up(call, agent, &job, audit_id, &error).await?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// The agent stops without a Complete when it is refused, so the server ends the job itself.
async fn give_up(
    call: &Call,
    agent: agents::Model,
    job: &jobs_table::Model,
    audit_id: i64,
    error: &Error,
) -> Result<(), Error> {
    let report = Report {
        job_id: job.id,
        audit_id,
        status: CompleteStatus::Error,
        message: error.to_string(),
    };
    let cx = call.cx.clone();
    call.cx
        .db()
        .write("agents.give_up", move |tx| {
            Box::pin(async move { orchestrator_jobs::complete(tx, &cx, &agent, &report).await })
        })
        .await?;
    Ok(())
}

/// Everything the agent needs.
async fn work(
    call: &Call,
    agent: &agents::Model,
    job: &jobs_table::Model,
    store: &certificate_stores::Model,
    store_type: &store_types::Model,
) -> Result<ManagementJob, Error> {
    let secrets = secrets_of(&call.cx, store).await?;
    let passwords = job_secrets(call, job)?;
    let fields: Map<String, Value> = serde_json::from_str(&job.fields).unwrap_or_default();
    let password = secrets
        .password
        .as_ref()
        .map(|password| password.expose_str())
        .transpose()?;
    let mut work = ManagementJob {
        operation_type: OperationType::from(i64::from(job.operation)),
        client_machine: Some(store.client_machine.clone()),
        store_path: Some(store.store_path.clone()),
        store_password: password.map(Redacted::from),
        store_type: store_type.id,
        category: store_type.id,
        alias: job.alias.clone(),
        overwrite: job.overwrite,
        entry_password: passwords.entry_password.clone(),
        properties: Some(properties(agent, store, &secrets)?),
        ..ManagementJob::default()
    };
    let mut extra = ManagementExtra {
        entry_parameters: fields.clone().into_iter().collect(),
        certificate_format: certificate_format(store_type),
        renewal_thumbprint: fields
            .get("RenewalThumbprint")
            .and_then(Value::as_str)
            .map(str::to_owned),
        ..ManagementExtra::default()
    };
    if work.operation_type == OperationType::Add {
        put_certificate(call, agent, job, &passwords, &mut work, &mut extra).await?;
    }
    work.chancery = agent.takes_extras.then_some(extra);
    Ok(work)
}

/// The certificate of an Add: PKCS#12 with its key and chain, or the certificate alone.
async fn put_certificate(
    call: &Call,
    agent: &agents::Model,
    job: &jobs_table::Model,
    passwords: &JobSecrets,
    work: &mut ManagementJob,
    extra: &mut ManagementExtra,
) -> Result<(), Error> {
    let read = call.cx.db().read();
    let id = job
        .certificate_id
        .ok_or_else(|| Error::bad_request("The job names no certificate."))?;
    let found = certificates::load(read, id).await?;
    let (_, certificate) =
        found.ok_or_else(|| Error::bad_request(format!("Certificate {id} is no longer there.")))?;
    let chain: Vec<pki::Certificate> = certificates::chain(read, &certificate)
        .await?
        .into_iter()
        // Who connects has the root already, or trusts nothing of this.
        .filter(|member| *member == certificate || !member.is_self_issued())
        .collect();
    let thumbprint = certificate.thumbprint();
    if job.include_private_key {
        let key = certificates::private_key(read, &call.cx, id).await?;
        let key = key.ok_or_else(|| {
            Error::bad_request(format!("Certificate {id} has no stored private key."))
        })?;
        let password = match &passwords.pfx_password {
            Some(given) => given.clone(),
            None => random_password()?,
        };
        let name = job
            .alias
            .clone()
            .or_else(|| certificate.common_name().map(str::to_owned))
            .unwrap_or_default();
        // Older agents read what Keyfactor writes; ours reads better.
        let encryption = match (agent.takes_extras, &passwords.pfx_password) {
            (true, None) => Encryption::ModernForRandomPassword,
            (true, Some(_)) => Encryption::Modern,
            (false, _) => Encryption::Compatible,
        };
        let secret = password.clone();
        let written = tokio::task::spawn_blocking(move || {
            pkcs12::to_pkcs12(&key, &chain, &name, secret.expose(), encryption)
        });
        let pfx = Zeroizing::new(
            written
                .await
                .map_err(Error::internal)?
                .map_err(Error::internal)?,
        );
        let (cx, requester) = (call.cx.clone(), job.requester.clone());
        let message = format!(
            "The private key of certificate {id} was given to agent {} for {}.",
            agent.client_machine,
            work.store_path.as_deref().unwrap_or_default()
        );
        let entry = Entry::new(
            Operation::DownloadedWithPrivateKey,
            Category::Certificate,
            certificate.subject(),
            message,
        )
        .on_behalf_of(requester);
        // Before the key leaves the server.
        call.cx
            .db()
            .write("agents.key_handed_over", move |tx| {
                Box::pin(async move { audit::record(tx, &cx, entry).await })
            })
            .await?;
        work.private_key_entry = true;
        work.entry_contents = Some(BASE64.encode(&*pfx).into());
        work.pfx_password = Some(password);
    } else {
        work.entry_contents = Some(BASE64.encode(certificate.der()).into());
        extra.chain = chain
            .iter()
            .skip(1)
            .map(|issuer| BASE64.encode(issuer.der()))
            .collect();
    }
    if work.alias.as_deref().is_none_or(str::is_empty) {
        work.alias = Some(thumbprint.clone());
    }
    extra.expected_thumbprint = Some(thumbprint.clone());
    work.thumbprint = Some(thumbprint);
    Ok(())
}

fn job_secrets(call: &Call, job: &jobs_table::Model) -> Result<JobSecrets, Error> {
    let Some(sealed) = &job.sealed_secrets else {
        return Ok(JobSecrets::default());
    };
    let opened = call
        .cx
        .app()
        .keyring()
        .open(&secrets_place(job.id), &Sealed::from_bytes(sealed.clone())?)?;
    Ok(serde_json::from_slice(opened.expose())?)
}

fn random_password() -> Result<Redacted<String>, Error> {
    let mut octets = Zeroizing::new([0_u8; 24]);
    aws_lc_rs::rand::fill(&mut *octets).map_err(|_| Error::internal("no randomness"))?;
    Ok(Redacted::new(
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(*octets),
    ))
}

/// The store's properties with their secrets, as the protocol has them: an object in a text, values as text.
pub(super) fn properties(
    agent: &agents::Model,
    store: &certificate_stores::Model,
    secrets: &StoreSecrets,
) -> Result<Redacted<String>, Error> {
    let stored: Map<String, Value> = serde_json::from_str(&store.properties).unwrap_or_default();
    let c_agent = agent.platform == PLATFORM_NATIVE && !agent.takes_extras;
    let mut all = Map::new();
    for (name, value) in stored {
        // A C agent rewrites the store and then fails when it is told of a separate key (agent-protocol 8).
        if c_agent && name.eq_ignore_ascii_case(property::PRIVATE_KEY_PATH) {
            continue;
        }
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        all.insert(name, Value::String(text));
    }
    for (name, value) in &secrets.properties {
        all.insert(name.clone(), Value::String(value.clone()));
    }
    Ok(Redacted::new(serde_json::to_string(&all)?))
}

/// 0 PFX, 1 PEM, from the type's definition.
fn certificate_format(store_type: &store_types::Model) -> i64 {
    let definition: Value = serde_json::from_str(&store_type.definition).unwrap_or_default();
    definition["CertificateFormat"].as_i64().unwrap_or_default()
}
