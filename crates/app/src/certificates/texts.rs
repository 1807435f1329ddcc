//! All texts of a field, kept in memory, each once and with the certificates that have it, in the order of their octets: those that
//! begin alike stand side by side, and which have a part in common is found by looking through those that may have it
//! (`trigrams.rs`). What changed since they were read is asked of the database.

use std::ops::Range;
use std::sync::Arc;

use db::tables::{certificate_names, certificates};
use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sea_orm::sea_query::{Expr, ExprTrait, IntoIden, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend};
use search::{Comparison, Operator, Value};

use super::ids::Ids;
use super::kept::{Entry, What};
use super::noted::{Changed, Moment, View};
use super::sets::{Set, Stop};
use super::trigrams::{BLOCK, Trigrams};
use crate::error::Error;
use crate::web::list::{self, Field};

/// The fields, by the name that queries have for them.
pub(super) const FIELDS: [&str; 4] = ["CN", "DN", "IssuerDN", "SAN"];
/// Different texts that are read at a time.
const READ: u64 = if cfg!(feature = "testing") { 3 } else { 20_000 };
/// Certificates that changed since the texts were read, until they are read anew.
const CHANGED_MAX: usize = if cfg!(feature = "testing") { 4 } else { 500 };
/// Texts that one core looks through in less time than it takes to share them with another.
const SHARED: usize = if cfg!(feature = "testing") { 2 } else { 65_536 };
/// Of more certificates whose texts begin alike an order says where they stand too, which their pages need.
const ALIKE_MAX: usize = if cfg!(feature = "testing") { 4 } else { 20_000 };
/// Ends every text, and is in none, as the greatest octet: no text in UTF-8 has it.
const END: u8 = 0xff;

/// All texts of a field, or none of them where there was no room.
#[derive(Debug, Default)]
pub(super) struct Texts {
    is_whole: bool,
    all: Vec<u8>,
    /// Where the first of each block of them begins.
    begins: Vec<u32>,
    /// Up to where the certificates of each are in `ids`.
    ends: Vec<u32>,
    ids: Vec<u32>,
    trigrams: Trigrams,
}

impl Texts {
    pub(super) fn octets(&self) -> usize {
        let numbers = self.begins.len() + self.ends.len() + self.ids.len();
        self.all.len() + numbers * size_of::<u32>() + self.trigrams.octets()
    }

    /// Whether these are all, and not only that they had no room.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Nothing where it is more than can be kept.
    fn add(&mut self, text: &str, ids: &str) -> Option<()> {
        let (at, begin) = (self.ends.len(), self.all.len());
        if at.is_multiple_of(BLOCK) {
            self.begins.push(u32::try_from(begin).ok()?);
        }
        self.all.extend(text.as_bytes());
        self.all.push(END);
        self.trigrams.add(at, &self.all[begin..]);
        for id in ids.split(',') {
            self.ids.push(id.parse().ok()?);
        }
        self.ends.push(u32::try_from(self.ids.len()).ok()?);
        Some(())
    }

    /// The certificates that have a text with `part` in it.
    fn with(&self, part: &[u8]) -> Ids {
        let finder = Finder::new(part);
        // In small turns: others want the cores too.
        let places = self.trigrams.places(part, self.ends.len(), SHARED);
        let found = places
            .into_par_iter()
            .flat_map_iter(|some| self.within(some, &finder));
        Ids::new(&found.collect::<Vec<u32>>())
    }

    /// The certificates of the texts from one on and before another one.
    fn between(&self, from: &[u8], to: &[u8]) -> &[u32] {
        &self.ids[self.before(from)..self.before(to)]
    }

    /// How many certificates those texts have together that come before one.
    fn before(&self, text: &[u8]) -> usize {
        let from = |begin: &u32| &self.all[*begin as usize..];
        let is_before = |all: &[u8]| all.split(|octet| *octet == END).next() < Some(text);
        let blocks = self.begins.partition_point(|begin| is_before(from(begin)));
        // The last block that begins before it may end after it.
        let Some(last) = blocks.checked_sub(1) else {
            return 0;
        };
        let texts = from(&self.begins[last]).split_inclusive(|octet| *octet == END);
        let some = texts.take(BLOCK).take_while(|all| is_before(all)).count();
        // At least the first is before it.
        self.ends[last * BLOCK + some - 1] as usize
    }

    /// The certificates of those of some blocks of texts in which something is found.
    fn within(&self, texts: Range<usize>, finder: &Finder<'_>) -> Vec<u32> {
        let begin_of = |block: usize| self.begins.get(block).map(|begin| *begin as usize);
        let begin = begin_of(texts.start / BLOCK).unwrap_or(self.all.len());
        let end = begin_of(texts.end.div_ceil(BLOCK)).unwrap_or(self.all.len());
        let (mut found, mut text, mut from) = (Vec::new(), texts.start, begin);
        while let Some(at) = finder.find(&self.all[from..end]) {
            let at = from + at;
            text += memchr_iter(END, &self.all[from..at]).count();
            let first = match text {
                0 => 0,
                _ => self.ends[text - 1],
            };
            found.extend(&self.ids[first as usize..self.ends[text] as usize]);
            // On with the next text: of this one its certificates are known.
            from = memchr(END, &self.all[at..end]).map_or(end, |length| at + length + 1);
            text += 1;
        }
        found
    }
}

