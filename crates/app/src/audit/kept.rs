//! The newest checkpoint, kept in the data folder, outside the database: whoever puts back an older database does not put back
//! this file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use transparency::Checkpoint;

use super::keys::{Keys, tree_row};
use super::sequence::suspend;
use super::state::State;
use super::tiles::{self, TilesError};
use crate::app::App;
use crate::error::Error;

/// The file in the data folder.
const FILE: &str = "audit-checkpoint";
/// What the owner of the server can do about it.
const ADVICE: &str =
    "if a backup was put back on purpose, say so with `chancery audit continue`; docs/audit.md";

fn file(app: &App) -> PathBuf {
    app.options.data_dir.join(FILE)
}

/// Reads the file and compares it with the database. A difference is logged and recorded, and no checkpoint is signed until it
/// is cleared up; the server does all else.
pub(super) async fn load(app: &Arc<App>) -> Result<(), Error> {
    let keys = app.audit.keys()?;
    let path = file(app);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            suspend(app, format!("{} cannot be read: {error}", path.display())).await;
            return Ok(());
        }
    };
    if let Some(text) = text {
        match Checkpoint::open(&text, keys.signer.verifier()) {
            Ok(checkpoint) => app.audit.keep(checkpoint),
            Err(error) => {
                let reason = format!("{}: {error}; {ADVICE}", path.display());
                suspend(app, reason).await;
                return Ok(());
            }
        }
    }
    match State::read(tree_row(app.db.read(), false).await?, &keys) {
        Err(reason) => suspend(app, reason).await,
        Ok(state) => match compare(app.db.read(), app.audit.kept().as_ref(), &state).await {
            Ok(()) => save(app, &keys, &state).await,
            Err(Comparison::Differs(reason)) => suspend(app, reason).await,
            Err(Comparison::Database(error)) => return Err(error),
        },
    }
    Ok(())
}

/// Why the database is not a continuation of what is kept.
pub(super) enum Comparison {
    Differs(String),
    Database(Error),
}

/// Whether the tree begins with the one of the checkpoint that is kept.
pub(super) async fn compare(
    connection: &impl ConnectionTrait,
    kept: Option<&Checkpoint>,
    state: &State,
) -> Result<(), Comparison> {
    let Some(kept) = kept else { return Ok(()) };
    let (known, size) = (kept.size, state.checkpoint.size);
    if known > size {
        return Err(Comparison::Differs(format!(
            "an older database was put back: its audit log has {size} records, and {known} were signed before; {ADVICE}"
        )));
    }
    let root = if known == size {
        state.checkpoint.root
    } else {
        match tiles::root_at(connection, known).await {
            Ok(root) => root,
            Err(TilesError::Damaged) => {
                return Err(Comparison::Differs(
                    "tiles of the audit tree are damaged".into(),
                ));
            }
            Err(TilesError::Database(error)) => return Err(Comparison::Database(error)),
        }
    };
    if root != kept.root {
        return Err(Comparison::Differs(format!(
            "the audit log is another one than was signed before: its first {known} records differ; {ADVICE}"
        )));
    }
    Ok(())
}

/// Keeps a newer checkpoint, in memory and in the file. A file that cannot be written is no reason to stop: the next one will
/// tell, and the log says so.
pub(super) async fn save(app: &Arc<App>, keys: &Keys, state: &State) {
    if app.audit.kept().as_ref() == Some(&state.checkpoint) && file(app).exists() {
        return;
    }
    app.audit.keep(state.checkpoint.clone());
    let (path, note) = (file(app), state.note.clone());
    let verifier = keys.signer.verifier().to_string();
    let written = tokio::task::spawn_blocking(move || {
        let public = path.with_file_name("audit-key.pub");
        if !public.exists() {
            std::fs::write(&public, format!("{verifier}\n"))?;
        }
        let next = path.with_file_name(format!("{FILE}.{}.new", std::process::id()));
        let mut file = std::fs::File::create(&next)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, &path)
    });
    match written.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "{FILE} in the data folder cannot be written"),
        Err(error) => tracing::error!(%error, "{FILE} in the data folder was not written"),
    }
}
