//! The application: what every request shares.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};

use axum::Router;
use axum::extract::Request;

use crate::cx::{Clock, Randomness};
use crate::identity_providers::{KeyCache, ProviderCache};
use crate::metadata_fields;
use crate::security::token_keys::{self, TokenKeyCache};
use crate::security::{AccountNames, CredentialCache, GrantsCache, RateLimits, Rates, TokenCache};
use crate::web::{self, ApiRoutes};
use crate::{
    application_settings, audit, authorities, certificate_stores, certificates, collections,
    enrollment, start, templates,
};

/// What an application is opened with.
#[derive(Debug)]
pub struct Options {
    /// `sqlite:PATH` or `postgres://…`.
    pub database_url: String,
    /// Where the server keeps its files.
    pub data_dir: PathBuf,
    /// How many connections.
    pub pool: db::Options,
    /// The keys that seal secrets.
    pub keyring: secrets::KeyRing,
    /// Where time comes from.
    pub clock: Clock,
    /// Where identifiers come from.
    pub randomness: Randomness,
    /// How clients reach this server, `https://host:port`; stands in issued certificates as the place of the CRL.
    pub public_url: Option<String>,
    /// Bases of the REST interface.
    pub api_bases: Vec<String>,
    /// Base of the agents' interface.
    pub agents_prefix: String,
    /// Octets of a request body at most, for the REST interface.
    pub body_limit: usize,
    /// Octets of a request body at most, for agents: inventories are large.
    pub agent_body_limit: usize,
    /// Octets of all request bodies in memory at most.
    pub bodies_in_memory: usize,
    /// How hard a password is to guess.
    pub password_cost: PasswordCost,
    /// Octets that lists of certificates are kept in, so that any page of them is fast.
    pub page_memory: usize,
    /// How many days bodies of audit records are kept.
    pub audit_retention_days: u32,
    /// How long a claimed agent job may stay silent, in milliseconds.
    pub job_lease_ms: i64,
    /// How often one caller may ask.
    pub rates: Rates,
    /// Where this server may connect to, and how long that may take.
    pub egress: egress::Policy,
}

/// Cost of a password hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PasswordCost {
    /// Argon2id with 19 MiB and two passes.
    #[default]
    Full,
    /// For tests, whose passwords protect nothing.
    Small,
}

impl Options {
    /// The defaults, on a database and with a key ring.
    pub fn new(database_url: String, data_dir: PathBuf, keyring: secrets::KeyRing) -> Self {
        Self {
            database_url,
            data_dir,
            pool: db::Options::default(),
            keyring,
            clock: Clock::default(),
            randomness: Randomness::default(),
            public_url: None,
            api_bases: vec!["/KeyfactorAPI".into(), "/Keyfactor/API".into()],
            agents_prefix: "/KeyfactorAgents".into(),
            body_limit: 16 * 1024 * 1024,
            agent_body_limit: 64 * 1024 * 1024,
            bodies_in_memory: 256 * 1024 * 1024,
            password_cost: PasswordCost::default(),
            page_memory: 256_000_000,
            audit_retention_days: 2_557,
            job_lease_ms: 10 * 60 * 1000,
            rates: Rates::default(),
            egress: egress::Policy::default(),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The key ring is not the one that this database's secrets are sealed with.
    #[error("the sealing key does not fit this database: {0}")]
    SealingKey(String),
    /// The keys of the audit log are gone from a database that is set up. New ones would begin another log, as if nothing had been.
    #[error(
        "the keys of the audit log are gone from this database; put back a backup that has them: docs/audit.md"
    )]
    AuditKeys,
    /// The database was never set up, and this is not the moment to do it.
    #[error("the database holds no installation of Chancery")]
    Empty,
    /// The first start could not set up authorities, roles or types.
    #[error("first start: {0}")]
    FirstStart(#[from] crate::Error),
}

/// The application. One a process; every request holds a reference.
pub struct App {
    pub(crate) db: db::Db,
    pub(crate) keyring: RwLock<Arc<secrets::KeyRing>>,
    pub(crate) clock: Clock,
    pub(crate) randomness: Randomness,
    pub(crate) options: Options,
    pub(crate) account_names: AccountNames,
    pub(crate) credentials: CredentialCache,
    pub(crate) grants: GrantsCache,
    pub(crate) tokens: TokenCache,
    pub(crate) providers: ProviderCache,
    pub(crate) provider_keys: KeyCache,
    pub(crate) token_keys: TokenKeyCache,
    pub(crate) issuers: authorities::IssuerCache,
    pub(crate) store_order: certificate_stores::StoreOrder,
    pub(crate) counting: collections::Counting,
    pub(crate) imports: certificates::Imports,
    pub(crate) revocation_lists: certificates::RevocationLists,
    pub(crate) certificate_lists: certificates::Lists,
    pub(crate) egress: egress::Client,
    pub(crate) audit: audit::Log,
    pub(crate) enrollments: enrollment::Recorder,
    pub(crate) templates: templates::Names,
    pub(crate) metadata_fields: metadata_fields::Fields,
    pub(crate) owner_policies: application_settings::OwnerPolicies,
    pub(crate) rates: RateLimits,
    pub(crate) bodies: web::BodyBudget,
    routes: OnceLock<[ApiRoutes; 2]>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("db", &self.db.dialect())
            .finish_non_exhaustive()
    }
}

