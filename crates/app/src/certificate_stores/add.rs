//! `POST /CertificateStores/Certificates/Add`: one job for each target store, or none at all.

use db::tables::{certificate_stores, certificates};
use jobs::Schedule;
use sea_orm::{ConnectionTrait, EntityTrait};
use secrets::Secret;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::display_name;
use super::targets::{self, ALIAS_MAX, Kind, Known, Occasion, Repeats, Work};
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_store_types::Allowed;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{ManagementJob, ManagementOperation, create_management};
use crate::security::{Permission, Through};
use crate::web::schedule::{Given, ScheduleInput};
use crate::web::secret::SecretInput;
use crate::web::{Body, Json};

/// A certificate and where it is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = AddCertificateRequest)]
pub(super) struct AddRequest {
    /// Which certificate.
    #[schema(value_type = i32)]
    certificate_id: Option<i64>,
    /// Where to.
    #[schema(value_type = Vec<AddTarget>)]
    certificate_stores: Option<Vec<AddTarget>>,
    /// `Immediate` or `ExactlyOnce`; a time that has passed is now.
    #[serde(default)]
    schedule: ScheduleInput,
    /// The collection through which the certificate is reached, for callers who may not read all certificates; 0 for none.
    #[schema(value_type = Option<i32>)]
    collection_id: Option<i64>,
    /// The container through which the stores are reached, for callers who may not schedule all stores; without it each is
    /// reached through its own. 0 for none, and ignored beside a collection.
    #[schema(value_type = Option<i32>)]
    container_id: Option<i64>,
}

/// A target store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreEntry)]
struct AddTarget {
    /// Which store.
    #[schema(value_type = Uuid)]
    certificate_store_id: Option<String>,
    /// The name of the entry, as the store's type wants it.
    alias: Option<String>,
    /// Entry parameters of the store's type, by name.
    #[schema(value_type = Option<Object>)]
    job_fields: Option<Map<String, Value>>,
    /// Whether an entry of the same alias is replaced.
    overwrite: Option<bool>,
    /// Password of the entry, for types that have such.
    entry_password: Option<SecretInput>,
    /// Password of the PKCS#12 that the agent is handed; made by the server unless told.
    pfx_password: Option<String>,
    /// Whether the stored private key goes along.
    include_private_key: Option<bool>,
}

/// Puts a certificate into stores: makes a job for each and answers their ids in the order of the request. Nothing is made
/// when one target is bad; the answer then names each bad one and why. The two permissions may be held system-wide or on the
/// collection and the containers, each by itself.
#[utoipa::path(post, path = "/CertificateStores/Certificates/Add", tag = "CertificateStore", request_body = AddRequest, responses((status = 200, body = Vec<Uuid>, description = "The jobs, in the order of the stores")), extensions(("x-permissions" = json!(["/certificates/collections/read/", "/certificate_stores/schedule/"]))))]
pub(super) async fn add(cx: Cx, Body(request): Body<AddRequest>) -> Result<Json<Vec<Uuid>>, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    cx.authorize_somewhere(Permission::StoresSchedule)?;
    let through = Through::new(request.collection_id, request.container_id);
    let id = request
        .certificate_id
        .ok_or_else(|| Error::bad_request("CertificateId: a value is required."))?;
    let schedule = one_time(&request.schedule)?;
    let targets = request
        .certificate_stores
        .unwrap_or_default()
        .into_iter()
        .map(Target::from)
        .collect();
    add_certificate(&cx, id, targets, schedule, through)
        .await
        .map(Json)
}

/// Only what happens once: a management job does not repeat.
pub(super) fn one_time(schedule: &ScheduleInput) -> Result<Schedule, Error> {
    match schedule.check("Schedule")? {
        Given::Schedule(schedule) if !schedule.repeats() => Ok(schedule),
        Given::Schedule(_) | Given::Off => Err(Error::bad_request(
            "Schedule: only Immediate and ExactlyOnce are possible here.",
        )),
        Given::Nothing => Err(Error::bad_request(
            "Schedule: Immediate or ExactlyOnce is required.",
        )),
    }
}

/// A target before it is checked.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) store_id: Option<String>,
    pub(super) alias: String,
    pub(super) fields: Map<String, Value>,
    pub(super) overwrite: bool,
    pub(super) entry_password: Option<SecretInput>,
    pub(super) pfx_password: Option<Secret>,
    /// `None`: with the key, where the type and the certificate have one.
    pub(super) include_private_key: Option<bool>,
}

