//! What the roles of some claims grant. Remembered as long as nobody changes a role, a claim or a permission set: every such
//! change moves the generation in its own transaction, and every request reads the generation, so that a change counts at once
//! in every server on the same database.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::app::App;
use crate::error::Error;
use crate::generation::Generation;
use crate::security::decide::Grants;
use crate::security::population;

/// Sets of claims remembered at most.
const REMEMBERED_MAX: usize = 10_000;

/// Grants by the claims that give them.
#[derive(Default)]
pub(crate) struct GrantsCache(Mutex<HashMap<Vec<i64>, Remembered>>);

struct Remembered {
    generation: i64,
    grants: Arc<Grants>,
}

/// Has to stand in every transaction that changes roles, their permissions or holders, claims, permission sets, templates, metadata
/// fields or the owner policy.
///
/// # Errors
/// Those of the database.
pub(crate) async fn changed(tx: &db::Tx) -> Result<(), Error> {
    Generation::Security.moved(tx).await
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
    let grants = Arc::new(population::of_claims(app.db.read(), claim_ids).await?);
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
