//! Explanations: which roles are held and through what, which grants were looked at in which order, which one decided, what
//! would be missing. A recorder rides along in the context and is filled by the code that decides; there is no second
//! decision that could say something else. Without a recorder nothing is gathered and nothing is paid.

mod ask;
mod attach;
mod evaluate;
mod operation;
mod recorder;
mod who_can;
mod wire;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::web::{Body, Json};
use wire::{ExplainRequest, WhoCanAnswer, WhoCanRequest};

pub(crate) use ask::as_subject;
pub(crate) use attach::{attach, wish};
pub(crate) use recorder::Recorder;
pub use wire::Explanation;

/// `/Chancery/Security`: explanations without a request.
pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(explain))
        .routes(routes!(who_can))
}

/// Says whether an account, a role or a claim may do something, and why. Nothing is done.
#[utoipa::path(
    post, path = "/Chancery/Security/Explain", tag = "Chancery", request_body = ExplainRequest,
    responses((status = 200, body = Explanation, description = "The decision and how it came about")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn explain(cx: Cx, Body(request): Body<ExplainRequest>) -> Result<Json<Explanation>, Error> {
    ask::explain(&cx, request).await.map(Json)
}

/// Says which roles and identities may do something.
#[utoipa::path(
    post, path = "/Chancery/Security/WhoCan", tag = "Chancery", request_body = WhoCanRequest,
    responses((status = 200, body = WhoCanAnswer, description = "Roles that are enough by themselves, and identities")),
    extensions(("x-permissions" = json!(["/security/read/"])))
)]
async fn who_can(cx: Cx, Body(request): Body<WhoCanRequest>) -> Result<Json<WhoCanAnswer>, Error> {
    who_can::who_can(&cx, request).await.map(Json)
}
