//! Which certificates a query means, out of the sets of its comparisons.
//!
//! A comparison alone is read by its own index, which many queries share and every database knows how to do; what is broad in a query is
//! put together in memory. Where one part of a query is few, the database asks the rest of these.

use std::sync::Arc;

use search::Expression;

use super::sets::{Ids, Set, Stop};
use crate::cx::Cx;
use crate::web::list::Field;

/// So many the database asks the rest of.
pub(super) const FEW: usize = if cfg!(feature = "testing") { 3 } else { 5_000 };

/// Comparisons that are put together. Of more, the database asks each certificate once.
const PARTS_MAX: usize = 16;

/// The certificates that an expression means at the moment of the snapshot.
///
/// # Errors
/// 400 for a bad query; when what is kept is of a later moment, or they are more than may be kept; those of the database.
pub(super) async fn of_query(
    cx: &Cx,
    snapshot: &db::Snapshot,
    query: &Expression,
    fields: &'static [Field],
) -> Result<Arc<Ids>, Stop> {
    let whole = Set::of_query(cx, snapshot, query, fields).await?;
    if let Some(set) = whole.current(snapshot).await? {
        return Ok(set);
    }
    if query.comparisons().len() > PARTS_MAX {
        return whole.read_all(snapshot).await;
    }
    match query {
        Expression::And(parts) => all_of(cx, snapshot, &whole, parts, fields).await,
        Expression::Or(parts) => {
            if let Some(set) = whole.read(snapshot, FEW).await? {
                return Ok(set);
            }
            let mut either = Ids::default();
            for part in parts {
                let set = Box::pin(of_query(cx, snapshot, part, fields)).await?;
                either = either.or(&set);
            }
            let either = Arc::new(either);
            whole.hold(snapshot, Arc::clone(&either)).await?;
            Ok(either)
        }
        Expression::Not(_) | Expression::Comparison(_) => whole.read_all(snapshot).await,
    }
}

async fn all_of(
    cx: &Cx,
    snapshot: &db::Snapshot,
    whole: &Set<'_>,
    parts: &[Expression],
    fields: &'static [Field],
) -> Result<Arc<Ids>, Stop> {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for part in parts {
        let set = Set::of_query(cx, snapshot, part, fields).await?;
        let found = match set.current(snapshot).await? {
            Some(found) => Some(found),
            None => set.read(snapshot, FEW).await?,
        };
        match found {
            Some(few) if few.len() <= FEW => return whole.read_among(snapshot, &few).await,
            Some(found) => known.push(found),
            None => unknown.push(part),
        }
    }
    for part in unknown {
        known.push(Box::pin(of_query(cx, snapshot, part, fields)).await?);
    }
    let both = |all: Arc<Ids>, set: Arc<Ids>| Arc::new(all.and(&set));
    let all = known.into_iter().reduce(both).unwrap_or_default();
    whole.hold(snapshot, Arc::clone(&all)).await?;
    Ok(all)
}
