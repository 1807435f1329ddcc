//! What this server sees of a provider: why tokens are refused that ought to be good. A refusal itself tells nothing.

use uuid::Uuid;

use super::wire::StatusResponse;
use super::{by_id, seen};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, redirect_address};
use crate::web::{Date, Json, PathId};

/// Tells whether an identity provider can be used, and what is wrong if it cannot. The provider is asked when nothing fresh
/// is known of it, at most every half minute.
#[utoipa::path(get, path = "/Chancery/IdentityProviders/{id}/Status", tag = "Chancery", params(("id" = Uuid, Path, description = "Its id")), responses((status = 200, description = "What this server sees", body = StatusResponse)), extensions(("x-permissions" = json!(["/identity_providers/read/"]))))]
pub(super) async fn status(
    cx: Cx,
    PathId(id): PathId<Uuid>,
) -> Result<Json<StatusResponse>, Error> {
    cx.authorize(Permission::IdentityProvidersRead)?;
    let provider = by_id(cx.app(), id).await?;
    let seen = seen(cx.app(), &provider).await;
    Ok(Json(StatusResponse {
        usable: provider.enabled && seen.trouble.is_none() && !seen.keys.is_empty(),
        trouble: match &seen.trouble {
            None if !provider.enabled => Some("The provider is disabled.".to_owned()),
            trouble => trouble.clone(),
        },
        issuer: seen
            .discovery
            .as_ref()
            .map(|discovery| discovery.issuer.clone()),
        key_ids: seen.keys.iter().map(|key| key.id.clone()).collect(),
        read_at: seen.read_at.map(Date),
        tried_at: seen.tried_at.map(Date),
        redirect_address: redirect_address(cx.app(), &provider),
    }))
}
