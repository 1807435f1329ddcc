//! Deleting certificate stores.

use db::tables::certificate_stores;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::display_name;
use super::order::stores_changed;
use super::targets::{VALUES_MAX, authorize, guid};
use super::write::audited;
use crate::audit::{self, Category, Entry, Operation};
use crate::cx::Cx;
use crate::error::Error;
use crate::orchestrator_jobs::forget_store;
use crate::past;
use crate::security::{Permission, Through};
use crate::web::{Body, NoContent, PathId};

/// Deletes a certificate store with its inventory, and takes its jobs back.
#[utoipa::path(delete, path = "/CertificateStores/{id}", tag = "CertificateStore", params(("id" = Uuid, Path, description = "Its id")), responses((status = 204, description = "It is gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete(cx: Cx, PathId(id): PathId<Uuid>) -> Result<NoContent, Error> {
    if delete_stores(&cx, vec![id]).await? == 0 {
        return Err(Error::not_found("certificate store", id));
    }
    Ok(NoContent)
}

/// Deletes several certificate stores. Those that are not there are passed over; one that the caller may not delete keeps all.
#[utoipa::path(delete, path = "/CertificateStores", tag = "CertificateStore", request_body = Vec<Uuid>, responses((status = 204, description = "They are gone")), extensions(("x-permissions" = json!(["/certificate_stores/modify/"]))))]
pub(super) async fn delete_several(
    cx: Cx,
    Body(ids): Body<Vec<String>>,
) -> Result<NoContent, Error> {
    let ids = ids
        .iter()
        .filter_map(|id| guid(Some(id)).ok().flatten())
        .collect();
    delete_stores(&cx, ids).await.map(|_| NoContent)
}

/// Deletes those that are there; answers how many. When the caller may not delete one of them, none is.
async fn delete_stores(cx: &Cx, ids: Vec<Uuid>) -> Result<usize, Error> {
    cx.authorize_somewhere(Permission::StoresModify)?;
    let cx = cx.clone();
    cx.db()
        .clone()
        .write("certificate_stores.delete", move |tx| {
            Box::pin(async move {
                let mut stores = Vec::new();
                for part in ids.chunks(VALUES_MAX) {
                    let part = part.iter().copied();
                    let rows = certificate_stores::Entity::find()
                        .filter(certificate_stores::Column::Id.is_in(part));
                    stores.extend(rows.all(tx).await?);
                }
                let needed = Permission::StoresModify;
                authorize(&cx, needed, Through::System, stores.iter())?;
                let deleted = stores.len();
                if deleted != 0 {
                    stores_changed(tx).await?;
                }
                for store in stores {
                    let id = store.id;
                    forget_store(tx, &cx, id).await?;
                    past::store_goes(tx, &cx, &store).await?;
                    // Its inventory goes with it.
                    certificate_stores::Entity::delete_by_id(id)
                        .exec(tx)
                        .await?;
                    let name = display_name(&store.client_machine, &store.store_path);
                    let message = format!("Certificate store {name} was deleted.");
                    let entry = Entry::new(
                        Operation::Deleted,
                        Category::CertificateStore,
                        name,
                        message,
                    );
                    audit::record(tx, &cx, entry.before(audited(&store))).await?;
                }
                Ok::<_, Error>(deleted)
            })
        })
        .await
}
