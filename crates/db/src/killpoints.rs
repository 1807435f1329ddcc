//! Kill points: tests end the process just before or just after the n-th commit, instead of hoping to hit a moment.
//!
//! Only in builds with the feature `killpoints`. `CHANCERY_COMMIT_LOG=FILE` writes a line for each moment reached;
//! `CHANCERY_KILL_AT_COMMIT=N` aborts at the N-th (counted from 1) since [`arm`] or since the start.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

static REACHED: AtomicU64 = AtomicU64::new(0);

/// On which side of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// All statements ran; nothing is kept yet.
    BeforeCommit,
    /// The change is on disk; nobody was told yet.
    AfterCommit,
}

/// Counts a moment, and aborts when it is the chosen one. Moments before the file named by `CHANCERY_KILL_ARMED` exists are
/// not counted, so that a test can choose where the story begins.
pub fn reached(name: &str, moment: Moment) {
    if let Some(armed) = std::env::var_os("CHANCERY_KILL_ARMED")
        && !std::path::Path::new(&armed).exists()
    {
        return;
    }
    let count = REACHED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = std::env::var_os("CHANCERY_COMMIT_LOG")
        && let Ok(mut file) = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
        && writeln!(file, "{count} {moment:?} {name}").is_err()
    {
        std::process::abort();
    }
    let chosen = std::env::var("CHANCERY_KILL_AT_COMMIT")
        .ok()
        .and_then(|text| text.parse::<u64>().ok());
    if chosen == Some(count) {
        std::process::abort();
    }
}
