//! Kill points: the process aborts just before its n-th file operation, so that tests can try every one.
//!
//! `CHANCERY_KILL_AT_FILE_STEP=n` chooses n, counted from 1 over the whole process;
//! `CHANCERY_FILE_STEP_LOG=path` appends a line `n name path` for each step. Steps before the file named by
//! `CHANCERY_KILL_ARMED` exists are not counted. Not compiled into a normal build.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

static STEPS: AtomicU64 = AtomicU64::new(0);

/// Counts one step; does not return from the chosen one.
pub(crate) fn step(name: &str, path: &Path) {
    if env::var_os("CHANCERY_KILL_ARMED").is_some_and(|armed| !Path::new(&armed).exists()) {
        return;
    }
    let number = STEPS.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(log) = env::var_os("CHANCERY_FILE_STEP_LOG") {
        // A log that cannot be written is the test's problem, and its assertion will say so.
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(log) {
            let _ = writeln!(file, "{number} {name} {path}", path = path.display());
        }
    }
    let chosen = env::var("CHANCERY_KILL_AT_FILE_STEP")
        .ok()
        .and_then(|text| text.parse().ok());
    if chosen == Some(number) {
        std::process::abort();
    }
}
