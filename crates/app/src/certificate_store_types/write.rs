//! Creating, replacing and deleting store types.

use db::tables::{agents, certificate_stores, store_containers, store_types};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use uuid::Uuid;

use super::definition::{Allowed, Definition};
use super::request::{StoreType, StoreTypeRequest};
use super::response::StoreTypeResponse;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::past;
use crate::security::Permission;
use crate::web::{Body, Json, NoContent, PathId};

/// The first id that is not the contract's own.
const FIRST_CUSTOM_ID: i64 = 102;

/// Creates a store type. Published definitions can be sent as they are.
#[utoipa::path(post, path = "/CertificateStoreTypes", tag = "CertificateStoreType", request_body = StoreTypeRequest, responses((status = 200, body = StoreTypeResponse, description = "The new type")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn create(
    cx: Cx,
    Body(request): Body<StoreTypeRequest>,
) -> Result<Json<StoreTypeResponse>, Error> {
    cx.authorize(Permission::StoresModify)?;
    let row = create_type(&cx, request.try_into()?).await?;
    Ok(Json(row.try_into()?))
}

/// Puts another definition in the place of a store type's. What the stores of a type rely on stays as it is while there are
/// any.
#[utoipa::path(put, path = "/CertificateStoreTypes", tag = "CertificateStoreType", request_body = StoreTypeRequest, responses((status = 200, body = StoreTypeResponse, description = "The type as it is now"), (status = 404, body = crate::error::ErrorBody, description = "There is no such thing")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn replace(
    cx: Cx,
    Body(request): Body<StoreTypeRequest>,
) -> Result<Json<StoreTypeResponse>, Error> {
    cx.authorize(Permission::StoresModify)?;
    let row = replace_type(&cx, request.try_into()?).await?;
    Ok(Json(row.try_into()?))
}

/// Deletes a store type that no store and no container has.
#[utoipa::path(delete, path = "/CertificateStoreTypes/{id}", tag = "CertificateStoreType", params(("id" = i32, Path, description = "Its id")), responses((status = 204, description = "It is gone"), (status = 409, body = crate::error::ErrorBody, description = "It is in use")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<i64>) -> Result<NoContent, Error> {
    delete_types(&cx, vec![id]).await.map(|()| NoContent)
}

/// Deletes several store types, or none of them when one cannot be.
#[utoipa::path(delete, path = "/CertificateStoreTypes", tag = "CertificateStoreType", request_body = Vec<i32>, responses((status = 204, description = "They are gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete_several(cx: Cx, Body(ids): Body<Vec<i64>>) -> Result<NoContent, Error> {
    delete_types(&cx, ids).await.map(|()| NoContent)
}

async fn create_type(cx: &Cx, wanted: StoreType) -> Result<store_types::Model, Error> {
    cx.authorize(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_types.create", move |tx| {
            Box::pin(async move {
                let others = store_types::Entity::find().all(tx).await?;
                unique(&wanted, None, &others)?;
                let highest = others.iter().map(|row| row.id).max().unwrap_or_default();
                let id = highest.max(FIRST_CUSTOM_ID - 1) + 1;
                let row = row(&cx, wanted, id, None)?;
                let active: store_types::ActiveModel = row.clone().into();
                store_types::Entity::insert(active)
                    .exec_without_returning(tx)
                    .await?;
                let message = format!("Certificate store type {} was created.", row.short_name);
                let entry = Entry::new(
                    Operation::Created,
                    Category::CertificateStoreType,
                    &row.short_name,
                    message,
                );
                audit::record(tx, &cx, entry.after(shown(&row))).await?;
                Ok::<_, Error>(row)
            })
        })
        .await
}

async fn replace_type(cx: &Cx, wanted: StoreType) -> Result<store_types::Model, Error> {
    cx.authorize(Permission::StoresModify)?;
    let id = wanted
        .id
        .ok_or_else(|| Error::bad_request("StoreType: a value is required."))?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_types.replace", move |tx| {
            Box::pin(async move {
                let mut others = store_types::Entity::find().all(tx).await?;
                let at = others.iter().position(|row| row.id == id);
                let before = at.map(|at| others.swap_remove(at));
                let before =
                    before.ok_or_else(|| Error::not_found("certificate store type", id))?;
                if before.built_in {
                    let message =
                        format!("{} is built in and cannot be changed.", before.short_name);
                    return Err(Error::bad_request(message));
                }
                unique(&wanted, Some(&before), &others)?;
                let row = row(&cx, wanted, id, Some(&before))?;
                if row.capability != before.capability
                    && capability_is_served(tx, &before.capability).await?
                {
                    let message = format!(
                        "Capability: an approved agent serves {:?}, so it stays.",
                        before.capability
                    );
                    return Err(Error::bad_request(message));
                }
                let stores = stores_of(tx, id).await?;
                if stores > 0 {
                    unchanged_in_use(&before, &row, stores)?;
                }
                let active: store_types::ActiveModel = row.clone().into();
                active.reset_all().update(tx).await?;
                let message = format!("Certificate store type {} was changed.", row.short_name);
                let entry = Entry::new(
                    Operation::Updated,
                    Category::CertificateStoreType,
                    &row.short_name,
                    message,
                );
                audit::record(tx, &cx, entry.before(shown(&before)).after(shown(&row))).await?;
                Ok::<_, Error>(row)
            })
        })
        .await
}

