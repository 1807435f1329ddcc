//! Query strings as clients write them: any prefix (`pq.`, `certificateStoreQuery.`), any case, `+` or `%20`, stray `&`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::lenient;
use crate::error::{Error, Kind};

/// Entries on a page when the caller names no number.
pub(crate) const DEFAULT_LIMIT: u64 = 50;
/// Entries on a page at most. Scripts ask for 1,000 and exports for more.
pub(crate) const MAX_LIMIT: u64 = 10_000;

/// The query string as a struct: members are matched without regard to case, and to anything before their last dot.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        let value = Value::Object(
            pairs
                .into_iter()
                .map(|(name, text)| (name, Value::String(text)))
                .collect::<Map<_, _>>(),
        );
        lenient::from_value(value)
            .map(Self)
            .map_err(|reason| Error::bad_request(format!("Query string: {reason}.")))
    }
}

/// The pairs of a query string, decoded and trimmed, empty ones left out, prefixes cut off.
fn pairs(query: &str) -> Result<Vec<(String, String)>, Error> {
    let mut found = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name)?, decode(text)?);
        let name = name
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let text = text.trim();
        if !name.is_empty() && !text.is_empty() {
            found.push((name, text.to_owned()));
        }
    }
    Ok(found)
}

/// The numbers of a parameter that stands once for each, or once with commas in between.
///
/// # Errors
/// 400 naming the parameter and what is no number.
pub(crate) fn numbers(uri: &axum::http::Uri, parameter: &str) -> Result<Vec<i64>, Error> {
    let pairs = pairs(uri.query().unwrap_or_default())?;
    let given = pairs
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(parameter))
        .flat_map(|(_, text)| text.split(','))
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let number = |text: &str| {
        let wrong = || Error::bad_request(format!("{parameter}: {text:?} is not a number."));
        text.parse().map_err(|_| wrong())
    };
    given.map(number).collect()
}

fn decode(text: &str) -> Result<String, Error> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next(), rest.next()]
                    .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
                let [Some(high), Some(low)] = digits else {
                    return Err(Error::bad_request(
                        "Query string: a % is not followed by two hexadecimal digits.",
                    ));
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            other => other,
        });
    }
    if octets.contains(&0) {
        return Err(Error::bad_request(
            "Query string: a value holds the character U+0000.",
        ));
    }
    String::from_utf8(octets).map_err(|_| Error::bad_request("Query string: not UTF-8."))
}

/// Which part of a list, in which order.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase", default)]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(crate) struct Paging {
    /// Which entries: `Field -op "value"`, with AND, OR, NOT and parentheses. Empty for all.
    pub(crate) query_string: Option<String>,
    /// Which page, from 1 (the default).
    #[param(minimum = 1)]
    pub(crate) page_returned: Option<i64>,
    /// Entries on a page, 50 unless told, 10,000 at most.
    #[param(minimum = 1)]
    pub(crate) return_limit: Option<i64>,
    /// The field to sort by.
    pub(crate) sort_field: Option<String>,
    /// 0 ascending (the default), 1 descending.
    #[param(value_type = Option<i32>)]
    pub(crate) sort_ascending: Option<SortOrder>,
}

/// The contract's enum: 0 is ascending, 1 is descending, whatever the parameter's name suggests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortOrder {
    Ascending,
    Descending,
}

impl<'de> Deserialize<'de> for SortOrder {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "0" | "ascending" => Ok(Self::Ascending),
            "1" | "descending" => Ok(Self::Descending),
            _ => Err(serde::de::Error::custom(format!(
                "{text:?} is neither 0 (ascending) nor 1 (descending)"
            ))),
        }
    }
}

impl Paging {
    /// How many entries to pass over, and how many to give.
    ///
    /// # Errors
    /// 400 for a page or limit below 1, or a page so far that no list reaches it.
    pub(crate) fn window(&self) -> Result<(u64, u64), Error> {
        let page = self.page_returned.unwrap_or(1);
        let limit = self.return_limit.unwrap_or(DEFAULT_LIMIT.cast_signed());
        let (Ok(page), Ok(limit)) = (u64::try_from(page), u64::try_from(limit)) else {
            return Err(Error::bad_request(
                "PageReturned and ReturnLimit have to be 1 or more.",
            ));
        };
        if page == 0 || limit == 0 {
            return Err(Error::bad_request(
                "PageReturned and ReturnLimit have to be 1 or more.",
            ));
        }
        let limit = limit.min(MAX_LIMIT);
        let skip = (page - 1)
            .checked_mul(limit)
            .filter(|skip| i64::try_from(*skip).is_ok());
        let skip = skip.ok_or_else(|| Error::bad_request("PageReturned is too large."))?;
        Ok((skip, limit))
    }

    /// The query, parsed; `None` for all.
    ///
    /// # Errors
    /// 400 with the position of the mistake.
    pub(crate) fn query(&self) -> Result<Option<search::Expression>, Error> {
        parse_query(self.query_string.as_deref().unwrap_or_default())
    }

    pub(crate) fn descending(&self) -> bool {
        self.sort_ascending == Some(SortOrder::Descending)
    }
}

/// Parses a query wherever one stands: in a query string or a body.
///
/// # Errors
/// 400 with the position of the mistake.
pub(crate) fn parse_query(text: &str) -> Result<Option<search::Expression>, Error> {
    search::parse(text).map_err(|error| {
        Error::new(
            Kind::BadQuery,
            format!("QueryString: {}.", error.message.trim_end_matches('.')),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_case_blanks_and_stray_ampersands() {
        let pairs =
            pairs("pq.queryString=Name%20-eq+%22a%22&&returnLimit=1%20&sq.pageReturned=2&empty=")
                .unwrap();
        let value = pairs
            .into_iter()
            .map(|(name, text)| (name, Value::String(text)))
            .collect();
        let paging: Paging = lenient::from_value(Value::Object(value)).unwrap();
        assert_eq!(paging.query_string.as_deref(), Some("Name -eq \"a\""));
        assert_eq!(paging.window().unwrap(), (1, 1));
    }

    #[test]
    fn a_page_that_no_list_reaches_is_refused() {
        let far = Paging {
            page_returned: Some(i64::MAX),
            ..Paging::default()
        };
        assert!(far.window().is_err());
        let none = Paging {
            page_returned: Some(0),
            ..Paging::default()
        };
        assert!(none.window().is_err());
    }
}
