//! The newest checkpoint, kept in the data folder, outside the database: whoever puts back an older database does not put back
//! this file.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use sea_orm::ConnectionTrait;
use transparency::Checkpoint;

use super::keys::{Keys, tree_row};
use super::sequence::{parse_restored, suspend};
use super::state::State;
use super::tiles::{self, TilesError};
use crate::app::App;
use crate::error::Error;

/// The file in the data folder.
const FILE: &str = "audit-checkpoint";
/// What the owner of the server can do about it.
const ADVICE: &str =
    "if a backup was put back on purpose, say so with `chancery audit continue`; docs/audit.md";

/// What is known of the newest checkpoint from outside the database.
#[derive(Clone, Debug, Default)]
pub(super) enum Kept {
    /// Nothing: this server is new.
    #[default]
    Nothing,
    /// The checkpoint.
    Checkpoint(Checkpoint),
    /// Something that cannot be read, and why. Nothing is signed until it is said that the log goes on.
    Unreadable(String),
}

fn file(app: &App) -> PathBuf {
    app.options.data_dir.join(FILE)
}

/// Reads the file and compares it with the database. A difference is logged and recorded, and no checkpoint is signed until it
/// is cleared up; the server does all else.
pub(super) async fn load(app: &Arc<App>) -> Result<(), Error> {
    let keys = app.audit.keys()?;
    let path = file(app);
    let kept = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Kept::Nothing,
        Err(error) => Kept::Unreadable(format!(
            "{} cannot be read: {error}; {ADVICE}",
            path.display()
        )),
        Ok(text) => match Checkpoint::open(&text, keys.signer.verifier()) {
            Ok(checkpoint) => Kept::Checkpoint(checkpoint),
            Err(error) => Kept::Unreadable(format!("{}: {error}; {ADVICE}", path.display())),
        },
    };
    app.audit.keep(kept.clone());
    match State::read(tree_row(app.db.read(), false).await?, &keys) {
        Err(reason) => suspend(app, reason).await,
        Ok(state) => match compare(app.db.read(), &kept, &state).await {
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

/// Whether the tree begins with the one of the checkpoint that is kept, or goes on from a restore that was said openly since.
pub(super) async fn compare(
    connection: &impl ConnectionTrait,
    kept: &Kept,
    state: &State,
) -> Result<(), Comparison> {
    let differs = |reason: String| Err(Comparison::Differs(reason));
    let kept = match kept {
        Kept::Nothing => return Ok(()),
        Kept::Unreadable(reason) => return differs(reason.clone()),
        Kept::Checkpoint(kept) => kept,
    };
    let (mut known, mut root, size) = (kept.size, kept.root, state.checkpoint.size);
    let lines = &state.checkpoint.extensions;
    let Some(new_lines) = lines.strip_prefix(kept.extensions.as_slice()) else {
        return differs(format!(
            "a database from before a restore was put back; {ADVICE}"
        ));
    };
    // A restore that another program declared stands in the signed checkpoint, with the place that the log went back to.
    if let Some((at, root_there)) = new_lines.first().and_then(|line| parse_restored(line))
        && at < known
    {
        (known, root) = (at, root_there);
    }
    if known > size {
        return differs(format!(
            "an older database was put back: its audit log has {size} records, and {known} were signed before; {ADVICE}"
        ));
    }
    let there = if known == size {
        state.checkpoint.root
    } else {
        match tiles::root_at(connection, known).await {
            Ok(root) => root,
            Err(TilesError::Damaged) => {
                return differs("tiles of the audit tree are damaged".into());
            }
            Err(TilesError::Database(error)) => return Err(Comparison::Database(error)),
        }
    };
    if there != root {
        return differs(format!(
            "the audit log is another one than was signed before: its first {known} records differ; {ADVICE}"
        ));
    }
    Ok(())
}

/// Keeps a newer checkpoint, in memory and in the file. A file that cannot be written is no reason to stop: the next one will
/// tell, and the log says so.
pub(super) async fn save(app: &Arc<App>, keys: &Keys, state: &State) {
    let known = matches!(app.audit.kept(), Kept::Checkpoint(kept) if kept == state.checkpoint);
    if known && file(app).exists() {
        return;
    }
    app.audit.keep(Kept::Checkpoint(state.checkpoint.clone()));
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
