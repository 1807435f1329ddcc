//! The providers as sign-in uses them, remembered as long as nothing that is granted changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use db::tables::identity_providers;
use sea_orm::{EntityTrait, QueryOrder};
use uuid::Uuid;

use crate::app::App;
use crate::error::Error;
use crate::sealing::IDENTITY_PROVIDER_SECRET;

/// A provider of identities.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its name in claims and addresses.
    pub(crate) scheme: String,
    /// Its name for people.
    pub(crate) display_name: String,
    /// Whether anybody signs in through it.
    pub(crate) enabled: bool,
    texts: BTreeMap<String, String>,
    sealed_client_secret: Option<Vec<u8>>,
}

impl Provider {
    fn of(row: identity_providers::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id,
            scheme: row.authentication_scheme,
            display_name: row.display_name,
            enabled: row.authentication_enabled,
            texts: serde_json::from_str(&row.parameters)?,
            sealed_client_secret: row.sealed_client_secret,
        })
    }

    /// A provider with these parameters.
    #[cfg(test)]
    pub(crate) fn for_tests(parameters: serde_json::Value) -> Self {
        Self {
            id: Uuid::nil(),
            scheme: "idp".into(),
            display_name: "A provider".into(),
            enabled: true,
            texts: serde_json::from_value(parameters).expect("texts by name"),
            sealed_client_secret: None,
        }
    }

    /// A parameter that was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    fn text_or<'s>(&'s self, name: &str, default: &'s str) -> &'s str {
        self.text(name).unwrap_or(default)
    }

    /// The issuer of its tokens.
    pub(crate) fn authority(&self) -> &str {
        self.text_or("Authority", "")
    }

    /// Whether this is its issuer. A slash at the end makes no difference: people leave it out.
    pub(crate) fn issues(&self, issuer: &str) -> bool {
        !issuer.is_empty() && issuer.trim_end_matches('/') == self.authority().trim_end_matches('/')
    }

    /// This server's name at the provider.
    pub(crate) fn client_id(&self) -> &str {
        self.text_or("ClientId", "")
    }

    /// Whom access tokens have to be for, one of these. Where none is configured no access token counts: this server's client
    /// id would do for its ID tokens as well, which browsers hand around.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        let configured = self.text("Audience").or_else(|| self.text("Auth0ApiUrl"));
        configured
            .unwrap_or_default()
            .split([' ', ','])
            .filter(|audience| !audience.is_empty())
            .collect()
    }

    /// What browsers ask the provider for.
    pub(crate) fn scope(&self) -> &str {
        self.text_or("Scope", "openid profile email")
    }

    /// The claim that holds the account's name.
    pub(crate) fn name_claim(&self) -> &str {
        self.text_or("NameClaimType", "preferred_username")
    }

    /// The claim that holds roles; a dotted path leads into objects.
    pub(crate) fn role_claim(&self) -> &str {
        self.text_or("RoleClaimType", "roles")
    }

    /// The claims that identify the subject, the first that is there.
    pub(crate) fn unique_claims(&self) -> impl Iterator<Item = &str> {
        let unique = self.text_or("UniqueClaimType", "sub");
        std::iter::once(unique).chain(self.text("FallbackUniqueClaimType"))
    }

    /// Where its discovery document is.
    pub(crate) fn discovery_address(&self) -> String {
        self.text("DiscoveryDocumentEndpoint").map_or_else(
            || {
                let authority = self.authority().trim_end_matches('/');
                format!("{authority}/.well-known/openid-configuration")
            },
            str::to_owned,
        )
    }

    /// This server's secret at the provider.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn client_secret(&self, app: &App) -> Result<Option<secrets::Secret>, Error> {
        let Some(octets) = self.sealed_client_secret.clone() else {
            return Ok(None);
        };
        let sealed = secrets::Sealed::from_bytes(octets)?;
        let purpose = IDENTITY_PROVIDER_SECRET.purpose(self.id);
        Ok(Some(app.keyring().open(&purpose, &sealed)?))
    }
}

/// Providers in the order of their schemes.
pub(crate) type Providers = Arc<[Arc<Provider>]>;

/// The providers of one generation.
#[derive(Default)]
pub(crate) struct ProviderCache(Mutex<Option<(i64, Providers)>>);

/// All providers, in a generation that was read before.
///
/// # Errors
/// Those of the database.
pub(crate) async fn all(app: &App, generation: i64) -> Result<Providers, Error> {
    {
        let remembered = app
            .providers
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = remembered.as_ref().filter(|known| known.0 == generation) {
            return Ok(Arc::clone(known));
        }
    }
    let rows = identity_providers::Entity::find()
        .order_by_asc(identity_providers::Column::AuthenticationSchemeFold)
        .all(app.db.read())
        .await?;
    let found: Result<Vec<_>, Error> = rows
        .into_iter()
        .map(|row| Provider::of(row).map(Arc::new))
        .collect();
    let found: Providers = found?.into();
    let mut remembered = app
        .providers
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *remembered = Some((generation, Arc::clone(&found)));
    Ok(found)
}

/// The provider as it is in the database now.
///
/// # Errors
/// 404 when there is none; those of the database.
pub(crate) async fn by_id(app: &App, id: Uuid) -> Result<Provider, Error> {
    let row = identity_providers::Entity::find_by_id(id)
        .one(app.db.read())
        .await?;
    Provider::of(row.ok_or_else(|| Error::not_found("identity provider", id))?)
}
