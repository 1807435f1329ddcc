//! What the roles of some claims grant. Remembered as long as nobody changes a role, a claim or a permission set: every such
//! change moves the generation in its own transaction, and every request reads the generation, so that a change counts at once
//! in every server on the same database.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use db::tables::{counters, role_claims, role_permissions, roles};
use sea_orm::sea_query::{Expr, ExprTrait, Query, SimpleExpr};
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};

use crate::app::App;
use crate::error::Error;
use crate::security::decide::{Grants, HeldRole};
use crate::security::permissions::Grant;

/// The counter that every change of what is granted moves.
const GENERATION: &str = "security generation";
/// Sets of claims remembered at most.
const REMEMBERED_MAX: usize = 10_000;

/// Grants by the claims that give them.
#[derive(Default)]
pub(crate) struct GrantsCache(Mutex<HashMap<Vec<i64>, Remembered>>);

struct Remembered {
    generation: i64,
    grants: Arc<Grants>,
}

/// Has to stand in every transaction that changes roles, their permissions or holders, claims, or permission sets.
///
/// # Errors
/// Those of the database.
pub(crate) async fn changed(tx: &db::Tx) -> Result<(), Error> {
    let moved = counters::Entity::update_many()
        .col_expr(
            counters::Column::Value,
            Expr::col(counters::Column::Value).add(1),
        )
        .filter(counters::Column::Name.eq(GENERATION))
        .exec(tx)
        .await?;
    if moved.rows_affected == 0 {
        let row = counters::ActiveModel {
            name: ActiveValue::Set(GENERATION.to_owned()),
            shard: ActiveValue::Set(0),
            value: ActiveValue::Set(1),
        };
        counters::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// The generation, to be selected with whatever a sign-in reads anyway.
pub(super) fn generation_query() -> SimpleExpr {
    let query = Query::select()
        .column(counters::Column::Value)
        .from(counters::Entity)
        .and_where(counters::Column::Name.eq(GENERATION))
        .and_where(counters::Column::Shard.eq(0))
        .to_owned();
    SimpleExpr::SubQuery(None, Box::new(query.into()))
}

/// The generation, for sign-ins that read nothing else.
///
/// # Errors
/// Those of the database.
pub(crate) async fn generation(app: &App) -> Result<i64, Error> {
    let row = counters::Entity::find_by_id((GENERATION.to_owned(), 0))
        .one(app.db.read())
        .await?;
    Ok(row.map_or(0, |row| row.value))
}

/// What these claims are granted, in a generation that was read before.
///
/// # Errors
/// Those of the database.
pub(super) async fn of(
    app: &App,
    claim_ids: &[i64],
    generation: i64,
) -> Result<Arc<Grants>, Error> {
    {
        let remembered = app.grants.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = remembered.get(claim_ids);
        if let Some(known) = known.filter(|known| known.generation == generation) {
            return Ok(Arc::clone(&known.grants));
        }
    }
    let grants = Arc::new(read(app, claim_ids).await?);
    let mut remembered = app.grants.0.lock().unwrap_or_else(PoisonError::into_inner);
    if remembered.len() >= REMEMBERED_MAX {
        remembered.clear();
    }
    let known = Remembered {
        generation,
        grants: Arc::clone(&grants),
    };
    remembered.insert(claim_ids.to_vec(), known);
    Ok(grants)
}

async fn read(app: &App, claim_ids: &[i64]) -> Result<Grants, Error> {
    let connection = app.db.read();
    let mut held: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let links = role_claims::Entity::find()
        .filter(role_claims::Column::ClaimId.is_in(claim_ids.iter().copied()))
        .order_by_asc(role_claims::Column::ClaimId)
        .all(connection)
        .await?;
    for link in links {
        held.entry(link.role_id).or_default().push(link.claim_id);
    }
    if held.is_empty() {
        return Ok(Grants::new(Vec::new()));
    }
    let found = roles::Entity::find()
        .filter(roles::Column::Id.is_in(held.keys().copied()))
        .order_by_asc(roles::Column::Id)
        .all(connection)
        .await?;
    let mut granted: HashMap<i64, Vec<Grant>> = HashMap::new();
    let rows = role_permissions::Entity::find()
        .filter(role_permissions::Column::RoleId.is_in(held.keys().copied()))
        .order_by_asc(role_permissions::Column::Permission)
        .order_by_asc(role_permissions::Column::ObjectId)
        .all(connection)
        .await?;
    for row in rows {
        granted.entry(row.role_id).or_default().push(Grant {
            path: row.permission,
            object_id: (row.object_id != 0).then_some(row.object_id),
        });
    }
    let held = found.into_iter().map(|role| HeldRole {
        claim_ids: held.remove(&role.id).unwrap_or_default(),
        grants: granted.remove(&role.id).unwrap_or_default(),
        id: role.id,
        name: role.name,
        enabled: role.enabled,
        permission_set_id: role.permission_set_id,
    });
    Ok(Grants::new(held.collect()))
}
