//! Which certificates a query means, out of the sets of its comparisons.
//!
//! What is compared with a field that lists are sorted by stands side by side in the order of that field, so that with the order two
//! ends say it all; what looks for a part of a name looks through all names (`texts.rs`). Any other comparison is read by its own
//! index, which many queries share and every database knows how to do. What is broad in a query is put together in memory. Where
//! parts of a query leave few, the database asks the rest of these.

use std::ops::Range;
use std::sync::Arc;

use db::tables::certificates;
use sea_orm::sea_query::{Expr, ExprTrait, IntoCondition};
use sea_orm::{ColumnTrait, Condition};
use search::Expression;

use super::ids::Ids;
use super::noted::View;
use super::orders::Order;
use super::record::STATE_REVOKED;
use super::sets::{Set, Stop};
use super::sorted::Sorted;
use super::texts;
use crate::error::Error;
use crate::web::list::{self, Field};

/// So many the database asks the rest of.
pub(super) const FEW: usize = if cfg!(feature = "testing") { 3 } else { 5_000 };

/// So many of an order are put into a set in less time than somebody else would notice.
const AT_ONCE: usize = if cfg!(feature = "testing") {
    3
} else {
    100_000
};

/// Comparisons that are put together. Of more, the database asks each certificate once.
const PARTS_MAX: usize = 16;

/// The certificates that an expression means.
///
/// # Errors
/// 400 for a bad query; when what is kept is of a later moment, or they are more than may be kept; those of the database.
pub(super) async fn of_query(
    view: &View,
    query: &Expression,
    fields: &'static [Field],
) -> Result<Arc<Ids>, Stop> {
    let whole = Set::of_query(view, query, fields).await?;
    if let Some(set) = known(view, &whole, query, fields).await? {
        return Ok(set);
    }
    if query.comparisons().len() > PARTS_MAX {
        return whole.read_all().await;
    }
    match query {
        Expression::And(parts) => all_of(view, &whole, parts, fields).await,
        Expression::Or(parts) => {
            if let Some(set) = whole.read(FEW).await? {
                return Ok(set);
            }
            let mut either = Ids::default();
            for part in parts {
                let set = Box::pin(of_query(view, part, fields)).await?;
                either = either.or(&set);
            }
            let either = Arc::new(either);
            whole.keep(Arc::clone(&either));
            Ok(either)
        }
        Expression::Not(_) | Expression::Comparison(_) => whole.read_all().await,
    }
}

/// Those that lists show: revoked ones too or not, and expired ones.
///
/// # Errors
/// As above.
pub(super) async fn shown(view: &View, revoked: bool, expired: bool) -> Result<Arc<Ids>, Stop> {
    let shown = Set::shown(view, revoked, expired);
    if let Some(set) = shown.current().await? {
        return Ok(set);
    }
    let mut stretched = Vec::new();
    if !revoked {
        // As queries compare it: a statement's text is prepared once, with the types that its values have then.
        let state = Expr::col((certificates::Entity, certificates::Column::State));
        let is_revoked = state.eq(i64::from(STATE_REVOKED)).into_condition();
        stretched.push(("CertState", vec![is_revoked], true));
    }
    if !expired {
        let is_valid = certificates::Column::NotAfter.gt(view.moment.at);
        stretched.push(("NotAfter", vec![is_valid.into_condition()], false));
    }
    if stretched.is_empty() {
        stretched.push(("Id", Vec::new(), true));
    }
    let mut all: Option<Arc<Ids>> = None;
    for (field, each, others) in stretched {
        let Some(some) = stretches(view, field, each, others).await? else {
            return shown.read_all().await;
        };
        all = Some(match all {
            Some(all) => Arc::new(all.and(&some)),
            None => some,
        });
    }
    let all = all.unwrap_or_default();
    shown.keep(Arc::clone(&all));
    Ok(all)
}

