//! `/Applications`: containers by their newer name. They are not bound to a type of stores, and name their stores themselves.

use db::tables::store_containers;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::current_schedule;
use super::list::{ANY_TYPE, counts, read, readable, stores_of};
use super::write::{Wanted, checked_name, create_container, delete_container, replace_container};
use crate::certificate_stores::{ApplicationStoreResponse, guids, shown_in_application};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::schedule::{ScheduleInput, ScheduleOutput};
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};

/// An application in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationListResponse)]
pub(super) struct ApplicationSummary {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    overwrite_schedules: bool,
    /// The compact text; null when there is none.
    schedule: Option<String>,
    #[schema(value_type = i32)]
    store_count: i64,
}

/// One application.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationResponse)]
pub(super) struct ApplicationOutput {
    #[schema(value_type = i32)]
    id: i64,
    name: String,
    /// -1: its stores are of any type. A container that is bound to a type shows it.
    #[schema(value_type = i32)]
    cert_store_type: i64,
    /// Null when there is none.
    schedule: Option<ScheduleOutput>,
    certificate_stores: Vec<ApplicationStoreResponse>,
}

impl ApplicationOutput {
    async fn of(
        cx: &Cx,
        connection: &impl ConnectionTrait,
        row: store_containers::Model,
    ) -> Result<Self, Error> {
        let stores = stores_of(connection, row.id).await?;
        let schedule = current_schedule(&row, cx.now());
        Ok(Self {
            id: row.id,
            name: row.name,
            cert_store_type: row.store_type_id.unwrap_or(ANY_TYPE),
            schedule: schedule.map(|schedule| ScheduleOutput::new(&schedule, cx.now())),
            certificate_stores: shown_in_application(cx, connection, stores).await?,
        })
    }
}

/// An application to create, or what is to stand in its place.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = ApplicationRequest)]
pub(super) struct ApplicationInput {
    /// Which application; only when it is replaced.
    #[schema(value_type = Option<i32>)]
    id: Option<i64>,
    /// Unique among applications and containers.
    #[schema(value_type = String)]
    name: Option<String>,
    /// Whether its schedule takes the place of its stores' own.
    overwrite_schedules: Option<bool>,
    /// When the inventories of its stores are taken.
    #[serde(default)]
    schedule: ScheduleInput,
    /// Stores that are to come to it: objects with an `Id`, or ids. Those it has and that are not named stay.
    #[schema(value_type = Option<Vec<Object>>)]
    certificate_stores: Option<Vec<Value>>,
}

impl TryFrom<ApplicationInput> for Wanted {
    type Error = Error;

    fn try_from(request: ApplicationInput) -> Result<Self, Error> {
        let stores = request.certificate_stores.unwrap_or_default();
        let ids: Vec<String> = stores.iter().map(store_id).collect();
        Ok(Self {
            id: request.id.filter(|id| *id != 0),
            name: checked_name("Name", request.name)?,
            overwrite_schedules: request.overwrite_schedules.unwrap_or_default(),
            schedule: request.schedule.check("Schedule")?.schedule(),
            store_type_id: None,
            stores: guids("CertificateStores", &ids)?,
        })
    }
}

/// The id of a store, which clients give by itself or in an object.
fn store_id(given: &Value) -> String {
    let id = match given {
        Value::Object(members) => members
            .iter()
            .find(|(name, _)| {
                ["id", "certstoreid", "certificatestoreid"]
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known))
            })
            .map(|(_, value)| value),
        other => Some(other),
    };
    match id {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// The applications that the caller may read.
#[utoipa::path(get, path = "/Applications", tag = "Application", params(Paging), responses((status = 200, body = Vec<ApplicationSummary>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<ApplicationSummary>, Error> {
    let (rows, total) = readable(&cx, &paging).await?;
    let counts = counts(&cx, rows.iter().map(|row| row.id)).await?;
    let items = rows.into_iter().map(|row| ApplicationSummary {
        id: row.id,
        schedule: current_schedule(&row, cx.now()).map(|schedule| schedule.compact()),
        name: row.name,
        overwrite_schedules: row.overwrite_schedules,
        store_count: counts.get(&row.id).copied().unwrap_or_default(),
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// One application with its stores.
#[utoipa::path(get, path = "/Applications/{id}", tag = "Application", params(("id" = i32, Path, description = "Its id")), responses((status = 200, body = ApplicationOutput, description = "It")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<ApplicationOutput>, Error> {
    let row = read(&cx, id).await?;
    Ok(Json(ApplicationOutput::of(&cx, cx.db().read(), row).await?))
}

/// Creates an application. Stores that are named come to it.
#[utoipa::path(post, path = "/Applications", tag = "Application", request_body = ApplicationInput, responses((status = 200, body = ApplicationOutput, description = "The new application")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<ApplicationInput>,
) -> Result<Json<ApplicationOutput>, Error> {
    cx.authorize(Permission::StoresModify)?;
    let (row, schedule) = create_container(&cx, request.try_into()?).await?;
    let mut answer = ApplicationOutput::of(&cx, cx.db().read(), row).await?;
    answer.schedule = schedule.map(|schedule| ScheduleOutput::new(&schedule, cx.now()));
    Ok(Json(answer))
}

/// Replaces an application. A changed schedule goes to its stores when it overwrites theirs; stores that are named come to it.
#[utoipa::path(put, path = "/Applications", tag = "Application", request_body = ApplicationInput, responses((status = 200, body = ApplicationOutput, description = "The application as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such application")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<ApplicationInput>,
) -> Result<Json<ApplicationOutput>, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let (row, schedule) = replace_container(&cx, request.try_into()?).await?;
    let mut answer = ApplicationOutput::of(&cx, cx.db().read(), row).await?;
    answer.schedule = schedule.map(|schedule| ScheduleOutput::new(&schedule, cx.now()));
    Ok(Json(answer))
}

/// Deletes an application with every permission on it. Its stores stay, without one.
#[utoipa::path(delete, path = "/Applications/{id}", tag = "Application", params(("id" = i32, Path, description = "Its id")), responses((status = 204, description = "It is gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_container(&cx, id).await.map(|()| NoContent)
}
