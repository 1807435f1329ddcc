//! Reading certificate stores.

use std::collections::HashMap;

use db::tables::{
    agents, certificate_stores, store_containers, store_entry_certificates, store_types,
};
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, Query as Select, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::response::{Form, StoreResponse, shown, shown_all};
use super::targets::VALUES_MAX;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Reach};
use crate::web::list::{Field, FieldKind, condition, field, field_elsewhere, sorted};
use crate::web::{Json, List, Paging, PathId, Query};

use certificate_stores::{Column, Entity, Model};

/// What lists are sorted by unless told.
const DEFAULT_SORT: &str = "ClientMachine";

const ALLOWED: FieldKind =
    FieldKind::Integer(&[("forbidden", 0), ("optional", 1), ("required", 2)]);

/// What queries may name: the search reference of this list (command-behaviour.md B.1, clients.md 2.4).
pub(crate) const FIELDS: &[Field] = &[
    field("ClientMachine", FieldKind::Folded, || {
        column(Column::ClientMachineFold)
    }),
    field("StorePath", FieldKind::Folded, || {
        column(Column::StorePathFold)
    }),
    field("Id", FieldKind::Guid, || column(Column::Id)),
    field("AgentId", FieldKind::Guid, || column(Column::AgentId)),
    field("ContainerId", FieldKind::Integer(&[]), || {
        column(Column::ContainerId)
    }),
    field("CertStoreType", FieldKind::Integer(&[]), || {
        column(Column::StoreTypeId)
    }),
    // Another name of the same: kfutil exports by it.
    field("Category", FieldKind::Integer(&[]), || {
        column(Column::StoreTypeId)
    }),
    field("Approved", FieldKind::Boolean, || column(Column::Approved)),
    field("CreateIfMissing", FieldKind::Boolean, || {
        column(Column::CreateIfMissing)
    }),
    field("HasInventoryScheduled", FieldKind::Boolean, || {
        column(Column::InventorySchedule).is_not_null()
    }),
    field("AgentAvailable", FieldKind::Boolean, agent_available),
    container_field("ContainerName"),
    container_field("Container"),
    type_field("PrivateKeyAllowed", ALLOWED, || {
        Expr::col(store_types::Column::PrivateKeyAllowed)
    }),
    type_field("AddSupported", FieldKind::Boolean, || {
        supports("\"Add\":true")
    }),
    type_field("RemoveSupported", FieldKind::Boolean, || {
        supports("\"Remove\":true")
    }),
    field_elsewhere(
        "CertificateId",
        FieldKind::Integer(&[]),
        || column(Column::Id),
        || Expr::col(store_entry_certificates::Column::CertificateId),
        || {
            select(
                store_entry_certificates::Entity,
                store_entry_certificates::Column::StoreId,
            )
        },
    ),
];

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

fn select(entity: impl EntityTrait, key: impl sea_orm::Iden + 'static) -> SelectStatement {
    Select::select().column(key).from(entity).to_owned()
}

const fn container_field(name: &'static str) -> Field {
    field_elsewhere(
        name,
        FieldKind::Folded,
        || column(Column::ContainerId),
        || Expr::col(store_containers::Column::NameFold),
        || select(store_containers::Entity, store_containers::Column::Id),
    )
}

const fn type_field(name: &'static str, kind: FieldKind, value: fn() -> SimpleExpr) -> Field {
    let key: fn() -> SimpleExpr = || column(Column::StoreTypeId);
    field_elsewhere(name, kind, key, value, || {
        select(store_types::Entity, store_types::Column::Id)
    })
}

/// Whether a type's definition, which is JSON of our own writing, has this member.
fn supports(member: &str) -> SimpleExpr {
    Expr::col(store_types::Column::Definition).like(LikeExpr::new(format!("%{member}%")))
}

/// Whether the store has an agent that is approved.
fn agent_available() -> SimpleExpr {
    let approved = Select::select()
        .column(agents::Column::Id)
        .from(agents::Entity)
        .and_where(Expr::col(agents::Column::Status).eq(2))
        .to_owned();
    column(Column::AgentId)
        .is_not_null()
        .and(column(Column::AgentId).in_subquery(approved))
}

