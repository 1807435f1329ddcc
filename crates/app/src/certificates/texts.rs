//! All texts of a field, kept in memory, each once and with the certificates that have it: which of them have a part in common is
//! found by looking through those that may have it (`trigrams.rs`). What changed since they were read is asked of the database.

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
/// Ends every text, and is in none: no text in UTF-8 has it.
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

/// Those for which a comparison holds that looks for a part of a text, where the texts are kept. The set is kept too.
///
/// # Errors
/// When what is kept is of a later moment; those of the database.
pub(super) async fn found(
    view: &View,
    set: &Set<'_>,
    comparison: &Comparison,
    fields: &[Field],
) -> Result<Option<Arc<Ids>>, Stop> {
    let (Some(field), Value::Text(part)) = (list::named(fields, comparison), &comparison.value)
    else {
        return Ok(None);
    };
    let mut part = db::fold(part).into_bytes();
    if part.is_empty() {
        return Ok(None);
    }
    match comparison.operator {
        Operator::Contains => {}
        Operator::EndsWith => part.push(END),
        _ => return Ok(None),
    }
    if !FIELDS.contains(&field.name) {
        return Ok(None);
    }
    let Some((moment, texts)) = current(view, field.name).await? else {
        return Ok(None);
    };
    let found = tokio::task::spawn_blocking(move || texts.with(&part));
    let found = found.await.map_err(Error::internal)?;
    // As of when the texts were read; what changed since is put right like anything that is kept.
    set.keep_of(moment, Arc::new(found));
    set.current().await
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
}
