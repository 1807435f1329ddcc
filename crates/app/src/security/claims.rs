//! Claims: what identities are known by. Roles are held by claims, never by anything else; a local account is known by one.

use db::tables::claims;
use sea_orm::{ActiveModelTrait, ActiveValue};

use crate::error::Error;

/// The authentication scheme of claims that stand for local accounts.
pub const LOCAL_PROVIDER: &str = "Chancery";

/// The kind of a claim: the contract's ClaimType. Requests carry the number or the name, answers the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ClaimType {
    /// A person's account; local accounts are of this type.
    User = 0,
    /// A group of the provider.
    Group = 1,
    /// A machine's account.
    Computer = 2,
    /// The object id of a token (`oid`).
    OAuthOid = 3,
    /// A role of a token.
    OAuthRole = 4,
    /// The subject of a token (`sub`).
    OAuthSubject = 5,
    /// The client of a token (`client_id`, `azp`).
    OAuthClientId = 6,
}

impl ClaimType {
    /// All of them, by number.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::User, "User"),
        (Self::Group, "Group"),
        (Self::Computer, "Computer"),
        (Self::OAuthOid, "OAuthOid"),
        (Self::OAuthRole, "OAuthRole"),
        (Self::OAuthSubject, "OAuthSubject"),
        (Self::OAuthClientId, "OAuthClientId"),
    ];

    /// As answers show it.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The type of this number.
    pub fn of_number(number: i64) -> Option<Self> {
        let index = usize::try_from(number).ok()?;
        Self::ALL.get(index).map(|(kind, _)| *kind)
    }

    /// The type of this name, in any case, or number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let named = Self::ALL
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(kind, _)| *kind);
        named.or_else(|| Self::of_number(text.parse().ok()?))
    }
}

/// Writes the claim that stands for a new local account. Answers its id.
///
/// # Errors
/// Those of the database.
pub(crate) async fn of_new_account(tx: &db::Tx, name: &str, now: i64) -> Result<i64, Error> {
    let row = claims::ActiveModel {
        id: ActiveValue::NotSet,
        claim_type: ActiveValue::Set(ClaimType::User as i32),
        value: ActiveValue::Set(name.to_owned()),
        value_fold: ActiveValue::Set(db::fold(name)),
        provider: ActiveValue::Set(LOCAL_PROVIDER.to_owned()),
        provider_fold: ActiveValue::Set(db::fold(LOCAL_PROVIDER)),
        description: ActiveValue::Set(format!("The local account {name}.")),
        created_at: ActiveValue::Set(now),
    };
    Ok(row.insert(tx).await?.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_stand_at_their_numbers_and_read_back() {
        for (number, (kind, name)) in ClaimType::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(kind.name(), name);
            assert_eq!(ClaimType::parse(name), Some(kind));
            assert_eq!(ClaimType::parse(&number.to_string()), Some(kind));
        }
        assert_eq!(ClaimType::parse("oauthrole"), Some(ClaimType::OAuthRole));
        assert_eq!(ClaimType::parse("7"), None);
        assert_eq!(ClaimType::parse("-1"), None);
    }
}
