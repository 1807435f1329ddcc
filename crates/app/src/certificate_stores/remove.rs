//! `POST /CertificateStores/Certificates/Remove`: one job for each target store, or none at all. Whether the alias is in the
//! store is for the agent to find out: removing what is absent ends as a warning.

use std::collections::{BTreeSet, HashMap};

use db::tables::{certificate_stores, store_entries, store_entry_certificates};
use jobs::Schedule;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::add::one_time;
use super::display_name;
use super::targets::{self, ALIAS_MAX, Known, Occasion, Repeats, Work};
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::{ManagementJob, ManagementOperation, create_management};
use crate::security::{Permission, Through};
use crate::web::schedule::ScheduleInput;
use crate::web::{Body, Json};

/// Stores of one statement at most.
const STORES_MAX: usize = 500;
/// Entries that a refusal names at most.
const NAMED_MAX: usize = 20;

/// Which entries are to go. Clients send further members, which mean nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RemoveCertificateRequest)]
pub(super) struct RemoveRequest {
    /// From where.
    #[schema(value_type = Vec<RemoveTarget>)]
    certificate_stores: Option<Vec<RemoveTarget>>,
    /// `Immediate` or `ExactlyOnce`; a time that has passed is now.
    #[serde(default)]
    schedule: ScheduleInput,
    /// The collection through which the certificates of the entries are reached, for callers who may not read all
    /// certificates; 0 for none.
    #[schema(value_type = Option<i32>)]
    collection_id: Option<i64>,
    /// The container through which the stores are reached, for callers who may not schedule all stores; without it each is
    /// reached through its own. 0 for none, and ignored beside a collection.
    #[schema(value_type = Option<i32>)]
    container_id: Option<i64>,
}

/// An entry of a store.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateLocationSpecifier)]
struct RemoveTarget {
    /// Which store.
    #[schema(value_type = Uuid)]
    certificate_store_id: Option<String>,
    /// The entry's name, as the inventory shows it.
    #[schema(value_type = String)]
    alias: Option<String>,
    /// Entry parameters of the store's type, by name.
    #[schema(value_type = Option<Object>)]
    job_fields: Option<Map<String, Value>>,
}

/// Takes entries out of stores: makes a job for each and answers their ids in the order of the request. Nothing is made when
/// one target is bad; the answer then names each bad one and why. Permissions as for adding; what an entry holds is what the
/// last inventory said.
#[utoipa::path(post, path = "/CertificateStores/Certificates/Remove", tag = "CertificateStore", request_body = RemoveRequest, responses((status = 200, body = Vec<Uuid>, description = "The jobs, in the order of the stores")), extensions(("x-permissions" = json!(["/certificates/collections/read/", "/certificate_stores/schedule/"]))))]
pub(super) async fn remove(
    cx: Cx,
    Body(request): Body<RemoveRequest>,
) -> Result<Json<Vec<Uuid>>, Error> {
    cx.authorize_somewhere(Permission::CertificatesRead)?;
    cx.authorize_somewhere(Permission::StoresSchedule)?;
    let through = Through::new(request.collection_id, request.container_id);
    let schedule = one_time(&request.schedule)?;
    remove_entries(
        &cx,
        request.certificate_stores.unwrap_or_default(),
        schedule,
        through,
    )
    .await
    .map(Json)
}

async fn remove_entries(
    cx: &Cx,
    targets: Vec<RemoveTarget>,
    schedule: Schedule,
    through: Through,
) -> Result<Vec<Uuid>, Error> {
    targets::count("CertificateStores", targets.len())?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.remove", move |tx| {
            Box::pin(async move {
                let ids =
                    targets.iter().filter_map(|target| targets::guid(target.certificate_store_id.as_deref()).ok().flatten());
                let known = Known::load(tx, ids).await?;
                known.authorize(&cx, Permission::StoresSchedule, through)?;
                let leaves = leaves(tx, &targets).await?;
                authorize_leaves(tx, &cx, &targets, &leaves, through).await?;
                let mut failed = Vec::new();
                let mut planned = Vec::with_capacity(targets.len());
                let mut repeats = Repeats::default();
                for (index, target) in targets.iter().enumerate() {
                    match plan(&known, index, target, &mut repeats, schedule) {
                        Ok(job) => planned.push(job),
                        Err(wrong) => {
                            let id = target.certificate_store_id.as_deref();
                            failed.push(targets::reason("CertificateStores", index, id, &wrong));
                        }
                    }
                }
                if !failed.is_empty() {
                    let message = format!(
                        "Nothing can be removed from {} of {} certificate stores; nothing was scheduled.",
                        failed.len(),
                        targets.len()
                    );
                    return Err(Error::bad_parts(message, failed));
                }
                let mut jobs = Vec::with_capacity(planned.len());
                for (store, mut job) in planned {
                    let alias = job.alias.as_deref().unwrap_or_default();
                    job.certificate_id = leaves.get(&(job.store_id, db::fold(alias))).copied();
                    let id = create_management(tx, &cx, &job).await?;
                    audit::record(tx, &cx, scheduled(&store, &job, id)).await?;
                    jobs.push(id);
                }
                Ok::<_, Error>(jobs)
            })
        })
        .await
}

