//! The orchestrator agent: it registers with a server, asks for jobs, does them on top of the store drivers and reports.
//!
//! It only ever connects outward, and knows of the server nothing but `agent-protocol`. What it may touch, run and
//! connect to stands in its own configuration; a server cannot widen that.
//!
//! Nothing is lost or doubled by a kill: a store's change runs under the journal of `stores`, and its outcome is in the
//! outbox, on disk, before the journal goes. At the next start the outcome is sent, the work is not repeated.

mod config;
mod error;
mod inventory;
mod job;
mod management;
mod outbox;
mod recovery;
mod runner;
mod session;
mod state;
mod transport;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

pub use config::AgentConfig;
pub use error::{Error, Result};
pub use runner::Turn;
pub use stores::Profile;

use runner::Runner;
use transport::HttpsTransport;

/// First pause after a failure or while approval is pending, or the poll time where that is shorter; it doubles up to
/// the poll time.
const BACKOFF_START: Duration = Duration::from_millis(500);

/// An agent with its state folder locked.
pub struct Agent {
    runner: Runner<HttpsTransport>,
}

impl Agent {
    /// Reads CA bundle and password, opens and locks the state folder. Connects to nothing.
    ///
    /// # Errors
    /// [`Error::Config`] naming the setting; [`Error::State`] when another agent holds the folder.
    pub fn new(config: AgentConfig) -> Result<Self> {
        config.check()?;
        let transport = HttpsTransport::new(&config)?;
        let clock = Arc::new(epoch_milliseconds);
        let host = Arc::new(stores::LocalHost::new());
        Ok(Self {
            runner: Runner::new(config, transport, host, clock)?,
        })
    }

    /// Runs until `shutdown` holds true (or its sender is gone): a job in process is finished first. Failures to reach the
    /// server are logged and tried again with growing pauses.
    ///
    /// # Errors
    /// Only what no later try can mend: a state folder that cannot be used.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) -> Result<()> {
        self.runner.recover_once().await?;
        let backoff_start = BACKOFF_START.min(self.runner.poll());
        let mut backoff = backoff_start;
        while !*shutdown.borrow() {
            let answered = match self.runner.turn(&shutdown).await {
                Ok(Turn::Worked) => Some(Duration::ZERO),
                Ok(Turn::Idle { poll }) => Some(poll),
                Ok(Turn::Pending { message }) => {
                    tracing::info!(message, "the server has not approved this agent yet");
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "the session failed; it will be tried again");
                    None
                }
            };
            let pause = answered.unwrap_or(backoff);
            backoff = match answered {
                Some(_) => backoff_start,
                None => (backoff * 2).min(self.runner.poll()),
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                gone = shutdown.wait_for(|stop| *stop) => {
                    tracing::info!(asked = gone.is_ok(), "the agent stops");
                    break;
                }
            }
        }
        Ok(())
    }

    /// One session: register (enrolling first where needed), report what is left to report, do the jobs that are due.
    ///
    /// # Errors
    /// Anything that ended the session early.
    pub async fn run_once(&self) -> Result<Turn> {
        self.runner.recover_once().await?;
        let (_running, shutdown) = watch::channel(false);
        self.runner.turn(&shutdown).await
    }
}

/// The one place that reads the clock of the machine; all else is given it.
fn epoch_milliseconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
