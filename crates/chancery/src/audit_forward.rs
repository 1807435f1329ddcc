//! Forwarding the audit log: as lines of JSON to a file, or to a syslog server over TLS. The database remembers how far each
//! receiver is, so that nothing is left out while one is away.

use std::{path::PathBuf, sync::Arc, time::Duration};

use app::{
    App,
    audit::{Forwarded, Forwarder},
};
use tokio::sync::watch;

mod file;
mod syslog;

pub use syslog::{Syslog, SyslogError};

/// How often new records are looked for.
const PAUSE: Duration = Duration::from_millis(1_000);
/// How long a receiver that failed is left alone.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Where records go.
#[derive(Debug)]
pub enum Receiver {
    /// A file, to whose end lines are written.
    File(PathBuf),
    /// A syslog server.
    Syslog(Box<Syslog>),
}

impl Receiver {
    /// The name under which the database remembers it.
    fn name(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
        }
    }

    async fn send(&mut self, records: &[Forwarded]) -> std::io::Result<()> {
        match self {
            Self::File(path) => file::append(path, records).await,
            Self::Syslog(syslog) => syslog.send(records).await,
        }
    }
}

/// Forwards to one receiver until `shutdown` turns true. A receiver that fails is tried again from where it was.
pub async fn run(app: Arc<App>, mut receiver: Receiver, mut shutdown: watch::Receiver<bool>) {
    let forwarder = Forwarder::new(app, receiver.name());
    let mut failed = false;
    while !*shutdown.borrow() {
        let pause = match step(&forwarder, &mut receiver).await {
            Ok(true) => {
                if std::mem::take(&mut failed) {
                    tracing::info!(
                        receiver = receiver.name(),
                        "the audit log is forwarded again"
                    );
                }
                continue;
            }
            Ok(false) => PAUSE,
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    tracing::error!(receiver = receiver.name(), %error, "the audit log is not forwarded");
                }
                PAUSE_AFTER_FAILURE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = shutdown.changed() => if changed.is_err() { break },
        }
    }
    if let Err(error) = forwarder.leave().await {
        tracing::warn!(%error, "the place in the audit log could not be given back");
    }
}

/// Sends what is next; false when there is nothing.
async fn step(forwarder: &Forwarder, receiver: &mut Receiver) -> anyhow::Result<bool> {
    let Some(batch) = forwarder.next().await? else {
        return Ok(false);
    };
    receiver.send(&batch.records).await?;
    forwarder.sent(batch).await?;
    Ok(true)
}

#[cfg(test)]
mod tests;
