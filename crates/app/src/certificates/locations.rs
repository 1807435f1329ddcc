//! `GET /Certificates/Locations/{id}`: the certificate stores that have a certificate, by the type of store.

use std::collections::{BTreeMap, HashSet};

use db::tables::certificates;
use sea_orm::EntityTrait;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Collection;
use super::listing;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Through};
use crate::web::{Json, PathId, Query};

/// Where a certificate is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateLocationsResponse)]
pub(super) struct LocationsOutput {
    details: Vec<TypeOutput>,
}

/// The stores of one type that have it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateLocationsDetail)]
struct TypeOutput {
    store_type: String,
    store_type_id: i64,
    store_count: usize,
    locations: Vec<PlaceOutput>,
}

/// One place.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateLocationsItem)]
struct PlaceOutput {
    store_id: Uuid,
    store_type_id: i64,
    client_machine: String,
    store_path: String,
    agent_pool: Option<String>,
    alias: String,
    #[serde(rename = "IPAddress")]
    ip_address: Option<String>,
    port: Option<i32>,
    network_name: Option<String>,
}

/// The certificate stores that have a certificate, as far as the caller may see them.
#[utoipa::path(
    get, path = "/Certificates/Locations/{id}", tag = "Certificate",
    params(("id" = i64, Path, description = "Id of the certificate"), Collection),
    responses((status = 200, body = LocationsOutput, description = "Stores by type")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn locations(
    cx: Cx,
    PathId(id): PathId<i64>,
    Query(collection): Query<Collection>,
) -> Result<Json<LocationsOutput>, Error> {
    of(&cx, id, collection.through()).await.map(Json)
}

async fn of(cx: &Cx, id: i64, through: Through) -> Result<LocationsOutput, Error> {
    cx.authorize_certificate(Permission::CertificatesRead, id, through)
        .await?;
    let connection = cx.db().read();
    if certificates::Entity::find_by_id(id)
        .one(connection)
        .await?
        .is_none()
    {
        return Err(Error::not_found("certificate", id));
    }
    let places = listing::locations(cx, &[id]).await?.remove(&id);
    let mut types: BTreeMap<i64, TypeOutput> = BTreeMap::new();
    let mut stores = HashSet::new();
    for (name, place) in places.unwrap_or_default() {
        let of_type = types.entry(place.store_type).or_insert_with(|| TypeOutput {
            store_type: name,
            store_type_id: place.store_type,
            store_count: 0,
            locations: Vec::new(),
        });
        if stores.insert(place.cert_store_id) {
            of_type.store_count += 1;
        }
        of_type.locations.push(PlaceOutput {
            store_id: place.cert_store_id,
            store_type_id: place.store_type,
            client_machine: place.store_machine,
            store_path: place.store_path,
            agent_pool: None,
            alias: place.alias,
            ip_address: None,
            port: None,
            network_name: None,
        });
    }
    Ok(LocationsOutput {
        details: types.into_values().collect(),
    })
}
