//! Claims as the interface shows and takes them.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};
use uuid::Uuid;

use super::ClaimType;
use crate::error::Error;

/// A claim.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityClaim)]
pub(crate) struct ClaimOutput {
    pub(crate) id: i64,
    pub(crate) description: String,
    /// `User`, `Group`, `Computer`, `OAuthOid`, `OAuthRole`, `OAuthSubject` or `OAuthClientId`.
    pub(crate) claim_type: String,
    pub(crate) claim_value: String,
    pub(crate) provider: ProviderOutput,
}

/// Who vouches for a claim.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityClaimProvider)]
pub(crate) struct ProviderOutput {
    /// All zeros when no identity provider of this scheme is set up.
    pub(crate) id: Uuid,
    /// `Chancery` for local accounts.
    pub(crate) authentication_scheme: String,
    pub(crate) display_name: String,
}

/// The type of a claim as requests give it: its number or its name.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClaimTypeInput(String);

impl PartialSchema for ClaimTypeInput {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .enum_values(Some(0..7));
        let names = ClaimType::ALL.map(|(_, name)| name);
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names));
        AnyOfBuilder::new().item(number).item(name).into()
    }
}

impl ToSchema for ClaimTypeInput {}

/// A new claim.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityClaimCreationRequest)]
pub(super) struct ClaimCreation {
    #[schema(inline)]
    pub(super) claim_type: ClaimTypeInput,
    pub(super) claim_value: String,
    /// The authentication scheme of an identity provider.
    pub(super) provider_authentication_scheme: String,
    pub(super) description: Option<String>,
}

/// A claim as it shall be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityClaimUpdateRequest)]
pub(super) struct ClaimUpdate {
    pub(super) id: i64,
    pub(super) description: String,
}

/// A claim that shall hold a role: by its value, in the form of a new claim or as an answer showed it, or by its id. One that
/// does not exist is created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleClaimRequest)]
pub(crate) struct ClaimOfRole {
    /// Counts when there is no value.
    id: Option<i64>,
    #[schema(inline)]
    claim_type: Option<ClaimTypeInput>,
    claim_value: Option<String>,
    provider_authentication_scheme: Option<String>,
    /// As answers show it; counts when there is no `ProviderAuthenticationScheme`.
    provider: Option<ProviderInput>,
    /// Of a claim that is created.
    description: Option<String>,
}

/// The provider of a claim as an answer showed it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityRoleClaimProvider)]
pub(crate) struct ProviderInput {
    authentication_scheme: Option<String>,
}

/// Which claim.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "PascalCase")]
#[into_params(parameter_in = Query, rename_all = "PascalCase")]
pub(super) struct ClaimQuery {
    /// Number or name of the type.
    #[param(inline)]
    pub(super) claim_type: ClaimTypeInput,
    pub(super) claim_value: String,
    /// The authentication scheme of an identity provider.
    pub(super) provider_authentication_scheme: String,
}

/// A role that a claim holds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = SecurityClaimRole)]
pub(super) struct RoleOfClaim {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) permission_set_id: Uuid,
}

/// What a claim is about: two claims never share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) kind: ClaimType,
    pub(crate) value: String,
    pub(crate) provider: String,
}

/// Characters of a value, a scheme and a description at most.
const TEXT_MAX: usize = 1_024;

impl About {
    /// Reads and checks the three parts.
    ///
    /// # Errors
    /// 400 naming the part.
    pub(super) fn read(
        place: &str,
        kind: &ClaimTypeInput,
        value: &str,
        provider: &str,
    ) -> Result<Self, Error> {
        let kind = ClaimType::parse(&kind.0).ok_or_else(|| {
            let names = ClaimType::ALL.map(|(_, name)| name).join(", ");
            Error::bad_request(format!(
                "{place}ClaimType: {:?} is none of {names}, nor a number from 0 to 6.",
                kind.0
            ))
        })?;
        Ok(Self {
            kind,
            value: text(&format!("{place}ClaimValue"), value)?,
            provider: text(&format!("{place}ProviderAuthenticationScheme"), provider)?,
        })
    }
}

fn text(member: &str, value: &str) -> Result<String, Error> {
    let value = value.trim();
    // What folds to nothing is made of characters that nobody sees.
    if db::fold(value).is_empty() || value.chars().any(char::is_control) {
        return Err(Error::bad_request(format!(
            "{member}: a value is required."
        )));
    }
    check_length(member, value)?;
    Ok(value.to_owned())
}

/// Refuses texts that are too long.
///
/// # Errors
/// 400 naming the member.
pub(super) fn check_length(member: &str, value: &str) -> Result<(), Error> {
    if value.chars().count() > TEXT_MAX {
        return Err(Error::bad_request(format!(
            "{member}: longer than {TEXT_MAX} characters."
        )));
    }
    Ok(())
}

/// A claim of a role, read.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// By what it is about, with the description of one that is created.
    About(About, Option<String>),
    /// By its id.
    Id(i64),
}

impl ClaimOfRole {
    /// What the request names.
    ///
    /// # Errors
    /// 400 naming the part.
    pub(crate) fn read(self, index: usize) -> Result<Wanted, Error> {
        let place = format!("Claims[{index}].");
        let scheme = self.provider_authentication_scheme.or_else(|| {
            self.provider
                .and_then(|provider| provider.authentication_scheme)
        });
        match (self.claim_type, self.claim_value, scheme, self.id) {
            (Some(kind), Some(value), Some(scheme), _) => {
                if let Some(description) = &self.description {
                    check_length(&format!("{place}Description"), description)?;
                }
                let about = About::read(&place, &kind, &value, &scheme)?;
                Ok(Wanted::About(about, self.description))
            }
            (_, None, _, Some(id)) if id != 0 => Ok(Wanted::Id(id)),
            _ => Err(Error::bad_request(format!(
                "{place}ClaimType, ClaimValue and ProviderAuthenticationScheme are needed, or the Id of a claim alone."
            ))),
        }
    }
}
