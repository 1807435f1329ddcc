//! Management jobs: put a certificate into a store, take one out, make a store.

use std::{collections::BTreeMap, path::PathBuf};

use agent_protocol::{
    ManagementConfigureResponse, ManagementJob, OperationType, Redacted, SessionJob, Uuid, property,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pki::{Certificate, pkcs12};
use serde_json::Value;
use stores::{Entry, Operation, Outcome, StoreConfig, StoreDriver};
use zeroize::Zeroizing;

use crate::{
    Result,
    job::{complete, configure, goes_on, note_of},
    outbox::Note,
    runner::{Registered, Runner, Surroundings},
    transport::Transport,
};

pub(crate) async fn run<T: Transport>(
    runner: &Runner<T>,
    registered: &Registered,
    job: &SessionJob,
    driver: &'static dyn StoreDriver,
) -> Result<bool> {
    let Some(endpoint) = &job.configuration_endpoint else {
        return Ok(false);
    };
    let request = configure(registered, job);
    let response: ManagementConfigureResponse = runner
        .call(Some(&registered.identity), endpoint, &request)
        .await?;
    if !goes_on(job, response.job_cancelled, &response.result) {
        return Ok(false);
    }
    let note = note_of(job, response.audit_id);
    let outcome = match response.job {
        None => Outcome::refused("the server sent no job"),
        Some(work) => {
            let (surroundings, job_id, note) =
                (runner.surroundings.clone(), job.job_id, note.clone());
            runner
                .blocking(move || execute(&surroundings, driver, job_id, &note, &work))
                .await?
        }
    };
    complete(runner, registered, job, note, &outcome).await?;
    Ok(true)
}

/// Does the work. Blocks.
fn execute(
    surroundings: &Surroundings,
    driver: &dyn StoreDriver,
    job_id: Uuid,
    note: &Note,
    job: &ManagementJob,
) -> Outcome {
    let store = store_config(
        surroundings,
        job.store_path.as_deref(),
        job.store_password.as_ref(),
        job.properties.as_ref(),
    );
    let store = match store {
        Ok(store) => store,
        Err(reason) => return Outcome::refused(reason),
    };
    with_operation(surroundings, job_id, note, |operation| {
        match job.operation_type {
            OperationType::Add | OperationType::CreateAdd => match entry(job) {
                Ok(entry) => driver.add(&store, &entry, operation),
                Err(reason) => Outcome::refused(reason),
            },
            OperationType::Remove => {
                driver.remove(&store, job.alias.as_deref().unwrap_or_default(), operation)
            }
            OperationType::Create => driver.create(&store, operation),
            other => Outcome::refused(format!("this agent does not know the operation {other:?}")),
        }
    })
}

/// The surroundings of a job, as the drivers take them.
pub(crate) fn with_operation<R>(
    surroundings: &Surroundings,
    job_id: Uuid,
    note: &Note,
    work: impl FnOnce(&Operation<'_>) -> R,
) -> R {
    // A note that cannot be written reads back as an empty one: the outcome is then found again by its job alone.
    let note = serde_json::to_string(note).unwrap_or_default();
    work(&Operation {
        job_id,
        note: &note,
        journal_directory: &surroundings.state.journal(),
        allowed_paths: &surroundings.allowed_paths,
        file_system: &surroundings.file_system,
        host: &*surroundings.host,
    })
}

/// The store of a job, its profile looked up in the agent's own configuration.
pub(crate) fn store_config<'a>(
    surroundings: &'a Surroundings,
    path: Option<&str>,
    password: Option<&Redacted<String>>,
    properties: Option<&Redacted<String>>,
) -> std::result::Result<StoreConfig<'a>, String> {
    let path = path
        .filter(|path| !path.is_empty())
        .ok_or("the job names no store path")?;
    let properties = Properties::parse(properties)?;
    let profile = match properties.text(property::PROFILE) {
        None => None,
        Some(name) => Some(surroundings.config.profile(&name).ok_or_else(|| {
            format!("the store names the profile {name}, which is not in the agent's configuration")
        })?),
    };
    let private_key_path = properties
        .text(property::PRIVATE_KEY_PATH)
        .or_else(|| properties.text("SeparatePrivateKeyFilePath"))
        .map(PathBuf::from);
    Ok(StoreConfig {
        private_key_path,
        profile,
        trust_store: properties.flag(property::IS_TRUST_STORE).unwrap_or(false),
        includes_chain: properties.flag(property::INCLUDES_CHAIN).unwrap_or(true),
        password: password.map(|password| Zeroizing::new(password.expose().clone())),
        ..StoreConfig::at(path)
    })
}