async fn delete_types(cx: &Cx, ids: Vec<i64>) -> Result<(), Error> {
    cx.authorize(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_store_types.delete", move |tx| {
            Box::pin(async move {
                let mut ids = ids;
                ids.sort_unstable();
                ids.dedup();
                let single = ids.len() == 1;
                let mut failed = Vec::new();
                for id in ids {
                    match delete_type(tx, &cx, id).await {
                        Ok(()) => {}
                        Err(error) if single || error.kind() == crate::error::Kind::Internal => {
                            return Err(error);
                        }
                        Err(error) => failed.push(error.message().to_owned()),
                    }
                }
                if failed.is_empty() {
                    Ok::<_, Error>(())
                } else {
                    // The whole write is undone.
                    Err(Error::bad_parts(
                        "No certificate store type was deleted.",
                        failed,
                    ))
                }
            })
        })
        .await
}

async fn delete_type(tx: &db::Tx, cx: &Cx, id: i64) -> Result<(), Error> {
    let row = store_types::Entity::find_by_id(id).one(tx).await?;
    let row = row.ok_or_else(|| Error::not_found("certificate store type", id))?;
    if row.built_in {
        let message = format!(
            "Certificate store type {} ({id}) is built in and cannot be deleted.",
            row.short_name
        );
        return Err(Error::bad_request(message));
    }
    let stores = stores_of(tx, id).await?;
    let containers = store_containers::Entity::find()
        .filter(store_containers::Column::StoreTypeId.eq(id))
        .count(tx)
        .await?;
    if stores + containers > 0 {
        return Err(Error::conflict(format!(
            "Certificate store type {} ({id}) is in use by {stores} certificate stores and {containers} containers.",
            row.short_name
        )));
    }
    past::store_type_goes(tx, &row).await?;
    store_types::Entity::delete_by_id(id).exec(tx).await?;
    let message = format!("Certificate store type {} was deleted.", row.short_name);
    let entry = Entry::new(
        Operation::Deleted,
        Category::CertificateStoreType,
        &row.short_name,
        message,
    );
    audit::record(tx, cx, entry.before(shown(&row))).await
}

async fn stores_of(tx: &db::Tx, id: i64) -> Result<u64, Error> {
    let stores =
        certificate_stores::Entity::find().filter(certificate_stores::Column::StoreTypeId.eq(id));
    Ok(stores.count(tx).await?)
}

/// Whether an approved agent has registered jobs of this capability.
async fn capability_is_served(tx: &db::Tx, capability: &str) -> Result<bool, Error> {
    let approved = agents::Entity::find()
        .filter(agents::Column::Status.eq(2))
        .all(tx)
        .await?;
    let start = format!("certstores.{capability}.").to_ascii_lowercase();
    Ok(approved.iter().any(|agent| {
        let capabilities: Vec<String> =
            serde_json::from_str(&agent.capabilities).unwrap_or_default();
        capabilities
            .iter()
            .any(|one| one.to_ascii_lowercase().starts_with(&start))
    }))
}

/// Names and job types belong to one type only. Clients look for the words at the end (clients.md 2.7).
fn unique(
    wanted: &StoreType,
    before: Option<&store_types::Model>,
    others: &[store_types::Model],
) -> Result<(), Error> {
    let (name, short_name) = (db::fold(&wanted.name), db::fold(&wanted.short_name));
    if others
        .iter()
        .any(|row| row.name_fold == name || row.short_name_fold == short_name)
    {
        return Err(Error::bad_request(format!(
            "A certificate store type with the short name '{}' or the name '{}' already exists.",
            wanted.short_name, wanted.name
        )));
    }
    let ids = wanted.job_types;
    for id in [ids.inventory, ids.management, ids.discovery, ids.enrollment]
        .into_iter()
        .flatten()
    {
        let own = before.is_some_and(|row| job_types(row).contains(&Some(id)));
        if !own && others.iter().any(|row| job_types(row).contains(&Some(id))) {
            return Err(Error::bad_request(format!(
                "The job type {id} belongs to another certificate store type."
            )));
        }
    }
    Ok(())
}

