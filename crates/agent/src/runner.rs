//! One session from registration to the last job.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use agent_protocol::{
    JobCompleteRequest, JobCompleteResponse, Redacted, ResultStatus, Session, Uuid,
};
use serde::{Serialize, de::DeserializeOwned};
use stores::{AllowedPaths, FileSystem, Host};
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::{
    AgentConfig, Error, Result, job,
    outbox::{self, Letter, REFUSALS_MAX},
    recovery,
    session::{self, Opened},
    state::{Identity, State},
    transport::Transport,
};

/// Longest poll time a server can ask for.
const POLL_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The server has not approved this agent yet.
    Pending {
        /// The server's words.
        message: String,
    },
    /// At least one job was done: there may be more to do at once.
    Worked,
    /// There was nothing to do.
    Idle {
        /// How long to wait before asking again.
        poll: Duration,
    },
}

/// Everything an agent works with; the transport, the host and the clock are the outside world.
pub(crate) struct Runner<T> {
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) transport: T,
    pub(crate) clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    recovered: AtomicBool,
}

/// What jobs need, shared with the threads they run on.
pub(crate) struct Surroundings {
    pub(crate) config: AgentConfig,
    pub(crate) state: State,
    pub(crate) allowed_paths: AllowedPaths,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) file_system: FileSystem,
}

/// A registered session.
pub(crate) struct Registered {
    pub(crate) identity: Identity,
    pub(crate) token: Redacted<String>,
    pub(crate) session: Session,
}

