//! From what a provider says of a caller to the claims that hold roles.

use db::tables::claims;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::Value;

use super::token::Claims;
use crate::app::App;
use crate::error::Error;
use crate::identity_providers::Provider;
use crate::security::claims::ClaimType;

/// Values that are looked at. A token that holds more is refused: which of them count must not depend on their order.
const VALUES_MAX: usize = 500;
/// Characters of a value at most; longer ones name nothing.
const VALUE_MAX: usize = 1_000;

/// The name of somebody a provider vouches for, as it stands where a local account's might: the names of those have no backslash.
pub(super) fn qualified(scheme: &str, name: &str) -> String {
    format!("{scheme}\\{name}")
}

/// A name without what cannot be seen, or turns around what stands beside it: it is shown, and written into records.
fn shown(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    name.chars().filter(|c| !hidden(*c)).collect()
}

/// What is said of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Portrait {
    /// The name that history and audit show.
    pub(crate) name: String,
    /// Who it is at the provider.
    pub(crate) subject: String,
    /// What it may hold roles by.
    pub(crate) claims: Vec<(ClaimType, String)>,
}

/// What the claims of a token say. `client` tells whether the token may stand for its client: a token that was made for a
/// browser's sign-in does not.
///
/// # Errors
/// What is wrong, for the log.
pub(crate) fn portrait(
    provider: &Provider,
    said: &Claims,
    client: bool,
) -> Result<Portrait, String> {
    let mut found: Vec<(ClaimType, String)> = Vec::new();
    let mut add = |kind: ClaimType, value: Option<&Value>| {
        found.extend(texts(value).map(|text| (kind, text)));
    };
    let unique = provider
        .unique_claims()
        .find_map(|name| at(said, name).filter(|value| texts(Some(value)).next().is_some()));
    add(ClaimType::OAuthSubject, unique);
    add(ClaimType::OAuthOid, said.get("oid"));
    add(ClaimType::User, at(said, provider.name_claim()));
    add(ClaimType::Group, said.get("groups"));
    add(ClaimType::OAuthRole, at(said, provider.role_claim()));
    let client_id = ["client_id", "azp", "appid"]
        .iter()
        .find_map(|name| said.get(*name).filter(|value| value.is_string()));
    if client {
        add(ClaimType::OAuthClientId, client_id);
    }
    found.sort_by(|a, b| (a.0 as i32, &a.1).cmp(&(b.0 as i32, &b.1)));
    found.dedup();
    if found.len() > VALUES_MAX {
        return Err(format!(
            "the token holds more than {VALUES_MAX} roles and groups"
        ));
    }
    let subject = texts(unique)
        .next()
        .or_else(|| texts(client_id).next())
        .ok_or("the token names no subject")?;
    let named = [provider.name_claim(), "name", "email"]
        .iter()
        .find_map(|name| at(said, name).filter(|value| value.is_string()));
    let name = texts(named).next().or_else(|| texts(client_id).next());
    Ok(Portrait {
        name: name
            .map(|name| shown(&name))
            .filter(|name| !db::fold(name).is_empty())
            .unwrap_or_else(|| shown(&subject)),
        subject,
        claims: found,
    })
}

/// A claim by its whole name, which may hold dots (`https://example.org/roles`), otherwise by the path that they make.
fn at<'v>(said: &'v Claims, name: &str) -> Option<&'v Value> {
    if let Some(value) = said.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    at(said.get(first)?.as_object()?, rest)
}

/// The texts of a claim: one, or several.
fn texts(value: Option<&Value>) -> impl Iterator<Item = String> + '_ {
    let several = value.and_then(Value::as_array).into_iter().flatten();
    value
        .filter(|value| !value.is_array())
        .into_iter()
        .chain(several)
        .filter_map(Value::as_str)
        .map(str::trim)
        .filter(|text| {
            !text.is_empty() && text.len() <= 4 * VALUE_MAX && text.chars().count() <= VALUE_MAX
        })
        // No name holds one, and PostgreSQL does not take it.
        .filter(|text| !text.contains('\0'))
        .map(str::to_owned)
}

