//! `/Certificates`: the inventory.

mod analyze;
mod as_of;
mod bulk;
mod changes;
mod chosen;
mod counts;
mod csv;
mod dashboard;
mod database_pages;
mod delete;
mod download;
mod fields;
mod figures;
mod file;
mod free_text;
mod history;
mod ids;
mod import;
mod indexing;
mod kept;
mod listing;
mod locations;
mod members;
mod metadata;
mod noted;
mod orders;
mod owner;
mod pages;
mod private_key;
mod record;
mod recover;
mod revocation;
mod revocation_evidence;
mod revoke;
mod revoked_elsewhere;
mod security_views;
mod seen;
mod sets;
mod sorted;
mod stored;
mod substrings;
#[cfg(test)]
mod tests;
mod texts;
mod trigrams;
mod validate;
mod wire;

use axum::http::HeaderMap;
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::{Error, Kind};
use crate::security::{Permission, Target, Through};
use crate::web::{Body, Json, List, NoContent, Paging, PathId, Query};
use as_of::AsOf;
use download::{Download, DownloadOutput, DownloadRequest, FormatHeader};
use history::OperationOutput;
use listing::{Details, Shown};
use owner::{OwnerRequest, ReachedThrough};
use security_views::{CertificateClaimAudit, CertificateIdentityAudit, CertificateSecurity};
use wire::{CertificateOutput, SingleCertificateOutput};

/// The condition that a saved query over certificates stands for; an empty one matches everything.
///
/// # Errors
/// 400 with the position of the mistake.
pub(crate) async fn condition(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    query: &str,
) -> Result<sea_orm::Condition, Error> {
    let query = crate::web::query_string::parse_query(query)?;
    narrowed(connection, cx, query.as_ref(), &fields::SAVED).await
}

/// The same without the index of names, where few certificates are asked about anyway.
///
/// # Errors
/// As there.
pub(crate) async fn condition_of_few(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    query: &str,
) -> Result<sea_orm::Condition, Error> {
    let query = crate::web::query_string::parse_query(query)?;
    metadata::condition(connection, cx, query.as_ref(), &fields::SAVED, None).await
}

/// Ids that a statement names at most, each as often as it does.
const NAMED_MAX: usize = 200_000;

/// The condition of a query over certificates, among those that the index of names has for it where that are few.
async fn narrowed(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    query: Option<&search::Expression>,
    fields: &[crate::web::list::Field],
) -> Result<sea_orm::Condition, Error> {
    let among = among(connection, cx, query).await?;
    metadata::condition(connection, cx, query, fields, among.as_ref()).await
}

/// The certificates that a query's answer is among, where that are few.
async fn among(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    query: Option<&search::Expression>,
) -> Result<Option<crate::web::list::Among>, Error> {
    let Some(query) = query else { return Ok(None) };
    // Those that are gone are not in the index.
    if cx.is_past() {
        return Ok(None);
    }
    // Each comparison of what is elsewhere names them once more.
    let most = NAMED_MAX / query.comparisons().len().max(1);
    let among = substrings::candidates(connection, query, most).await?;
    Ok(among.map(|ids| crate::web::list::Among::new(&ids)))
}

/// Whether a query over certificates asks in which stores they are.
///
/// # Errors
/// 400 with the position of the mistake.
pub(crate) fn asks_of_stores(query: &str) -> Result<bool, Error> {
    let query = crate::web::query_string::parse_query(query)?;
    Ok(query.as_ref().is_some_and(fields::asks_of_stores))
}

/// Refuses callers without `permission` on the certificate that a request names, in whichever way. Who has it on some only is told the
/// same of the others and of those that do not exist.
///
/// # Errors
/// What was wrong with naming it; 403 in the words that clients look for.
pub(crate) async fn authorize_named(
    cx: &Cx,
    permission: Permission,
    named: Result<i64, Error>,
    through: Through,
) -> Result<i64, Error> {
    if cx.may(permission) {
        return named;
    }
    let id = match named {
        // No certificate has this id.
        Err(error) if error.kind() == Kind::NotFound => 0,
        named => named?,
    };
    match (
        cx.authorize_certificate(permission, id, through).await,
        through,
    ) {
        (Ok(()), _) => Ok(id),
        (Err(error), Through::Collection(place))
            if error.kind() == Kind::Forbidden
                && cx.may_on(permission, Target::Collection(place)) =>
        {
            Err(Error::forbidden(format!(
                "The certificate is not in certificate collection {place}."
            )))
        }
        (Err(error), _) => Err(error),
    }
}

pub(crate) use bulk::{Imports, PATH as STREAMED};
pub(crate) use counts::{Counted, begin as begin_counts, change as count};
pub(crate) use figures::{Happening, active, by_week};
pub(crate) use indexing::run as index_names;
#[cfg(feature = "testing")]
pub(crate) use indexing::{Sizes as IndexSizes, fill as fill_index};
pub(crate) use kept::Lists;
pub(crate) use metadata::compared_as as metadata_compared_as;
pub(crate) use noted::{note, note_all, sweep as sweep_changes};
pub(crate) use pages::prepare as prepare_lists;
pub(crate) use record::{New, Origin, STATE_REVOKED, record, record_new};
pub(crate) use revocation_evidence::RevocationLists;
pub(crate) use seen::{Seen, record_seen};
pub(crate) use stored::{add_history, chain, load, private_key};