impl From<AddTarget> for Target {
    fn from(target: AddTarget) -> Self {
        Self {
            store_id: target.certificate_store_id,
            alias: target.alias.unwrap_or_default().trim().to_owned(),
            fields: target.job_fields.unwrap_or_default(),
            overwrite: target.overwrite.unwrap_or_default(),
            entry_password: target.entry_password,
            pfx_password: target
                .pfx_password
                .filter(|password| !password.is_empty())
                .map(Secret::from),
            include_private_key: Some(target.include_private_key.unwrap_or_default()),
        }
    }
}

/// What is put into stores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'a> {
    /// None before it is issued.
    pub(super) id: Option<i64>,
    /// SHA-1, upper-case hex; empty before it is issued.
    pub(super) thumbprint: &'a str,
    /// Whether a key is stored beside it.
    pub(super) has_private_key: bool,
}

impl<'a> From<&'a certificates::Model> for Leaf<'a> {
    fn from(row: &'a certificates::Model) -> Self {
        Self {
            id: Some(row.id),
            thumbprint: &row.thumbprint,
            has_private_key: row.has_private_key,
        }
    }
}

async fn add_certificate(
    cx: &Cx,
    certificate_id: i64,
    targets: Vec<Target>,
    schedule: Schedule,
    through: Through,
) -> Result<Vec<Uuid>, Error> {
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.add", move |tx| {
            Box::pin(async move {
                let ids = [certificate_id];
                cx.authorize_certificates_in(tx, Permission::CertificatesRead, &ids, through).await?;
                targets::count("CertificateStores", targets.len())?;
                let known = known_of(tx, &targets).await?;
                known.authorize(&cx, Permission::StoresSchedule, through)?;
                let certificate = certificates::Entity::find_by_id(certificate_id).one(tx).await?;
                let certificate = certificate.ok_or_else(|| {
                    Error::bad_request(format!("CertificateId: there is no certificate {certificate_id}."))
                })?;
                let total = targets.len();
                let leaf = Leaf::from(&certificate);
                let (planned, failed) = plan_all(&known, leaf, targets, |_| schedule);
                if !failed.is_empty() {
                    let message = format!(
                        "The certificate cannot be added to {} of {total} certificate stores; nothing was scheduled.",
                        failed.len()
                    );
                    return Err(Error::bad_parts(message, failed));
                }
                make(tx, &cx, planned).await
            })
        })
        .await
}

/// A store and the job that it is to have.
pub(super) type Planned = (certificate_stores::Model, ManagementJob);

/// What is known of the targets' stores.
pub(super) async fn known_of(
    connection: &impl ConnectionTrait,
    targets: &[Target],
) -> Result<Known, Error> {
    let guid = |target: &Target| targets::guid(target.store_id.as_deref()).ok().flatten();
    Known::load(connection, targets.iter().filter_map(guid)).await
}

/// The jobs of all targets that can have one, and why the others cannot.
pub(super) fn plan_all(
    known: &Known,
    leaf: Leaf<'_>,
    targets: Vec<Target>,
    schedule: impl Fn(usize) -> Schedule,
) -> (Vec<Planned>, Vec<String>) {
    let mut failed = Vec::new();
    let mut planned = Vec::with_capacity(targets.len());
    let mut repeats = Repeats::default();
    for (index, target) in targets.into_iter().enumerate() {
        let id = target.store_id.clone();
        match plan(known, leaf, index, target, &mut repeats, schedule(index)) {
            Ok(job) => planned.push(job),
            Err(wrong) => failed.push(targets::reason(
                "CertificateStores",
                index,
                id.as_deref(),
                &wrong,
            )),
        }
    }
    (planned, failed)
}

/// Makes planned jobs. Answers their ids, in order.
pub(super) async fn make(tx: &db::Tx, cx: &Cx, planned: Vec<Planned>) -> Result<Vec<Uuid>, Error> {
    let mut jobs = Vec::with_capacity(planned.len());
    for (store, job) in planned {
        let id = create_management(tx, cx, &job).await?;
        audit::record(tx, cx, scheduled(&store, &job, id)).await?;
        jobs.push(id);
    }
    Ok(jobs)
}

