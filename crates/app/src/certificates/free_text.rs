//! `GET /Chancery/Search/Certificates`: certificates whose names have all words of a text, the best first. The order is our own rule,
//! applied here and not by the database, so that it is the same on both.

use std::cmp::Reverse;
use std::collections::HashMap;

use db::tables::{certificate_names, certificates};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use search::{Comparison, Expression, Name, Operator, Value};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields::{FIELDS, id};
use super::listing::{self, Details, Shown};
use super::substrings::{self, Needed};
use super::wire::CertificateOutput;
use super::{metadata, substrings::Found};
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;
use crate::web::list::Among;
use crate::web::{List, Paging, Query};

/// Certificates that are ranked at most: the newest of those that have the words.
const RANKED_MAX: usize = 5_000;
/// Certificates that the index may say; if it says more, names are looked through.
const CANDIDATES_MAX: usize = 20_000;
/// Certificates whose names are read at a time.
const AT_ONCE: usize = 100;
/// Characters of a text at most.
const TEXT_MAX: usize = 1_000;
/// Words of a text at most.
const WORDS_MAX: usize = 16;
/// Characters of a word that the index finds.
const FOUND_MIN: usize = 3;
/// Hexadecimal digits from which on a word may be the beginning of a thumbprint or serial number.
const HEXADECIMAL_MIN: usize = 4;

/// What is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(super) struct Asked {
    /// Words, with blanks between them; one of them has to have three characters.
    #[param(required = true, value_type = String, rename = "text")]
    text: Option<String>,
    /// Which certificates besides, as in the list of certificates.
    query_string: Option<String>,
    /// Which page, from 1 (the default).
    #[param(minimum = 1)]
    page_returned: Option<i64>,
    /// Entries on a page, 50 unless told, 10,000 at most.
    #[param(minimum = 1)]
    return_limit: Option<i64>,
}

/// A certificate that was found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RankedCertificate)]
pub(super) struct RankedOutput {
    /// Its place among all that were found, from 1.
    rank: u64,
    /// Where each word was found best.
    matches: Vec<MatchOutput>,
    #[serde(flatten)]
    certificate: CertificateOutput,
}

/// Where a word was found.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = RankedCertificateMatch)]
struct MatchOutput {
    /// The word, as it is compared.
    word: String,
    /// `CN`, `SAN`, `DN`, `Thumbprint` or `SerialNumber`.
    field: &'static str,
    /// What has it, as it is compared.
    value: String,
    /// `Exact`, `Prefix`, `WordStart` or `Substring`.
    r#match: How,
}

/// How a word stands in a name, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
enum How {
    Exact,
    Prefix,
    WordStart,
    Substring,
}

/// Certificates whose names have all words of a text. First those with the word as a name, then as the beginning of one, then as the
/// beginning of a word, then anywhere; then shorter names, valid certificates, newer ones. Of more than 5,000 certificates with
/// these words, the newest are ranked and counted. Revoked and expired ones are left out unless asked for.
#[utoipa::path(
    get, path = "/Chancery/Search/Certificates", tag = "Chancery", params(Asked, Shown, Details),
    responses((status = 200, body = Vec<RankedOutput>, description = "A page of them, the best first; `X-Total-Count` says how many were ranked")),
    extensions(("x-permissions" = json!(["/certificates/collections/read/"])))
)]
pub(super) async fn search(
    cx: Cx,
    Query(asked): Query<Asked>,
    Query(shown): Query<Shown>,
    Query(details): Query<Details>,
) -> Result<List<RankedOutput>, Error> {
    ranked(&cx, asked, &shown, &details).await
}

async fn ranked(
    cx: &Cx,
    asked: Asked,
    shown: &Shown,
    details: &Details,
) -> Result<List<RankedOutput>, Error> {
    let through = details.through();
    cx.authorize_certificate_list(Permission::CertificatesRead, through)
        .await?;
    let paging = Paging {
        query_string: asked.query_string,
        page_returned: asked.page_returned,
        return_limit: asked.return_limit,
        ..Paging::default()
    };
    let (skip, limit) = paging.window()?;
    let query = paging.query()?;
    let words = words(asked.text.as_deref().unwrap_or_default())?;
    let wanted = listing::wanted(cx, query.as_ref(), through, shown).await?;
    let mut ranked = Vec::new();
    // A few at a time: a certificate may have thousands of names.
    for some in rows(cx, &words, wanted).await?.chunks(AT_ONCE) {
        let named = named(cx, some).await?;
        let found = named
            .iter()
            .filter_map(|one| Ranked::of(one, &words, cx.now()));
        ranked.extend(found);
        if ranked.len() >= RANKED_MAX {
            break;
        }
    }
    ranked.truncate(RANKED_MAX);
    ranked.sort_by_key(|ranked| ranked.order);
    let total = ranked.len() as u64;
    let page = ranked
        .into_iter()
        .zip(1_u64..)
        .skip(usize::try_from(skip).unwrap_or(usize::MAX))
        .take(usize::try_from(limit).unwrap_or(usize::MAX));
    let page: Vec<(Ranked, u64)> = page.collect();
    let ids: Vec<i64> = page.iter().map(|(ranked, _)| ranked.id).collect();
    let mut shown: HashMap<i64, CertificateOutput> = listing::those(cx, &ids, details)
        .await?
        .into_iter()
        .map(|item| (item.id, item))
        .collect();
    let items = page.into_iter().filter_map(|(ranked, rank)| {
        Some(RankedOutput {
            rank,
            matches: ranked.matches,
            // One that was deleted meanwhile is none.
            certificate: shown.remove(&ranked.id)?,
        })
    });
    Ok(List {
        items: items.collect(),
        total,
    })
}

