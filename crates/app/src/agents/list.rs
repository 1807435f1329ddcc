//! `GET /Agents` and `GET /Agents/{id}`

use db::tables::agents::{Column, Entity, Model};
use sea_orm::EntityTrait;
use sea_orm::sea_query::{Expr, SimpleExpr};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::refusal::capabilities;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page};
use crate::web::{Date, Json, List, Paging, PathId, Query};

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AgentResponse {
    agent_id: Uuid,
    client_machine: String,
    /// Who registered it.
    username: String,
    /// 0 unknown, 1 .NET, 2 Java, 3 Mac, 4 Android, 5 native, 6 Bash, 7 universal.
    agent_platform: i32,
    version: String,
    /// 1 new, 2 approved, 3 disapproved.
    status: i32,
    last_seen: Date,
    capabilities: Vec<String>,
    /// There are no blueprints here: always null.
    blueprint: Option<String>,
    /// Of its certificate, SHA-1, upper-case hexadecimal.
    thumbprint: Option<String>,
    /// Of the certificate before, until the new one has been used.
    legacy_thumbprint: Option<String>,
    /// `None`, `Requested` or `Required`.
    auth_certificate_reenrollment: &'static str,
    last_thumbprint_used: Option<String>,
    last_error_code: Option<i64>,
    last_error_message: Option<String>,
}

impl From<Model> for AgentResponse {
    fn from(row: Model) -> Self {
        Self {
            agent_id: row.id,
            capabilities: capabilities(&row),
            client_machine: row.client_machine,
            username: row.username,
            agent_platform: row.platform,
            version: row.version,
            status: row.status,
            last_seen: Date(row.last_seen),
            blueprint: None,
            thumbprint: row.thumbprint,
            legacy_thumbprint: row.previous_thumbprint,
            auth_certificate_reenrollment: match row.authentication_reenrollment {
                1 => "Requested",
                2 => "Required",
                _ => "None",
            },
            last_thumbprint_used: row.last_thumbprint_used,
            last_error_code: row.last_error_code,
            last_error_message: row.last_error_message,
        }
    }
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

const PLATFORMS: FieldKind = FieldKind::Integer(&[
    ("unknown", 0),
    ("net", 1),
    ("java", 2),
    ("mac", 3),
    ("android", 4),
    ("native", 5),
    ("bash", 6),
    ("universalorchestrator", 7),
]);
const STATUSES: FieldKind = FieldKind::Integer(&[("new", 1), ("approved", 2), ("disapproved", 3)]);

/// What a query may name.
pub(crate) const FIELDS: &[Field] = &[
    field("AgentId", FieldKind::Guid, || column(Column::Id)),
    field("ClientMachine", FieldKind::Folded, || {
        column(Column::ClientMachineFold)
    }),
    field("Identity", FieldKind::Text, || column(Column::Username)),
    field("Username", FieldKind::Text, || column(Column::Username)),
    field("LastSeen", FieldKind::Date, || column(Column::LastSeen)),
    field("Platform", PLATFORMS, || column(Column::Platform)),
    field("AgentPlatform", PLATFORMS, || column(Column::Platform)),
    field("Status", STATUSES, || column(Column::Status)),
    field("Version", FieldKind::Text, || column(Column::Version)),
    field("Capabilities", FieldKind::Text, || {
        column(Column::Capabilities)
    }),
    field("Thumbprint", FieldKind::UpperHex, || {
        column(Column::Thumbprint)
    }),
];

/// The agents that have registered.
#[utoipa::path(
    get,
    path = "/Agents",
    tag = "Agent",
    params(Paging),
    responses((status = 200, body = Vec<AgentResponse>, description = "The agents; `X-Total-Count` says how many there are")),
    extensions(("x-permissions" = json!(["/agents/management/read/"])))
)]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
) -> Result<List<AgentResponse>, Error> {
    cx.authorize(Permission::AgentsRead)?;
    let (rows, total) = page(&cx, Entity::find(), &paging, FIELDS, "AgentId", Column::Id).await?;
    Ok(List {
        items: rows.into_iter().map(AgentResponse::from).collect(),
        total,
    })
}

/// One agent.
#[utoipa::path(
    get,
    path = "/Agents/{id}",
    tag = "Agent",
    params(("id" = Uuid, Path, description = "The agent's id")),
    responses((status = 200, body = AgentResponse, description = "The agent")),
    extensions(("x-permissions" = json!(["/agents/management/read/"])))
)]
pub(super) async fn get(cx: Cx, PathId(id): PathId<Uuid>) -> Result<Json<AgentResponse>, Error> {
    cx.authorize(Permission::AgentsRead)?;
    let row = Entity::find_by_id(id).one(cx.db().read()).await?;
    Ok(Json(
        row.ok_or_else(|| Error::not_found("agent", id))?.into(),
    ))
}