/// Those for which a comparison holds with texts that are kept, or with a part of them, unless it is one that an order answers as well.
/// The set is kept too.
///
/// # Errors
/// When what is kept is of a later moment; those of the database.
pub(super) async fn found(
    view: &View,
    set: &Set<'_>,
    comparison: &Comparison,
    fields: &[Field],
) -> Result<Option<Arc<Ids>>, Stop> {
    let Some(field) = list::named(fields, comparison).filter(|field| FIELDS.contains(&field.name))
    else {
        return Ok(None);
    };
    let Some(wanted) = Wanted::by(comparison) else {
        return Ok(None);
    };
    let Some((moment, texts)) = current(view, field.name).await? else {
        return Ok(None);
    };
    let most = match field.sortable {
        true => ALIKE_MAX,
        false => usize::MAX,
    };
    let found = tokio::task::spawn_blocking(move || wanted.found(&texts, most));
    let Some(found) = found.await.map_err(Error::internal)? else {
        return Ok(None);
    };
    // As of when the texts were read; what changed since is put right like anything that is kept.
    set.keep_of(moment, Arc::new(found));
    set.current().await
}

/// What texts are looked for.
enum Wanted {
    /// Those with a part.
    With(Vec<u8>),
    /// Those from one on and before another one.
    Between(Vec<u8>, Vec<u8>),
}

impl Wanted {
    fn by(comparison: &Comparison) -> Option<Self> {
        let Value::Text(text) = &comparison.value else {
            return None;
        };
        let folded = db::fold(text).into_bytes();
        if folded.is_empty() {
            return None;
        }
        let and = |end: u8| [folded.as_slice(), &[end]].concat();
        match comparison.operator {
            Operator::Contains => Some(Self::With(folded)),
            Operator::EndsWith => Some(Self::With(and(END))),
            Operator::StartsWith => Some(Self::Between(folded.clone(), and(END))),
            // What stands for the caller is replaced when it is compared.
            Operator::Equal if !folded.starts_with(b"%") => {
                Some(Self::Between(folded.clone(), and(0)))
            }
            _ => None,
        }
    }

    /// Nothing where those that begin alike are more than so many certificates.
    fn found(&self, texts: &Texts, most: usize) -> Option<Ids> {
        match self {
            Self::With(part) => Some(texts.with(part)),
            Self::Between(from, to) => {
                let ids = texts.between(from, to);
                (ids.len() <= most).then(|| Ids::new(ids))
            }
        }
    }
}

/// The texts of a field and the moment that they are of, unless much changed since.
async fn current(view: &View, field: &str) -> Result<Option<(Moment, Arc<Texts>)>, Stop> {
    let lists = &view.cx.app().certificate_lists;
    let key = key(field);
    let Some(Entry {
        moment,
        what: What::Texts(texts),
    }) = lists.find(&key)
    else {
        lists.miss();
        return Ok(None);
    };
    match view.since(moment, false).await? {
        Changed::Ids(changed) if changed.len() <= CHANGED_MAX => {
            if is_old(&changed) {
                lists.miss();
            }
            Ok(texts.is_whole.then_some((moment, texts)))
        }
        Changed::Later => Err(Stop::Later),
        _ => {
            lists.forget(&key);
            lists.miss();
            Ok(None)
        }
    }
}

/// Whether so much changed that the texts are better read anew soon.
fn is_old(changed: &[i64]) -> bool {
    changed.len() > CHANGED_MAX / 2
}

/// Reads the texts of a field, unless they are kept and little changed. Where they do not fit beside what is kept already, it is kept
/// that they do not, as long as little changes.
///
/// # Errors
/// When what is kept is of a later moment; those of the database.
pub(super) async fn put_together(view: &View, field: &str) -> Result<(), Stop> {
    let (lists, key) = (&view.cx.app().certificate_lists, key(field));
    if let Some(Entry { moment, .. }) = lists.find(&key) {
        match view.since(moment, false).await? {
            Changed::Ids(changed) if !is_old(&changed) => return Ok(()),
            Changed::Later => return Err(Stop::Later),
            _ => lists.forget(&key),
        }
    }
    let room = lists.room();
    let texts = read(view, field, room).await?;
    match &texts {
        Some(texts) => tracing::debug!(field, octets = texts.octets(), "names are in memory"),
        None => tracing::info!(field, room, "names have no room in memory"),
    }
    let (moment, what) = (
        view.moment,
        What::Texts(Arc::new(texts.unwrap_or_default())),
    );
    lists.keep(&key, Entry { moment, what });
    Ok(())
}

