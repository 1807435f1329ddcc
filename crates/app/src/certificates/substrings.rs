//! Certificates that a query's answer is certainly among, by the index of names: what makes "contains" fast where few match. The
//! comparison itself is always made; the index only says of which certificates it need not be.
//!
//! The answer is exact at any moment: certificates that are in no lot yet are among it whatever they are called.

use std::collections::{HashMap, HashSet};

use db::tables::{certificate_grams, certificate_lots, certificates_unindexed, counters};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use search::grams::{self, Gram};
use search::{Comparison, Expression, Operator, Value};

use super::indexing::TO_BE_NOTED;
use crate::error::Error;

/// So many certificates are worth naming, and one of so many that there are: of more, all names are as well read one after another.
const NAMED_MAX: usize = 20_000;
const NAMED_PART: i64 = 50;
/// Certificates in no lot at most. While there are more, the index does not help.
const UNINDEXED_MAX: u64 = 16_000;
/// Lots that are looked through at a time.
const LOTS_AT_ONCE: usize = 16;

/// What a certificate has to have for a query to hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// These grams in its names.
    Grams(Vec<Gram>),
    /// All of these.
    All(Vec<Needed>),
    /// One of these.
    Any(Vec<Needed>),
}

/// Certificates by their ids, in their order.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) ids: Vec<i64>,
    /// Whether there are no others. If not, these are the newest.
    pub(super) is_all: bool,
}

/// The certificates that a query's answer is among, if the index knows, and they are few and not more than `most`.
///
/// # Errors
/// Those of the database.
pub(super) async fn candidates(
    connection: &impl ConnectionTrait,
    query: &Expression,
    most: usize,
) -> Result<Option<Vec<i64>>, Error> {
    if !query.comparisons().into_iter().any(is_slow_without) {
        return Ok(None);
    }
    let Some(needed) = needed(query, false) else {
        return Ok(None);
    };
    let all: Option<i64> = certificate_lots::Entity::find()
        .select_only()
        .column_as(Expr::cust("CAST(SUM(certificates) AS BIGINT)"), "all")
        .into_tuple()
        .one(connection)
        .await?
        .flatten();
    let part = usize::try_from(all.unwrap_or_default() / NAMED_PART).unwrap_or_default();
    let max = Ord::min(Ord::max(part, NAMED_MAX), most);
    let found = find(connection, &needed, max).await?;
    Ok(found.filter(|found| found.is_all).map(|found| found.ids))
}

/// Whether no other index finds what a comparison asks for.
fn is_slow_without(comparison: &Comparison) -> bool {
    let Some(kind) = kind(&comparison.field.text) else {
        return false;
    };
    match comparison.operator {
        Operator::Contains | Operator::EndsWith | Operator::NotContains => true,
        Operator::Equal | Operator::StartsWith | Operator::In => kind == Kind::Plain,
        _ => false,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Stored folded, with an index of its own.
    Folded,
    /// Stored as it came, without one.
    Plain,
}

/// How a field compares whose text is in the index.
fn kind(field: &str) -> Option<Kind> {
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(field));
    if is(&["CN", "IssuedCN", "DN", "IssuedDN", "SAN", "SubjectAltName"]) {
        Some(Kind::Folded)
    } else {
        is(&["OU", "IssuedOU", "IssuedEmail"]).then_some(Kind::Plain)
    }
}

/// What certificates have to have for the expression to hold, or not to hold when it is negated; `None` when the index cannot say.
fn needed(expression: &Expression, negated: bool) -> Option<Needed> {
    match (expression, negated) {
        (Expression::And(parts), false) | (Expression::Or(parts), true) => {
            let mut known: Vec<Needed> = parts
                .iter()
                .filter_map(|part| needed(part, negated))
                .collect();
            match known.len() {
                0 | 1 => known.pop(),
                _ => Some(Needed::All(known)),
            }
        }
        (Expression::Or(parts), false) | (Expression::And(parts), true) => {
            let known: Option<Vec<Needed>> =
                parts.iter().map(|part| needed(part, negated)).collect();
            known.map(Needed::Any)
        }
        (Expression::Not(part), _) => needed(part, !negated),
        (Expression::Comparison(comparison), _) => of_comparison(comparison, negated),
    }
}

