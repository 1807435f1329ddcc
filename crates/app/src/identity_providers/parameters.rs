//! What is configured of an identity provider: the table of parameters by type, and how requests give them.
//! (Contract: IdentityProvider*, ProviderType*; the names are those of the reference's parameter table.)

use std::collections::BTreeMap;

use secrets::Secret;
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use crate::error::Error;

/// Characters of a value at most.
const VALUE_MAX: usize = 2_000;

/// The contract's IdentityProviderDataType.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum DataType {
    /// Text that is shown.
    Text = 1,
    /// Text that is sealed and never shown.
    Secret = 2,
}

/// One parameter.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its number.
    pub(crate) id: i32,
    /// Its name on the wire.
    pub(crate) name: &'static str,
    /// Its name for people.
    pub(crate) display_name: &'static str,
    /// What it holds.
    pub(crate) data_type: DataType,
    /// Whether a provider cannot be without it.
    pub(crate) required: bool,
    /// Whether this server connects to the address in it.
    connects: bool,
    /// Whether browsers are sent to the address in it.
    browses: bool,
}

const fn text(
    id: i32,
    name: &'static str,
    display_name: &'static str,
    required: bool,
) -> Definition {
    Definition {
        id,
        name,
        display_name,
        data_type: DataType::Text,
        required,
        connects: false,
        browses: false,
    }
}

const fn address(
    id: i32,
    name: &'static str,
    display_name: &'static str,
    required: bool,
) -> Definition {
    Definition {
        connects: true,
        ..text(id, name, display_name, required)
    }
}

const fn page(id: i32, name: &'static str, display_name: &'static str) -> Definition {
    Definition {
        browses: true,
        ..text(id, name, display_name, false)
    }
}

/// The one that is sealed.
pub(crate) const CLIENT_SECRET: &str = "ClientSecret";

/// What every provider has.
const GENERIC: [Definition; 15] = [
    address(1, "Authority", "Authority", true),
    text(2, "Audience", "OIDC Audience", false),
    text(3, "ClientId", "Client Id", true),
    Definition {
        data_type: DataType::Secret,
        ..text(4, CLIENT_SECRET, "Client Secret", false)
    },
    address(
        5,
        "DiscoveryDocumentEndpoint",
        "Discovery Document Endpoint",
        false,
    ),
    page(6, "AuthorizationEndpoint", "Authorization Endpoint"),
    address(7, "TokenEndpoint", "Token Endpoint", false),
    address(8, "JSONWebKeySetUri", "JSON Web Key Set Uri", false),
    address(9, "UserInfoEndpoint", "User Info Endpoint", false),
    text(10, "Scope", "Scope", false),
    text(11, "NameClaimType", "Name Claim Type", false),
    text(12, "RoleClaimType", "Role Claim Type", false),
    text(13, "UniqueClaimType", "Unique Claim Type", false),
    text(
        14,
        "FallbackUniqueClaimType",
        "Fallback Unique Claim Type",
        false,
    ),
    page(15, "SignOutUrl", "Sign Out URL"),
];

const AUTH0_API: Definition = text(16, "Auth0ApiUrl", "Auth0 API URL", true);

/// A kind of provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProviderType {
    /// Any OpenID Connect provider.
    Generic,
    /// Auth0, whose tokens are for an API that is named separately.
    Auth0,
}

impl ProviderType {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Generic, Self::Auth0];

    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Generic => "Generic",
            Self::Auth0 => "Auth0",
        }
    }

    /// Its id on the wire. Chosen here, since the reference's are not published; never changes.
    pub(crate) fn id(self) -> Uuid {
        match self {
            Self::Generic => uuid!("6a1c0b1e-4d3f-4c53-9a0b-6f1f1f5d7a01"),
            Self::Auth0 => uuid!("6a1c0b1e-4d3f-4c53-9a0b-6f1f1f5d7a02"),
        }
    }

    /// The type of this name or id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::ALL.into_iter().find(|kind| {
            kind.name().eq_ignore_ascii_case(text)
                || Uuid::parse_str(text).is_ok_and(|id| id == kind.id())
        })
    }

    /// Its parameters, in the order in which they are shown.
    pub(crate) fn definitions(self) -> impl Iterator<Item = &'static Definition> {
        const EXTRA: &[Definition] = &[AUTH0_API];
        let extra = match self {
            Self::Generic => &[],
            Self::Auth0 => EXTRA,
        };
        static SHARED: [Definition; 15] = GENERIC;
        SHARED.iter().chain(extra)
    }
}