fn job_types(row: &store_types::Model) -> [Option<Uuid>; 4] {
    [
        Some(row.inventory_job_type),
        row.management_job_type,
        row.discovery_job_type,
        row.enrollment_job_type,
    ]
}

/// The row that is wanted. Job types that are there already keep their identifiers.
fn row(
    cx: &Cx,
    wanted: StoreType,
    id: i64,
    before: Option<&store_types::Model>,
) -> Result<store_types::Model, Error> {
    let mut definition = wanted.definition;
    for property in &mut definition.properties {
        property.store_type_id = id;
    }
    for parameter in &mut definition.entry_parameters {
        parameter.store_type_id = id;
    }
    let operations = definition.supported_operations;
    let ids = wanted.job_types;
    let [_, management, discovery, enrollment] = before.map(job_types).unwrap_or_default();
    let job = |there: bool, kept: Option<Uuid>, asked: Option<Uuid>| {
        there.then(|| kept.or(asked).unwrap_or_else(|| cx.guid()))
    };
    Ok(store_types::Model {
        id,
        name_fold: db::fold(&wanted.name),
        short_name_fold: db::fold(&wanted.short_name),
        capability: wanted
            .capability
            .or_else(|| before.map(|before| before.capability.clone()))
            .unwrap_or_else(|| wanted.short_name.clone()),
        name: wanted.name,
        short_name: wanted.short_name,
        definition: serde_json::to_string(&definition)?,
        private_key_allowed: wanted.private_key_allowed.number(),
        custom_alias_allowed: wanted.custom_alias_allowed.number(),
        inventory_job_type: before
            .map(|before| before.inventory_job_type)
            .or(ids.inventory)
            .unwrap_or_else(|| cx.guid()),
        management_job_type: job(operations.management(), management, ids.management),
        discovery_job_type: job(operations.discovery, discovery, ids.discovery),
        enrollment_job_type: job(operations.enrollment, enrollment, ids.enrollment),
        built_in: false,
        created_at: before.map_or_else(|| cx.now(), |before| before.created_at),
    })
}

/// Refuses to change what stores rely on: only names and further operations may change (command-behaviour.md B.3).
fn unchanged_in_use(
    before: &store_types::Model,
    after: &store_types::Model,
    stores: u64,
) -> Result<(), Error> {
    let (old, new) = (Definition::of(before)?, Definition::of(after)?);
    let (had, has) = (old.supported_operations, new.supported_operations);
    let removed = [
        ("Add", had.add && !has.add),
        ("Create", had.create && !has.create),
        ("Discovery", had.discovery && !has.discovery),
        ("Enrollment", had.enrollment && !has.enrollment),
        ("Remove", had.remove && !has.remove),
    ];
    let mut changed: Vec<String> = removed
        .iter()
        .filter(|(_, gone)| *gone)
        .map(|(name, _)| format!("SupportedOperations.{name}"))
        .collect();
    let others = [
        ("Capability", before.capability != after.capability),
        (
            "PrivateKeyAllowed",
            before.private_key_allowed != after.private_key_allowed,
        ),
        (
            "CustomAliasAllowed",
            before.custom_alias_allowed != after.custom_alias_allowed,
        ),
        ("Properties", old.properties != new.properties),
        (
            "EntryParameters",
            old.entry_parameters != new.entry_parameters,
        ),
        (
            "PasswordOptions",
            old.password_options != new.password_options,
        ),
        ("StorePathType", old.store_path_type != new.store_path_type),
        (
            "StorePathValue",
            old.store_path_value != new.store_path_value,
        ),
        (
            "CertificateFormat",
            old.certificate_format != new.certificate_format,
        ),
        ("LocalStore", old.local_store != new.local_store),
        ("ServerRequired", old.server_required != new.server_required),
        ("PowerShell", old.power_shell != new.power_shell),
        (
            "BlueprintAllowed",
            old.blueprint_allowed != new.blueprint_allowed,
        ),
        (
            "InventoryEndpoint",
            old.inventory_endpoint != new.inventory_endpoint,
        ),
    ];
    changed.extend(
        others
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| (*name).to_owned()),
    );
    if changed.is_empty() {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "Certificate store type {} has {stores} certificate stores, so these cannot change: {}.",
        before.short_name,
        changed.join(", ")
    )))
}

/// The type as audit records show it.
fn shown(row: &store_types::Model) -> Value {
    json!({
        "StoreType": row.id,
        "Name": row.name,
        "ShortName": row.short_name,
        "Capability": row.capability,
        "PrivateKeyAllowed": Allowed::of(row.private_key_allowed),
        "CustomAliasAllowed": Allowed::of(row.custom_alias_allowed),
        "Definition": serde_json::from_str::<Value>(&row.definition).unwrap_or_default(),
    })
}