fn of_comparison(comparison: &Comparison, negated: bool) -> Option<Needed> {
    use Operator as O;
    let kind = kind(&comparison.field.text)?;
    let of_text = |text: &String| {
        // What stands for the caller is replaced when it is compared.
        if text.trim_start().starts_with('%') {
            return None;
        }
        let text = match kind {
            Kind::Folded => db::fold(text),
            Kind::Plain => text.trim().to_ascii_lowercase(),
        };
        of_word(&text)
    };
    match (comparison.operator, negated, &comparison.value) {
        (O::Contains | O::EndsWith | O::StartsWith | O::Equal, false, Value::Text(text))
        | (O::NotContains | O::NotEqual, true, Value::Text(text)) => of_text(text),
        (O::In, false, Value::List(texts)) | (O::NotIn, true, Value::List(texts)) => {
            let known: Option<Vec<Needed>> = texts.iter().map(of_text).collect();
            known.map(Needed::Any)
        }
        _ => None,
    }
}

/// What certificates have to have for a folded text to be in one of their names; `None` for fewer than three characters.
pub(super) fn of_word(text: &str) -> Option<Needed> {
    let grams = grams::looked_for(text);
    (!grams.is_empty()).then_some(Needed::Grams(grams))
}

/// The certificates that have what is needed and those that nobody knows of yet; the newest when there are more than `max`. `None`
/// as long as the index does not have nearly all.
///
/// # Errors
/// Those of the database.
pub(super) async fn find(
    connection: &impl ConnectionTrait,
    needed: &Needed,
    max: usize,
) -> Result<Option<Found>, Error> {
    // In this order: what leaves the one goes into the other.
    let Some(mut ids) = unindexed(connection).await? else {
        return Ok(None);
    };
    let lots = lots(connection).await?;
    let mut buckets = HashSet::new();
    needed.buckets(&mut buckets);
    let mut is_all = true;
    for some in lots.chunks(LOTS_AT_ONCE) {
        let pieces = pieces(connection, some, &buckets).await?;
        for lot in some {
            let of_lot = needed.within(*lot, &pieces);
            ids.extend(of_lot.ok_or_else(|| Error::internal("a lot of the index is damaged"))?);
        }
        if ids.len() > max {
            is_all = false;
            break;
        }
    }
    // Lots that were put together meanwhile are not where they were looked for.
    let now: HashSet<i64> = self::lots(connection).await?.into_iter().collect();
    if !lots.iter().all(|lot| now.contains(lot)) {
        return Ok(None);
    }
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > max {
        is_all = false;
        ids.drain(..ids.len() - max);
    }
    Ok(Some(Found { ids, is_all }))
}

/// The certificates in no lot, unless there are too many.
async fn unindexed(connection: &impl ConnectionTrait) -> Result<Option<Vec<i64>>, Error> {
    use certificates_unindexed::{Column, Entity};
    let to_be_noted: Option<i64> = counters::Entity::find()
        .select_only()
        .column(counters::Column::Value)
        .filter(counters::Column::Name.eq(TO_BE_NOTED))
        .filter(counters::Column::Value.gt(0))
        .into_tuple()
        .one(connection)
        .await?;
    if to_be_noted.is_some() {
        return Ok(None);
    }
    let ids: Vec<i64> = Entity::find()
        .select_only()
        .column(Column::CertificateId)
        .limit(UNINDEXED_MAX + 1)
        .into_tuple()
        .all(connection)
        .await?;
    Ok((ids.len() as u64 <= UNINDEXED_MAX).then_some(ids))
}