/// What is kept, or can be said by an order or by texts that are kept.
async fn known(
    view: &View,
    set: &Set<'_>,
    query: &Expression,
    fields: &'static [Field],
) -> Result<Option<Arc<Ids>>, Stop> {
    if let Some(set) = set.current().await? {
        return Ok(Some(set));
    }
    let (comparison, negated) = match query {
        Expression::Comparison(comparison) => (comparison, false),
        Expression::Not(part) => match &**part {
            Expression::Comparison(comparison) => (comparison, true),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    if !negated && let Some(found) = texts::found(view, set, comparison, fields).await? {
        return Ok(Some(found));
    }
    let found = list::side_by_side(comparison, negated, fields);
    let Some(found) = found.filter(|found| found.each.len() <= PARTS_MAX) else {
        return Ok(None);
    };
    let mut conditions = Vec::with_capacity(found.each.len());
    for comparison in found.each {
        let comparison = Expression::Comparison(comparison);
        conditions.push(list::condition(&view.cx, Some(&comparison), fields)?);
    }
    let ids = stretches(view, found.field, conditions, found.others).await?;
    if let Some(ids) = &ids {
        set.keep(Arc::clone(ids));
    }
    Ok(ids)
}

/// Those for which one of the conditions holds, or none does, each of which says a stretch of a field's order; nothing where the order
/// is not kept. As long as neither changes, pages of them in that order are looked for between the first and the last of them alone.
async fn stretches(
    view: &View,
    field: &str,
    each: Vec<Condition>,
    others: bool,
) -> Result<Option<Arc<Ids>>, Stop> {
    let order = Order::by(view, field)?;
    let Some(ids) = order.current().await? else {
        return Ok(None);
    };
    let mut inside = Vec::with_capacity(each.len());
    for condition in each {
        match order.stretch(&ids, condition).await? {
            Some(stretch) => inside.push(stretch),
            None => return Ok(None),
        }
    }
    if others {
        inside = between(inside, ids.len());
    }
    let some = inside.iter().filter(|stretch| !stretch.is_empty());
    let hull = some.cloned().reduce(|hull, stretch| {
        Ord::min(hull.start, stretch.start)..Ord::max(hull.end, stretch.end)
    });
    let found = if inside.iter().map(Range::len).sum::<usize>() <= ids.len() / 2 {
        together(&ids, inside).await?
    } else {
        // The others are fewer.
        let all = everything(view, &ids).await?;
        let outside = together(&ids, between(inside, ids.len())).await?;
        match outside.len() {
            0 => all,
            _ => Arc::new(all.without(&outside)),
        }
    };
    if let Some(hull) = hull {
        let lists = &view.cx.app().certificate_lists;
        lists.keep_hull(&found, &ids, hull);
    }
    Ok(Some(found))
}

/// Every certificate that there is, which are those of any order.
async fn everything(view: &View, order: &Arc<Sorted>) -> Result<Arc<Ids>, Stop> {
    let all = Set::shown(view, true, true);
    if let Some(all) = all.current().await? {
        return Ok(all);
    }
    let whole = between(Vec::new(), order.len());
    let ids = together(order, whole).await?;
    all.keep(Arc::clone(&ids));
    Ok(ids)
}

/// What is in any of these stretches of an order.
async fn together(order: &Arc<Sorted>, stretches: Vec<Range<usize>>) -> Result<Arc<Ids>, Error> {
    let count: usize = stretches.iter().map(Range::len).sum();
    let order = Arc::clone(order);
    let either = move || {
        let sets = stretches.into_iter().map(|stretch| order.set(stretch));
        sets.reduce(|all, some| all.or(&some)).unwrap_or_default()
    };
    // Not among what other requests wait for.
    let found = match count {
        0..=AT_ONCE => either(),
        _ => tokio::task::spawn_blocking(either)
            .await
            .map_err(Error::internal)?,
    };
    Ok(Arc::new(found))
}

/// What is before, between and after stretches of a list.
fn between(mut inside: Vec<Range<usize>>, length: usize) -> Vec<Range<usize>> {
    inside.sort_unstable_by_key(|stretch| stretch.start);
    let mut outside = Vec::with_capacity(inside.len() + 1);
    let mut done = 0;
    for stretch in inside {
        outside.push(done..Ord::max(done, stretch.start));
        done = Ord::max(done, stretch.end);
    }
    outside.push(done..length);
    outside
}

async fn all_of(
    view: &View,
    whole: &Set<'_>,
    parts: &[Expression],
    fields: &'static [Field],
) -> Result<Arc<Ids>, Stop> {
    let both = |all: Option<Arc<Ids>>, set: Arc<Ids>| match all {
        Some(all) => Some(Arc::new(all.and(&set))),
        None => Some(set),
    };
    let (mut all, mut unknown) = (None, Vec::new());
    for part in parts {
        let set = Set::of_query(view, part, fields).await?;
        match known(view, &set, part, fields).await? {
            Some(found) => all = both(all, found),
            None => unknown.push((part, set)),
        }
    }
    let mut broad = Vec::new();
    for (part, set) in unknown {
        if let Some(few) = all.as_ref().filter(|all| all.len() <= FEW) {
            return whole.read_among(few).await;
        }
        match set.read(FEW).await? {
            Some(found) => all = both(all, found),
            None => broad.push(part),
        }
    }
    for part in broad {
        if let Some(few) = all.as_ref().filter(|all| all.len() <= FEW) {
            return whole.read_among(few).await;
        }
        all = both(all, Box::pin(of_query(view, part, fields)).await?);
    }
    let all = all.unwrap_or_default();
    whole.keep(Arc::clone(&all));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_stretches() {
        let ids =
            |stretches: Vec<Range<usize>>| stretches.into_iter().flatten().collect::<Vec<_>>();
        for (inside, outside) in [
            (vec![], vec![0, 1, 2, 3, 4, 5]),
            (vec![0..3, 3..6], vec![]),
            (vec![4..5, 1..2], vec![0, 2, 3, 5]),
            // The same value twice, and one that nobody has.
            (vec![2..4, 2..4, 0..0], vec![0, 1, 4, 5]),
        ] {
            assert_eq!(ids(between(inside, 6)), outside);
        }
    }
}
