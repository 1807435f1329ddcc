//! `GET /CertificateStores/{id}/Inventory`: what the last inventory found, an entry for each alias.

use std::collections::{BTreeMap, HashMap};

use db::tables::{
    certificate_metadata, certificate_stores, certificates, store_entries, store_entry_certificates,
};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::{Field, FieldKind, field, page_in};
use crate::web::{Date, List, Paging, PathId, Query};

/// Values of one statement at most.
const VALUES_MAX: usize = 1_000;

/// What queries may name and lists may be sorted by.
const FIELDS: &[Field] = &[
    field("Name", FieldKind::Folded, || {
        Expr::col(store_entries::Column::AliasFold)
    }),
    field("PrivateKeyEntry", FieldKind::Boolean, || {
        Expr::col(store_entries::Column::PrivateKey)
    }),
];

/// One entry of a store.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = CertificateStoreInventory)]
pub(super) struct EntryResponse {
    /// The alias.
    name: String,
    /// Leaf first.
    certificates: Vec<InventoriedCertificate>,
    /// Values of entry parameters, by name.
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
    /// The store.
    cert_store_id: Uuid,
}

/// A certificate of an entry.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct InventoriedCertificate {
    #[schema(value_type = i32)]
    id: i64,
    #[serde(rename = "IssuedDN")]
    issued_dn: String,
    serial_number: String,
    not_before: Date,
    not_after: Date,
    signing_algorithm: String,
    #[serde(rename = "IssuerDN")]
    issuer_dn: String,
    thumbprint: String,
    #[schema(value_type = i32)]
    cert_store_inventory_item_id: i64,
    cert_state: i32,
    #[schema(value_type = Object)]
    metadata: BTreeMap<String, String>,
}

/// What the last inventory of a store found.
#[utoipa::path(get, path = "/CertificateStores/{id}/Inventory", tag = "CertificateStore", params(("id" = Uuid, Path, description = "The store's id"), Paging), responses((status = 200, body = Vec<EntryResponse>, description = "A page of it; `X-Total-Count` says how many entries there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn inventory(
    cx: Cx,
    PathId(id): PathId<Uuid>,
    Query(paging): Query<Paging>,
) -> Result<List<EntryResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresRead)?;
    // An inventory may come in between two reads: the answer is of one moment.
    let snapshot = cx.db().snapshot().await?;
    let connection = &snapshot;
    let store = certificate_stores::Entity::find_by_id(id)
        .one(connection)
        .await?;
    let store = store.ok_or_else(|| Error::not_found("certificate store", id))?;
    cx.authorize_store(Permission::StoresRead, store.container_id)?;
    let entries = store_entries::Entity::find().filter(store_entries::Column::StoreId.eq(id));
    let (entries, total) = page_in(
        connection,
        &cx,
        entries,
        &paging,
        FIELDS,
        "Name",
        store_entries::Column::Id,
    )
    .await?;
    let ids: Vec<i64> = entries.iter().map(|entry| entry.id).collect();
    let mut chains: HashMap<i64, Vec<i64>> = HashMap::new();
    for part in ids.chunks(VALUES_MAX) {
        let rows = store_entry_certificates::Entity::find()
            .filter(store_entry_certificates::Column::EntryId.is_in(part.iter().copied()))
            .order_by_asc(store_entry_certificates::Column::EntryId)
            .order_by_asc(store_entry_certificates::Column::ChainLevel)
            .all(connection)
            .await?;
        for row in rows {
            chains
                .entry(row.entry_id)
                .or_default()
                .push(row.certificate_id);
        }
    }
    let known = certificates_of(connection, chains.values().flatten().copied()).await?;
    let items = entries.into_iter().map(|entry| {
        let chain = chains.remove(&entry.id).unwrap_or_default();
        let of = |id: i64| {
            known.get(&id).map(|one| InventoriedCertificate {
                cert_store_inventory_item_id: entry.id,
                ..one.clone()
            })
        };
        EntryResponse {
            certificates: chain.into_iter().filter_map(of).collect(),
            parameters: serde_json::from_str(&entry.parameters).unwrap_or_default(),
            name: entry.alias,
            cert_store_id: id,
        }
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

async fn certificates_of(
    connection: &impl ConnectionTrait,
    ids: impl Iterator<Item = i64>,
) -> Result<HashMap<i64, InventoriedCertificate>, Error> {
    let mut ids: Vec<i64> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = HashMap::new();
    for part in ids.chunks(VALUES_MAX) {
        let wanted = || part.iter().copied();
        let mut metadata: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
        let values = certificate_metadata::Entity::find()
            .filter(certificate_metadata::Column::CertificateId.is_in(wanted()));
        for value in values.all(connection).await? {
            metadata
                .entry(value.certificate_id)
                .or_default()
                .insert(value.name, value.value);
        }
        let rows = certificates::Entity::find()
            .filter(certificates::Column::Id.is_in(wanted()))
            .all(connection)
            .await?;
        found.extend(rows.into_iter().map(|row| {
            let one = InventoriedCertificate {
                id: row.id,
                issued_dn: row.subject,
                serial_number: row.serial_number,
                not_before: Date(row.not_before),
                not_after: Date(row.not_after),
                signing_algorithm: row.signing_algorithm,
                issuer_dn: row.issuer,
                thumbprint: row.thumbprint,
                cert_store_inventory_item_id: 0,
                cert_state: row.state,
                metadata: metadata.remove(&row.id).unwrap_or_default(),
            };
            (row.id, one)
        }));
    }
    Ok(found)
}
