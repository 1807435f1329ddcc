//! `POST /Workflow/Certificates/Approve` and `…/Deny`.

use db::tables::certificate_requests;
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cx::Cx;
use crate::enrollment::{self, STATE_PENDING};
use crate::error::{Error, Kind};
use crate::security::Permission;
use crate::templates;
use crate::web::{Body, Json};

/// Requests in one call at most: each is decided by itself.
const REQUESTS_MAX: usize = 1000;
/// Characters of a comment at most.
const COMMENT_MAX: usize = 4000;

/// Which requests to deny, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowDenialRequest)]
pub(crate) struct DenialRequest {
    /// For the requester.
    comment: Option<String>,
    /// Ids of the requests.
    certificate_request_ids: Option<Vec<i64>>,
}

/// What became of each request. Every id that was given stands in one of the lists, once.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowApproveDenyResult)]
pub(crate) struct ApproveDenyResult {
    /// Unknown, decided already, or refused by the authority; the comment says which.
    failures: Vec<ProcessedRequest>,
    /// The caller may not decide on these.
    denials: Vec<ProcessedRequest>,
    /// Done.
    successes: Vec<ProcessedRequest>,
}

/// One request.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = WorkflowProcessedCertificateRequest)]
pub(crate) struct ProcessedRequest {
    #[serde(rename = "CARowId")]
    ca_row_id: Option<i64>,
    #[serde(rename = "CARequestId")]
    ca_request_id: Option<String>,
    #[serde(rename = "CAHost")]
    ca_host: Option<String>,
    #[serde(rename = "CALogicalName")]
    ca_logical_name: Option<String>,
    keyfactor_request_id: i64,
    comment: String,
}

/// Approves requests: each is issued by itself, whatever becomes of the others.
#[utoipa::path(post, path = "/Workflow/Certificates/Approve", tag = "Workflow", request_body = Vec<i64>, responses((status = 200, body = ApproveDenyResult, description = "What became of each")), extensions(("x-permissions" = json!(["/certificates/requests/manage/"]))))]
pub(super) async fn approve(
    cx: Cx,
    Body(ids): Body<Option<Vec<i64>>>,
) -> Result<Json<ApproveDenyResult>, Error> {
    let ids =
        ids.ok_or_else(|| Error::bad_request("Body: it has to be an array of request ids."))?;
    decide(&cx, ids, &Decision::Approve).await.map(Json)
}

/// Denies requests: each by itself, whatever becomes of the others.
#[utoipa::path(post, path = "/Workflow/Certificates/Deny", tag = "Workflow", request_body = DenialRequest, responses((status = 200, body = ApproveDenyResult, description = "What became of each")), extensions(("x-permissions" = json!(["/certificates/requests/manage/"]))))]
pub(super) async fn deny(
    cx: Cx,
    Body(request): Body<DenialRequest>,
) -> Result<Json<ApproveDenyResult>, Error> {
    cx.authorize(Permission::RequestsManage)?;
    let ids = request.certificate_request_ids;
    let ids =
        ids.ok_or_else(|| Error::bad_request("CertificateRequestIds: name the requests to deny."))?;
    let comment = request.comment.unwrap_or_default();
    if comment.chars().count() > COMMENT_MAX {
        return Err(Error::bad_request(format!(
            "Comment: it has more than {COMMENT_MAX} characters."
        )));
    }
    decide(&cx, ids, &Decision::Deny(comment)).await.map(Json)
}

enum Decision {
    Approve,
    Deny(String),
}

enum Fate {
    Done,
    NotYours(String),
    Failed(String),
}

async fn decide(cx: &Cx, ids: Vec<i64>, decision: &Decision) -> Result<ApproveDenyResult, Error> {
    cx.authorize(Permission::RequestsManage)?;
    if ids.len() > REQUESTS_MAX {
        return Err(Error::bad_request(format!(
            "There are more than {REQUESTS_MAX} requests; send them in several calls."
        )));
    }
    let mut result = ApproveDenyResult::default();
    let mut seen = std::collections::HashSet::new();
    for id in ids.into_iter().filter(|id| seen.insert(*id)) {
        let row = certificate_requests::Entity::find_by_id(id)
            .one(cx.db().read())
            .await?;
        let mut processed = processed(cx, id, row.as_ref()).await?;
        let fate = match row {
            None => Fate::Failed(format!("There is no request {id}.")),
            Some(row) => decide_one(cx, row, decision).await?,
        };
        let list = match fate {
            Fate::Done => &mut result.successes,
            Fate::NotYours(reason) => {
                processed.comment = reason;
                &mut result.denials
            }
            Fate::Failed(reason) => {
                processed.comment = reason;
                &mut result.failures
            }
        };
        list.push(processed);
    }
    Ok(result)
}

/// Decides on one request. What is wrong with this request alone is its fate and no error, since others may be fine.
async fn decide_one(
    cx: &Cx,
    row: certificate_requests::Model,
    decision: &Decision,
) -> Result<Fate, Error> {
    let Some(template) = templates::by_id(cx.db().read(), row.template_id).await? else {
        return Ok(Fate::Failed(
            "The request's template is not there any more.".into(),
        ));
    };
    if !template.allows(cx) {
        let (name, roles) = (
            &template.row.common_name,
            template.allowed_requesters.join(", "),
        );
        return Ok(Fate::NotYours(format!(
            "Template {name} is for the holders of these roles only: {roles}."
        )));
    }
    if row.state != STATE_PENDING {
        return Ok(Fate::Failed(enrollment::no_longer_waits(row.state)));
    }
    let done = match decision {
        Decision::Approve => enrollment::approve(cx, row, &template).await.map(drop),
        Decision::Deny(comment) => enrollment::deny(cx, row, comment.clone()).await,
    };
    match done {
        Ok(()) => Ok(Fate::Done),
        Err(error) if matches!(error.kind(), Kind::Unavailable) => Err(error),
        Err(error) if error.kind() == Kind::Internal => {
            tracing::error!(%error, source = ?std::error::Error::source(&error), "a request could not be decided");
            Ok(Fate::Failed(error.message().to_owned()))
        }
        Err(error) => Ok(Fate::Failed(error.message().to_owned())),
    }
}

async fn processed(
    cx: &Cx,
    id: i64,
    row: Option<&certificate_requests::Model>,
) -> Result<ProcessedRequest, Error> {
    let known = crate::authorities::all(cx.app()).await?;
    let authority = row.and_then(|row| {
        known
            .iter()
            .find(|authority| authority.id == row.authority_id)
    });
    Ok(ProcessedRequest {
        ca_row_id: row.map(|row| row.id),
        ca_request_id: row.map(|row| row.id.to_string()),
        ca_host: authority.map(|authority| authority.host_name.clone()),
        ca_logical_name: authority.map(|authority| authority.logical_name.clone()),
        keyfactor_request_id: id,
        comment: String::new(),
    })
}
