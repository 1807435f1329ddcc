//! Keeping what was: who changes certificates, their metadata or the stores they are in, or takes them away, calls this first, in the
//! same transaction. What `GET /Certificates?asOf=` answers rests on it, and `cargo xtask tidy` looks for those who forget it. A
//! thing that is new needs nothing: it says itself since when it is there.

use db::past::keep;
use db::tables::{
    certificate_contents, certificate_metadata, certificate_names, certificate_stores,
    certificates, past_certificate_stores, past_store_types, store_entries,
    store_entry_certificates, store_types,
};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue, ColumnTrait, Condition, EntityTrait, QueryFilter};
use uuid::Uuid;

use crate::cx::Cx;
use crate::error::Error;

/// Rows in one statement at most.
const ROWS_MAX: usize = 500;

/// These certificates are about to change.
///
/// # Errors
/// Those of the database.
pub(crate) async fn certificates_change(tx: &db::Tx, cx: &Cx, ids: &[i64]) -> Result<(), Error> {
    for some in ids.chunks(ROWS_MAX) {
        let these = certificates::Column::Id.is_in(some.iter().copied());
        keep(tx, certificates::Entity, cx.now(), these).await?;
    }
    Ok(())
}

/// These certificates are about to be deleted, with all that belongs to them but their places. Their keys are not kept.
///
/// # Errors
/// Those of the database.
pub(crate) async fn certificates_go(tx: &db::Tx, cx: &Cx, ids: &[i64]) -> Result<(), Error> {
    certificates_change(tx, cx, ids).await?;
    for some in ids.chunks(ROWS_MAX) {
        let these = || some.iter().copied();
        let now = cx.now();
        let content = certificate_contents::Column::CertificateId.is_in(these());
        keep(tx, certificate_contents::Entity, now, content).await?;
        let names = certificate_names::Column::CertificateId.is_in(these());
        keep(tx, certificate_names::Entity, now, names).await?;
        metadata_changes(
            tx,
            cx,
            certificate_metadata::Column::CertificateId.is_in(these()),
        )
        .await?;
    }
    Ok(())
}

/// The values of metadata that `which` is true of are about to change or to be cleared.
///
/// # Errors
/// Those of the database.
pub(crate) async fn metadata_changes(
    tx: &db::Tx,
    cx: &Cx,
    which: impl sea_orm::sea_query::IntoCondition,
) -> Result<(), Error> {
    Ok(keep(tx, certificate_metadata::Entity, cx.now(), which).await?)
}

/// The certificates of store entries that `which` is true of are about to be others, or called otherwise, or gone.
///
/// # Errors
/// Those of the database.
pub(crate) async fn places_change(
    tx: &db::Tx,
    cx: &Cx,
    which: impl sea_orm::sea_query::IntoCondition,
) -> Result<(), Error> {
    Ok(keep(tx, store_entry_certificates::Entity, cx.now(), which).await?)
}

/// These entries of stores are about to go, or to be called otherwise. Their certificates are to be placed anew.
///
/// # Errors
/// Those of the database.
pub(crate) async fn entries_change(tx: &db::Tx, cx: &Cx, ids: &[i64]) -> Result<(), Error> {
    for some in ids.chunks(ROWS_MAX) {
        let entries = store_entries::Column::Id.is_in(some.iter().copied());
        keep(tx, store_entries::Entity, cx.now(), entries).await?;
        let places = store_entry_certificates::Column::EntryId.is_in(some.iter().copied());
        places_change(tx, cx, places).await?;
    }
    Ok(())
}

/// The store is about to be somewhere else, and so are the certificates in it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn store_moves(tx: &db::Tx, cx: &Cx, id: Uuid) -> Result<(), Error> {
    use store_entry_certificates::Column as Link;
    let now = cx.now();
    keep(
        tx,
        certificate_stores::Entity,
        now,
        certificate_stores::Column::Id.eq(id),
    )
    .await?;
    places_change(tx, cx, Link::StoreId.eq(id)).await?;
    let older = Condition::any()
        .add(Link::Since.is_null())
        .add(Link::Since.lt(now));
    store_entry_certificates::Entity::update_many()
        .col_expr(Link::Since, Expr::val(now))
        .filter(Link::StoreId.eq(id))
        .filter(older)
        .exec(tx)
        .await?;
    Ok(())
}

/// The store is about to be deleted with its inventory. Who might see it last is who may see what was in it.
///
/// # Errors
/// Those of the database.
pub(crate) async fn store_goes(
    tx: &db::Tx,
    cx: &Cx,
    store: &certificate_stores::Model,
) -> Result<(), Error> {
    let now = cx.now();
    keep(
        tx,
        certificate_stores::Entity,
        now,
        certificate_stores::Column::Id.eq(store.id),
    )
    .await?;
    keep(
        tx,
        store_entries::Entity,
        now,
        store_entries::Column::StoreId.eq(store.id),
    )
    .await?;
    places_change(
        tx,
        cx,
        store_entry_certificates::Column::StoreId.eq(store.id),
    )
    .await?;
    past_certificate_stores::Entity::update_many()
        .col_expr(
            past_certificate_stores::Column::ContainerId,
            Expr::val(store.container_id),
        )
        .filter(past_certificate_stores::Column::Id.eq(store.id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The type of stores is about to be deleted: what was in stores of it keeps its name.
///
/// # Errors
/// Those of the database.
pub(crate) async fn store_type_goes(tx: &db::Tx, row: &store_types::Model) -> Result<(), Error> {
    let kept = past_store_types::ActiveModel {
        id: ActiveValue::Set(row.id),
        name: ActiveValue::Set(row.name.clone()),
    };
    let again = OnConflict::column(past_store_types::Column::Id)
        .update_column(past_store_types::Column::Name)
        .to_owned();
    past_store_types::Entity::insert(kept)
        .on_conflict(again)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}