/// Nothing where they take more than so many octets.
async fn read(view: &View, field: &str, octets_max: usize) -> Result<Option<Texts>, Stop> {
    let mut texts = Texts {
        is_whole: true,
        ..Texts::default()
    };
    let mut after = String::new();
    loop {
        let some = view
            .snapshot
            .query_all(&select(view, field, &after))
            .await?;
        let count = some.len() as u64;
        for row in some {
            let (text, ids): (String, String) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            if texts.add(&text, &ids).is_none() {
                return Ok(None);
            }
            after = text;
        }
        if texts.octets() > octets_max {
            return Ok(None);
        }
        if count < READ {
            return Ok(Some(texts));
        }
    }
}

fn key(field: &str) -> String {
    format!("texts {field}")
}

/// Some texts of a field after another one, in their order, each with its certificates. None is empty.
fn select(view: &View, field: &str, after: &str) -> SelectStatement {
    use certificates::Column as C;
    let own = |column: C| (certificates::Entity.into_iden(), column.into_iden());
    let ((table, text), id) = match field {
        "CN" => (own(C::CommonNameFold), C::Id.into_iden()),
        "DN" => (own(C::SubjectFold), C::Id.into_iden()),
        "IssuerDN" => (own(C::IssuerFold), C::Id.into_iden()),
        _ => (
            (
                certificate_names::Entity.into_iden(),
                certificate_names::Column::ValueFold.into_iden(),
            ),
            certificate_names::Column::CertificateId.into_iden(),
        ),
    };
    let ids = match view.snapshot.get_database_backend() {
        DbBackend::Sqlite => Expr::cust_with_expr("group_concat(?, ',')", Expr::col(id)),
        _ => Expr::cust_with_expr("string_agg($1::text, ',')", Expr::col(id)),
    };
    Query::select()
        .column(text.clone())
        .expr(ids)
        .from(table)
        .and_where(Expr::col(text.clone()).gt(after))
        .group_by_col(text.clone())
        .order_by(text, Order::Asc)
        .limit(READ)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use search::Expression;

    use super::*;

    #[test]
    fn a_part_is_found_in_every_text_that_has_it() {
        let mut texts = Texts::default();
        for (text, ids) in [
            ("abcab", "7"),
            ("bca", "3,9"),
            ("ca", "1"),
            ("xab", "7,2,4000"),
        ] {
            texts.add(text, ids).unwrap();
        }
        for (part, wanted) in [
            (&b"ab"[..], vec![2, 7, 4000]),
            (b"a", vec![1, 2, 3, 7, 9, 4000]),
            (b"bca", vec![3, 7, 9]),
            (b"ca\xff", vec![1, 3, 9]),
            (b"xab\xff", vec![2, 7, 4000]),
            (b"abb", vec![]),
            // Not across the end of one.
            (b"bb", vec![]),
            (b"caxa", vec![]),
        ] {
            let found: Vec<i64> = texts.with(part).ids().collect();
            assert_eq!(found, wanted, "{part:?}");
        }
        assert!(Texts::default().with(b"a").ids().next().is_none());
        assert!(texts.add("y", "4294967296").is_none());
    }

    #[test]
    fn texts_that_begin_alike_stand_side_by_side() {
        let all = ["a", "a b", "ab", "aba", "abé", "ac", "b", "ba"];
        for count in 0..=all.len() {
            let mut texts = Texts::default();
            for (text, id) in all[..count].iter().zip(1..) {
                texts.add(text, &format!("{id},{}", id + 100)).unwrap();
            }
            for text in ["", " ", "a", "a b", "ab", "abé", "abéa", "b", "c", "0"] {
                for operator in ["-startswith", "-eq"] {
                    let query = format!("CN {operator} \"{text}\"");
                    let Some(Expression::Comparison(comparison)) = search::parse(&query).unwrap()
                    else {
                        panic!("{query} is no comparison");
                    };
                    let wanted = Wanted::by(&comparison);
                    assert_eq!(wanted.is_none(), text.trim().is_empty(), "{query}");
                    let Some(wanted) = wanted else { continue };
                    let alike = |one: &str| match operator {
                        "-eq" => one == text,
                        _ => one.starts_with(text),
                    };
                    let places = (1..=count as i64).filter(|id| alike(all[*id as usize - 1]));
                    let places: Vec<i64> = places.collect();
                    let ids: Vec<i64> = [0, 100]
                        .iter()
                        .flat_map(|more| places.iter().map(move |id| id + more))
                        .collect();
                    let found = wanted.found(&texts, usize::MAX).unwrap();
                    assert_eq!(found.ids().collect::<Vec<i64>>(), ids, "{query} of {count}");
                    let is_found = wanted.found(&texts, 3).is_some();
                    assert_eq!(is_found, ids.len() <= 3, "{query} of {count}");
                }
            }
        }
    }
}
