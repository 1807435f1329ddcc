//! The product in process, on either database, as tests see it: a server whose time stands still, clients whose every
//! answer is checked against the OpenAPI document, agents that speak the agents' protocol.
//!
//! ```text
//! testkit::both_databases! {
//!     async fn unknown_store_is_404(server: TestServer) {
//!         let answer = server.admin().get("/CertificateStores/00000000-0000-0000-0000-000000000001").await.expect(404);
//!         assert_eq!(answer.error_code(), "0xA0111006");
//!     }
//! }
//! ```
//!
//! Everything here panics when something is wrong: a panic is how a test fails.

mod agent;
mod client;
mod contract;
mod coverage;
mod database;
mod sample;
mod server;

pub use agent::{Outcome, TestAgent};
pub use client::{Answer, Client, RequestBuilder};
pub use contract::{Contract, Operation, contract};
pub use database::{COVERAGE_VARIABLE, Database, FOLDER_VARIABLE, POSTGRES_VARIABLE};
pub use sample::{sample_body, sample_path, sample_request};
pub use server::{ADMINISTRATOR, PASSWORD, START, TestClock, TestServer, run};

/// Runs each test on a fresh server with SQLite and on one with PostgreSQL, as `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! both_databases {
    ($($(#[$attribute:meta])* async fn $name:ident($($argument:tt)*) $body:block)*) => { $(
        $(#[$attribute])*
        mod $name {
            use super::*;

            async fn test($($argument)*) $body

            #[test]
            fn sqlite() {
                $crate::run($crate::Database::Sqlite, test);
            }

            #[test]
            fn postgres() {
                $crate::run($crate::Database::Postgres, test);
            }
        }
    )* };
}