/// The words of a text, folded, each once.
fn words(text: &str) -> Result<Vec<String>, Error> {
    if text.chars().nth(TEXT_MAX).is_some() {
        return Err(Error::bad_request(format!(
            "text: longer than {TEXT_MAX} characters."
        )));
    }
    let folded = db::fold(text);
    let mut words: Vec<String> = Vec::new();
    for word in folded.split_whitespace() {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    if words.len() > WORDS_MAX {
        return Err(Error::bad_request(format!(
            "text: more than {WORDS_MAX} words."
        )));
    }
    let is_long = |word: &String| word.chars().nth(FOUND_MIN - 1).is_some();
    if !words.iter().any(is_long) {
        return Err(Error::bad_request(format!(
            "text: a word of {FOUND_MIN} characters at least is needed."
        )));
    }
    Ok(words)
}

fn comparison(field: &str, operator: Operator, word: &str) -> Expression {
    Expression::Comparison(Comparison {
        field: Name {
            text: field.to_owned(),
            span: 0..0,
        },
        operator,
        value: Value::Text(word.to_owned()),
        span: 0..0,
        character: 1,
    })
}

/// What certificates have that may have all words, by the index, or by their names where it does not know or says too many; in the
/// latter case, how many of them are looked at.
async fn candidates(cx: &Cx, words: &[String]) -> Result<(Condition, Option<u64>), Error> {
    let connection = cx.db().read();
    let needed = words.iter().filter_map(|word| substrings::of_word(word));
    let needed = Needed::All(needed.collect());
    let found = substrings::find(connection, &needed, CANDIDATES_MAX).await?;
    let (named, limit) = match found {
        // Certificates that are in no lot yet are among them, whatever they are called.
        Some(Found { ids, is_all: true }) => {
            let among = Among::new(&ids).holds(cx.db().dialect(), id());
            (Condition::all().add(among), None)
        }
        _ => {
            let words = words.iter().map(|word| {
                let fields = ["CN", "DN", "SAN"];
                let any = fields.map(|field| comparison(field, Operator::Contains, word));
                Expression::Or(any.into())
            });
            let all = Expression::And(words.collect());
            let named = metadata::condition(connection, cx, Some(&all), &FIELDS, None).await?;
            (named, Some(RANKED_MAX as u64))
        }
    };
    let mut candidates = Condition::any().add(named);
    let numbers = words.iter().filter(|word| {
        word.len() >= HEXADECIMAL_MIN && word.chars().all(|letter| letter.is_ascii_hexdigit())
    });
    for word in numbers {
        for field in ["Thumbprint", "SerialNumber"] {
            let number = comparison(field, Operator::StartsWith, word);
            let number = metadata::condition(connection, cx, Some(&number), &FIELDS, None).await?;
            candidates = candidates.add(number);
        }
    }
    Ok((candidates, limit))
}

/// A certificate and everything that words are looked for in.
struct Named {
    id: i64,
    not_after: i64,
    names: Vec<(&'static str, String)>,
}

/// What is looked at of a certificate's row.
type Row = (i64, i64, String, Option<String>, String, String);

/// The certificates that may have all words, of those that are wanted, the newest first.
async fn rows(cx: &Cx, words: &[String], wanted: Condition) -> Result<Vec<Row>, Error> {
    use certificates::Column as C;
    let (candidates, limit) = candidates(cx, words).await?;
    let rows = certificates::Entity::find()
        .select_only()
        .columns([
            C::Id,
            C::NotAfter,
            C::SubjectFold,
            C::CommonNameFold,
            C::Thumbprint,
            C::SerialNumber,
        ])
        .filter(candidates)
        .filter(wanted)
        .order_by_desc(C::Id)
        .limit(limit);
    Ok(rows.into_tuple().all(cx.db().read()).await?)
}

async fn named(cx: &Cx, rows: &[Row]) -> Result<Vec<Named>, Error> {
    use certificate_names::Column as N;
    let names: Vec<(i64, String)> = certificate_names::Entity::find()
        .select_only()
        .columns([N::CertificateId, N::ValueFold])
        .filter(N::CertificateId.is_in(rows.iter().map(|row| row.0)))
        .order_by_asc(N::CertificateId)
        .order_by_asc(N::Position)
        .into_tuple()
        .all(cx.db().read())
        .await?;
    let mut by_id: HashMap<i64, Vec<(&'static str, String)>> = HashMap::new();
    for (id, name) in names {
        by_id.entry(id).or_default().push(("SAN", name));
    }
    let of_row = |(id, not_after, subject, common_name, thumbprint, serial): &Row| {
        let common_name = common_name.clone();
        let mut names: Vec<_> = common_name.map(|name| ("CN", name)).into_iter().collect();
        names.extend(by_id.remove(id).unwrap_or_default());
        names.push(("DN", subject.clone()));
        names.push(("Thumbprint", thumbprint.to_ascii_lowercase()));
        names.push(("SerialNumber", serial.to_ascii_lowercase()));
        Named {
            id: *id,
            not_after: *not_after,
            names,
        }
    };
    Ok(rows.iter().map(of_row).collect())
}

/// A certificate that has all words.
struct Ranked {
    id: i64,
    matches: Vec<MatchOutput>,
    /// How its worst word stands, how long the names are, whether it is expired, how old it is.
    order: (How, usize, bool, Reverse<i64>),
}

impl Ranked {
    /// `None` when it does not have all words.
    fn of(named: &Named, words: &[String], now: i64) -> Option<Self> {
        let matches: Option<Vec<MatchOutput>> =
            words.iter().map(|word| best(&named.names, word)).collect();
        let matches = matches?;
        let worst = matches.iter().map(|found| found.r#match).max()?;
        let length = matches.iter().map(|found| found.value.chars().count());
        Some(Self {
            id: named.id,
            order: (
                worst,
                length.sum(),
                named.not_after <= now,
                Reverse(named.id),
            ),
            matches,
        })
    }
}

/// Where a word stands best: of names alike, in the shortest, and of those in the first.
fn best(names: &[(&'static str, String)], word: &str) -> Option<MatchOutput> {
    let found = names.iter().filter_map(|(field, name)| {
        let how = how(field, name, word)?;
        Some((how, name.chars().count(), *field, name))
    });
    let (how, _, field, name) = found.min_by_key(|(how, length, ..)| (*how, *length))?;
    Some(MatchOutput {
        word: word.to_owned(),
        field,
        value: name.clone(),
        r#match: how,
    })
}

fn how(field: &str, name: &str, word: &str) -> Option<How> {
    let starts = name.starts_with(word);
    match field {
        // Of numbers, bits from within mean nothing.
        "Thumbprint" | "SerialNumber" if !starts || word.len() < HEXADECIMAL_MIN => None,
        _ if name == word => Some(How::Exact),
        // How a whole subject begins says nothing either.
        "DN" => within(name, word),
        _ if starts => Some(How::Prefix),
        _ => within(name, word),
    }
}

fn within(name: &str, word: &str) -> Option<How> {
    let mut places = name.match_indices(word).peekable();
    places.peek()?;
    let begins = places.any(|(at, _)| {
        let before = name[..at].chars().next_back();
        before.is_none_or(|letter| !letter.is_alphanumeric())
    });
    Some(if begins {
        How::WordStart
    } else {
        How::Substring
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_words_stand_in_names() {
        for (field, name, word, wanted) in [
            ("CN", "web", "web", Some(How::Exact)),
            ("CN", "web1.example", "web", Some(How::Prefix)),
            ("SAN", "mail.web1", "web", Some(How::WordStart)),
            ("SAN", "cobweb.web", "web", Some(How::WordStart)),
            ("SAN", "cobweb", "web", Some(How::Substring)),
            ("SAN", "mail", "web", None),
            ("DN", "cn=web,o=x", "web", Some(How::WordStart)),
            ("DN", "cn=web,o=x", "cn=", Some(How::WordStart)),
            ("Thumbprint", "abcdef01", "abcd", Some(How::Prefix)),
            ("Thumbprint", "abcdef01", "abc", None),
            ("Thumbprint", "abcdef01", "cdef", None),
            ("CN", "straße", "aße", Some(How::Substring)),
        ] {
            assert_eq!(how(field, name, word), wanted, "{word} in {name}");
        }
    }

    #[test]
    fn texts_that_cannot_be_looked_for() {
        assert_eq!(words(" Web  WEB 1 ").unwrap(), ["web", "1"]);
        for text in ["", "  ", "a bc"] {
            assert!(words(text).is_err(), "{text}");
        }
        assert!(words(&"x".repeat(1_001)).is_err());
        assert!(
            words(
                &(0..17)
                    .map(|word| format!("word{word} "))
                    .collect::<String>()
            )
            .is_err()
        );
    }
}
