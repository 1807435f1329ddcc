//! Jobs: which come first, and what all of them share.

use agent_protocol::{JobConfigureRequest, OperationResult, ResultStatus, SessionJob, job_type};
use stores::{Outcome, StoreDriver};

use crate::{
    Error, Result, inventory, management,
    outbox::{Letter, Note},
    runner::{Registered, Runner},
    transport::Transport,
};

/// Priority that the server gives a management Add.
const PRIORITY_OF_ADD: i64 = 3;

/// What an agent can do.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Report what is in a store.
    Inventory(&'static dyn StoreDriver),
    /// Change a store.
    Management(&'static dyn StoreDriver),
}

impl Kind {
    fn of(job: &SessionJob) -> Option<Self> {
        match job.job_type_id {
            job_type::PEM_INVENTORY => Some(Self::Inventory(&stores::PemDriver)),
            job_type::PEM_MANAGEMENT => Some(Self::Management(&stores::PemDriver)),
            _ => None,
        }
    }

    /// Adds first, inventories last: what is served matters more than what is known.
    fn rank(self, job: &SessionJob) -> u8 {
        match self {
            Self::Management(_) if job.priority == Some(PRIORITY_OF_ADD) => 0,
            Self::Management(_) => 1,
            Self::Inventory(_) => 2,
        }
    }
}

/// The jobs this agent knows, in the order they are done.
pub(crate) fn in_order(jobs: &[SessionJob]) -> Vec<(&SessionJob, Kind)> {
    let mut known: Vec<(&SessionJob, Kind)> = Vec::new();
    for job in jobs {
        match Kind::of(job) {
            Some(kind) => known.push((job, kind)),
            None => {
                let (job_id, job_type_id) = (job.job_id, job.job_type_id);
                tracing::warn!(%job_id, %job_type_id, "unknown kind of job");
            }
        }
    }
    known.sort_by_key(|(job, kind)| kind.rank(job));
    known
}

/// Does one job; true if it came to an outcome.
///
/// A job the server cancels or refuses ends here without Complete, as the protocol has it. A failure of one job is
/// logged and lets the others go on; a server that is not there does not.
pub(crate) async fn run<T: Transport>(
    runner: &Runner<T>,
    registered: &Registered,
    job: &SessionJob,
    kind: Kind,
) -> Result<bool> {
    let done = match kind {
        Kind::Inventory(driver) => inventory::run(runner, registered, job, driver).await,
        Kind::Management(driver) => management::run(runner, registered, job, driver).await,
    };
    match done {
        Ok(done) => Ok(done),
        Err(error @ (Error::Transport { .. } | Error::State(_) | Error::Store(_))) => Err(error),
        Err(error) => {
            tracing::warn!(job_id = %job.job_id, %error, "the job could not be done");
            Ok(false)
        }
    }
}

/// The Configure request of a job.
pub(crate) fn configure(registered: &Registered, job: &SessionJob) -> JobConfigureRequest {
    JobConfigureRequest {
        session_token: registered.token.clone(),
        job_id: job.job_id,
    }
}

/// Whether Configure says to go on.
pub(crate) fn goes_on(job: &SessionJob, cancelled: bool, result: &OperationResult) -> bool {
    if cancelled {
        tracing::info!(job_id = %job.job_id, "the job was cancelled");
        return false;
    }
    if matches!(result.status, ResultStatus::Warning | ResultStatus::Error) {
        let message = result
            .error
            .as_ref()
            .and_then(|error| error.message.as_deref());
        tracing::warn!(job_id = %job.job_id, message, "the server refused the job");
        return false;
    }
    true
}

pub(crate) fn note_of(job: &SessionJob, audit_id: i64) -> Note {
    Note {
        audit_id,
        completion_endpoint: job.completion_endpoint.clone(),
    }
}

/// Writes the outcome down, then reports it.
pub(crate) async fn complete<T: Transport>(
    runner: &Runner<T>,
    registered: &Registered,
    job: &SessionJob,
    note: Note,
    outcome: &Outcome,
) -> Result<()> {
    let surroundings = &runner.surroundings;
    let letter = Letter::new(job.job_id, note, outcome);
    tracing::info!(job_id = %job.job_id, status = ?letter.status, message = letter.message, "job done");
    letter.save(&surroundings.state.outbox(), &surroundings.file_system)?;
    // The outbox has the outcome now; the journal's turn is over.
    stores::forget(
        &surroundings.state.journal(),
        job.job_id,
        &surroundings.file_system,
    )?;
    runner.deliver(registered, letter).await
}
