//! Fresh databases, copied from a template that each test process makes once: migrated, set up, with one administrator.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, mpsc};

use sqlx::{Connection, Executor, PgConnection, Row};
use tempfile::TempDir;

/// The variable that names a PostgreSQL server by the address of an administrator: `postgres://user@host:port/postgres`.
pub const POSTGRES_VARIABLE: &str = "CHANCERY_TEST_POSTGRES";
/// The variable that names the folder for SQLite files; the usual temporary folder without it. A folder in memory is faster.
pub const FOLDER_VARIABLE: &str = "CHANCERY_TEST_FOLDER";
/// The variable that names the folder for the record of the operations that tests have driven.
pub const COVERAGE_VARIABLE: &str = "CHANCERY_COVERAGE_DIR";

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file of its own.
    Sqlite,
    /// A database of its own on the server of [`POSTGRES_VARIABLE`].
    Postgres,
}

impl Database {
    /// `sqlite` or `postgres`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A database for one server. It goes away with this value.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) address: String,
    folder: TempDir,
    on_server: Option<String>,
}

impl Fresh {
    /// A copy of the template.
    pub(crate) fn copied(database: Database) -> Self {
        let folder = folder();
        match database {
            Database::Sqlite => {
                let file = folder.path().join("chancery.db");
                std::fs::copy(sqlite_template(), &file).expect("the template can be copied");
                Self {
                    address: format!("sqlite:{}", file.display()),
                    folder,
                    on_server: None,
                }
            }
            Database::Postgres => {
                static COUNT: AtomicU64 = AtomicU64::new(1);
                let template = postgres_template();
                let count = COUNT.fetch_add(1, Ordering::SeqCst);
                let name = format!("chancery_test_{}_{count}", std::process::id());
                blocking(run_on_server(format!(
                    "CREATE DATABASE {name} TEMPLATE {template}"
                )));
                Self {
                    address: address_on_server(&name),
                    folder,
                    on_server: Some(name),
                }
            }
        }
    }

    /// A folder for the server's files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        static JANITOR: OnceLock<Mutex<mpsc::Sender<String>>> = OnceLock::new();
        let Some(name) = self.on_server.take() else {
            return;
        };
        // In the background: the next test need not wait. What is left when the process ends, the next process drops.
        let janitor = JANITOR.get_or_init(|| {
            let (sender, receiver) = mpsc::channel::<String>();
            std::thread::spawn(move || {
                for name in receiver {
                    blocking(run_on_server(format!(
                        "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
                    )));
                }
            });
            Mutex::new(sender)
        });
        if let Ok(sender) = janitor.lock() {
            drop(sender.send(name));
        }
    }
}

fn folder() -> TempDir {
    let made = match std::env::var_os(FOLDER_VARIABLE) {
        Some(place) => tempfile::tempdir_in(place),
        None => tempfile::tempdir(),
    };
    made.expect("a temporary folder can be made")
}

fn sqlite_template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        remove_leftover_files();
        let folder = folder();
        let address = format!("sqlite:{}", folder.path().join("first.db").display());
        let name = format!("chancery-template-{}.db", std::process::id());
        let file = folder
            .path()
            .parent()
            .expect("the folder is in another")
            .join(name);
        let target = file.clone();
        drop(std::fs::remove_file(&file));
        let data = folder.path().to_owned();
        blocking(async move {
            let app = crate::server::bootstrap(address, &data).await;
            app.db()
                .backup_to(&target)
                .await
                .expect("the template can be copied");
            app.close().await;
        });
        file
    })
}

/// Templates of test processes that have ended.
fn remove_leftover_files() {
    let place = std::env::var_os(FOLDER_VARIABLE).map_or_else(std::env::temp_dir, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(place) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name
            .strip_prefix("chancery-template-")
            .and_then(|rest| rest.strip_suffix(".db"));
        if process.is_some_and(has_ended) {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

fn has_ended(process: &str) -> bool {
    process.bytes().all(|byte| byte.is_ascii_digit()) && !Path::new("/proc").join(process).exists()
}

fn postgres_template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = format!("chancery_template_{}", std::process::id());
        let template = name.clone();
        let folder = folder();
        blocking(async move {
            drop_leftover_databases().await;
            run_on_server(format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)")).await;
            run_on_server(format!("CREATE DATABASE {template}")).await;
            let app = crate::server::bootstrap(address_on_server(&template), folder.path()).await;
            app.close().await;
            drop(app);
            // A connection that is still on its way out would keep the template from being copied.
            let others = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'");
            run_on_server(others).await;
        });
        name
    })
}

/// Databases of test processes that have ended.
async fn drop_leftover_databases() {
    let mut connection = PgConnection::connect(&administrator())
        .await
        .expect("the PostgreSQL server answers");
    let query = "SELECT datname::text FROM pg_database WHERE datname LIKE 'chancery\\_%'";
    let rows = connection
        .fetch_all(query)
        .await
        .expect("databases can be listed");
    for row in rows {
        let name: String = row.get(0);
        let process = name
            .strip_prefix("chancery_template_")
            .or_else(|| name.strip_prefix("chancery_test_"));
        let process = process.and_then(|rest| rest.split('_').next());
        if process.is_some_and(has_ended) {
            // Two processes may clean up at once.
            let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            drop(connection.execute(sqlx::AssertSqlSafe(statement)).await);
        }
    }
}

fn administrator() -> String {
    std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{POSTGRES_VARIABLE} is not set. `cargo xtask test` starts a private PostgreSQL and sets it; with a server of \
             your own: {POSTGRES_VARIABLE}=postgres://user@127.0.0.1:5432/postgres"
        )
    })
}

fn address_on_server(name: &str) -> String {
    let administrator = administrator();
    let (server, database) = administrator
        .rsplit_once('/')
        .expect("the address ends with a database");
    // What follows a question mark belongs to the address: a socket's folder stands there.
    let parameters = database.find('?').map_or("", |at| &database[at..]);
    format!("{server}/{name}{parameters}")
}

async fn run_on_server(statement: String) {
    let mut connection = PgConnection::connect(&administrator())
        .await
        .expect("the PostgreSQL server answers");
    connection
        .execute(sqlx::AssertSqlSafe(statement))
        .await
        .expect("the statement is allowed");
    drop(connection.close().await);
}

/// Waits for `work` on a thread of its own: the caller may stand inside a runtime, and what is opened here must not
/// belong to it.
fn blocking<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime can be made").block_on(work)
    });
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
