//! The server under test, and who signs in to it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use app::security::claims::{ClaimType, LOCAL_PROVIDER};
use app::security::{Grant, accounts, permission_sets};
use app::{App, Clock, Cx, Options, PasswordCost};
use db::tables;
use sea_orm::{ActiveModelTrait, ActiveValue, ColumnTrait, EntityTrait, QueryFilter};

use crate::agent::TestAgent;
use crate::client::Client;
use crate::database::{Database, Fresh};

/// When every test begins: 2026-11-21T12:00:00Z, in epoch milliseconds.
pub const START: i64 = 1_795_262_400_000;
/// The account that may do everything.
pub const ADMINISTRATOR: &str = "admin";
/// The password of every account.
pub const PASSWORD: &str = "correct horse battery";
/// The key that seals secrets: 32 octets, base64.
const SEALING_KEY: &str = "dGhpcy1rZXktc2VhbHMtbm90aGluZy1vZi12YWx1ZSE=";

/// A server in process. It has a database of its own; both go away with this value.
#[derive(Debug)]
pub struct TestServer {
    /// Its time, which stands still until told.
    pub clock: TestClock,
    app: Arc<App>,
    database: Database,
    accounts: AtomicU64,
    // Dropped last.
    _fresh: Fresh,
}

/// Time that a test moves.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Now, in epoch milliseconds.
    pub fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Lets `ms` milliseconds pass.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }

    /// Makes it `at`, in epoch milliseconds.
    pub fn set(&self, at: i64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

/// Runs one test on a fresh server. Called by [`both_databases!`](crate::both_databases).
///
/// # Panics
/// When the test fails.
pub fn run<F: Future<Output = ()>>(database: Database, test: impl FnOnce(TestServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime can be made").block_on(async {
        let server = TestServer::start(database).await;
        test(server).await;
    });
}

fn options(address: String, folder: &Path, clock: &TestClock) -> Options {
    let keyring = secrets::KeyRing::from_base64(SEALING_KEY).expect("the key has 32 octets");
    let mut options = Options::new(address, folder.to_owned(), keyring);
    options.clock = Clock::Manual(Arc::clone(&clock.0));
    options.password_cost = PasswordCost::Small;
    options.pool = db::Options {
        readers: 2,
        postgres_connections: 6,
    };
    options.public_url = Some("https://chancery.example".into());
    // Time stands still here, so that no bucket ever fills again; tests of the limits set their own.
    options.rates.failed_sign_ins_at_once = 1_000_000;
    options.rates.anonymous_requests_per_second = 1_000_000;
    options.rates.account_requests_per_second = 1_000_000;
    // The stand-ins of others' servers listen there. Everything else that is not public stays refused, 127.0.0.2 too.
    options.egress.allow = egress::Allow::parse(["127.0.0.1"]).expect("the address is well formed");
    options
}

/// Sets up the database that the others are copied from.
pub(crate) async fn bootstrap(address: String, folder: &Path) -> Arc<App> {
    let clock = TestClock(Arc::new(AtomicI64::new(START)));
    let app = App::open(options(address, folder, &clock))
        .await
        .expect("a new server can be set up");
    let cx = Cx::system(Arc::clone(&app), "test");
    accounts::create(
        &cx,
        ADMINISTRATOR,
        PASSWORD.into(),
        &["Administrator".into()],
    )
    .await
    .expect("the administrator can be created");
    app
}