impl<T: Transport> Runner<T> {
    pub(crate) fn new(
        config: AgentConfig,
        transport: T,
        host: Arc<dyn Host>,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Result<Self> {
        let state = State::open(config.state_dir.clone())?;
        // The agent's own files are out of reach for jobs even where their folder is allowed.
        let allowed_paths =
            AllowedPaths::new(config.allowed_paths.clone(), vec![config.state_dir.clone()]);
        let file_system = FileSystem;
        let surroundings = Surroundings {
            config,
            state,
            allowed_paths,
            host,
            file_system,
        };
        let surroundings = Arc::new(surroundings);
        Ok(Self {
            surroundings,
            transport,
            clock,
            recovered: AtomicBool::new(false),
        })
    }

    /// The configured poll time.
    pub(crate) fn poll(&self) -> Duration {
        Duration::from_secs_f64(self.surroundings.config.poll_seconds)
    }

    /// Puts interrupted operations right, the first time it is called, and again after a job broke off.
    pub(crate) async fn recover_once(&self) -> Result<()> {
        if self.recovered.load(Ordering::SeqCst) {
            return Ok(());
        }
        let surroundings = self.surroundings.clone();
        self.blocking(move || {
            recovery::recover(
                &surroundings.config,
                &surroundings.state,
                &*surroundings.host,
            )
        })
        .await??;
        self.recovered.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// One session.
    pub(crate) async fn turn(&self, shutdown: &watch::Receiver<bool>) -> Result<Turn> {
        self.recover_once().await?;
        let registered = match session::open(self).await? {
            Opened::Ready(registered) => registered,
            Opened::Pending { message } => return Ok(Turn::Pending { message }),
        };
        let reported = self.deliver_waiting(&registered).await?;
        let mut worked = !reported.is_empty();
        for (job, kind) in job::in_order(&registered.session.jobs) {
            if *shutdown.borrow() {
                break;
            }
            // The list was made before its outcome was reported.
            if !reported.contains(&job.job_id) {
                worked |= job::run(self, &registered, job, kind).await?;
            }
        }
        Ok(if worked {
            Turn::Worked
        } else {
            Turn::Idle {
                poll: self.poll_of(&registered),
            }
        })
    }

    fn poll_of(&self, registered: &Registered) -> Duration {
        match registered
            .session
            .chancery
            .as_ref()
            .map_or(0, |extra| extra.poll_seconds)
        {
            0 => self.poll(),
            seconds => Duration::from_secs(seconds).min(POLL_MAX),
        }
    }

    async fn deliver_waiting(&self, registered: &Registered) -> Result<HashSet<Uuid>> {
        let Surroundings {
            state, file_system, ..
        } = &*self.surroundings;
        let mut reported = HashSet::new();
        for letter in outbox::waiting(&state.outbox(), file_system)? {
            reported.insert(letter.job_id);
            self.deliver(registered, letter).await?;
        }
        Ok(reported)
    }

    /// Sends an outcome that is in the outbox; it leaves the outbox when the server has taken it.
    pub(crate) async fn deliver(&self, registered: &Registered, mut letter: Letter) -> Result<()> {
        let Surroundings {
            state, file_system, ..
        } = &*self.surroundings;
        let outbox = state.outbox();
        let Some(endpoint) = letter.note.completion_endpoint.clone() else {
            tracing::warn!(job_id = %letter.job_id, "the job has no completion endpoint");
            return letter.discard(&outbox, file_system);
        };
        let request = JobCompleteRequest {
            status: letter.status,
            audit_id: letter.note.audit_id,
            job_id: letter.job_id,
            message: letter.message.clone(),
            session_token: registered.token.clone(),
            log: None,
            chancery: letter.extra.clone(),
        };
        let response: JobCompleteResponse = self
            .call(Some(&registered.identity), &endpoint, &request)
            .await?;
        if response.result.status != ResultStatus::Error {
            return letter.discard(&outbox, file_system);
        }
        let message = response
            .result
            .error
            .and_then(|error| error.message)
            .unwrap_or_default();
        tracing::warn!(job_id = %letter.job_id, message, "the server did not take the outcome");
        letter.refusals += 1;
        if letter.refusals >= REFUSALS_MAX {
            return letter.discard(&outbox, file_system);
        }
        letter.save(&outbox, file_system)
    }

    /// One call. An empty body reads as `{}`.
    pub(crate) async fn call<A: DeserializeOwned>(
        &self,
        identity: Option<&Identity>,
        endpoint: &str,
        request: &impl Serialize,
    ) -> Result<A> {
        let path = relative(endpoint, &self.surroundings.config.virtual_directory);
        let unexpected = |error: serde_json::Error| Error::Protocol {
            endpoint: path.to_owned(),
            // The kind and place only: the text of the error may quote a value, and that may be secret.
            reason: format!("{:?} in column {}", error.classify(), error.column()),
        };
        let body = serde_json::to_vec(request)
            .map(Zeroizing::new)
            .map_err(unexpected)?;
        let answer = self.transport.post(identity, path, body).await?;
        let answer = if answer.trim_ascii().is_empty() {
            b"{}"
        } else {
            answer.as_slice()
        };
        serde_json::from_slice(answer).map_err(unexpected)
    }

    /// Runs something that blocks. Where it panics, an operation may be half done: the next turn recovers first.
    pub(crate) async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R> {
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            self.recovered.store(false, Ordering::SeqCst);
            Error::State(format!("a job broke off: {error}"))
        })
    }
}

/// Paths come with or without the virtual directory and a leading slash (agent-protocol reference, section 2).
fn relative<'a>(endpoint: &'a str, virtual_directory: &str) -> &'a str {
    let path = endpoint.trim_start_matches('/');
    let directory = virtual_directory.trim_matches('/');
    let below = path
        .strip_prefix(directory)
        .or_else(|| path.strip_prefix(agent_protocol::path::VIRTUAL_DIRECTORY));
    match below.and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => rest.trim_start_matches('/'),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn endpoints_are_found_in_every_form() {
        for endpoint in [
            "AnyInventory/Configure",
            "/AnyInventory/Configure",
            "/KeyfactorAgents/AnyInventory/Configure",
            "Agents/AnyInventory/Configure",
        ] {
            assert_eq!(relative(endpoint, "Agents"), "AnyInventory/Configure");
        }
    }
}