/// The lots, those of the newest certificates first.
async fn lots(connection: &impl ConnectionTrait) -> Result<Vec<i64>, Error> {
    use certificate_lots::{Column, Entity};
    let ids = Entity::find()
        .select_only()
        .column(Column::Id)
        .order_by_desc(Column::NewestId)
        .order_by_desc(Column::Id);
    Ok(ids.into_tuple().all(connection).await?)
}

/// Pieces of lots by lot and bucket.
type Pieces = HashMap<(i64, i32), Vec<u8>>;

async fn pieces(
    connection: &impl ConnectionTrait,
    lots: &[i64],
    buckets: &HashSet<i32>,
) -> Result<Pieces, Error> {
    use certificate_grams::{Column, Entity};
    let rows = Entity::find()
        .filter(Column::Bucket.is_in(buckets.iter().copied()))
        .filter(Column::LotId.is_in(lots.iter().copied()))
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.lot_id, row.bucket), row.postings))
        .collect())
}

impl Needed {
    fn buckets(&self, into: &mut HashSet<i32>) {
        match self {
            Self::Grams(grams) => into.extend(grams.iter().map(|gram| grams::bucket(*gram))),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().for_each(|part| part.buckets(into));
            }
        }
    }

    /// The certificates of a lot that have it, in their order. `None` when the lot is damaged.
    fn within(&self, lot: i64, pieces: &Pieces) -> Option<Vec<i64>> {
        match self {
            Self::Grams(wanted) => {
                let mut runs = Vec::with_capacity(wanted.len());
                for gram in wanted {
                    let piece = pieces.get(&(lot, grams::bucket(*gram)));
                    let found = piece.map_or(Some(None), |piece| grams::find(piece, *gram))?;
                    let Some(found) = found else {
                        return Some(Vec::new());
                    };
                    runs.push(found);
                }
                // The rarest first, so that the others only leave some of it out.
                runs.sort_by_key(grams::Runs::size);
                let mut runs = runs.into_iter();
                let mut ids = runs.next()?.numbers()?;
                for runs in runs {
                    runs.keep(&mut ids)?;
                }
                Some(ids)
            }
            Self::All(parts) => {
                let (first, others) = parts.split_first()?;
                let mut ids = first.within(lot, pieces)?;
                for part in others {
                    let other = part.within(lot, pieces)?;
                    ids.retain(|id| other.binary_search(id).is_ok());
                }
                Some(ids)
            }
            Self::Any(parts) => {
                let mut ids = Vec::new();
                for part in parts {
                    ids.extend(part.within(lot, pieces)?);
                }
                ids.sort_unstable();
                ids.dedup();
                Some(ids)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Option<Needed> {
        needed(&search::parse(query).unwrap().unwrap(), false)
    }

    #[test]
    fn what_a_query_needs() {
        let word = |text: &str| of_word(text).unwrap();
        for (query, wanted) in [
            ("CN -contains \"Web1\"", Some(word("web1"))),
            ("CN -contains \"we\"", None),
            ("IssuerDN -contains \"web1\"", None),
            ("SAN -endswith web1 AND KeySize -gt 1", Some(word("web1"))),
            ("SAN -endswith web1 OR KeySize -gt 1", None),
            ("NOT CN -contains web1", None),
            ("NOT CN -notcontains web1", Some(word("web1"))),
            ("CN -eq \"%ME%\"", None),
            (
                "CN -contains web1 OR OU -in (mail, Files)",
                Some(Needed::Any(vec![
                    word("web1"),
                    Needed::Any(vec![word("mail"), word("files")]),
                ])),
            ),
            (
                "NOT (CN -notcontains web1 OR OU -ne mail)",
                Some(Needed::All(vec![word("web1"), word("mail")])),
            ),
            ("NOT (CN -notcontains web1 AND KeySize -gt 1)", None),
        ] {
            assert_eq!(of(query), wanted, "{query}");
        }
    }
}