/// The job of one target, or everything that is wrong with it.
fn plan(
    known: &Known,
    index: usize,
    target: &RemoveTarget,
    repeats: &mut Repeats,
    schedule: Schedule,
) -> Result<(certificate_stores::Model, ManagementJob), Vec<String>> {
    let id =
        targets::guid(target.certificate_store_id.as_deref()).map_err(|reason| vec![reason])?;
    let id = id.ok_or_else(|| vec!["CertificateStoreId: a value is required".to_owned()])?;
    let (store, kind) = known.store(id).map_err(|reason| vec![reason])?;
    let mut wrong = Vec::new();
    if kind.definition.supported_operations.remove {
        wrong.extend(targets::agent_refusal(
            known.agent(store),
            &kind.row,
            Work::Management(ManagementOperation::Remove, false),
        ));
    } else {
        wrong.push(format!(
            "nothing can be removed from stores of type {}",
            kind.row.short_name
        ));
    }
    let alias = target.alias.as_deref().unwrap_or_default().trim();
    if alias.is_empty() {
        wrong.push("Alias: a value is required".into());
    } else if alias.chars().count() > ALIAS_MAX {
        wrong.push(format!("Alias: longer than {ALIAS_MAX} characters"));
    }
    let none = Map::new();
    let given = target.job_fields.as_ref().unwrap_or(&none);
    let fields = targets::job_fields(&kind.definition, given, Occasion::Remove, &mut wrong);
    wrong.extend(repeats.check(index, id, alias));
    let Some(agent_id) = store.agent_id.filter(|_| wrong.is_empty()) else {
        return Err(wrong);
    };
    let job = ManagementJob {
        agent_id,
        store_id: id,
        operation: ManagementOperation::Remove,
        alias: Some(alias.to_owned()),
        certificate_id: None,
        overwrite: false,
        include_private_key: false,
        fields,
        pfx_password: None,
        entry_password: None,
        schedule,
    };
    Ok((store.clone(), job))
}

/// A store and a folded alias.
type Place = (Uuid, String);

/// Where a target is, when it says so.
fn place(target: &RemoveTarget) -> Option<Place> {
    let id = targets::guid(target.certificate_store_id.as_deref()).ok()??;
    let alias = target.alias.as_deref().unwrap_or_default().trim();
    Some((id, db::fold(alias)))
}

/// Refuses callers who may not read the certificate of every entry. What the last inventory does not know is in no collection.
async fn authorize_leaves(
    tx: &db::Tx,
    cx: &Cx,
    targets: &[RemoveTarget],
    leaves: &HashMap<Place, i64>,
    through: Through,
) -> Result<(), Error> {
    const NEEDED: Permission = Permission::CertificatesRead;
    if cx.may(NEEDED) {
        return Ok(());
    }
    let mut ids = BTreeSet::new();
    let mut unknown = Vec::new();
    for (store_id, alias) in targets.iter().filter_map(place) {
        match leaves.get(&(store_id, alias.clone())) {
            Some(id) => drop(ids.insert(*id)),
            None => unknown.push(format!("{alias:?} of {store_id}")),
        }
    }
    let ids: Vec<i64> = ids.into_iter().collect();
    cx.authorize_certificates_in(tx, NEEDED, &ids, through)
        .await?;
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.truncate(NAMED_MAX);
    Err(Error::forbidden(format!(
        "{}: the last inventories know no certificate of {}, so that none of a certificate collection can be there.",
        cx.refused(&[NEEDED]),
        unknown.join(", ")
    )))
}

/// The certificates that the last inventories found under these aliases: by store and folded alias.
async fn leaves(tx: &db::Tx, targets: &[RemoveTarget]) -> Result<HashMap<Place, i64>, Error> {
    let places: Vec<Place> = targets.iter().filter_map(place).collect();
    let mut found = HashMap::new();
    for part in places.chunks(STORES_MAX) {
        let stores = part.iter().map(|(store_id, _)| *store_id);
        let aliases = part.iter().map(|(_, alias)| alias.as_str());
        let entries = store_entries::Entity::find()
            .filter(store_entries::Column::StoreId.is_in(stores))
            .filter(store_entries::Column::AliasFold.is_in(aliases))
            .all(tx)
            .await?;
        let by_id: HashMap<i64, store_entries::Model> =
            entries.into_iter().map(|entry| (entry.id, entry)).collect();
        let ids: Vec<i64> = by_id.keys().copied().collect();
        for ids in ids.chunks(STORES_MAX) {
            let rows = store_entry_certificates::Entity::find()
                .filter(store_entry_certificates::Column::EntryId.is_in(ids.iter().copied()))
                .filter(store_entry_certificates::Column::ChainLevel.eq(0))
                .all(tx)
                .await?;
            for row in rows {
                if let Some(entry) = by_id.get(&row.entry_id) {
                    found.insert(
                        (entry.store_id, entry.alias_fold.clone()),
                        row.certificate_id,
                    );
                }
            }
        }
    }
    Ok(found)
}

fn scheduled(store: &certificate_stores::Model, job: &ManagementJob, id: Uuid) -> Entry {
    let name = display_name(&store.client_machine, &store.store_path);
    let message = format!(
        "{:?} is to be removed from {name}.",
        job.alias.as_deref().unwrap_or_default()
    );
    Entry::new(
        Operation::ScheduledRemoval,
        Category::CertificateStore,
        name,
        message,
    )
    .after(json!({
        "JobId": id,
        "CertificateStoreId": store.id,
        "CertificateId": job.certificate_id,
        "Alias": job.alias,
        "Schedule": job.schedule.compact(),
    }))
}
