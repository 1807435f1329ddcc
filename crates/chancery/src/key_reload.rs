//! The sealing keys of a server that runs: a rotation writes the new key into the file first and seals with it after
//! a while, so the server has to read the file again by itself.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use app::App;
use secrets::KeyRing;
use tokio::sync::watch;

/// How often the file is looked at. A rotation waits longer than this before it uses a new key.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// What tells one content of the file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Mark {
    fn of(file: &Path) -> Option<Self> {
        let metadata: Metadata = file.metadata().ok()?;
        Some(Self {
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Takes up a changed key file, until `shutdown` turns true. Keys that do not fit the database are complained about
/// once and not used.
pub async fn watch(app: Arc<App>, file: PathBuf, mut shutdown: watch::Receiver<bool>) {
    let mut seen = None;
    loop {
        let mark = Mark::of(&file);
        if mark.is_some() && mark != seen {
            seen = mark;
            take_up(&app, &file).await;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            _ = shutdown.wait_for(|end| *end) => return,
        }
    }
}

async fn take_up(app: &App, file: &Path) {
    let ring = match KeyRing::load(file) {
        Ok(ring) => ring,
        Err(error) => {
            tracing::error!(%error, "sealing keys not reloaded, the old ones stay in use");
            return;
        }
    };
    let newest = ring.primary_id();
    match app.take_up_keys(ring).await {
        Ok(true) => tracing::info!(%newest, "sealing keys reloaded"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(%error, "sealing keys not reloaded, the old ones stay in use");
        }
    }
}
