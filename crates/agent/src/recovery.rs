//! What a start does before anything else: put interrupted operations right.

use std::time::Duration;

use stores::{FileSystem, Host, Recovered};

use crate::{
    AgentConfig, Result,
    outbox::{Letter, Note},
    state::State,
};

/// Restores what was cut off, reloads services that may have read the new files, and moves finished outcomes into the
/// outbox. Blocks. Can be repeated and killed at will.
pub(crate) fn recover(config: &AgentConfig, state: &State, host: &dyn Host) -> Result<()> {
    let (journal, file_system) = (state.journal(), FileSystem);
    for found in stores::recover(&journal, &file_system)? {
        match found {
            Recovered::Restored {
                job_id, profile, ..
            } => {
                tracing::warn!(%job_id, "an interrupted job was undone");
                if let Some(profile) = profile.as_deref().and_then(|name| config.profile(name)) {
                    reload(profile, host);
                }
                stores::forget(&journal, job_id, &file_system)?;
            }
            Recovered::Finished {
                job_id,
                note,
                outcome,
            } => {
                let note: Note = serde_json::from_str(&note).unwrap_or_default();
                Letter::new(job_id, note, &outcome).save(&state.outbox(), &file_system)?;
                stores::forget(&journal, job_id, &file_system)?;
            }
            Recovered::Stuck { job_id, reason } => {
                tracing::error!(%job_id, reason, "an interrupted job could not be undone");
            }
        }
    }
    Ok(())
}

/// A service that cannot be reloaded now will read the right files later; that must not keep the agent from starting.
fn reload(profile: &stores::Profile, host: &dyn Host) {
    if profile.reload.is_empty() {
        return;
    }
    let timeout = Duration::from_millis(profile.command_timeout_ms);
    match host.run(&profile.reload, timeout) {
        Ok(output) if output.status == Some(0) => {}
        Ok(output) => {
            tracing::error!(
                profile = profile.name,
                says = output.text,
                "the reload failed"
            );
        }
        Err(error) => tracing::error!(profile = profile.name, error, "the reload failed"),
    }
}