/// The parameters of a provider, read and complete.
#[derive(Debug)]
pub(crate) struct Given {
    /// By the name of the table, without the secret.
    pub(crate) texts: BTreeMap<String, String>,
    /// The secret; `None` when the request does not give one, which on a change means: as it was.
    pub(crate) client_secret: Option<Secret>,
}

/// Reads the object `Parameters` of a request: texts by name, the secret as text or as `{"SecretValue": …}`.
///
/// # Errors
/// 400 naming the parameter.
pub(crate) fn read(kind: ProviderType, given: Map<String, Value>) -> Result<Given, Error> {
    let mut read = Given {
        texts: BTreeMap::new(),
        client_secret: None,
    };
    for (name, value) in given {
        let found = kind
            .definitions()
            .find(|definition| definition.name.eq_ignore_ascii_case(name.trim()));
        let Some(definition) = found else {
            let names: Vec<&str> = kind.definitions().map(|known| known.name).collect();
            let message = format!(
                "Parameters.{}: there is no such parameter; there are {}.",
                shown(&name),
                names.join(", ")
            );
            return Err(Error::bad_request(message));
        };
        let Some(value) = scalar(definition, value)? else {
            continue;
        };
        match definition.data_type {
            DataType::Secret => read.client_secret = Some(Secret::from(value)),
            DataType::Text => {
                check(definition, &value)?;
                read.texts.insert(definition.name.to_owned(), value);
            }
        }
    }
    for definition in kind.definitions().filter(|definition| definition.required) {
        if !read.texts.contains_key(definition.name) {
            return Err(bad(definition, "a value is required"));
        }
    }
    Ok(read)
}

/// Refuses addresses that this server would never connect to, in the words of the guarded client.
///
/// # Errors
/// 400 naming the parameter.
pub(crate) async fn check_addresses(
    egress: &egress::Client,
    kind: ProviderType,
    texts: &BTreeMap<String, String>,
) -> Result<(), Error> {
    for definition in kind.definitions().filter(|definition| definition.connects) {
        let Some(address) = texts.get(definition.name) else {
            continue;
        };
        match egress.check(address, false).await {
            Err(error) if error.fault() == egress::Fault::Address => {
                return Err(bad(definition, error.to_string().trim_end_matches('.')));
            }
            // A provider that is away for a moment can still be entered; its status says so.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Whether an address may be used for sign-in: `https://`, or `http://` on this machine alone.
pub(crate) fn is_secure(address: &str) -> bool {
    let Ok(uri) = address.parse::<http::Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback()),
        _ => false,
    }
}

fn scalar(definition: &Definition, value: Value) -> Result<Option<String>, Error> {
    let value = match value {
        // The form in which secrets are given, and the one in which parameters are read.
        Value::Object(members) => {
            let wanted = match definition.data_type {
                DataType::Secret => "SecretValue",
                DataType::Text => "Value",
            };
            let provided = members
                .iter()
                .find(|(name, value)| name.eq_ignore_ascii_case("Provider") && !value.is_null());
            if provided.is_some_and(|(_, provider)| provider != &Value::from(0)) {
                return Err(bad(
                    definition,
                    "this server has no secret providers; give SecretValue",
                ));
            }
            let found = members
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value).unwrap_or_default()
        }
        other => other,
    };
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Object(_) => return Err(bad(definition, "a text is expected")),
    };
    let text = match definition.data_type {
        DataType::Secret => text,
        DataType::Text => text.trim().to_owned(),
    };
    if text.chars().count() > VALUE_MAX {
        return Err(bad(
            definition,
            &format!("longer than {VALUE_MAX} characters"),
        ));
    }
    // The mask is what reading answers: who sends it back does not mean to change the secret.
    let absent = text.is_empty() || definition.data_type == DataType::Secret && text == super::MASK;
    Ok((!absent).then_some(text))
}