/// What else the list's callers may say.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct RoleCheck {
    /// Accepted; what is listed depends on the caller's own roles alone.
    #[expect(dead_code, reason = "declared by the contract")]
    perform_role_check: Option<bool>,
    /// Accepted, see `PerformRoleCheck`.
    #[expect(dead_code, reason = "declared by the contract")]
    #[param(value_type = Option<Vec<i32>>)]
    role_id_list: Option<String>,
}

/// The certificate stores that the caller may read, approved or not.
#[utoipa::path(get, path = "/CertificateStores", tag = "CertificateStore", params(Paging, RoleCheck), responses((status = 200, body = Vec<StoreResponse>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(_): Query<RoleCheck>,
) -> Result<List<StoreResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresRead)?;
    let (ids, total) = page_of_ids(&cx, &paging).await?;
    let rows = readable(&cx, &ids).await?;
    Ok(List {
        items: shown_all(&cx, cx.db().read(), rows).await?,
        total,
    })
}

/// Those of these stores that the caller may read, in this order. One may have moved since its id was found.
pub(super) async fn readable(cx: &Cx, ids: &[Uuid]) -> Result<Vec<Model>, Error> {
    let reach = cx.reach(Permission::StoresRead);
    let reached = |row: &Model| match &reach {
        Reach::All => true,
        Reach::Objects(ids) => row.container_id.is_some_and(|id| ids.contains(&id)),
    };
    let mut rows: HashMap<Uuid, Model> = HashMap::with_capacity(ids.len());
    for part in ids.chunks(VALUES_MAX) {
        let part = Entity::find().filter(Column::Id.is_in(part.iter().copied()));
        let found = part.all(cx.db().read()).await?;
        rows.extend(found.into_iter().filter(reached).map(|row| (row.id, row)));
    }
    Ok(ids.iter().filter_map(|id| rows.remove(id)).collect())
}

/// The ids of a page, and how many stores there are that the caller may read.
async fn page_of_ids(cx: &Cx, paging: &Paging) -> Result<(Vec<Uuid>, u64), Error> {
    let (skip, limit) = paging.window()?;
    let query = paging.query()?;
    let by_machine = paging
        .sort_field
        .as_deref()
        .is_none_or(|name| name.eq_ignore_ascii_case(DEFAULT_SORT));
    let mut wanted = condition(cx, query.as_ref(), FIELDS)?;
    if let Reach::Objects(ids) = cx.reach(Permission::StoresRead) {
        let whole = query.is_none() && by_machine;
        if whole && let Some(order) = cx.app().store_order.of(cx).await? {
            return Ok(order.page(&ids, skip, limit, paging.descending()));
        }
        let container: SimpleExpr = Expr::col((Entity, Column::ContainerId));
        // In the order of machines, walking the index of that order costs far less than sorting what the index of containers
        // finds; the sum keeps databases from the latter.
        let container = if whole { container.add(0) } else { container };
        wanted = Condition::all().add(wanted).add(container.is_in(ids));
    }
    let connection = cx.db().read();
    let select = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(wanted);
    // A field that is none is refused also when there is nothing to sort.
    let sorted = sorted(select.clone(), paging, FIELDS, DEFAULT_SORT, Column::Id)?;
    let total = select.count(connection).await?;
    if skip >= total {
        return Ok((Vec::new(), total));
    }
    let ids = sorted
        .offset(skip)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await?;
    Ok((ids, total))
}

/// One certificate store.
#[utoipa::path(get, path = "/CertificateStores/{id}", tag = "CertificateStore", params(("id" = Uuid, Path, description = "Its id")), responses((status = 200, body = StoreResponse, description = "It")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn get(cx: Cx, PathId(id): PathId<Uuid>) -> Result<Json<StoreResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresRead)?;
    let store = Entity::find_by_id(id).one(cx.db().read()).await?;
    let store = store.ok_or_else(|| Error::not_found("certificate store", id))?;
    cx.authorize_store(Permission::StoresRead, store.container_id)?;
    Ok(Json(shown(&cx, cx.db().read(), store, Form::Read).await?))
}
