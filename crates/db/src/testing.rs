//! Fresh, migrated databases for tests, on both engines.
//!
//! `CHANCERY_TEST_POSTGRES` names a PostgreSQL server by the address of an administrator
//! (`postgres://user@host:port/postgres`). Without it the PostgreSQL half of a test is left out, except where `CI` is set:
//! there it fails.

use std::ops::Deref;

use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Db, Options};

/// The variable that names the PostgreSQL server.
pub const POSTGRES_VARIABLE: &str = "CHANCERY_TEST_POSTGRES";

/// A database of its own for one test. It goes away with this value.
#[derive(Debug)]
pub struct Fresh {
    db: Db,
    address: String,
    // Held for what happens when it is dropped.
    _place: Place,
}

#[derive(Debug)]
enum Place {
    Folder { _folder: TempDir },
    Server { _database: ServerDatabase },
}

impl Fresh {
    /// For [`Db::open`].
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Deref for Fresh {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

/// A SQLite file in a folder of its own.
///
/// # Panics
/// When it cannot be made.
pub async fn sqlite() -> Fresh {
    let folder = empty_folder();
    let address = format!("sqlite:{}", folder.path().join("test.db").display());
    let db = Db::open(&address, &options())
        .await
        .expect("a new file can be opened");
    Fresh {
        db,
        address,
        _place: Place::Folder { _folder: folder },
    }
}

/// A database on the server of [`POSTGRES_VARIABLE`]. `None` without the variable.
///
/// # Panics
/// When it cannot be made, and without the variable where `CI` is set.
pub async fn postgres() -> Option<Fresh> {
    let database = empty_postgres().await?;
    let address = database.address.clone();
    let db = Db::open(&address, &options())
        .await
        .expect("a new database can be opened");
    Some(Fresh {
        db,
        address,
        _place: Place::Server {
            _database: database,
        },
    })
}

/// An empty folder that goes away with the value.
///
/// # Panics
/// When it cannot be made.
pub fn empty_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A database on the server of [`POSTGRES_VARIABLE`], not migrated. `None` without the variable.
///
/// # Panics
/// When it cannot be made, and without the variable where `CI` is set.
pub async fn empty_postgres() -> Option<ServerDatabase> {
    let Ok(administrator) = std::env::var(POSTGRES_VARIABLE) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{POSTGRES_VARIABLE} is not set"
        );
        return None;
    };
    let name = format!("test_{}", Uuid::new_v4().simple());
    let (server, _) = administrator
        .rsplit_once('/')
        .expect("the address ends with a database");
    let address = format!("{server}/{name}");
    run(&administrator, format!("CREATE DATABASE {name}")).await;
    Some(ServerDatabase {
        administrator,
        name,
        address,
    })
}

/// A database on a PostgreSQL server that is dropped with this value.
#[derive(Debug)]
pub struct ServerDatabase {
    administrator: String,
    name: String,
    address: String,
}

impl ServerDatabase {
    /// For [`Db::open`].
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for ServerDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let administrator = self.administrator.clone();
        // A thread, since the one that drops may be inside a runtime and could not wait. A failure leaves a database behind
        // and is no reason to fail a test.
        let dropping = std::thread::spawn(move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                runtime.block_on(run(&administrator, statement));
            }
        });
        if dropping.join().is_err() {
            tracing::warn!(name = self.name, "a test's database could not be dropped");
        }
    }
}

async fn run(address: &str, statement: String) {
    let mut connection = PgConnection::connect(address)
        .await
        .expect("the server answers");
    connection
        .execute(sqlx::AssertSqlSafe(statement))
        .await
        .expect("the statement is allowed");
}

/// Few connections: many tests run at once.
fn options() -> Options {
    Options {
        readers: 2,
        postgres_connections: 8,
    }
}

/// Runs each test on a fresh SQLite file and on a fresh PostgreSQL database, as `name::sqlite` and `name::postgres`. The
/// crate that uses it needs tokio.
#[macro_export]
macro_rules! test_on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($db:ident: $kind:ty) $body:block)*) => { $(
        $(#[$attribute])*
        #[cfg(test)]
        mod $name {
            use super::*;

            async fn test($db: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let fresh = $crate::testing::sqlite().await;
                test(&fresh).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(fresh) = $crate::testing::postgres().await {
                    test(&fresh).await;
                }
            }
        }
    )* };
}
