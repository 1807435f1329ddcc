//! `PUT /CertificateStores/AssignContainer`: stores that come to a container.

use db::tables::{certificate_stores, store_containers};
use jobs::Schedule;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::display_name;
use super::order::stores_changed;
use super::response::{StoreResponse, shown_all};
use super::targets::{self, Known};
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_store_containers::{create_row, schedule_on_joining};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::schedule_inventory;
use crate::security::{Permission, Through};
use crate::web::{Body, Json};

/// Which stores, and their new container: one that exists, or a new one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ContainerAssignment)]
pub(super) struct AssignRequest {
    /// The stores, all of one type.
    #[schema(value_type = Vec<String>)]
    keystore_ids: Option<Vec<String>>,
    /// The container; this or a new one.
    #[schema(value_type = Option<i32>)]
    cert_store_container_id: Option<i64>,
    /// The name of a new container.
    new_container_name: Option<String>,
    /// The type of the stores of the new container; that of these stores unless told.
    #[schema(value_type = Option<i32>)]
    new_container_type: Option<i64>,
}

/// Puts stores into a container, all of them or none. The permission is needed on the container each is in and on the one they go
/// to; a new container needs it system-wide.
#[utoipa::path(put, path = "/CertificateStores/AssignContainer", tag = "CertificateStore", request_body = AssignRequest, responses((status = 200, body = Vec<StoreResponse>, description = "The stores as they are now")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn assign_container(
    cx: Cx,
    Body(request): Body<AssignRequest>,
) -> Result<Json<Vec<StoreResponse>>, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let given = request.keystore_ids.unwrap_or_default();
    targets::count("KeystoreIds", given.len())?;
    let ids = guids("KeystoreIds", &given)?;
    let name = request
        .new_container_name
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty());
    let container = match (request.cert_store_container_id.filter(|id| *id != 0), name) {
        (Some(id), None) => Container::Known(id),
        (None, Some(name)) => Container::New(name, request.new_container_type),
        _ => {
            return Err(Error::bad_request(
                "Give either CertStoreContainerId or NewContainerName, and not both.",
            ));
        }
    };
    match &container {
        Container::Known(id) => cx.authorize_store(Permission::StoresModify, Some(*id))?,
        Container::New(..) => cx.authorize(Permission::StoresModify)?,
    }
    let writer = cx.clone();
    let stores = cx.db().write("certificate_stores.assign", move |tx| {
        let cx = writer;
        Box::pin(async move {
            let container = match container {
                Container::Known(id) => {
                    let row = store_containers::Entity::find_by_id(id).one(tx).await?;
                    row.ok_or_else(|| {
                        Error::bad_request(format!(
                            "CertStoreContainerId: there is no container {id}."
                        ))
                    })?
                }
                Container::New(name, kind) => {
                    let first = ids.first().copied().unwrap_or_default();
                    let found = certificate_stores::Entity::find_by_id(first)
                        .one(tx)
                        .await?;
                    let kind = kind
                        .filter(|kind| *kind > 0)
                        .or(found.map(|store| store.store_type_id));
                    new_container(tx, &cx, &name, kind).await?
                }
            };
            assign(tx, &cx, &ids, &container).await
        })
    });
    let stores = stores.await?;
    Ok(Json(shown_all(&cx, cx.db().read(), stores).await?))
}

enum Container {
    Known(i64),
    New(String, Option<i64>),
}

/// Reads the ids of stores.
///
/// # Errors
/// 400 naming the first that is none.
pub(crate) fn guids(member: &str, given: &[String]) -> Result<Vec<Uuid>, Error> {
    given
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let place = format!("{member}[{index}]");
            targets::guid(Some(text))
                .map_err(|reason| Error::bad_request(format!("{place}: {reason}.")))?
                .ok_or_else(|| Error::bad_request(format!("{place}: a value is required.")))
        })
        .collect()
}

