//! Creating, replacing and deleting containers.

use db::tables::{certificate_stores, store_containers, store_types};
use jobs::Schedule;
use sea_orm::sea_query::Expr;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::list::ContainerResponse;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_stores::StoreResponse;
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::schedule_inventory;
use crate::security::{Per, Permission, forget_object};
use crate::web::schedule::ScheduleInput;
use crate::web::{Body, Json, NoContent, PathId};

use store_containers::{Column, Entity, Model};

/// Characters of a name at most.
const NAME_MAX: usize = 256;

/// A container to create, or what is to stand in its place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertStoreContainerRequest)]
pub(super) struct ContainerRequest {
    /// Which container; only when it is replaced.
    #[schema(value_type = Option<i32>)]
    id: Option<i64>,
    /// Unique.
    #[schema(value_type = String)]
    name: Option<String>,
    /// Whether its schedule takes the place of its stores' own.
    overwrite_schedules: Option<bool>,
    /// When the inventories of its stores are taken.
    #[serde(default)]
    schedule: ScheduleInput,
    /// The type of its stores, which cannot change; 0 and -1 for any.
    #[schema(value_type = Option<i32>)]
    cert_store_type: Option<i64>,
    /// Ignored: stores name their container.
    #[schema(value_type = Option<Vec<StoreResponse>>)]
    #[expect(dead_code, reason = "declared by the contract")]
    certificate_stores: Option<Vec<Value>>,
}

/// Creates a container.
#[utoipa::path(post, path = "/CertificateStoreContainers", tag = "CertificateStoreContainer", request_body = ContainerRequest, responses((status = 200, body = ContainerResponse, description = "The new container")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<ContainerRequest>,
) -> Result<Json<ContainerResponse>, Error> {
    cx.authorize(Permission::StoresModify)?;
    let row = create_container(&cx, request.try_into()?).await?;
    Ok(Json(
        ContainerResponse::of(&cx, cx.db().read(), row, true).await?,
    ))
}

/// Replaces a container: members left out are cleared. A changed schedule goes to its stores when it overwrites theirs.
#[utoipa::path(put, path = "/CertificateStoreContainers", tag = "CertificateStoreContainer", request_body = ContainerRequest, responses((status = 200, body = ContainerResponse, description = "The container as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such thing")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<ContainerRequest>,
) -> Result<Json<ContainerResponse>, Error> {
    cx.authorize(Permission::StoresModify)?;
    let row = replace_container(&cx, request.try_into()?).await?;
    Ok(Json(
        ContainerResponse::of(&cx, cx.db().read(), row, true).await?,
    ))
}

/// Deletes a container. Its stores stay, without a container.
#[utoipa::path(delete, path = "/CertificateStoreContainers/{id}", tag = "CertificateStoreContainer", params(("id" = i32, Path, description = "Its id")), responses((status = 204, description = "It is gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_container(&cx, id).await.map(|()| NoContent)
}

/// A request whose parts have been read.
#[derive(Debug)]
struct Wanted {
    id: Option<i64>,
    name: String,
    overwrite_schedules: bool,
    schedule: Option<Schedule>,
    store_type_id: Option<i64>,
}

impl TryFrom<ContainerRequest> for Wanted {
    type Error = Error;

    fn try_from(request: ContainerRequest) -> Result<Self, Error> {
        let name = request.name.unwrap_or_default().trim().to_owned();
        if name.is_empty() {
            return Err(Error::bad_request("Name: a value is required."));
        }
        if name.chars().count() > NAME_MAX {
            return Err(Error::bad_request(format!(
                "Name: longer than {NAME_MAX} characters."
            )));
        }
        Ok(Self {
            id: request.id.filter(|id| *id != 0),
            name,
            overwrite_schedules: request.overwrite_schedules.unwrap_or_default(),
            schedule: request.schedule.check("Schedule")?.schedule(),
            store_type_id: request.cert_store_type.filter(|id| *id > 0),
        })
    }
}

async fn name_is_free(tx: &db::Tx, name: &str, id: Option<i64>) -> Result<(), Error> {
    let other = Entity::find()
        .filter(Column::NameFold.eq(db::fold(name)))
        .one(tx)
        .await?;
    if other.is_some_and(|other| Some(other.id) != id) {
        return Err(Error::bad_request(format!(
            "Name: a certificate store container named {name:?} already exists."
        )));
    }
    Ok(())
}