fn check(definition: &Definition, value: &str) -> Result<(), Error> {
    if value.contains(char::is_control) {
        return Err(bad(definition, "control characters are not possible"));
    }
    if (definition.connects || definition.browses) && !is_secure(value) {
        return Err(bad(
            definition,
            "has to be an address that begins with https://",
        ));
    }
    if definition.name == "Authority" && value.contains(['?', '#']) {
        return Err(bad(definition, "an issuer has neither query nor fragment"));
    }
    Ok(())
}

fn bad(definition: &Definition, what: &str) -> Error {
    Error::bad_request(format!("Parameters.{}: {what}.", definition.name))
}

fn shown(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(kind: ProviderType, given: Value) -> String {
        let Value::Object(given) = given else {
            panic!("an object")
        };
        read(kind, given).unwrap_err().message().to_owned()
    }

    #[test]
    fn ids_and_names_are_unique_and_types_read_back() {
        for kind in ProviderType::ALL {
            let mut ids: Vec<i32> = kind.definitions().map(|one| one.id).collect();
            ids.dedup();
            assert_eq!(ids.len(), kind.definitions().count());
            assert_eq!(ProviderType::parse(kind.name()), Some(kind));
            assert_eq!(ProviderType::parse(&kind.id().to_string()), Some(kind));
        }
        assert_eq!(ProviderType::parse("SAML"), None);
    }

    #[test]
    fn values_come_in_several_forms() {
        let given = json!({
            "authority": " https://idp.example/realm ", "ClientId": {"Value": "chancery"}, "ClientSecret": {"SecretValue": " s "},
            "Scope": null, "Audience": 7,
        });
        let Value::Object(given) = given else {
            panic!("an object")
        };
        let read = read(ProviderType::Generic, given).unwrap();
        assert_eq!(read.texts["Authority"], "https://idp.example/realm");
        assert_eq!(read.texts["ClientId"], "chancery");
        assert_eq!(read.texts["Audience"], "7");
        assert_eq!(read.client_secret.unwrap().expose(), b" s ");
    }

    #[test]
    fn refusals_name_the_parameter() {
        let generic = ProviderType::Generic;
        for (given, expected) in [
            (json!({}), "Parameters.Authority: a value is required."),
            (
                json!({"Nothing": 1}),
                "Parameters.Nothing: there is no such",
            ),
            (
                json!({"Authority": "http://idp.example", "ClientId": "x"}),
                "Parameters.Authority: has to be",
            ),
            (
                json!({"Authority": "https://idp.example?x", "ClientId": "x"}),
                "Parameters.Authority: an issuer",
            ),
            (
                json!({"Authority": "https://idp.example", "ClientId": "x", "SignOutUrl": "javascript:alert(1)"}),
                "Parameters.SignOutUrl: has to be",
            ),
            (
                json!({"Authority": ["https://idp.example"]}),
                "Parameters.Authority: a text",
            ),
        ] {
            let message = refused(generic, given);
            assert!(message.starts_with(expected), "{message}");
        }
        let auth0 = refused(
            ProviderType::Auth0,
            json!({"Authority": "https://idp.example", "ClientId": "x"}),
        );
        assert!(auth0.starts_with("Parameters.Auth0ApiUrl"), "{auth0}");
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for address in [
            "https://idp.example",
            "http://127.0.0.1:8080/x",
            "http://[::1]:8080/",
        ] {
            assert!(is_secure(address), "{address}");
        }
        for address in [
            "http://idp.example",
            "http://localhost",
            "ftp://127.0.0.1",
            "//x",
            "x",
            "",
        ] {
            assert!(!is_secure(address), "{address}");
        }
    }
}
