//! A database of its own for each test.

use tempfile::TempDir;

/// Which database a test runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

/// Goes away with this value.
pub(crate) enum Database {
    /// The default of the program: a file in the data folder.
    InTheDataFolder,
    Postgres(db::testing::ServerDatabase),
}

impl Database {
    /// `None` where there is no PostgreSQL server to be had (never in CI).
    pub(crate) async fn fresh(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Sqlite => Some(Self::InTheDataFolder),
            Kind::Postgres => Some(Self::Postgres(db::testing::empty_postgres().await?)),
        }
    }

    /// The flags that name it.
    pub(crate) fn flags(&self) -> Vec<String> {
        match self {
            Self::InTheDataFolder => Vec::new(),
            Self::Postgres(database) => vec!["--database".into(), database.address().into()],
        }
    }
}

/// Set to keep the folders of the tests, with all logs in them.
const KEEP: &str = "CHANCERY_STORY_KEEP";

/// A folder for all files of a test.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("chancery-story-")
        .disable_cleanup(std::env::var_os(KEEP).is_some())
        .tempdir()
        .expect("a temporary folder can be made")
}

/// Runs a test on SQLite and on PostgreSQL, as `name::sqlite` and `name::postgres`.
macro_rules! on_both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($database:ident: $kind:ty) $body:block)*) => { $(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn test($database: $kind) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                test($crate::database::Kind::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                test($crate::database::Kind::Postgres).await;
            }
        }
    )* };
}
pub(crate) use on_both_databases;