async fn new_container(
    tx: &db::Tx,
    cx: &Cx,
    name: &str,
    store_type_id: Option<i64>,
) -> Result<store_containers::Model, Error> {
    if name.chars().count() > 256 {
        return Err(Error::bad_request(
            "NewContainerName: longer than 256 characters.",
        ));
    }
    let row = create_row(tx, cx, name, store_type_id).await?;
    let message = format!("Certificate store container {name} was created.");
    let entry = Entry::new(
        Operation::Created,
        Category::CertificateStoreContainer,
        name,
        message,
    );
    let after = json!({ "Id": row.id, "Name": row.name, "CertStoreType": row.store_type_id });
    audit::record(tx, cx, entry.after(after)).await?;
    Ok(row)
}

/// Puts stores into a container and gives them its schedule, where it has one for them. Answers them as they are then. The caller
/// may change the container; whether he may change the stores is decided here.
///
/// # Errors
/// 403 naming the stores that the caller may not change; 400 naming those that are unknown or of another type than the
/// container's.
pub(crate) async fn assign(
    tx: &db::Tx,
    cx: &Cx,
    ids: &[Uuid],
    container: &store_containers::Model,
) -> Result<Vec<certificate_stores::Model>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // In one order, so that those who do the same wait and do not block each other.
    for part in ids.chunks(targets::VALUES_MAX) {
        let rows = certificate_stores::Entity::find()
            .filter(certificate_stores::Column::Id.is_in(part.iter().copied()))
            .order_by_asc(certificate_stores::Column::Id);
        rows.lock_exclusive().all(tx).await?;
    }
    let known = Known::load(tx, ids.iter().copied()).await?;
    known.authorize(cx, Permission::StoresModify, Through::System)?;
    let mut wrong = Vec::new();
    let mut stores = Vec::new();
    for (index, id) in ids.iter().enumerate() {
        match known.store(*id) {
            Ok((store, kind)) => match container.store_type_id {
                Some(wanted) if wanted != store.store_type_id => wrong.push(targets::reason(
                    "CertificateStores",
                    index,
                    Some(&id.to_string()),
                    &[format!(
                        "container {} is for stores of another type than {}",
                        container.name, kind.row.short_name
                    )],
                )),
                _ => stores.push(store),
            },
            Err(reason) => wrong.push(targets::reason(
                "CertificateStores",
                index,
                Some(&id.to_string()),
                &[reason],
            )),
        }
    }
    if !wrong.is_empty() {
        let message = format!(
            "{} of {} certificate stores cannot be put into container {}; nothing was changed.",
            wrong.len(),
            ids.len(),
            container.name
        );
        return Err(Error::bad_parts(message, wrong));
    }
    for store in stores {
        if store.container_id != Some(container.id) {
            join(tx, cx, store, container).await?;
        }
    }
    stores_changed(tx).await?;
    let mut now = Vec::with_capacity(ids.len());
    for id in ids {
        now.extend(certificate_stores::Entity::find_by_id(*id).one(tx).await?);
    }
    Ok(now)
}

async fn join(
    tx: &db::Tx,
    cx: &Cx,
    store: &certificate_stores::Model,
    container: &store_containers::Model,
) -> Result<(), Error> {
    let changed = certificate_stores::ActiveModel {
        id: ActiveValue::Unchanged(store.id),
        container_id: ActiveValue::Set(Some(container.id)),
        ..Default::default()
    };
    changed.update(tx).await?;
    let own = store
        .inventory_schedule
        .as_deref()
        .and_then(|compact| Schedule::parse_compact(compact).ok());
    let schedule = schedule_on_joining(container, own, cx.now());
    if schedule != own
        && let Some(agent_id) = store.agent_id
    {
        schedule_inventory(tx, cx, store.id, agent_id, schedule).await?;
    }
    let name = display_name(&store.client_machine, &store.store_path);
    let message = format!(
        "Certificate store {name} was put into container {}.",
        container.name
    );
    let entry = Entry::new(
        Operation::Updated,
        Category::CertificateStore,
        name,
        message,
    )
    .before(json!({ "ContainerId": store.container_id }))
    .after(json!({ "ContainerId": container.id }));
    audit::record(tx, cx, entry).await
}