/// The job of one target, or everything that is wrong with it.
fn plan(
    known: &Known,
    certificate: Leaf<'_>,
    index: usize,
    target: Target,
    repeats: &mut Repeats,
    schedule: Schedule,
) -> Result<(certificate_stores::Model, ManagementJob), Vec<String>> {
    let id = targets::guid(target.store_id.as_deref()).map_err(|reason| vec![reason])?;
    let id = id.ok_or_else(|| vec!["CertificateStoreId: a value is required".to_owned()])?;
    let (store, kind) = known.store(id).map_err(|reason| vec![reason])?;
    let key_allowed = Allowed::of(kind.row.private_key_allowed);
    let include_private_key = target
        .include_private_key
        .unwrap_or(key_allowed != Allowed::Forbidden && certificate.has_private_key);
    let mut wrong = Vec::new();
    if kind.definition.supported_operations.add {
        let agent = known.agent(store);
        wrong.extend(targets::agent_refusal(
            agent,
            &kind.row,
            Work::Management(ManagementOperation::Add, include_private_key),
        ));
    } else {
        wrong.push(format!(
            "certificates cannot be added to stores of type {}",
            kind.row.short_name
        ));
    }
    let alias = alias(kind, certificate, &target.alias, &mut wrong);
    wrong.extend(key_mistake(
        kind,
        key_allowed,
        certificate,
        include_private_key,
    ));
    let occasion = Occasion::Add {
        private_key: include_private_key,
    };
    let fields = targets::job_fields(&kind.definition, &target.fields, occasion, &mut wrong);
    let entry_password = entry_password(kind, target.entry_password.as_ref(), &mut wrong);
    wrong.extend(repeats.check(index, id, alias.as_deref().unwrap_or_default()));
    let Some(agent_id) = store.agent_id.filter(|_| wrong.is_empty()) else {
        return Err(wrong);
    };
    let job = ManagementJob {
        agent_id,
        store_id: id,
        operation: ManagementOperation::Add,
        alias,
        certificate_id: certificate.id,
        overwrite: target.overwrite,
        include_private_key,
        fields,
        pfx_password: target.pfx_password,
        entry_password,
        schedule,
    };
    Ok((store.clone(), job))
}

/// The alias rule of the type. Clients send an empty one for none, and the thumbprint is the name that a store gives by
/// itself, so it is no custom one.
fn alias(
    kind: &Kind,
    certificate: Leaf<'_>,
    given: &str,
    wrong: &mut Vec<String>,
) -> Option<String> {
    if given.chars().count() > ALIAS_MAX {
        wrong.push(format!("Alias: longer than {ALIAS_MAX} characters"));
    }
    let type_name = &kind.row.short_name;
    match Allowed::of(kind.row.custom_alias_allowed) {
        Allowed::Forbidden => {
            let digits: String = given.chars().filter(char::is_ascii_alphanumeric).collect();
            if !given.is_empty() && !digits.eq_ignore_ascii_case(certificate.thumbprint) {
                wrong.push(format!(
                    "Alias: stores of type {type_name} name their entries themselves"
                ));
            }
            None
        }
        Allowed::Required if given.is_empty() => {
            wrong.push(format!("Alias: stores of type {type_name} require one"));
            None
        }
        _ => Some(given.to_owned()).filter(|given| !given.is_empty()),
    }
}

fn key_mistake(
    kind: &Kind,
    allowed: Allowed,
    certificate: Leaf<'_>,
    include: bool,
) -> Option<String> {
    let type_name = &kind.row.short_name;
    match (allowed, include) {
        (Allowed::Forbidden, true) => Some(format!(
            "IncludePrivateKey: stores of type {type_name} do not take private keys"
        )),
        (Allowed::Required, false) => Some(format!(
            "IncludePrivateKey: stores of type {type_name} require the private key"
        )),
        (_, true) if !certificate.has_private_key => {
            Some("IncludePrivateKey: the certificate has no stored private key".into())
        }
        _ => None,
    }
}

fn entry_password(
    kind: &Kind,
    given: Option<&SecretInput>,
    wrong: &mut Vec<String>,
) -> Option<Secret> {
    match given.map(|given| given.value("EntryPassword")) {
        Some(Err(error)) => wrong.push(error.message().trim_end_matches('.').to_owned()),
        Some(Ok(Some(_))) if !kind.definition.password_options.entry_supported => {
            wrong.push(format!(
                "EntryPassword: entries of stores of type {} have no passwords",
                kind.row.short_name
            ));
        }
        Some(Ok(password)) => return password,
        None => {}
    }
    None
}

fn scheduled(store: &certificate_stores::Model, job: &ManagementJob, id: Uuid) -> Entry {
    let name = display_name(&store.client_machine, &store.store_path);
    let certificate_id = job.certificate_id.unwrap_or_default();
    let message = format!("Certificate {certificate_id} is to be added to {name}.");
    let entry = Entry::new(
        Operation::ScheduledAdd,
        Category::CertificateStore,
        name,
        message,
    );
    entry.after(json!({
        "JobId": id,
        "CertificateStoreId": store.id,
        "CertificateId": certificate_id,
        "Alias": job.alias,
        "Overwrite": job.overwrite,
        "IncludePrivateKey": job.include_private_key,
        "Schedule": job.schedule.compact(),
    }))
}
