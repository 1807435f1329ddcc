//! `/AppSetting`: what an installation decides for itself. Each setting is a line of text on the wire and a member of a struct
//! here.

mod changing;
mod owner_policy;
mod wire;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json, PathId};
use wire::{SettingBulkUpdate, SettingOutput, SettingUpdate};

pub(crate) use owner_policy::{OwnerMode, OwnerPolicies, OwnerPolicy};

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, replace))
        .routes(routes!(one))
        .routes(routes!(set))
}

/// Every application setting.
#[utoipa::path(
    get, path = "/AppSetting", tag = "AppSetting",
    responses((status = 200, body = Vec<SettingOutput>, description = "All of them, by id")),
    extensions(("x-permissions" = json!(["/application_settings/read/"])))
)]
async fn list(cx: Cx) -> Result<Json<Vec<SettingOutput>>, Error> {
    changing::list(&cx).await.map(Json)
}

/// Changes several application settings, all or none.
#[utoipa::path(
    put, path = "/AppSetting", tag = "AppSetting", request_body = Vec<SettingBulkUpdate>,
    responses((status = 200, body = Vec<SettingOutput>, description = "All of them, as they are now")),
    extensions(("x-permissions" = json!(["/application_settings/modify/"])))
)]
async fn replace(
    cx: Cx,
    Body(request): Body<Vec<SettingBulkUpdate>>,
) -> Result<Json<Vec<SettingOutput>>, Error> {
    changing::replace(&cx, request).await.map(Json)
}

/// One application setting.
#[utoipa::path(
    get, path = "/AppSetting/{id}", tag = "AppSetting",
    params(("id" = i64, Path, description = "Id of the setting")),
    responses((status = 200, body = SettingOutput, description = "The setting")),
    extensions(("x-permissions" = json!(["/application_settings/read/"])))
)]
async fn one(cx: Cx, PathId(id): PathId<i64>) -> Result<Json<SettingOutput>, Error> {
    changing::one(&cx, id).await.map(Json)
}

/// Changes one application setting.
#[utoipa::path(
    put, path = "/AppSetting/{id}/Set", tag = "AppSetting",
    params(("id" = String, Path, description = "Id of the setting, or its short name")),
    request_body = SettingUpdate,
    responses((status = 200, body = SettingOutput, description = "The setting as it is now")),
    extensions(("x-permissions" = json!(["/application_settings/modify/"])))
)]
async fn set(
    cx: Cx,
    PathId(which): PathId<String>,
    Body(request): Body<SettingUpdate>,
) -> Result<Json<SettingOutput>, Error> {
    changing::set(&cx, &which, request).await.map(Json)
}
