//! Going on after a restore: openly, with a record and a line in every checkpoint that follows.

use std::sync::Arc;

use serde_json::json;
use transparency::to_base64;

use super::entry::{Category, Entry, Level, Operation};
use super::kept::Kept;
use super::keys::tree_row;
use super::sequence::{restored_line, sequence};
use super::state::State;
use crate::cx::Cx;
use crate::error::Error;
use crate::security::Permission;

/// Says that the database was put back to an earlier state on purpose, and goes on from there. Answers the checkpoint that says
/// so, as a signed note.
///
/// # Errors
/// 409 when the state that was put back is itself not as it was signed; those of the database.
pub async fn go_on_after_restore(cx: &Cx) -> Result<String, Error> {
    cx.authorize(Permission::SecurityModify)?;
    let app = cx.app();
    let keys = app.audit.keys()?;
    let refused = |reason: String| {
        Error::conflict(format!(
            "The audit log cannot go on from this database: {reason}."
        ))
    };
    let state = State::read(tree_row(cx.db().read(), false).await?, &keys).map_err(refused)?;
    let (size, root) = (state.checkpoint.size, state.checkpoint.root);
    let kept = match app.audit.kept() {
        Kept::Checkpoint(kept) => {
            json!({ "size": kept.size, "root": to_base64(&kept.root) })
        }
        Kept::Nothing | Kept::Unreadable(_) => serde_json::Value::Null,
    };
    let message = format!(
        "The database was restored from a backup; the audit log goes on from {size} signed records."
    );
    let entry = Entry::new(
        Operation::Imported,
        Category::AuditLog,
        "audit log",
        message,
    )
    .level(Level::Warning)
    .after(json!({ "restored_at": size, "root": to_base64(&root), "signed_before": kept }));
    let writer = cx.clone();
    let db = cx.db().clone();
    db.write("audit.go_on", move |tx| {
        Box::pin(async move { super::record(tx, &writer, entry).await })
    })
    .await?;
    let done = sequence(&Arc::clone(app), Some(restored_line(size, &root))).await?;
    done.map(|state| state.note).map_err(refused)
}
