//! Outcomes on their way to the server. An outcome is on disk before it is sent, and until it was taken.

use std::path::Path;

use agent_protocol::{CompleteStatus, CompletionExtra, Uuid};
use serde::{Deserialize, Serialize};
use stores::{FileSystem, Outcome, Permissions};

use crate::{Error, Result};

/// A server that answered this often, and never took the outcome, does not know the job any more.
pub(crate) const REFUSALS_MAX: u32 = 5;
/// Longer messages are cut, in characters.
const MESSAGE_MAX_CHARACTERS: usize = 1_000;

/// The outcome of one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) job_id: Uuid,
    pub(crate) note: Note,
    pub(crate) status: CompleteStatus,
    pub(crate) message: String,
    pub(crate) extra: Option<CompletionExtra>,
    /// How often the server answered that it does not take it.
    pub(crate) refusals: u32,
}

/// What Configure said and Complete needs; kept in the store's journal, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) audit_id: i64,
    pub(crate) completion_endpoint: Option<String>,
}

impl Letter {
    /// The words for an outcome.
    pub(crate) fn new(job_id: Uuid, note: Note, outcome: &Outcome) -> Self {
        let (status, extra) = match outcome {
            Outcome::Success(_) => (CompleteStatus::Success, None),
            Outcome::Warning(_) => (CompleteStatus::Warning, None),
            Outcome::Failure {
                rolled_back,
                expected_thumbprint,
                served_thumbprint,
                ..
            } => {
                let extra = CompletionExtra {
                    served_thumbprint: served_thumbprint.clone(),
                    expected_thumbprint: expected_thumbprint.clone(),
                    rolled_back: *rolled_back,
                };
                (CompleteStatus::Error, Some(extra))
            }
        };
        let message = outcome
            .message()
            .chars()
            .take(MESSAGE_MAX_CHARACTERS)
            .collect();
        Self {
            job_id,
            note,
            status,
            message,
            extra,
            refusals: 0,
        }
    }

    /// Puts it into the outbox, durably.
    pub(crate) fn save(&self, outbox: &Path, file_system: &FileSystem) -> Result<()> {
        file_system.create_folder(outbox)?;
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::State(format!("outbox, {}: {error}", self.job_id)))?;
        let path = outbox.join(format!("{}.json", self.job_id));
        Ok(file_system.replace(&path, &text, Permissions::SECRET)?)
    }

    /// Takes it out.
    pub(crate) fn discard(&self, outbox: &Path, file_system: &FileSystem) -> Result<()> {
        Ok(file_system.remove(&outbox.join(format!("{}.json", self.job_id)))?)
    }
}

/// Everything that waits.
pub(crate) fn waiting(outbox: &Path, file_system: &FileSystem) -> Result<Vec<Letter>> {
    for torn in file_system.list(outbox, ".json.new")? {
        file_system.remove(&torn)?;
    }
    let mut letters = Vec::new();
    for path in file_system.list(outbox, ".json")? {
        let Some(existing) = file_system.read(&path)? else {
            continue;
        };
        let letter = serde_json::from_slice(&existing.contents)
            .map_err(|error| Error::State(format!("{}: {error}", path.display())))?;
        letters.push(letter);
    }
    Ok(letters)
}
