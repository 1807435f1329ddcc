//! Creating, replacing and deleting containers.

use db::tables::{certificate_stores, store_containers, store_types};
use jobs::Schedule;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter,
    QuerySelect,
};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::authorize;
use super::list::ContainerResponse;
use crate::audit::{self, Category, Entry, Operation};
use crate::certificate_stores::{StoreResponse, assign, stores_changed};
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
    let (row, schedule) = create_container(&cx, request.try_into()?).await?;
    let mut answer = ContainerResponse::of(&cx, cx.db().read(), row, true).await?;
    answer.echo(schedule.as_ref(), cx.now());
    Ok(Json(answer))
}

/// Replaces a container: members left out are cleared. A changed schedule goes to its stores when it overwrites theirs.
#[utoipa::path(put, path = "/CertificateStoreContainers", tag = "CertificateStoreContainer", request_body = ContainerRequest, responses((status = 200, body = ContainerResponse, description = "The container as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such thing")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<ContainerRequest>,
) -> Result<Json<ContainerResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let (row, schedule) = replace_container(&cx, request.try_into()?).await?;
    let mut answer = ContainerResponse::of(&cx, cx.db().read(), row, true).await?;
    answer.echo(schedule.as_ref(), cx.now());
    Ok(Json(answer))
}

/// Deletes a container. Its stores stay, without a container.
#[utoipa::path(delete, path = "/CertificateStoreContainers/{id}", tag = "CertificateStoreContainer", params(("id" = i32, Path, description = "Its id")), responses((status = 204, description = "It is gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_container(&cx, id).await.map(|()| NoContent)
}

/// A request whose parts have been read.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) id: Option<i64>,
    pub(super) name: String,
    pub(super) overwrite_schedules: bool,
    pub(super) schedule: Option<Schedule>,
    pub(super) store_type_id: Option<i64>,
    /// Stores that are to come to it, whatever container they are in.
    pub(super) stores: Vec<Uuid>,
}

impl TryFrom<ContainerRequest> for Wanted {
    type Error = Error;

    fn try_from(request: ContainerRequest) -> Result<Self, Error> {
        Ok(Self {
            id: request.id.filter(|id| *id != 0),
            name: checked_name("Name", request.name)?,
            overwrite_schedules: request.overwrite_schedules.unwrap_or_default(),
            schedule: request.schedule.check("Schedule")?.schedule(),
            store_type_id: request.cert_store_type.filter(|id| *id > 0),
            stores: Vec::new(),
        })
    }
}

/// # Errors
/// 400 for a name that is empty or too long; `member` says where it stands.
pub(super) fn checked_name(member: &str, name: Option<String>) -> Result<String, Error> {
    let name = name.unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        return Err(Error::bad_request(format!(
            "{member}: a value is required."
        )));
    }
    if name.chars().count() > NAME_MAX {
        return Err(Error::bad_request(format!(
            "{member}: longer than {NAME_MAX} characters."
        )));
    }
    Ok(name)
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

/// Creates a container. Answers its row, and the schedule that was asked for, which a row does not keep that ran at once.
pub(super) async fn create_container(
    cx: &Cx,
    wanted: Wanted,
) -> Result<(Model, Option<Schedule>), Error> {
    cx.authorize(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_containers.create", move |tx| {
            Box::pin(async move {
                let schedule = wanted.schedule;
                let row = create_row(tx, &cx, &wanted.name, wanted.store_type_id).await?;
                let mut active = row.into_active_model();
                active.overwrite_schedules = ActiveValue::Set(wanted.overwrite_schedules);
                active.schedule = ActiveValue::Set(kept(schedule, wanted.overwrite_schedules));
                let row = active.update(tx).await?;
                // Those who come are given the schedule as it was asked for.
                let asked = Model {
                    schedule: schedule.map(|schedule| schedule.compact()),
                    ..row.clone()
                };
                assign(tx, &cx, &wanted.stores, &asked).await?;
                let message = format!("Certificate store container {} was created.", row.name);
                let entry = Entry::new(
                    Operation::Created,
                    Category::CertificateStoreContainer,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.after(audited(&row))).await?;
                Ok::<_, Error>((row, schedule))
            })
        })
        .await
}

/// Writes a new container without a schedule. Neither authorizes nor records.
///
/// # Errors
/// 400 for a name that is taken and an unknown type.
pub(crate) async fn create_row(
    tx: &db::Tx,
    cx: &Cx,
    name: &str,
    store_type_id: Option<i64>,
) -> Result<Model, Error> {
    name_is_free(tx, name, None).await?;
    if let Some(id) = store_type_id
        && store_types::Entity::find_by_id(id).one(tx).await?.is_none()
    {
        let message = format!("CertStoreType: there is no certificate store type {id}.");
        return Err(Error::bad_request(message));
    }
    let row = store_containers::ActiveModel {
        id: ActiveValue::NotSet,
        name_fold: ActiveValue::Set(db::fold(name)),
        name: ActiveValue::Set(name.to_owned()),
        overwrite_schedules: ActiveValue::Set(false),
        schedule: ActiveValue::Set(None),
        store_type_id: ActiveValue::Set(store_type_id),
        created_at: ActiveValue::Set(cx.now()),
    };
    Ok(row.insert(tx).await?)
}

/// What a container keeps of a schedule: one that all its stores are given to run at once is over with that.
fn kept(schedule: Option<Schedule>, overwrites: bool) -> Option<String> {
    match schedule {
        Some(Schedule::Immediate) if overwrites => None,
        other => other.map(|schedule| schedule.compact()),
    }
}

/// Replaces a container. Answers as [`create_container`].
pub(super) async fn replace_container(
    cx: &Cx,
    wanted: Wanted,
) -> Result<(Model, Option<Schedule>), Error> {
    let id = wanted
        .id
        .ok_or_else(|| Error::bad_request("Id: a value is required."))?;
    authorize(cx, Permission::StoresModify, id)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_containers.replace", move |tx| {
            Box::pin(async move {
                let before = Entity::find_by_id(id).lock_exclusive().one(tx).await?;
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
                let schedule = wanted.schedule;
                let row = Model {
                    name_fold: db::fold(&wanted.name),
                    name: wanted.name,
                    overwrite_schedules: wanted.overwrite_schedules,
                    schedule: kept(schedule, wanted.overwrite_schedules),
                    ..before.clone()
                };
                let active: store_containers::ActiveModel = row.clone().into();
                active.reset_all().update(tx).await?;
                let asked = Model {
                    schedule: schedule.map(|schedule| schedule.compact()),
                    ..row.clone()
                };
                let newly = asked.schedule != before.schedule || !before.overwrite_schedules;
                let had_or_has = asked.schedule.is_some() || before.schedule.is_some();
                if row.overwrite_schedules && newly && had_or_has {
                    push(tx, &cx, id, schedule).await?;
                }
                assign(tx, &cx, &wanted.stores, &asked).await?;
                let message = format!("Certificate store container {} was changed.", row.name);
                let entry = Entry::new(
                    Operation::Updated,
                    Category::CertificateStoreContainer,
                    &row.name,
                    message,
                );
                audit::record(tx, &cx, entry.before(audited(&before)).after(audited(&row))).await?;
                Ok::<_, Error>((row, schedule))
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

pub(super) async fn delete_container(cx: &Cx, id: i64) -> Result<(), Error> {
    authorize(cx, Permission::StoresModify, id)?;
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
                stores_changed(tx).await?;
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
