//! Reading containers.

use std::collections::HashMap;

use db::tables::{certificate_stores, store_containers};
use jobs::Schedule;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::{authorize, current_schedule};
use crate::certificate_stores::{RoleCheck, StoreResponse, shown_all};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Reach};
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::schedule::ScheduleOutput;
use crate::web::{Json, List, Paging, PathId, Query};

use store_containers::{Column, Entity};

/// What a container for stores of every type says of its type.
pub(super) const ANY_TYPE: i64 = -1;

/// What queries may name: the search reference of this list.
pub(crate) const FIELDS: &[Field] = &[
    field("Name", FieldKind::Folded, || Expr::col(Column::NameFold)),
    field("Id", FieldKind::Integer(&[]), || Expr::col(Column::Id)),
    field("CertStoreType", FieldKind::Integer(&[]), || {
        Expr::col(Column::StoreTypeId)
    }),
    field("OverwriteSchedules", FieldKind::Boolean, || {
        Expr::col(Column::OverwriteSchedules)
    }),
];

/// A container in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreContainerListResponse)]
pub(super) struct ContainerSummary {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    overwrite_schedules: bool,
    /// The compact text; null when there is none.
    schedule: Option<String>,
    /// The type of its stores; -1 for any.
    #[schema(value_type = i32)]
    cert_store_type: i64,
    #[schema(value_type = i32)]
    store_count: i64,
}

/// One container.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreContainerResponse)]
pub(super) struct ContainerResponse {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// The type of its stores; -1 for any.
    #[schema(value_type = i32)]
    cert_store_type: i64,
    overwrite_schedules: bool,
    /// Left out when one container is read, whatever its schedule: clients read a text there, as in the list, and fail on the
    /// object (clients.md 2.6). Answers to changes hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleOutput>,
    certificate_stores: Vec<StoreResponse>,
}

impl ContainerResponse {
    /// The container with its stores; with its schedule in answers to changes.
    pub(super) async fn of(
        cx: &Cx,
        connection: &impl ConnectionTrait,
        row: store_containers::Model,
        with_schedule: bool,
    ) -> Result<Self, Error> {
        let stores = stores_of(connection, row.id).await?;
        let schedule = current_schedule(&row, cx.now()).filter(|_| with_schedule);
        Ok(Self {
            id: row.id,
            name: row.name,
            cert_store_type: row.store_type_id.unwrap_or(ANY_TYPE),
            overwrite_schedules: row.overwrite_schedules,
            schedule: schedule.map(|schedule| ScheduleOutput::new(&schedule, cx.now())),
            certificate_stores: shown_all(cx, connection, stores).await?,
        })
    }

    /// Shows the schedule as it was asked for.
    pub(super) fn echo(&mut self, schedule: Option<&Schedule>, now: i64) {
        self.schedule = schedule.map(|schedule| ScheduleOutput::new(schedule, now));
    }
}

/// The stores of a container.
pub(super) async fn stores_of(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Vec<certificate_stores::Model>, Error> {
    Ok(certificate_stores::Entity::find()
        .filter(certificate_stores::Column::ContainerId.eq(id))
        .order_by_asc(certificate_stores::Column::ClientMachineFold)
        .order_by_asc(certificate_stores::Column::Id)
        .all(connection)
        .await?)
}

/// A page of the containers that the caller may read, and how many there are.
pub(super) async fn readable(
    cx: &Cx,
    paging: &Paging,
) -> Result<(Vec<store_containers::Model>, u64), Error> {
    cx.authorize_somewhere(Permission::StoresRead)?;
    let readable = match cx.reach(Permission::StoresRead) {
        Reach::All => Entity::find(),
        Reach::Objects(ids) => Entity::find().filter(Column::Id.is_in(ids)),
    };
    page(cx, readable, paging, FIELDS, "Name", Column::Id).await
}

/// A container that the caller may read. Who may read some only does not learn which others there are.
pub(super) async fn read(cx: &Cx, id: i64) -> Result<store_containers::Model, Error> {
    authorize(cx, Permission::StoresRead, id)?;
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    row.ok_or_else(|| Error::not_found("certificate store container", id))
}

/// The containers that the caller may read.
#[utoipa::path(get, path = "/CertificateStoreContainers", tag = "CertificateStoreContainer", params(Paging, RoleCheck), responses((status = 200, body = Vec<ContainerSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(_): Query<RoleCheck>,
) -> Result<List<ContainerSummary>, Error> {
    let (rows, total) = readable(&cx, &paging).await?;
    let counts = counts(&cx, rows.iter().map(|row| row.id)).await?;
    let items = rows.into_iter().map(|row| ContainerSummary {
        store_count: counts.get(&row.id).copied().unwrap_or_default(),
        id: row.id,
        schedule: current_schedule(&row, cx.now()).map(|schedule| schedule.compact()),
        name: row.name,
        overwrite_schedules: row.overwrite_schedules,
        cert_store_type: row.store_type_id.unwrap_or(ANY_TYPE),
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// How many stores each container has.
pub(super) async fn counts(
    cx: &Cx,
    ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, i64>, Error> {
    let rows: Vec<(Option<i64>, i64)> = certificate_stores::Entity::find()
        .select_only()
        .column(certificate_stores::Column::ContainerId)
        .column_as(certificate_stores::Column::Id.count(), "stores")
        .filter(certificate_stores::Column::ContainerId.is_in(ids))
        .group_by(certificate_stores::Column::ContainerId)
        .into_tuple()
        .all(cx.db().read())
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|(id, count)| Some((id?, count)))
        .collect())
}

/// One container.
#[utoipa::path(get, path = "/CertificateStoreContainers/{id}", tag = "CertificateStoreContainer", params(("id" = i32, Path, description = "Its id")), responses((status = 200, body = ContainerResponse, description = "It")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<ContainerResponse>, Error> {
    let row = read(&cx, id).await?;
    Ok(Json(
        ContainerResponse::of(&cx, cx.db().read(), row, false).await?,
    ))
}
