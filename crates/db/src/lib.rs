//! Tables, migrations, pools and group commit, and everything that differs between SQLite and PostgreSQL.
//!
//! [`Db::open`] migrates and connects; [`Db::read`] answers from the committed state; [`Db::write`] runs a closure in one
//! transaction. On SQLite one writer thread owns the only write connection and commits the closures that wait together, with
//! one sync of the disk; on PostgreSQL every closure has a connection of its own.

mod checkpoints;
mod dialect;
mod error;
mod folding;
mod gather;
#[cfg(feature = "killpoints")]
pub mod killpoints;
mod migrations;
pub mod past;
mod pool;
mod reader;
mod rows;
mod snapshot;
pub mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod writer;

pub use dialect::{Dialect, after_prefix, escape_like};
pub use error::Error;
pub use folding::fold;
pub use gather::{Gather, NotDone};
pub use pool::{Db, Durability, Options};
pub use reader::Reader;
pub use rows::{insert_all, integers, plan_each, reserve_ids, take_turn};
pub use snapshot::Snapshot;

/// The open transaction that a closure of [`Db::write`] works on.
pub type Tx = sea_orm::DatabaseTransaction;

/// What a closure of [`Db::write`] returns: a boxed future that borrows the transaction.
pub type WriteFuture<'t, T, E> = std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send + 't>>;