async fn create_container(cx: &Cx, wanted: Wanted) -> Result<Model, Error> {
    cx.authorize(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_containers.create", move |tx| {
            Box::pin(async move {
                name_is_free(tx, &wanted.name, None).await?;
                if let Some(id) = wanted.store_type_id
                    && store_types::Entity::find_by_id(id).one(tx).await?.is_none()
                {
                    let message =
                        format!("CertStoreType: there is no certificate store type {id}.");
                    return Err(Error::bad_request(message));
                }
                let row = store_containers::ActiveModel {
                    id: ActiveValue::NotSet,
                    name_fold: ActiveValue::Set(db::fold(&wanted.name)),
                    name: ActiveValue::Set(wanted.name),
                    overwrite_schedules: ActiveValue::Set(wanted.overwrite_schedules),
                    schedule: ActiveValue::Set(wanted.schedule.map(|schedule| schedule.compact())),
                    store_type_id: ActiveValue::Set(wanted.store_type_id),
                    created_at: ActiveValue::Set(cx.now()),
                };
                let row = row.insert(tx).await?;
                let message = format!("Certificate store container {} was created.", row.name);
                let entry = Entry::new(
                    Operation::Created,
                    Category::CertificateStoreContainer,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.after(audited(&row))).await?;
                Ok::<_, Error>(row)
            })
        })
        .await
}

async fn replace_container(cx: &Cx, wanted: Wanted) -> Result<Model, Error> {
    cx.authorize(Permission::StoresModify)?;
    let id = wanted
        .id
        .ok_or_else(|| Error::bad_request("Id: a value is required."))?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_containers.replace", move |tx| {
            Box::pin(async move {
                let before = Entity::find_by_id(id).one(tx).await?;
                let before =
                    before.ok_or_else(|| Error::not_found("certificate store container", id))?;
                name_is_free(tx, &wanted.name, Some(id)).await?;
                if wanted
                    .store_type_id
                    .is_some_and(|kind| Some(kind) != before.store_type_id)
                {
                    return Err(Error::bad_request(
                        "CertStoreType: the type of a container cannot change.",
                    ));
                }
                let row = Model {
                    name_fold: db::fold(&wanted.name),
                    name: wanted.name,
                    overwrite_schedules: wanted.overwrite_schedules,
                    schedule: wanted.schedule.map(|schedule| schedule.compact()),
                    ..before.clone()
                };
                let active: store_containers::ActiveModel = row.clone().into();
                active.reset_all().update(tx).await?;
                let newly = row.schedule != before.schedule || !before.overwrite_schedules;
                let had_or_has = row.schedule.is_some() || before.schedule.is_some();
                if row.overwrite_schedules && newly && had_or_has {
                    push(tx, &cx, id, wanted.schedule).await?;
                }
                let message = format!("Certificate store container {} was changed.", row.name);
                let entry = Entry::new(
                    Operation::Updated,
                    Category::CertificateStoreContainer,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.before(audited(&before)).after(audited(&row))).await?;
                Ok::<_, Error>(row)
            })
        })
        .await
}

/// Gives the container's schedule to its stores that have an agent.
async fn push(tx: &db::Tx, cx: &Cx, id: i64, schedule: Option<Schedule>) -> Result<(), Error> {
    let stores = certificate_stores::Entity::find()
        .filter(certificate_stores::Column::ContainerId.eq(id))
        .filter(certificate_stores::Column::Approved.eq(true))
        .all(tx)
        .await?;
    for store in stores {
        if let Some(agent_id) = store.agent_id {
            schedule_inventory(tx, cx, store.id, agent_id, schedule).await?;
        }
    }
    Ok(())
}

async fn delete_container(cx: &Cx, id: i64) -> Result<(), Error> {
    cx.authorize(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_containers.delete", move |tx| {
            Box::pin(async move {
                let row = Entity::find_by_id(id).one(tx).await?;
                let row = row.ok_or_else(|| Error::not_found("certificate store container", id))?;
                certificate_stores::Entity::update_many()
                    .col_expr(
                        certificate_stores::Column::ContainerId,
                        Expr::val(Option::<i64>::None),
                    )
                    .filter(certificate_stores::Column::ContainerId.eq(id))
                    .exec(tx)
                    .await?;
                Entity::delete_by_id(id).exec(tx).await?;
                let mut before = audited(&row);
                before["RolesWithPermissions"] =
                    forget_object(tx, Per::Container, id).await?.into();
                let message = format!("Certificate store container {} was deleted.", row.name);
                let entry = Entry::new(
                    Operation::Deleted,
                    Category::CertificateStoreContainer,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.before(before)).await
            })
        })
        .await
}

fn audited(row: &Model) -> Value {
    json!({
        "Id": row.id,
        "Name": row.name,
        "OverwriteSchedules": row.overwrite_schedules,
        "Schedule": row.schedule,
        "CertStoreType": row.store_type_id,
    })
}
