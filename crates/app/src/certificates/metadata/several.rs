//! The metadata of many certificates.

use std::collections::HashSet;

use db::tables::certificates;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::fields::FIELDS;
use super::change::{Wanted, set};
use super::{NEEDED, names_nothing};
use crate::certificate_stores::certificates_not_in;
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields::{check, check_in};
use crate::security::{Through, granted_now};
use crate::web::query_string::parse_query;

/// Certificates in one request at most.
const CERTIFICATES_MAX: usize = 100_000;
/// Certificates in one transaction. What is changed is kept in memory until then, audit records included.
const AT_ONCE: usize = 250;
/// Octets of all values at most: each certificate of a transaction gets them.
const VALUES_MAX: usize = 64 * 1024;
/// Ids that a refusal names at most.
const NAMED_MAX: usize = 20;

/// Values for many certificates, which are named by ids or by a query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MetadataAllUpdateRequest)]
pub(in crate::certificates) struct AllRequest {
    /// Every certificate that it finds, expired and revoked ones too.
    query: Option<String>,
    /// Certificates by their ids.
    #[schema(value_type = Option<Vec<i32>>)]
    certificate_ids: Option<Vec<i64>>,
    /// The values.
    #[schema(value_type = Vec<SingleRequest>)]
    metadata: Option<Vec<SingleRequest>>,
}

/// A value.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MetadataSingleUpdateRequest)]
struct SingleRequest {
    /// The name of a metadata field, in any case.
    metadata_name: Option<String>,
    /// A blank one clears the field.
    value: Option<String>,
    /// Whether it takes the place of a value that is there. If not, certificates that have one keep it.
    overwrite_existing: Option<bool>,
}

/// Sets values on certificates. Everything is checked before anything is written; then some hundreds of certificates at a time are
/// changed for good. A request that was interrupted can be repeated.
///
/// # Errors
/// 403 for who may not change one of the certificates named; 404 naming ids that do not exist; 400 for neither or both of ids and
/// query, too many certificates, and values that are refused.
pub(super) async fn change(cx: &Cx, through: Through, request: AllRequest) -> Result<(), Error> {
    cx.authorize_certificates(NEEDED, &[], through).await?;
    let query = request.query.as_deref().map(str::trim).unwrap_or_default();
    let ids = request.certificate_ids.unwrap_or_default();
    let given = request.metadata.unwrap_or_default();
    let ids = match (query, ids.as_slice()) {
        ("", []) => {
            let message = "Query, CertificateIds: one of the two has to be given.";
            return Err(names_nothing(cx, through, message));
        }
        ("", ids) => named(cx, through, ids).await?,
        (_, []) => found(cx, through, query).await?,
        _ => {
            return Err(Error::bad_request(
                "Query, CertificateIds: only one of the two can be given.",
            ));
        }
    };
    if given.is_empty() {
        return Err(Error::bad_request("Metadata: a value is required."));
    }
    let overwrite: Vec<bool> = given
        .iter()
        .map(|one| one.overwrite_existing.unwrap_or_default())
        .collect();
    let given: Vec<(String, String)> = given
        .into_iter()
        .map(|one| {
            let name = one.metadata_name.unwrap_or_default().trim().to_owned();
            (name, one.value.unwrap_or_default())
        })
        .collect();
    if given.iter().map(|(_, value)| value.len()).sum::<usize>() > VALUES_MAX {
        return Err(Error::bad_request(format!(
            "Metadata: the values are longer than {VALUES_MAX} octets together."
        )));
    }
    check(cx.db().read(), &given).await?;
    for some in ids.chunks(AT_ONCE) {
        let (writer, given, some) = (cx.clone(), given.clone(), some.to_vec());
        let overwrite = overwrite.clone();
        cx.db()
            .write("certificates.metadata_all", move |tx| {
                Box::pin(async move {
                    // The rights may have been taken away, and certificates may have gone elsewhere, since the first was changed.
                    let writer = granted_now(tx, &writer).await?;
                    writer
                        .authorize_certificates_in(tx, NEEDED, &some, through)
                        .await?;
                    let values = check_in(tx, &given).await?;
                    let wanted: Vec<Wanted> = values
                        .into_iter()
                        .zip(overwrite)
                        .map(|((name, value), overwrite)| Wanted::new(name, value, overwrite))
                        .collect();
                    set(tx, &writer, &some, &wanted).await
                })
            })
            .await?;
    }
    Ok(())
}

/// The certificates with these ids, all of which the caller may change.
async fn named(cx: &Cx, through: Through, ids: &[i64]) -> Result<Vec<i64>, Error> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    bounded(ids.len())?;
    for some in ids.chunks(AT_ONCE) {
        cx.authorize_certificates(NEEDED, some, through).await?;
    }
    for some in ids.chunks(AT_ONCE) {
        let found: Vec<i64> = certificates::Entity::find()
            .select_only()
            .column(certificates::Column::Id)
            .filter(certificates::Column::Id.is_in(some.iter().copied()))
            .into_tuple()
            .all(cx.db().read())
            .await?;
        if found.len() < some.len() {
            let found: HashSet<i64> = found.into_iter().collect();
            let missing = some.iter().filter(|id| !found.contains(id));
            let missing: Vec<String> = missing.take(NAMED_MAX).map(ToString::to_string).collect();
            return Err(Error::not_found("certificate", missing.join(", ")));
        }
    }
    Ok(ids)
}

/// The certificates that a query finds, of those that the caller may change: in the collection that is named, in the stores of the
/// container that is named, or in any store, where that is what the right is on.
async fn found(cx: &Cx, through: Through, query: &str) -> Result<Vec<i64>, Error> {
    let connection = cx.db().read();
    let query = parse_query(query)?;
    let mut wanted = crate::certificates::narrowed(connection, cx, query.as_ref(), &FIELDS).await?;
    if let Through::Collection(id) = through {
        let inside = crate::collections::condition(connection, cx, id).await?;
        wanted = Condition::all().add(wanted).add(inside);
    }
    let most = u64::try_from(CERTIFICATES_MAX).unwrap_or(u64::MAX);
    let ids: Vec<i64> = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(wanted)
        .order_by_asc(certificates::Column::Id)
        .limit(most + 1)
        .into_tuple()
        .all(connection)
        .await?;
    bounded(ids.len())?;
    let container = match through {
        Through::Container(id) => Some(id),
        Through::System if !cx.may(NEEDED) => None,
        _ => return Ok(ids),
    };
    let mut stored = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        let outside = certificates_not_in(connection, some, container).await?;
        stored.extend(some.iter().filter(|id| !outside.contains(id)));
    }
    Ok(stored)
}

fn bounded(certificates: usize) -> Result<(), Error> {
    if certificates > CERTIFICATES_MAX {
        return Err(Error::bad_request(format!(
            "Query, CertificateIds: more than {CERTIFICATES_MAX} certificates; change them in several requests."
        )));
    }
    Ok(())
}
