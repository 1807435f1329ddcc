//! `/CertificateCollections`: a saved query is a set of certificates, and a scope of rights. Membership is always the query as it
//! is evaluated now.

mod counting;
mod favorites;
mod granting;
mod membership;
mod reading;
mod wire;
mod writing;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use counting::Counting;
pub(crate) use membership::{
    condition, containing, differs_by_caller, missing, name, names, query,
};
pub(crate) use reading::{FIELDS, known};

use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Target};

/// `/CertificateCollections`.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(reading::list, writing::create, writing::replace))
        .routes(routes!(reading::collection_list))
        .routes(routes!(reading::ordering))
        .routes(routes!(counting::last_estimated))
        .routes(routes!(favorites::navigation))
        .routes(routes!(writing::copy))
        .routes(routes!(reading::one, writing::delete))
        .routes(routes!(favorites::favorite))
        .routes(routes!(granting::grant))
}

/// Refuses callers without `permission` on the collection, or on all.
///
/// # Errors
/// 403 in the words that clients look for.
fn authorize(cx: &Cx, permission: Permission, id: i64) -> Result<(), Error> {
    if cx.may_on(permission, Target::Collection(id)) {
        return Ok(());
    }
    cx.authorize(permission)
}

/// The refusal of a collection that is not there: who may use some only does not learn which others there are.
fn unknown(cx: &Cx, permission: Permission, which: impl std::fmt::Display) -> Error {
    match cx.authorize(permission) {
        Ok(()) => Error::not_found("certificate collection", which),
        Err(refused) => refused,
    }
}