/// The rows of the claims that are entered here, in ascending order of their ids.
///
/// # Errors
/// Those of the database.
pub(super) async fn entered(
    app: &App,
    scheme: &str,
    portrait: &[(ClaimType, String)],
) -> Result<Vec<i64>, Error> {
    if portrait.is_empty() {
        return Ok(Vec::new());
    }
    let folded = portrait.iter().map(|(_, value)| db::fold(value));
    let rows = claims::Entity::find()
        .filter(claims::Column::ProviderFold.eq(db::fold(scheme)))
        .filter(claims::Column::ValueFold.is_in(folded))
        .all(app.db.read())
        .await?;
    let mut ids: Vec<i64> = rows
        .into_iter()
        .filter(|row| portrait.iter().any(|(kind, value)| is(row, *kind, value)))
        .map(|row| row.id)
        .collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Names of accounts and groups are compared without regard to case, as directories do. What a provider makes up is not:
/// two subjects that differ in case are two.
fn is(row: &claims::Model, kind: ClaimType, value: &str) -> bool {
    row.claim_type == kind as i32
        && match kind {
            ClaimType::User | ClaimType::Group | ClaimType::Computer => {
                row.value_fold == db::fold(value)
            }
            _ => row.value.trim() == value,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider(parameters: Value) -> Provider {
        Provider::for_tests(parameters)
    }

    fn said(value: Value) -> Claims {
        let Value::Object(claims) = value else {
            panic!("an object")
        };
        claims
    }

    #[test]
    fn claims_are_found_where_providers_put_them() {
        let claims = said(json!({
            "sub": "s1", "azp": "app", "oid": "o1", "preferred_username": "alice@example.org", "groups": ["b", "a", "a", 7, ""],
            "realm_access": {"roles": ["operator"]},
        }));
        let provider = provider(json!({"RoleClaimType": "realm_access.roles"}));
        let all = portrait(&provider, &claims, true).unwrap();
        let shown: Vec<_> = all
            .claims
            .iter()
            .map(|(kind, value)| (kind.name(), value.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("User", "alice@example.org"),
                ("Group", "a"),
                ("Group", "b"),
                ("OAuthOid", "o1"),
                ("OAuthRole", "operator"),
                ("OAuthSubject", "s1"),
                ("OAuthClientId", "app"),
            ]
        );
        assert_eq!(
            (all.name.as_str(), all.subject.as_str()),
            ("alice@example.org", "s1")
        );
        let browser = portrait(&provider, &claims, false).unwrap();
        assert!(
            !browser
                .claims
                .iter()
                .any(|(kind, _)| *kind == ClaimType::OAuthClientId)
        );
    }

    #[test]
    fn names_with_dots_and_other_subjects_are_possible() {
        let claims =
            said(json!({"sub": "s1", "https://example.org/roles": "one", "cid": "machine"}));
        let provider = provider(json!({
            "RoleClaimType": "https://example.org/roles", "UniqueClaimType": "uid", "FallbackUniqueClaimType": "cid",
        }));
        let found = portrait(&provider, &claims, true).unwrap();
        assert_eq!(found.subject, "machine");
        assert_eq!(found.claims[0], (ClaimType::OAuthRole, "one".into()));
    }

    #[test]
    fn too_many_and_nothing_are_refused() {
        let many: Vec<String> = (0..=VALUES_MAX).map(|number| number.to_string()).collect();
        let provider = provider(json!({}));
        assert!(portrait(&provider, &said(json!({"sub": "s", "groups": many})), true).is_err());
        assert!(portrait(&provider, &said(json!({"sub": ""})), true).is_err());
        assert!(portrait(&provider, &said(json!({"sub": {"a": 1}})), true).is_err());
        let odd = portrait(
            &provider,
            &said(json!({"sub": "s", "roles": ["x".repeat(1_001), "a\u{0}b"]})),
            true,
        );
        assert_eq!(odd.unwrap().claims.len(), 1);
    }
}
