//! What is in a collection: what its query finds now. Nothing is remembered, so that a certificate that changes is in or out of a
//! collection in the same moment.

use std::collections::HashSet;

use db::tables::{certificate_collections, certificates};
use sea_orm::sea_query::{Expr, UnionType};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
};

use crate::cx::Cx;
use crate::error::Error;

/// Collections that one query asks of.
const ASKED_TOGETHER: usize = 40;
/// Collections that a refusal names at most.
const NAMED_MAX: u64 = 20;

/// The condition that a certificate is in the collection, as the caller sees it (`%ME%` is the caller).
///
/// # Errors
/// 400 for an unknown collection.
pub(crate) async fn condition(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    id: i64,
) -> Result<Condition, Error> {
    let row = certificate_collections::Entity::find_by_id(id)
        .one(connection)
        .await?;
    let row = row.ok_or_else(|| unknown(id))?;
    crate::certificates::condition(connection, cx, &row.query).await
}

/// What a collection asks; `None` for everything.
///
/// # Errors
/// 400 for an unknown collection.
pub(crate) async fn query(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<Option<search::Expression>, Error> {
    let text: Option<String> = certificate_collections::Entity::find_by_id(id)
        .select_only()
        .column(certificate_collections::Column::Query)
        .into_tuple()
        .one(connection)
        .await?;
    let text = text.ok_or_else(|| unknown(id))?;
    crate::web::query_string::parse_query(&text)
}

fn unknown(id: i64) -> Error {
    Error::bad_request(format!(
        "CollectionId: there is no certificate collection {id}."
    ))
}

/// What a collection is called.
///
/// # Errors
/// 400 naming `place` for an unknown collection.
pub(crate) async fn name(
    connection: &impl ConnectionTrait,
    place: &str,
    id: i64,
) -> Result<String, Error> {
    let name = certificate_collections::Entity::find_by_id(id)
        .select_only()
        .column(certificate_collections::Column::Name)
        .into_tuple()
        .one(connection)
        .await?;
    name.ok_or_else(|| {
        Error::bad_request(format!("{place}: there is no certificate collection {id}."))
    })
}

/// Those of some certificates that are not in the collection, ones that do not exist among them.
///
/// # Errors
/// 400 for an unknown collection.
pub(crate) async fn missing(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    id: i64,
    certificate_ids: &[i64],
) -> Result<Vec<i64>, Error> {
    let inside: Vec<i64> = certificates::Entity::find()
        .select_only()
        .column(certificates::Column::Id)
        .filter(condition(connection, cx, id).await?)
        .filter(certificates::Column::Id.is_in(certificate_ids.iter().copied()))
        .into_tuple()
        .all(connection)
        .await?;
    let inside: HashSet<i64> = inside.into_iter().collect();
    Ok(certificate_ids
        .iter()
        .copied()
        .filter(|id| !inside.contains(id))
        .collect())
}

/// Those of some collections that a certificate is in, by id and name, in the order of their ids. One that is gone, or whose query
/// names what is gone, has nothing inside.
///
/// # Errors
/// Those of the database.
pub(crate) async fn containing(
    connection: &impl ConnectionTrait,
    cx: &Cx,
    certificate_id: i64,
    ids: &[i64],
) -> Result<Vec<(i64, String)>, Error> {
    use certificate_collections::{Column, Entity};
    let mut found = Vec::new();
    for part in ids.chunks(ASKED_TOGETHER) {
        let rows = Entity::find()
            .filter(Column::Id.is_in(part.iter().copied()))
            .order_by_asc(Column::Id)
            .all(connection)
            .await?;
        let mut whole: Option<Select<certificates::Entity>> = None;
        for row in &rows {
            let inside = crate::certificates::condition_of_few(connection, cx, &row.query).await;
            let Ok(inside) = inside else {
                continue;
            };
            let mut one = certificates::Entity::find()
                .select_only()
                .expr_as(Expr::val(row.id), "collection_id")
                .filter(certificates::Column::Id.eq(certificate_id))
                .filter(inside);
            match &mut whole {
                None => whole = Some(one),
                Some(whole) => {
                    let one = QueryTrait::query(&mut one).take();
                    QueryTrait::query(whole).union(UnionType::All, one);
                }
            }
        }
        let Some(whole) = whole else { continue };
        let inside: HashSet<i64> = whole
            .into_tuple()
            .all(connection)
            .await?
            .into_iter()
            .collect();
        let rows = rows.into_iter().filter(|row| inside.contains(&row.id));
        found.extend(rows.map(|row| (row.id, row.name)));
    }
    Ok(found)
}

/// Whether who asks decides what a query finds.
pub(crate) fn depends_on_caller(query: &str) -> bool {
    query.to_ascii_uppercase().contains("%ME")
}

/// Whether who asks decides what is in a collection.
///
/// # Errors
/// Those of the database.
pub(crate) async fn differs_by_caller(
    connection: &impl ConnectionTrait,
    id: i64,
) -> Result<bool, Error> {
    let row = certificate_collections::Entity::find_by_id(id)
        .one(connection)
        .await?;
    Ok(row.is_some_and(|row| depends_on_caller(&row.query)))
}

/// How refusals name these collections: `3 (Web servers)`.
///
/// # Errors
/// Those of the database.
pub(crate) async fn names(
    connection: &impl ConnectionTrait,
    ids: &[i64],
) -> Result<Vec<String>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found: Vec<(i64, String)> = certificate_collections::Entity::find()
        .select_only()
        .columns([
            certificate_collections::Column::Id,
            certificate_collections::Column::Name,
        ])
        .filter(certificate_collections::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(certificate_collections::Column::Id)
        .limit(NAMED_MAX)
        .into_tuple()
        .all(connection)
        .await?;
    Ok(found
        .into_iter()
        .map(|(id, name)| format!("{id} ({name})"))
        .collect())
}