impl TestServer {
    /// A fresh server.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, |_| {}).await
    }

    /// A fresh server whose options `change` has changed.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_with(database: Database, change: impl FnOnce(&mut Options)) -> Self {
        let fresh = Fresh::copied(database);
        let clock = TestClock(Arc::new(AtomicI64::new(START)));
        let mut options = options(fresh.address.clone(), fresh.folder(), &clock);
        change(&mut options);
        let app = App::open(options).await.expect("the server starts");
        Self {
            clock,
            app,
            database,
            accounts: AtomicU64::new(1),
            _fresh: fresh,
        }
    }

    /// Another server on the same database and data folder, and the administrator there.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn second(&self) -> (Arc<App>, Client) {
        let app = self.open_again().await.expect("the second server starts");
        let credentials = Some((ADMINISTRATOR.to_owned(), PASSWORD.to_owned()));
        (
            Arc::clone(&app),
            Client::new(app, self.database, credentials),
        )
    }

    /// Another application on the same database and folder, if it starts.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn open_again(&self) -> Result<Arc<App>, app::StartError> {
        let fresh = &self._fresh;
        App::open(options(fresh.address.clone(), fresh.folder(), &self.clock)).await
    }

    /// The folder for the server's files.
    pub fn folder(&self) -> &Path {
        self._fresh.folder()
    }

    /// The application.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Which database it has.
    pub fn database(&self) -> Database {
        self.database
    }

    /// The context of the server itself: may do everything.
    pub fn cx(&self) -> Cx {
        Cx::system(Arc::clone(&self.app), "test")
    }

    /// The administrator.
    pub fn admin(&self) -> Client {
        self.signed_in(ADMINISTRATOR, PASSWORD)
    }

    /// Somebody who does not sign in.
    pub fn anonymous(&self) -> Client {
        Client::new(Arc::clone(&self.app), self.database, None)
    }

    /// Somebody who sends this name and this password.
    pub fn signed_in(&self, name: &str, password: &str) -> Client {
        Client::new(
            Arc::clone(&self.app),
            self.database,
            Some((name.to_owned(), password.to_owned())),
        )
    }

    /// A new account in a new role with exactly these permissions (paths such as `/certificate_stores/read/`).
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn account(&self, permissions: &[&str]) -> Client {
        let number = self.accounts.fetch_add(1, Ordering::SeqCst);
        let role = format!("Role {number}");
        self.role(&role, permissions).await;
        self.account_in_role(&format!("account{number}"), &role)
            .await
    }

    /// A new role with exactly these permissions. Answers its id.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn role(&self, name: &str, permissions: &[&str]) -> i64 {
        let grants: Vec<Grant> = permissions
            .iter()
            .map(|path| Grant::parse_path(path).unwrap_or_else(|| panic!("no permission {path:?}")))
            .collect();
        let (name, now) = (name.to_owned(), self.clock.now());
        let work = self.app.db().write("testkit.role", move |tx| {
            Box::pin(async move {
                let role = tables::roles::ActiveModel {
                    id: ActiveValue::NotSet,
                    name: ActiveValue::Set(name.clone()),
                    name_fold: ActiveValue::Set(db::fold(&name)),
                    description: ActiveValue::Set(format!("{name} of a test.")),
                    email_address: ActiveValue::Set(None),
                    enabled: ActiveValue::Set(true),
                    private: ActiveValue::Set(false),
                    immutable: ActiveValue::Set(false),
                    permission_set_id: ActiveValue::Set(permission_sets::GLOBAL),
                    created_at: ActiveValue::Set(now),
                };
                let role_id = role.insert(tx).await.map_err(db::Error::from)?.id;
                for grant in grants {
                    let row = tables::role_permissions::ActiveModel {
                        role_id: ActiveValue::Set(role_id),
                        permission: ActiveValue::Set(grant.path),
                        object_id: ActiveValue::Set(grant.object_id.unwrap_or_default()),
                    };
                    tables::role_permissions::Entity::insert(row)
                        .exec_without_returning(tx)
                        .await
                        .map_err(db::Error::from)?;
                }
                Ok::<_, db::Error>(role_id)
            })
        });
        work.await.expect("a role can be created")
    }

    /// A new account in a role that exists.
    ///
    /// # Panics
    /// When it cannot be created.
    pub async fn account_in_role(&self, name: &str, role: &str) -> Client {
        let administrator = tables::accounts::Entity::find()
            .filter(tables::accounts::Column::NameFold.eq(ADMINISTRATOR))
            .one(self.app.db().read())
            .await
            .expect("accounts can be read")
            .expect("the administrator exists");
        let (account_name, role, now) = (name.to_owned(), role.to_owned(), self.clock.now());
        let work = self.app.db().write("testkit.account", move |tx| {
            Box::pin(async move {
                let role = tables::roles::Entity::find()
                    .filter(tables::roles::Column::NameFold.eq(db::fold(&role)))
                    .one(tx)
                    .await
                    .map_err(db::Error::from)?
                    .unwrap_or_else(|| panic!("there is no role {role:?}"));
                let claim = tables::claims::ActiveModel {
                    id: ActiveValue::NotSet,
                    claim_type: ActiveValue::Set(ClaimType::User as i32),
                    value: ActiveValue::Set(account_name.clone()),
                    value_fold: ActiveValue::Set(db::fold(&account_name)),
                    provider: ActiveValue::Set(LOCAL_PROVIDER.to_owned()),
                    provider_fold: ActiveValue::Set(db::fold(LOCAL_PROVIDER)),
                    description: ActiveValue::Set("An account of a test.".to_owned()),
                    created_at: ActiveValue::Set(now),
                };
                let claim_id = claim.insert(tx).await.map_err(db::Error::from)?.id;
                let account = tables::accounts::ActiveModel {
                    id: ActiveValue::NotSet,
                    claim_id: ActiveValue::Set(claim_id),
                    name: ActiveValue::Set(account_name.clone()),
                    name_fold: ActiveValue::Set(db::fold(&account_name)),
                    // The same password, so the same hash does: hashing takes time.
                    password_hash: ActiveValue::Set(administrator.password_hash),
                    must_change: ActiveValue::Set(false),
                    disabled: ActiveValue::Set(false),
                    failures: ActiveValue::Set(0),
                    locked_until: ActiveValue::Set(None),
                    created_at: ActiveValue::Set(now),
                    password_changed_at: ActiveValue::Set(now),
                };
                account.insert(tx).await.map_err(db::Error::from)?;
                let held = tables::role_claims::ActiveModel {
                    role_id: ActiveValue::Set(role.id),
                    claim_id: ActiveValue::Set(claim_id),
                };
                tables::role_claims::Entity::insert(held)
                    .exec_without_returning(tx)
                    .await
                    .map_err(db::Error::from)?;
                Ok::<_, db::Error>(())
            })
        });
        work.await.expect("an account can be created");
        self.signed_in(name, PASSWORD)
    }

    /// An agent of this name: enrolled, approved, with its certificate.
    ///
    /// # Panics
    /// When the server does not let it in.
    pub async fn agent(&self, name: &str) -> TestAgent {
        let mut agent = TestAgent::new(&self.app, name);
        agent.enroll(&self.admin()).await;
        agent
    }

    /// An agent of this name that has not called the server yet.
    pub fn new_agent(&self, name: &str) -> TestAgent {
        TestAgent::new(&self.app, name)
    }
}
