//! Metadata of certificates: values of the fields that `/MetadataFields` defines.

mod change;
mod search;
mod several;
mod values;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use change::{Wanted, set};
use db::tables::{certificate_metadata, certificates};
pub(crate) use search::compared_as;
pub(super) use search::{condition, keys};
use several::AllRequest;
pub(super) use values::{enter, enter_new};

use super::owner::ReachedThrough;
use crate::cx::Cx;
use crate::error::Error;
use crate::metadata_fields;
use crate::security::{Permission, Through};
use crate::web::{Body, Json, NoContent, Query};

const NEEDED: Permission = Permission::CertificatesMetadataModify;

/// Values for a certificate. Fields that are not named keep theirs; a blank value or null clears one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MetadataUpdateRequest)]
pub(super) struct UpdateRequest {
    /// The certificate.
    #[schema(value_type = Option<i32>)]
    id: Option<i64>,
    /// The same, as some clients name it.
    #[schema(value_type = Option<i32>)]
    certificate_id: Option<i64>,
    /// Values by the names of their fields.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: Option<Map<String, Value>>,
    /// The collection through which the caller reaches it, when the query names none.
    #[schema(value_type = Option<i32>)]
    collection_id: Option<i64>,
}

/// Changes the metadata of a certificate.
#[utoipa::path(
    put, path = "/Certificates/Metadata", tag = "Certificate", params(ReachedThrough), request_body = UpdateRequest,
    responses((status = 204, description = "It has the values"), (status = 404, body = crate::error::ErrorBody, description = "There is no such certificate")),
    extensions(("x-permissions" = json!(["/certificates/collections/metadata/modify/"])))
)]
pub(super) async fn update(
    cx: Cx,
    Query(through): Query<ReachedThrough>,
    Body(request): Body<UpdateRequest>,
) -> Result<NoContent, Error> {
    let through = or_collection(through.into(), request.collection_id);
    change_one(&cx, through, request).await?;
    Ok(NoContent)
}

/// What the body names counts where the query names nothing.
fn or_collection(through: Through, collection_id: Option<i64>) -> Through {
    match through {
        Through::System => Through::new(collection_id, None),
        named => named,
    }
}

/// The refusal of a request that names no certificate, to who might change those of the place that it names, or any.
fn names_nothing(cx: &Cx, through: Through, message: &str) -> Error {
    match (through, cx.authorize(NEEDED)) {
        (Through::System, Err(refused)) => refused,
        _ => Error::bad_request(message),
    }
}

async fn change_one(cx: &Cx, through: Through, request: UpdateRequest) -> Result<(), Error> {
    let ids = [request.id, request.certificate_id].map(|id| id.filter(|id| *id != 0));
    let id = ids[0].or(ids[1]);
    cx.authorize_certificates(NEEDED, id.as_slice(), through)
        .await?;
    let Some(id) = id else {
        return Err(names_nothing(cx, through, "Id: a value is required."));
    };
    if ids[1].is_some_and(|other| other != id) {
        return Err(Error::bad_request(
            "Id, CertificateId: two different certificates.",
        ));
    }
    if request.metadata.is_none() {
        return Err(Error::bad_request("Metadata: a value is required."));
    }
    let given = metadata_fields::given(request.metadata)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificates.metadata", move |tx| {
            Box::pin(async move {
                // A body may arrive long after the caller was known.
                cx.authorize_certificates_in(tx, NEEDED, &[id], through)
                    .await?;
                let values = metadata_fields::check_in(tx, &given).await?;
                let wanted: Vec<Wanted> = values
                    .into_iter()
                    .map(|(name, value)| Wanted::new(name, value, true))
                    .collect();
                match set(tx, &cx, &[id], &wanted).await? {
                    0 => Err(Error::not_found("certificate", id)),
                    _ => Ok(()),
                }
            })
        })
        .await
}

/// Changes the metadata of many certificates, named by their ids or by a query.
#[utoipa::path(
    put, path = "/Certificates/Metadata/All", tag = "Certificate", params(ReachedThrough), request_body = AllRequest,
    responses((status = 204, description = "All of them have the values"), (status = 404, body = crate::error::ErrorBody, description = "One of the certificates does not exist")),
    extensions(("x-permissions" = json!(["/certificates/collections/metadata/modify/"])))
)]
pub(super) async fn update_all(
    cx: Cx,
    Query(through): Query<ReachedThrough>,
    Body(request): Body<AllRequest>,
) -> Result<NoContent, Error> {
    several::change(&cx, through.into(), request).await?;
    Ok(NoContent)
}

/// A value to compare with that of a certificate.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct Compared {
    /// The certificate.
    #[param(required = true, value_type = i32)]
    certificate_id: Option<i64>,
    /// The name of a metadata field, in any case.
    #[param(required = true, value_type = String)]
    metadata_field_name: Option<String>,
    /// The value; without one, whether the certificate has none.
    value: Option<String>,
    /// A certificate collection; 0 for none.
    collection_id: Option<i64>,
}

/// Whether a certificate has this value of a metadata field.
#[utoipa::path(
    get, path = "/Certificates/Metadata/Compare", tag = "Certificate", params(Compared),
    responses((status = 200, body = bool, content_type = "application/json", description = "Whether it has"), (status = 404, body = crate::error::ErrorBody, description = "There is no such certificate")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn compare(cx: Cx, Query(compared): Query<Compared>) -> Result<Json<bool>, Error> {
    has(&cx, compared).await.map(Json)
}

async fn has(cx: &Cx, compared: Compared) -> Result<bool, Error> {
    let (id, through) = (
        compared.certificate_id,
        Through::new(compared.collection_id, None),
    );
    cx.authorize_certificates(Permission::CertificatesRead, id.as_slice(), through)
        .await?;
    let id = id.ok_or_else(|| Error::bad_request("certificateId: a value is required."))?;
    let name = compared.metadata_field_name.unwrap_or_default();
    let connection = cx.db().read();
    let field = metadata_fields::named(connection, std::iter::once(&name)).await?;
    let field = field.first().ok_or_else(|| {
        Error::bad_request(format!(
            "metadataFieldName: there is no metadata field {name:?}."
        ))
    })?;
    if certificates::Entity::find_by_id(id)
        .one(connection)
        .await?
        .is_none()
    {
        return Err(Error::not_found("certificate", id));
    }
    let stored = certificate_metadata::Entity::find()
        .filter(certificate_metadata::Column::CertificateId.eq(id))
        .filter(certificate_metadata::Column::NameFold.eq(&field.name_fold))
        .one(connection)
        .await?;
    let stored = stored.map(|row| row.value).unwrap_or_default();
    let value = compared.value.unwrap_or_default();
    Ok(metadata_fields::same(field, &stored, &value))
}