/// What queries over certificates may name, as the caller asks.
pub(crate) fn search_fields() -> &'static [crate::web::list::Field] {
    &fields::FIELDS
}

/// The slice's operations.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, delete::delete_several))
        .routes(routes!(csv::export))
        .routes(routes!(changes::changes))
        .routes(routes!(dashboard::counts))
        .routes(routes!(one, delete::delete_one))
        .routes(routes!(free_text::search))
        .routes(routes!(delete::delete_found))
        .routes(routes!(revoke::revoke))
        .routes(routes!(revoke::revoke_all))
        .routes(routes!(revoked_elsewhere::record))
        .routes(routes!(private_key::delete_keys))
        .routes(routes!(private_key::delete_key))
        .routes(routes!(locations::locations))
        .routes(routes!(history_of))
        .routes(routes!(download_file))
        .routes(routes!(recover::recover))
        .routes(routes!(import::import))
        .routes(routes!(bulk::import, bulk::list))
        .routes(routes!(bulk::one))
        .routes(routes!(analyze::analyze))
        .routes(routes!(validate::validate))
        .routes(routes!(change_owner))
        .routes(routes!(metadata::update))
        .routes(routes!(metadata::update_all))
        .routes(routes!(metadata::compare))
        .routes(routes!(security_of))
        .routes(routes!(identity_audit))
}

/// The slice's operations of version 2.
pub(crate) fn routes_version_2() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(claim_audit))
}

/// The certificate collection through which the caller reaches a certificate.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct Collection {
    /// A certificate collection; 0 for none.
    collection_id: Option<i64>,
}

impl Collection {
    fn through(&self) -> Through {
        Through::new(self.collection_id, None)
    }
}

/// Certificates of the inventory. Revoked and expired ones are left out unless asked for.
#[utoipa::path(
    get, path = "/Certificates", tag = "Certificate", params(Paging, Shown, Details, AsOf),
    responses((status = 200, body = Vec<CertificateOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(shown): Query<Shown>,
    Query(details): Query<Details>,
    Query(as_of): Query<AsOf>,
) -> Result<List<CertificateOutput>, Error> {
    listing::list(&cx, &paging, &shown, &details, &as_of).await
}

/// One certificate.
#[utoipa::path(
    get, path = "/Certificates/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Details, AsOf),
    responses((status = 200, body = SingleCertificateOutput, description = "The certificate")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn one(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(details): Query<Details>,
    Query(as_of): Query<AsOf>,
) -> Result<Json<SingleCertificateOutput>, Error> {
    listing::one(&cx, id, &details, &as_of).await.map(Json)
}

/// What happened to a certificate.
#[utoipa::path(
    get, path = "/Certificates/{id}/History", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Paging, Collection),
    responses((status = 200, body = Vec<OperationOutput>, description = "A page")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn history_of(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(paging): Query<Paging>,
    Query(collection): Query<Collection>,
) -> Result<List<OperationOutput>, Error> {
    history::of(&cx, id, &paging, collection.through()).await
}

/// A certificate as a file, without its key.
#[utoipa::path(
    post, path = "/Certificates/Download", tag = "Certificate", params(Collection, FormatHeader),
    request_body = DownloadRequest,
    responses((
        status = 200, body = DownloadOutput, description = "The file",
        headers(("X-Certificatefile" = String, description = "A name for the file"))
    )),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
async fn download_file(
    cx: Cx,
    headers: HeaderMap,
    Query(collection): Query<Collection>,
    Body(request): Body<DownloadRequest>,
) -> Result<Download, Error> {
    download::download(&cx, &headers, request, collection.through()).await
}

/// Gives a certificate another owner, or none.
#[utoipa::path(
    put, path = "/Certificates/{id}/Owner", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), ReachedThrough),
    request_body = OwnerRequest,
    responses((status = 204, description = "It has the owner asked for")),
    extensions(
        ("x-permissions" = json!(["/certificates/collections/change_owner/"])),
        ("x-permissions-or" = json!([["/certificates/expanded_change_owner/", "/security/read/"]]))
    )
)]
async fn change_owner(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(through): Query<ReachedThrough>,
    Body(request): Body<OwnerRequest>,
) -> Result<NoContent, Error> {
    owner::change(&cx, id, through.into(), request).await?;
    Ok(NoContent)
}

/// The roles that may do something with a certificate, and what.
#[utoipa::path(
    get, path = "/Certificates/{id}/Security", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 200, body = CertificateSecurity, description = "Roles by name")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/", "/security/read/"])))
)]
async fn security_of(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<Json<CertificateSecurity>, Error> {
    security_views::roles(&cx, id, collection.through())
        .await
        .map(Json)
}

/// The identities that may do something with a certificate, what, and what grants it.
#[utoipa::path(
    get, path = "/Certificates/IdentityAudit/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 200, body = Vec<CertificateIdentityAudit>, description = "Identities")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/", "/security/read/"])))
)]
async fn identity_audit(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<Json<Vec<CertificateIdentityAudit>>, Error> {
    security_views::identities(&cx, id, collection.through())
        .await
        .map(Json)
}

/// The claims whose holders may do something with a certificate, what, and what grants it.
#[utoipa::path(
    get, path = "/Certificates/IdentityAudit/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 200, body = Vec<CertificateClaimAudit>, description = "Claims")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/", "/security/read/"])))
)]
async fn claim_audit(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<Json<Vec<CertificateClaimAudit>>, Error> {
    security_views::claims(&cx, id, collection.through())
        .await
        .map(Json)
}
