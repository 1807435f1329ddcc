//! The audit log: who did what, from where, for whom, before and after. A record is written in the transaction of the change, so
//! that there is no change without its record, and takes the next position of a chain there ([`chain`]). A sequencer puts the
//! records of all chains into one Merkle tree and signs checkpoints of it ([`sequence`]); `docs/audit.md` says what that proves.

mod access;
mod chain;
mod check;
mod download;
mod entry;
mod export;
mod forward;
mod kept;
mod keys;
mod leaf;
mod list;
mod places;
mod proofs;
mod restore;
mod retention;
mod sequence;
mod state;
mod tiles;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;

pub(crate) use access::{refused, sign_in_failed, signed_in, tried};
pub(crate) use chain::{record, record_all};
pub(crate) use entry::{Category, Entry, Level, Operation};
pub use export::Export;
pub use forward::{Batch, Forwarded, Forwarder};
pub(crate) use keys::{Log, open};
pub(crate) use list::FIELDS;
pub use restore::go_on_after_restore;
pub use retention::prune;
pub use sequence::checkpoint;

/// Writes a record for each name in one transaction, as enrollments do that are written together. `cargo xtask bench` times it.
///
/// # Errors
/// 403 for all but the server itself; those of the database.
pub async fn append(cx: &Cx, names: Vec<String>) -> Result<(), Error> {
    cx.authorize(Permission::SecurityModify)?;
    let cx = cx.clone();
    let db = cx.db().clone();
    db.write("audit.append", move |tx| {
        Box::pin(async move {
            let entry = |name| {
                let message = "written by a benchmark";
                Entry::new(Operation::Created, Category::Installation, name, message)
            };
            let entries = names.into_iter().map(|name| (&cx, entry(name)));
            record_all(tx, entries.collect()).await
        })
    })
    .await
}

/// Signs what was written and prunes what is old, until `shutdown` turns true.
pub(crate) async fn run(
    app: &std::sync::Arc<crate::app::App>,
    shutdown: tokio::sync::watch::Receiver<bool>,
) {
    tokio::join!(
        sequence::run(app, shutdown.clone()),
        retention::run(app, shutdown)
    );
}

/// The operations of this slice.
pub(crate) fn routes() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(list::related))
        .routes(routes!(download::download))
        .routes(routes!(list::get))
        .routes(routes!(check::validate))
        .routes(routes!(check::verify))
        .routes(routes!(proofs::checkpoint))
        .routes(routes!(proofs::tile))
        .routes(routes!(proofs::inclusion))
        .routes(routes!(proofs::consistency))
        .routes(routes!(export::download))
}