/// A store's properties: an object in a string, values as text, names in any case.
struct Properties(BTreeMap<String, String>);

impl Properties {
    fn parse(text: Option<&Redacted<String>>) -> std::result::Result<Self, String> {
        let Some(text) = text
            .map(Redacted::expose)
            .filter(|text| !text.trim().is_empty())
        else {
            return Ok(Self(BTreeMap::new()));
        };
        let values: BTreeMap<String, Value> = serde_json::from_str(text)
            .map_err(|_| "the store's properties are no JSON object".to_owned())?;
        let known = values.into_iter().filter_map(|(name, value)| {
            let value = match value {
                Value::String(text) => text,
                Value::Bool(flag) => flag.to_string(),
                _ => return None,
            };
            Some((name.to_lowercase(), value))
        });
        Ok(Self(known.collect()))
    }

    fn text(&self, name: &str) -> Option<String> {
        let value = self.0.get(&name.to_lowercase())?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn flag(&self, name: &str) -> Option<bool> {
        self.text(name)?.to_lowercase().parse().ok()
    }
}

/// What the job brings: one DER certificate, or a PKCS#12 with its key.
fn entry(job: &ManagementJob) -> std::result::Result<Entry, String> {
    let contents = job
        .entry_contents
        .as_ref()
        .ok_or("the job brings no certificate")?;
    let contents = decoded(contents.expose()).ok_or("EntryContents is no base64")?;
    let extra = job.chancery.clone().unwrap_or_default();
    let (certificate, mut chain, key) = if job.private_key_entry {
        let password = job
            .pfx_password
            .as_ref()
            .map_or("", |password| password.expose().as_str());
        let opened = pkcs12::from_pkcs12(&contents, password)
            .map_err(|error| format!("EntryContents: {error}"))?;
        let mut certificates = opened.certificates.into_iter();
        let leaf = certificates
            .next()
            .ok_or("the PKCS#12 holds no certificate")?;
        let key = opened.key.ok_or("the PKCS#12 holds no private key")?;
        (leaf, certificates.collect(), Some(key))
    } else {
        (contents.to_vec(), Vec::new(), None)
    };
    if chain.is_empty() {
        for (index, text) in extra.chain.iter().enumerate() {
            let der = decoded(text).ok_or_else(|| format!("Chain, item {index}, is no base64"))?;
            chain.push(der.to_vec());
        }
    }
    let found = Certificate::read(&certificate)
        .map_err(|error| format!("EntryContents: {error}"))?
        .certificate
        .thumbprint();
    let expected = extra
        .expected_thumbprint
        .as_deref()
        .or(job.thumbprint.as_deref());
    if let Some(expected) = expected.filter(|expected| !expected.is_empty())
        && !expected.eq_ignore_ascii_case(&found)
    {
        return Err(format!("the job is about {expected}, but brings {found}"));
    }
    let alias = job.alias.clone().unwrap_or_default();
    Ok(Entry {
        alias,
        certificate,
        chain,
        key,
        overwrite: job.overwrite,
    })
}

fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bare: Zeroizing<String> = Zeroizing::new(text.split_ascii_whitespace().collect());
    STANDARD.decode(bare.as_bytes()).ok().map(Zeroizing::new)
}
