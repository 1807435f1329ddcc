//! Reading certificate stores.

use db::tables::{
    agents, certificate_stores, store_containers, store_entry_certificates, store_types,
};
use sea_orm::sea_query::{Expr, ExprTrait, LikeExpr, Query as Select, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::response::{Form, StoreResponse, shown, shown_all};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::{Permission, Reach};
use crate::web::list::{Field, FieldKind, field, field_elsewhere, page};
use crate::web::{Json, List, Paging, PathId, Query};

use certificate_stores::{Column, Entity};

const ALLOWED: FieldKind =
    FieldKind::Integer(&[("forbidden", 0), ("optional", 1), ("required", 2)]);

/// What queries may name: the search reference of this list (command-behaviour.md B.1, clients.md 2.4).
const FIELDS: &[Field] = &[
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

/// The certificate stores, approved or not.
#[utoipa::path(get, path = "/CertificateStores", tag = "CertificateStore", params(Paging, RoleCheck), responses((status = 200, body = Vec<StoreResponse>, description = "A page of them; `X-Total-Count` says how many there are")), extensions(("x-permissions" = json!(["/certificate_stores/read/"]))))]
pub(super) async fn list(
    cx: Cx,
    Query(paging): Query<Paging>,
    Query(_): Query<RoleCheck>,
) -> Result<List<StoreResponse>, Error> {
    cx.authorize_somewhere(Permission::StoresRead)?;
    let readable = match cx.reach(Permission::StoresRead) {
        Reach::All => Entity::find(),
        Reach::Objects(ids) => Entity::find().filter(Column::ContainerId.is_in(ids)),
    };
    let (rows, total) = page(&cx, readable, &paging, FIELDS, "ClientMachine", Column::Id).await?;
    Ok(List {
        items: shown_all(&cx, cx.db().read(), rows).await?,
        total,
    })
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