impl App {
    /// Opens the database, migrates it, and sets up what a new one needs.
    ///
    /// # Errors
    /// [`StartError`] with the place.
    pub async fn open(mut options: Options) -> Result<Arc<Self>, StartError> {
        let db = db::Db::open(&options.database_url, &options.pool).await?;
        let keyring = std::mem::replace(
            &mut options.keyring,
            secrets::KeyRing::generate().map_err(crate::Error::from)?,
        );
        let egress = egress::Client::new(options.egress.clone());
        let rates = RateLimits::new(&options.rates);
        let bodies = web::BodyBudget::new(options.bodies_in_memory);
        let app = Arc::new(Self {
            enrollments: enrollment::Recorder::new(db.dialect()),
            db,
            keyring: RwLock::new(Arc::new(keyring)),
            clock: options.clock.clone(),
            randomness: options.randomness.clone(),
            certificate_lists: certificates::Lists::new(options.page_memory),
            options,
            account_names: AccountNames::default(),
            credentials: CredentialCache::default(),
            grants: GrantsCache::default(),
            tokens: TokenCache::default(),
            providers: ProviderCache::default(),
            provider_keys: KeyCache::default(),
            token_keys: TokenKeyCache::default(),
            issuers: authorities::IssuerCache::default(),
            store_order: certificate_stores::StoreOrder::default(),
            counting: collections::Counting::default(),
            imports: certificates::Imports::default(),
            revocation_lists: certificates::RevocationLists::default(),
            egress,
            audit: audit::Log::default(),
            templates: templates::Names::default(),
            metadata_fields: metadata_fields::Fields::default(),
            owner_policies: application_settings::OwnerPolicies::default(),
            rates,
            bodies,
            routes: OnceLock::new(),
        });
        audit::open(&app).await?;
        certificates::begin_counts(&app).await?;
        start::set_up(&app).await?;
        token_keys::ensure(&app).await?;
        authorities::fill(&app).await?;
        Ok(app)
    }

    /// The whole HTTP surface: the REST interface and the agents' interface.
    pub fn router(self: &Arc<Self>) -> Router {
        let app = Arc::clone(self);
        Router::new().fallback(move |request: Request| web::serve(Arc::clone(&app), request))
    }

    /// Runs the work that no request waits for, until `shutdown` turns true.
    pub async fn run_background(self: &Arc<Self>, shutdown: tokio::sync::watch::Receiver<bool>) {
        crate::background::run(self, shutdown).await;
    }

    /// The database.
    pub fn db(&self) -> &db::Db {
        &self.db
    }

    /// Waits until the records of refusals that are written beside their answers are written.
    pub async fn settle(&self) {
        self.audit.access.settle().await;
    }

    /// Closes the database after the last write.
    pub async fn close(&self) {
        self.audit.access.settle().await;
        self.db.clone().close().await;
    }

    pub(crate) fn keyring(&self) -> Arc<secrets::KeyRing> {
        Arc::clone(
            &self
                .keyring
                .read()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    pub(crate) fn routes(&self, version: u8) -> &ApiRoutes {
        let [first, second] = self.routes.get_or_init(|| {
            let limit = self.options.body_limit;
            [
                ApiRoutes::new(crate::routes(), 1, limit),
                ApiRoutes::new(crate::routes_version_2(), 2, limit),
            ]
        });
        if version == 2 { second } else { first }
    }
}
